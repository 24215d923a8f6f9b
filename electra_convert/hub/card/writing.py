"""README.md of a model folder: made, or its sections written anew between their markers; all else is the user's."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from electra_convert.errors import CardError, UsageError, arguments_for_options
from electra_convert.formats.names import CARD_FILE, PARITY_FILE
from electra_convert.frameworks import import_huggingface_hub
from electra_convert.hub.card.facts import Facts, gather_facts
from electra_convert.hub.card.metadata import Metadata, complete, languages, parse, split_card
from electra_convert.hub.card.model_folder import find_models, has_safetensors, pair_name, read_folder
from electra_convert.hub.card.proof import require_proof, without_unproved_onnx
from electra_convert.hub.card.template import as_name, render_card
from electra_convert.output import remove_unfinished, replace_file
from electra_convert.schemes.family import ELECTRA

# A reader must not miss it, whatever else the user has taken out of the card.
_ALWAYS = "verification"
_MARKER = re.compile(r"<!-- (/?)electra_convert:([a-z_]+) -->")
_SECTION = re.compile(r"<!-- electra_convert:([a-z_]+) -->.*?<!-- /electra_convert:\1 -->", re.DOTALL)


@dataclass(frozen=True)
class Card:
    """A model card.

    Attributes:
        path: its file.
        text: all of it.
        changed: whether the file says otherwise, or is not there.
        verification: verified, pretrained, fine-tuned or unverified.
        notices: what it does not say, and should.
    """

    path: Path
    text: str
    changed: bool
    verification: str
    notices: tuple[str, ...]


@arguments_for_options()
def write_card(
    folder: str | Path,
    repo_id: str | None = None,
    license: str | None = None,
    language: str | Sequence[str] = (),
    base_model: str | None = None,
    dry_run: bool = False,
) -> tuple[Card, ...]:
    """Write the README.md of a model folder, or of both models of a pair.

    >>> pair = convert("fixtures/default", "my-models", vocab="fixtures/vocab.txt").output
    >>> discriminator, generator = write_card(pair, license="apache-2.0", language="en")
    >>> discriminator.verification, generator.path.name
    ('unverified', 'README.md')

    Args:
        folder: a transformers model folder, or a pair of them.
        repo_id: where it is or will be on the Hub; the models of a pair get a suffix each.
        license: an identifier of the Hub's list, such as apache-2.0; that it is in the list is checked by the Hub,
            when the model is uploaded.
        language: ISO 639 codes of the languages of its texts; they are checked likewise.
        base_model: the model on the Hub that it was made from.
        dry_run: make the cards, and write nothing.

    Returns:
        The cards, the discriminator's first.

    Raises:
        SourceError: it is not such a folder.
        CardError: the card there is malformed or contradicts an option, or a value has a form that the Hub does not
            take.
        OutputError: it cannot be written.
    """
    return write_cards(Path(folder), repo_id, Metadata(license, language, base_model), dry_run)


def write_cards(folder: Path, repo_id: str | None, metadata: Metadata, dry_run: bool) -> tuple[Card, ...]:
    """write_card with what a card says beside the files in one place."""
    models = find_models(folder)
    names = [None] * len(models) if repo_id is None else repo_ids(models, folder, repo_id)
    cards = []
    for path, name in zip(models, names, strict=True):
        model = without_unproved_onnx(read_folder(path, pickles=not has_safetensors(path)))
        partner = next((other for other in names if other != name), None)
        facts = gather_facts(model, require_proof(model, unverified=True), name, partner)
        cards.append(make_card(facts, metadata))
    if not dry_run:
        for card in cards:
            save_card(card)
    return tuple(cards)


def repo_ids(models: Sequence[Path], folder: Path, repo_id: str) -> list[str]:
    """Name the repository of each model of a folder; those of a pair have one each.

    Raises:
        UsageError: a name is not one that the Hub allows.
    """
    roles = [pair_name(path, folder) for path in models]
    names = [f"{repo_id}-{role}" if role else repo_id for role in roles]
    for name in names:
        require_repo_id(name)
    return names


def require_repo_id(repo_id: str) -> None:
    """Refuse what is no OWNER/NAME of the Hub.

    Raises:
        UsageError: it is none.
    """
    library = import_huggingface_hub("to check the repository's name")
    reason = "expected OWNER/NAME" if repo_id.count("/") != 1 else None
    try:
        library.utils.validate_repo_id(repo_id)
    except ValueError as error:
        reason = reason or " ".join(str(error).split())
    if reason:
        raise UsageError(f"{repo_id!r} is not the name of a repository: {reason}", "Such as my-name/electra-small.")


def make_card(facts: Facts, metadata: Metadata, elsewhere: str | None = None) -> Card:
    """Make a model's card out of the one in its folder, or else of one elsewhere, such as on the Hub.

    Raises:
        CardError: the card there is malformed or contradicts an option, or a value has a form the Hub does not take.
    """
    path = facts.folder.path / CARD_FILE
    here = _read(path)
    before = (elsewhere or "") if here is None else here
    only_crlf = before.count("\r\n") == before.count("\n") > 0
    front, body = split_card(before.replace("\r\n", "\n") if only_crlf else before)
    front = complete(front, metadata.fields(), _derived(facts), str(path))
    made = render_card(facts, languages(front, str(path)))
    if not body.strip():  # such as of the card that the Hub makes for a new repository with a licence
        body = made
    elif here is not None:
        body = _titled(body, facts, made)
    text = f"---\n{front}---\n{_with_sections(body, made, str(path))}"
    if only_crlf:
        text = text.replace("\n", "\r\n")
    return Card(path, text, text != here, facts.proof.state, _notices(front, str(path)))


def _read(path: Path) -> str | None:
    if not path.exists():
        return None
    try:
        return path.read_bytes().decode("utf-8-sig")  # the Hub does not find a front matter behind a byte order mark
    except OSError as error:
        raise CardError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CardError(f"{path} is not UTF-8: {error.reason} at byte {error.start}", "Save it as UTF-8.") from error


def _derived(facts: Facts) -> dict[str, Any]:
    """What follows from the model; where the Hub has no name for its task, none is claimed."""
    families = dict.fromkeys((facts.family, *([ELECTRA.model_type] if facts.is_electra else [])))
    tags = [*families, *(["replaced-token-detection"] if facts.kind == "discriminator" else [])]
    datasets = [facts.dataset] if facts.dataset else []
    fields = {"library_name": "transformers", "pipeline_tag": facts.task, "tags": tags, "datasets": datasets}
    return {name: value for name, value in fields.items() if value}


def _notices(front: str, where: str) -> tuple[str, ...]:
    said = parse(front, where)
    return tuple(
        f"{where} states no {name}; --{name} adds it." for name in ("license", "language") if not said.get(name)
    )


def _titled(body: str, facts: Facts, made: str) -> str:
    """The heading that was made while the repository was not known is of the tool's making too."""
    before = f"# {as_name(replace(facts, repo_id=None).title)}\n"
    return made.partition("\n")[0] + "\n" + body.removeprefix(before) if body.startswith(before) else body


def _with_sections(body: str, made: str, where: str) -> str:
    sections = {section[1]: section[0] for section in _SECTION.finditer(made)}
    if _ALWAYS not in section_names(body, where):
        gap = "\n" if body.endswith("\n") or not body else "\n\n"
        body = f"{body}{gap}{sections[_ALWAYS]}\n"
    return fill_sections(body, sections, where)


def section_names(text: str, where: str) -> list[str]:
    """The names of a card's sections, in their order.

    Raises:
        CardError: a marker has no partner, stands inside another section, or a section is there twice.
    """
    names: list[str] = []
    opened: str | None = None
    for marker in _MARKER.finditer(text):
        closes, name = bool(marker[1]), marker[2]
        if closes != (opened is not None) or (closes and name != opened) or (not closes and name in names):
            raise CardError(
                f"{where}: the marker {marker[0]} has no partner, or is there twice",
                "Each section stands once, between <!-- electra_convert:NAME --> and <!-- /electra_convert:NAME -->.",
            )
        opened = None if closes else name
        if not closes:
            names.append(name)
    if opened is not None:
        raise CardError(f"{where}: the section {opened!r} does not end", f"Add <!-- /electra_convert:{opened} -->.")
    return names


def fill_sections(text: str, sections: Mapping[str, str], where: str) -> str:
    """Write the sections that a card has anew, each with its markers; all else in it stays as it was.

    Raises:
        CardError: its markers do not pair.
    """
    section_names(text, where)
    return _SECTION.sub(lambda section: sections.get(section[1], section[0]), text)


def lost_lines(before: str, after: str) -> list[str]:
    """The lines of a card, outside of the sections that the tool writes, that another card does not have."""
    return list(_own_lines(before) - _own_lines(after))


def _own_lines(text: str) -> Counter[str]:
    stripped = (line.strip() for line in _SECTION.sub("", text).splitlines())
    return Counter(line for line in stripped if line)


def save_card(card: Card) -> None:
    """Write a card to its file, whole or not at all.

    Raises:
        OutputError: it cannot be written; the card before is as it was.
    """
    for name in (CARD_FILE, PARITY_FILE):
        remove_unfinished(card.path.with_name(name))
    if card.changed:
        replace_file(card.path, card.text.encode())
