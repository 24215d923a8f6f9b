"""reproduce: a conversion made again from its record, and every file of the model held against what that gives.

Named apart from the function, which is electra_convert.reproduce.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from electra_convert.conversion.convert import convert_brought
from electra_convert.conversion.options import Options
from electra_convert.conversion.recorded_options import LostInputError, read_options
from electra_convert.errors import CorruptFileError, HubError, SourceError, UsageError, arguments_for_options, listing
from electra_convert.formats.files import sha256_of_file
from electra_convert.formats.names import CONVERSION_FILE, ONNX_FOLDER, PARITY_FILE, VOCABULARY_FILE, kind_of
from electra_convert.hub.client import Tell
from electra_convert.hub.download import Origin
from electra_convert.reproduction.files import FileReport, compare_files, find_made, not_made
from electra_convert.reproduction.published import Published, find_published, find_recorded, inside
from electra_convert.reproduction.recorded import (
    Recorded,
    RecordedPlace,
    read_recorded,
    slipped,
    with_hashes_of_parity,
)
from electra_convert.reproduction.source import Opened, fetch_recorded, open_given
from electra_convert.tensors.transfer import Progress
from electra_convert.version import __version__

_LARGEST_INPUT = 1 << 26  # of what an option named and is looked for among the files of a model
_NOT_IT = "This is not the source that the record names, or the record is not that of this source."


@dataclass(frozen=True)
class Reproduction:
    """Whether a model is what convert makes of its source, file by file.

    Attributes:
        model: what was pointed at.
        commit: of the model on the Hub, or None.
        source: what was converted again.
        files: what was found of each file of the model, by path.
        reasons: why it is not reproduced; empty where it is.
        notes: what was not looked at, and what else a reader should know.
        recorded_version: of the tool that made it.
    """

    model: str
    commit: str | None
    source: str
    files: Mapping[str, FileReport]
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    recorded_version: str

    @property
    def passed(self) -> bool:
        """Whether every file of weights, configuration and tokenizer is the same to the byte."""
        return not self.reasons

    def __repr__(self) -> str:
        return f"<Reproduction: {self.model} {'is' if self.passed else 'is not'} what convert makes of {self.source}>"


@arguments_for_options()
def reproduce(
    model: str | Path,
    source: str | Path | None = None,
    progress: Progress | None = None,
    *,
    token: str | None = None,
) -> Reproduction:
    """Find out whether a model is, to the byte, what convert makes of the source that it records.

    The source is fetched at the commit that conversion.json names, and converted again with the options that stand
    there. Nothing in the record is believed: files are held against its hashes, and the outcome against the model.

    >>> model = convert("fixtures/default", "my-electra", vocab="fixtures/vocab.txt").output
    >>> again = reproduce(model, source="fixtures/default")
    >>> again.passed, again.files["generator/model.safetensors"].state
    (True, 'identical')

    Args:
        model: a folder that convert made, or hf://OWNER/REPO[@REVISION][/PATH].
        source: what it was converted from, where that is here; by default it is fetched from the Hub.
        progress: told how many bytes of how many have been read, from several threads.
        token: the account's on the Hub, by default what huggingface_hub finds.

    Returns:
        What was found of every file.

    Raises:
        UsageError: there is no record, or nothing says where the source is.
        SourceError: the record is of an earlier version, which recorded no sources.
        ElectraConvertError: the source cannot be fetched, or not be converted.
    """
    return run_reproduction(model, source, progress, token)


def run_reproduction(
    model: str | Path,
    given: str | Path | None = None,
    progress: Progress | None = None,
    token: str | None = None,
    tell: Tell = lambda _: None,
) -> Reproduction:
    """reproduce with someone who is told what is waited for."""
    published = find_published(model, token, tell)
    folders = find_recorded(published.sizes)
    if not folders:
        raise UsageError(
            f"there is nothing to compare with: {published.told} has no {CONVERSION_FILE}, which names its source",
            "Give REFERENCE and CANDIDATE.",
        )
    onnx = {folder: inside(folder, ONNX_FOLDER) for folder in folders}
    added = [name for name in onnx.values() if inside(name, CONVERSION_FILE) in published.sizes]
    records = [inside(folder, CONVERSION_FILE) for folder in (*folders, *added)]
    parities = [name for folder in folders if (name := inside(folder, PARITY_FILE)) in published.sizes]
    here = published.bring([*records, *parities])
    changed = {name: told for name in records if (told := slipped(here / name)) is not None}
    if changed:
        return _changed(published, changed)
    recorded = {
        folder: _read(here / folder, published.told if not folder else inside(published.told, folder))
        for folder in (*folders, *added)
    }
    models = {folder: recorded[folder] for folder in folders}
    _require_whole(published, models)
    additions = {folder: recorded[name] for folder, name in onnx.items() if name in recorded}
    request = _Request(published, additions, given, progress, token, tell)
    parts = [_repeat(request, part) for part in _by_conversion(models)]
    return _joined(published, parts, _outside(published, folders))


def _read(folder: Path, where: str) -> Recorded:
    recorded = read_recorded(folder / CONVERSION_FILE, where)
    return replace(recorded, place=with_hashes_of_parity(recorded.place, folder / PARITY_FILE))


def _require_whole(published: Published, models: Mapping[str, Recorded]) -> None:
    if any(one.is_addition for one in models.values()):
        raise UsageError(
            f"{published.told} holds the ONNX models that were added to the model in the folder around it",
            "Give that folder: what was added is made again with it.",
        )


def _by_conversion(recorded: Mapping[str, Recorded]) -> list[dict[str, Recorded]]:
    """The models that one conversion made, together."""
    parts: list[dict[str, Recorded]] = []
    for folder, one in recorded.items():
        same = (part for part in parts if next(iter(part.values())).same_conversion == one.same_conversion)
        part = next(same, None)
        if part is None:
            parts.append({folder: one})
        else:
            part[folder] = one
    return parts


@dataclass(frozen=True)
class _Request:
    """What is to be repeated, and what else was asked for."""

    published: Published
    additions: Mapping[str, Recorded]
    given: str | Path | None
    progress: Progress | None
    token: str | None
    tell: Tell


def _repeat(request: _Request, models: Mapping[str, Recorded]) -> Reproduction:
    """Make one conversion again, and compare the models of it."""
    published, given = request.published, request.given
    first = next(iter(models.values()))
    place = first.place
    opened = _open(request, place)
    told = str(given) if given is not None else place.told
    whole = Reproduction(published.told, published.commit, told, {}, (), (), first.version)
    if opened.differences:
        name = inside(next(iter(models)), CONVERSION_FILE)
        return replace(whole, reasons=(*(f"{name}: {line}." for line in opened.differences), _NOT_IT))
    with tempfile.TemporaryDirectory(prefix="electra-convert-") as scratch:
        try:
            again = _converted(request, first, opened, Path(scratch))
            files, records = _compared(request, models, again, Path(scratch))
        except LostInputError as error:
            name = inside(next(iter(models)), VOCABULARY_FILE)
            return replace(whole, reasons=(f"{name}: {error.message}. {error.hint}",))
    return replace(whole, files=files, reasons=_reasons(files, records), notes=_notes(place, given, files))


def _compared(
    request: _Request, models: Mapping[str, Recorded], again: Path, scratch: Path
) -> tuple[dict[str, FileReport], list[Recorded]]:
    """Compare every file of models with what was made again, with the records that this was made from."""
    files: dict[str, FileReport] = {}
    records: list[Recorded] = []
    for folder, one in models.items():
        made = find_made(again, one)
        added = _added(request, folder, made, scratch)
        files |= compare_files(request.published, folder, one, added, made, request.given is not None)
        records += [one] if added is None else [one, added]
    return files, records


def _open(request: _Request, place: RecordedPlace) -> Opened:
    if request.given is not None:
        return open_given(place, request.given, request.token, request.tell)
    if place.repository is None:
        names = listing(file.name for file in place.files)
        raise UsageError(
            f"{request.published.told} was converted from files that were on no Hub: {names}",
            "Give them with --source PATH.",
        )
    request.tell(f"The record names {place.address}, which is fetched and converted again.")
    return _fetched(request, place)


def _fetched(request: _Request, place: RecordedPlace) -> Opened:
    try:
        return fetch_recorded(place, request.token, request.tell)
    except (HubError, SourceError) as error:
        error.message = f"{CONVERSION_FILE} names {place.address}, which cannot be fetched: {error.message}"
        raise


def _converted(request: _Request, recorded: Recorded, opened: Opened, scratch: Path) -> Path:
    """Convert the source again, with the recorded options, into a folder of its own."""
    options = _options(request, recorded, opened.root, scratch / "inputs")
    if recorded.generator is not None:
        if recorded.generator.repository is None:
            raise SourceError(
                f"{request.published.told} was converted with --generator, from files that were on no Hub",
                "Whoever has them can convert again, and compare what that makes.",
            )
        other = _fetched(request, recorded.generator)
        if other.differences:
            raise CorruptFileError(f"{CONVERSION_FILE}, generator: {'; '.join(other.differences)}", _NOT_IT)
        options = replace(options, generator=other.path, generator_origin=other.origin)
    output = scratch / "again"
    _convert(opened.path, opened.origin, output, options, request.progress)
    return output


def _options(request: _Request, recorded: Recorded, root: Path, inputs: Path) -> Options:
    inputs.mkdir(parents=True)
    return read_options(recorded.options, partial(_find, request.published, root), inputs)


def _convert(
    source: Path, origin: Origin | None, output: Path, options: Options, progress: Progress | None = None
) -> None:
    try:
        convert_brought(source, origin, source, output, options, progress)
    except UsageError as error:  # nobody here gave those options
        raise CorruptFileError(f"{CONVERSION_FILE}, options: {error.message}") from error


def _added(request: _Request, folder: str, made: Path | None, scratch: Path) -> Recorded | None:
    """Add ONNX models to a model that was made again, as its record says; the record, where that was so."""
    recorded = request.additions.get(folder)
    if recorded is None or made is None or not recorded.is_addition or (made / ONNX_FOLDER).exists():
        return None
    options = _options(request, recorded, made, scratch / "added" / folder)
    _convert(made, None, made, replace(options, to="onnx"))
    return recorded


def _find(published: Published, root: Path, sha256: str) -> Path | None:
    """Find a file that an option named among the tokenizer's of a model and what lies beside its source."""
    names = [
        name
        for name, size in published.sizes.items()
        if size <= _LARGEST_INPUT and kind_of(name) == "tokenizer" and name.count("/") <= 1
    ]
    here = published.bring(names)
    beside = (path for path in root.iterdir() if path.is_file() and path.stat().st_size <= _LARGEST_INPUT)
    return next(
        (path for path in (*(here / name for name in names), *beside) if sha256_of_file(path) == sha256), None
    )


def _changed(published: Published, changed: Mapping[str, str]) -> Reproduction:
    """What is said where a record is not as it was written: nothing that it names is fetched."""
    files = {name: FileReport("different", told) for name, told in changed.items()}
    reasons = tuple(f"{name}: {told}" for name, told in changed.items())
    return Reproduction(published.told, published.commit, "nothing", files, reasons, (), "unknown")


def _reasons(files: Mapping[str, FileReport], records: Sequence[Recorded]) -> tuple[str, ...]:
    """Why a model is not reproduced, with the version that made it where that is not this one."""
    told = _told_of_failures(files)
    others = (one.version for one in records if one.version != __version__)
    if told and (version := next(others, None)) is not None:
        told.append(
            f"It was made by electra_convert {version}, and made again by {__version__}, which may write "
            "other bytes: install that version, and repeat it."
        )
    return tuple(told)


def _told_of_failures(files: Mapping[str, FileReport]) -> list[str]:
    return [f"{name}: {file.told}" for name, file in files.items() if file.fails]


def _notes(place: RecordedPlace, given: str | Path | None, files: Mapping[str, FileReport]) -> tuple[str, ...]:
    """What was not looked at."""
    notes = []
    if given is not None and place.repository is not None:
        notes.append(
            f"That the source is {place.address}, as the record says, was not looked at: --source was given."
        )
    if unhashed := [file.name for file in place.files if file.sha256 is None]:
        notes.append(
            f"No hash is recorded of {listing(unhashed)}: that it was converted follows from what it becomes. "
            "verify SOURCE FOLDER --save records it in parity.json."
        )
    return (*notes, *(f"{name}: {file.told}" for name, file in files.items() if file.is_noted))


def _outside(published: Published, folders: Sequence[str]) -> dict[str, FileReport]:
    """What lies beside several models, in a folder of none of them."""
    if folders == [""]:
        return {}
    starts = tuple(f"{folder}/" for folder in folders)
    return {name: not_made(name) for name in published.sizes if not name.startswith(starts)}


def _joined(published: Published, parts: Sequence[Reproduction], outside: Mapping[str, FileReport]) -> Reproduction:
    """One report of all models of a folder."""
    files = {name: file for part in parts for name, file in part.files.items()} | dict(outside)
    return Reproduction(
        published.told,
        published.commit,
        ", ".join(dict.fromkeys(part.source for part in parts)),
        dict(sorted(files.items())),
        (*(line for part in parts for line in part.reasons), *_told_of_failures(outside)),
        tuple(dict.fromkeys(line for part in parts for line in part.notes)),
        ", ".join(dict.fromkeys(part.recorded_version for part in parts)),
    )
