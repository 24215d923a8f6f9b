"""All models of an account on the Hub, or below a folder, looked at one after the other; none that fails stops it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from electra_convert.errors import (
    CorruptFileError,
    ElectraConvertError,
    HubError,
    SourceError,
    UsageError,
    arguments_for_options,
    counted,
    reported,
)
from electra_convert.formats.files import LARGEST_SMALL_FILE, small_bytes
from electra_convert.formats.locate import containers_of, locate
from electra_convert.formats.names import CONFIG_FILE, CONVERSION_FILE, PARITY_FILE, TRAINING_FILE, is_found, kind_of
from electra_convert.hub.account.look import (
    by_config,
    failed,
    is_scattered,
    looked_at,
    of_other_family,
    other_family,
)
from electra_convert.hub.account.outline import outline_here, outline_of
from electra_convert.hub.account.row import ModelRow
from electra_convert.hub.answers import ADVICE, Listing
from electra_convert.hub.card.model_folder import PublishedFile, hash_file
from electra_convert.hub.card.proof import object_in, read_record
from electra_convert.hub.client import Hub, Tell
from electra_convert.hub.download import SCHEME, Address, account_of, as_source, list_files
from electra_convert.hub.needed import needed_files
from electra_convert.hub.ranges import RemoteRanges

# Told of each model: how many of how many are done, and its row.
Told = Callable[[int, int, ModelRow], None]
REPOSITORY = re.compile(r"\w[\w.-]{0,95}/\w[\w.-]{0,95}")
_MOST_MODELS = 10_000
# A header and a vocabulary take a hundredth of it; this bounds a repository made to be read without an end.
_MOST_BYTES = 1 << 26
_DEEPEST = 3  # of folders: OWNER/REPO, or RUN/MODEL/discriminator
_MOST_FOLDERS = 20_000


@dataclass(frozen=True, repr=False)
class Survey:
    """What there is of many models.

    Attributes:
        source: what was pointed at.
        rows: a row for each model, sorted by name.
        endpoint: the Hub that they are on; None of a folder.
    """

    source: str
    rows: tuple[ModelRow, ...]
    endpoint: str | None = None

    def __repr__(self) -> str:
        return f"<Survey of {self.source!r}: {counted(len(self.rows), 'model')}>"


def holds_many(folder: Path) -> bool:
    """Whether a folder holds several models, and is none itself."""
    return folder.is_dir() and len(list(islice(models_below(folder), 2))) > 1


@arguments_for_options()
def survey(
    source: str | Path, tell: Tell = lambda _: None, told: Told = lambda *_: None, token: str | None = None
) -> Survey:
    """Look at every model of an account that the token may see, at one repository, or at all models below a folder.

    No weights are read, only what files say of them.

    >>> for row in survey("fixtures/training").rows:
    ...     print(row.name, row.action, *row.models.values())
    default convert ElectraForPreTraining ElectraForMaskedLM
    masked_lm convert ElectraForMaskedLM
    uniform_generator convert ElectraForPreTraining
    untied_embeddings convert ElectraForPreTraining ElectraForMaskedLM

    Args:
        source: hf://OWNER, hf://OWNER/REPO or a folder.
        tell: told what is waited for.
        told: told of each model as it was looked at.
        token: the account's; by default what huggingface_hub finds.

    Returns:
        A row for each model; one that cannot be looked at has its error in its row.

    Raises:
        UsageError: it is nothing of these.
        HubError: the Hub cannot say which there are.
        SourceError: there are none.
    """
    pointed_at = as_source(source)
    if isinstance(pointed_at, Path):
        return _survey_folder(pointed_at, told)
    owner = account_of(pointed_at)
    if owner is None and not REPOSITORY.fullmatch(pointed_at.removeprefix(SCHEME)):
        raise UsageError(f"{source} is one place in a repository", "Give hf://OWNER, hf://OWNER/REPO or a folder.")
    hub = Hub(token, tell, reading=True)
    names = [pointed_at.removeprefix(SCHEME)] if owner is None else _models_of(hub, owner)
    rows = tuple(_each(names, lambda name: look_at_repository(hub, name), told))
    return Survey(pointed_at, rows, hub.endpoint)


def _survey_folder(folder: Path, told: Told) -> Survey:
    places = {path.relative_to(folder).as_posix(): path for path in models_below(folder)}
    if not places:
        raise SourceError(f"{folder} holds no models", "Give a folder with models in it, or one model.")
    return Survey(str(folder), tuple(_each(sorted(places), lambda name: look_at_folder(name, places[name]), told)))


def _each(names: list[str], look: Callable[[str], ModelRow], told: Told) -> Iterator[ModelRow]:
    for done, name in enumerate(names, 1):
        try:
            row = look(name)
        except Exception as error:  # noqa: BLE001 - told in its row; the others are looked at
            row = failed(ModelRow(name, "look"), reported(error))
        told(done, len(names), row)
        yield row


def _models_of(hub: Hub, owner: str) -> list[str]:
    def ask() -> list[str]:
        found = hub.api.list_models(author=owner)
        return [one.id for one in islice(found, _MOST_MODELS + 1)]

    names = hub.ask(f"listing the models of {owner}", ask)
    if not names:
        raise SourceError(
            f"{SCHEME}{owner} has no models that can be seen",
            "Check the name; private ones are seen with a token (HF_TOKEN, or `hf auth login`).",
        )
    if len(names) > _MOST_MODELS:
        raise HubError(f"{owner} has more than {_MOST_MODELS:,} models", "Look at some of them: hf://OWNER/REPO.")
    if wrong := [name for name in names if not _is_of(name, owner)]:
        raise HubError(f"the Hub lists {wrong[0]!r:.80} among the models of {owner}", ADVICE)
    return sorted(set(names))  # one that is changed meanwhile may stand on two pages


def _is_of(name: object, owner: str) -> bool:
    """Whether it is a repository of an account, which may be written in other letters' case."""
    if not isinstance(name, str) or not REPOSITORY.fullmatch(name):
        return False
    return name.partition("/")[0].casefold() == owner.casefold()


def look_at_repository(hub: Hub, name: str) -> ModelRow:
    """Look at one repository.

    Raises:
        ElectraConvertError: it cannot be looked at.
    """
    listing = list_files(hub, f"{SCHEME}{name}", Address(name, "main", ""))
    size = sum(file.size for file in listing.files.values())
    row = ModelRow(name, "look", commit=listing.head, containers=containers_of(listing.files), size=size)
    if not row.containers:
        return replace(row, action="leave", why=("none of its files is called as weights are that this tool reads",))
    ranges = RemoteRanges(hub, name, listing, _MOST_BYTES)
    try:
        found = _of_repository(row, ranges, listing)
    except ElectraConvertError as error:
        found = failed(row, error)
    return replace(found, read=ranges.received)


def _of_repository(row: ModelRow, ranges: RemoteRanges, listing: Listing) -> ModelRow:
    config = listing.files.get(CONFIG_FILE)
    have = ranges.read_whole([CONFIG_FILE] if config and config.size <= LARGEST_SMALL_FILE else [])
    if have and CONVERSION_FILE not in listing.files and (family := other_family(have[CONFIG_FILE])):
        return of_other_family(row, family)
    with outline_of(ranges, listing, have) as path:
        if have and is_scattered(path):
            return by_config(row, path)
        found = looked_at(row, path, lambda folder, name: _listed(listing, path, folder, name))
    if found.action == "nothing" and not any(map(is_found, listing.files)):
        return replace(found, action="by hand", why=("from_pretrained loads it only with subfolder=, its folder",))
    return found


def _listed(listing: Listing, path: Path, folder: Path, name: str) -> PublishedFile:
    """A file with the hash that the Hub lists if records have such, else with that of its bytes, which came."""
    root = path if path.is_dir() else path.parent
    stated = listing.files[(folder / name).relative_to(root).as_posix()]
    if stated.sha256 is None:
        return hash_file(folder, name)
    return PublishedFile(name, stated.size, stated.sha256, stated.blob, folder / name)


def look_at_folder(name: str, path: Path) -> ModelRow:
    """Look at one folder."""
    path = path.absolute()  # which no other words of a message are, from which it is taken out
    files = {one.relative_to(path).as_posix(): one.stat().st_size for one in path.rglob("*") if one.is_file()}
    row = ModelRow(name, "look", containers=containers_of(files), size=sum(files.values()))
    config = path / CONFIG_FILE
    recorded = (path / CONVERSION_FILE).exists()
    if config.is_file() and not recorded and (family := other_family(_content(config))):
        return of_other_family(row, family)
    _, meant = needed_files(files, "")  # as on the Hub: of a TensorFlow checkpoint and safetensors, the latter
    with outline_here():
        found = looked_at(row, path / meant, _recorded)
    return replace(found, proof="recorded") if found.proof == "verified" else found


def _content(path: Path) -> bytes:
    try:
        return small_bytes(path)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error


def _recorded(folder: Path, name: str) -> PublishedFile:
    """A file with its hash; of weights, which are not read, the hash that was recorded of them."""
    if kind_of(name) != "weights":
        return hash_file(folder, name)
    records = (read_record(folder / record) for record in (PARITY_FILE, TRAINING_FILE))
    stated = next((hashes[name] for record in records if name in (hashes := object_in(record, "files"))), "")
    return PublishedFile(name, (folder / name).stat().st_size, str(stated), "", folder / name)


def models_below(folder: Path) -> Iterator[Path]:
    """The folders that hold a model, or what looks like one: this one, or those in it, some levels deep."""
    waiting = [(folder, 0)]
    for _ in range(_MOST_FOLDERS):
        if not waiting:
            return
        place, depth = waiting.pop()
        inside = _folders_in(place)
        if inside is None:
            yield place
        elif depth < _DEEPEST:
            waiting += [(place / name, depth + 1) for name in reversed(inside)]


def _folders_in(folder: Path) -> list[str] | None:
    """The folders in one that is no model itself; None of one that is, or looks like one."""
    if _is_model(folder):
        return None
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError:  # one that may not be entered
        return []
    if containers_of(entry.name for entry in found if entry.is_file()):
        return None
    return [one.name for one in found if one.is_dir(follow_symlinks=False) and not one.name.startswith(".")]


def _is_model(folder: Path) -> bool:
    try:
        return bool(locate(folder))
    except CorruptFileError:  # a file of it was not downloaded
        return True
    except SourceError:
        return False
