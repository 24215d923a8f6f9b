"""README.md of a model folder: made, or its sections written anew; uploads nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from electra_convert.errors import CardError, UsageError
from electra_convert.frameworks import import_huggingface_hub
from electra_convert.hub.card.facts import Facts, gather_facts
from electra_convert.hub.card.folders import find_models, pair_name
from electra_convert.hub.card.metadata import Metadata, complete, parse, split_card
from electra_convert.hub.card.model_folder import CARD, has_safetensors, read_folder
from electra_convert.hub.card.proof import describe_proof
from electra_convert.hub.card.sections import fill_sections, marked, section_names
from electra_convert.hub.card.template import section_texts
from electra_convert.output import replace_file

# A reader must not miss it, whatever else the user has taken out of the card.
_ALWAYS = "verification"
_CITATION = """\
## Citation

```bibtex
@inproceedings{clark2020electra,
  title = {{ELECTRA}: Pre-training Text Encoders as Discriminators Rather Than Generators},
  author = {Kevin Clark and Minh-Thang Luong and Quoc V. Le and Christopher D. Manning},
  booktitle = {ICLR},
  year = {2020},
  url = {https://openreview.net/pdf?id=r1xMH1BtvB}
}
```"""


@dataclass(frozen=True)
class Card:
    """A model card.

    Attributes:
        path: its file.
        text: all of it.
        changed: whether the file says otherwise, or is not there.
        verification: verified, pretrained or unverified.
        notices: what it does not say, and should.
    """

    path: Path
    text: str
    changed: bool
    verification: str
    notices: tuple[str, ...]


def write_card(
    folder: str | Path,
    repo_id: str | None = None,
    license: str | None = None,
    language: str | Sequence[str] = (),
    base_model: str | None = None,
    dry_run: bool = False,
) -> tuple[Card, ...]:
    """Write the README.md of a model folder, or of both models of a pair.

    Args:
        folder: a transformers model folder, or a pair of them.
        repo_id: where it is or will be on the Hub; the models of a pair get a suffix each.
        license: an identifier of the Hub's list, such as apache-2.0.
        language: ISO 639 codes of the languages of its texts.
        base_model: the model on the Hub that it was made from.
        dry_run: make the cards, and write nothing.

    Returns:
        The cards, the discriminator's first.

    Raises:
        SourceError: it is not such a folder.
        CardError: the card there is malformed, contradicts an option, or a value is none that the Hub knows.
        OutputError: it cannot be written.
    """
    metadata = Metadata(license, (language,) if isinstance(language, str) else tuple(language), base_model)
    models = find_models(Path(folder))
    names = repo_ids(models, Path(folder), repo_id) if repo_id is not None else [None] * len(models)
    cards = []
    for path, name in zip(models, names, strict=True):
        model = read_folder(path, pickles=not has_safetensors(path))
        partner = next((other for other in names if other != name), None)
        cards.append(make_card(gather_facts(model, describe_proof(model), name, partner), metadata))
    if not dry_run:
        for card in cards:
            save_card(card)
    return tuple(cards)


def repo_ids(models: Sequence[Path], folder: Path, repo_id: str) -> list[str]:
    """Name the repository of each model of a folder; those of a pair have one each.

    Args:
        models: the folder itself, or the two of a pair.
        folder: which they were found in.
        repo_id: OWNER/NAME.

    Returns:
        The names, in the order of the models.

    Raises:
        UsageError: a name is not one that the Hub allows.
    """
    roles = [pair_name(path, folder) for path in models]
    names = [f"{repo_id}-{role}" if role else repo_id for role in roles]
    for name in names:
        _require_repo_id(name)
    return names


def _require_repo_id(name: str) -> None:
    library = import_huggingface_hub("to check the repository's name")
    reason = "expected OWNER/NAME" if name.count("/") != 1 else None
    try:
        library.utils.validate_repo_id(name)
    except ValueError as error:
        reason = reason or " ".join(str(error).split())
    if reason:
        raise UsageError(f"{name!r} is not the name of a repository: {reason}", "Such as my-name/electra-small.")


def make_card(facts: Facts, metadata: Metadata, elsewhere: str | None = None) -> Card:
    """Make a model's card, out of the one that is there if there is one.

    Args:
        facts: what is known of the model.
        metadata: what the user says of it.
        elsewhere: the card to make it out of where the folder has none, such as the one on the Hub.

    Returns:
        The card, not written yet.

    Raises:
        CardError: the card there is malformed, contradicts an option, or a value is none that the Hub knows.
    """
    path = facts.folder.path / CARD
    here = _read(path)
    before = (elsewhere or "") if here is None else here
    only_crlf = before.count("\r\n") == before.count("\n") > 0
    front, body = split_card(before.replace("\r\n", "\n") if only_crlf else before)
    if not body.strip():  # such as of the card that the Hub makes for a new repository with a licence
        body = _new(facts)
    elif here is not None:
        body = _titled(body, facts)
    front = complete(front, metadata.fields(), _derived(facts), str(path))
    body = _with_sections(body, section_texts(facts), str(path))
    text = f"---\n{front}---\n{body}"
    if only_crlf:
        text = text.replace("\n", "\r\n")
    return Card(path, text, text != here, facts.proof.state, _notices(front, str(path)))


def _notices(front: str, where: str) -> tuple[str, ...]:
    said = parse(front, where)
    return tuple(
        f"{where} states no {name}; --{name} adds it." for name in ("license", "language") if not said.get(name)
    )


def _new(facts: Facts) -> str:
    sections = [marked(section, text) for section, text in section_texts(facts).items()]
    return "\n\n".join([_title(facts), *sections, _CITATION]) + "\n"


def _title(facts: Facts) -> str:
    return f"# {facts.repo_id.rpartition('/')[2] if facts.repo_id else facts.folder.path.resolve().name}"


def _titled(body: str, facts: Facts) -> str:
    """The heading that was made while the repository was not known is of the tool's making too."""
    made = f"{_title(replace(facts, repo_id=None))}\n"
    return f"{_title(facts)}\n{body.removeprefix(made)}" if body.startswith(made) else body


def _with_sections(body: str, texts: dict[str, str], where: str) -> str:
    if _ALWAYS not in section_names(body, where):
        gap = "\n" if body.endswith("\n") or not body else "\n\n"
        body = f"{body}{gap}{marked(_ALWAYS, '')}\n"
    return fill_sections(body, texts, where)


def _derived(facts: Facts) -> dict[str, Any]:
    """What follows from the model; where the Hub has no name for its task, none is claimed."""
    tags = ["electra", "replaced-token-detection"] if facts.kind == "discriminator" else ["electra"]
    fields = {"library_name": "transformers", "pipeline_tag": facts.task, "tags": tags}
    return {name: value for name, value in fields.items() if value}


def _read(path: Path) -> str | None:
    if not path.exists():
        return None
    try:
        return path.read_bytes().decode("utf-8-sig")  # the Hub does not find a front matter behind a byte order mark
    except OSError as error:
        raise CardError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CardError(f"{path} is not UTF-8: {error.reason} at byte {error.start}", "Save it as UTF-8.") from error


def save_card(card: Card) -> None:
    """Write a card to its file, whole or not at all.

    Raises:
        OutputError: it cannot be written; the card before is as it was.
    """
    if card.changed:
        replace_file(card.path, card.text.encode())
