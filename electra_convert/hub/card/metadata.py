"""The metadata block at the head of a card: read by the Hub's own client, checked, completed, never overwritten."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from electra_convert.errors import CardError, listing
from electra_convert.frameworks import import_huggingface_hub, import_iso639
from electra_convert.hub.card.licences import LICENCES

_BLOCK = re.compile(r"\A\s*---[ \t\r]*\n(.*?)(?:^---[ \t\r]*(?:\n|\Z))", re.DOTALL | re.MULTILINE)
_NOTHING = re.compile(r"\s*(~|null|Null|NULL)?\s*(#.*)?")
_PARTS = ("pt1", "pt2b", "pt2t", "pt3")
_NO_LANGUAGES = {"code", "multilingual"}
_REPO_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")


@dataclass(frozen=True)
class Metadata:
    """What the user says of a model that its files do not.

    Attributes:
        license: an identifier of the Hub's list.
        languages: ISO 639 codes.
        base_model: the repository of the model this one was made from.
    """

    license: str | None = None
    languages: tuple[str, ...] = ()
    base_model: str | None = None

    def fields(self) -> dict[str, Any]:
        """The same under the names of the front matter, what is not said left out."""
        languages = list(dict.fromkeys(self.languages)) or None
        given = {"license": self.license, "language": languages, "base_model": self.base_model}
        return {name: value for name, value in given.items() if value is not None}


def split_card(text: str) -> tuple[str, str]:
    """Part a card into its front matter, without the lines of dashes, and the rest.

    Args:
        text: the card, lines ended by newlines.

    Returns:
        Both; the first is empty where there is none.
    """
    block = _BLOCK.match(text)
    return (block[1], text[block.end() :]) if block else ("", text)


def complete(front: str, given: Mapping[str, Any], derived: Mapping[str, Any], where: str) -> str:
    """Add to a front matter what it does not say yet; no line that says something changes.

    Args:
        front: YAML, each line ended by a newline.
        given: what the user asks for; it may not contradict what is there.
        derived: what follows from the model; what is there wins.
        where: the card's file, for messages.

    Returns:
        The YAML; keys without a value have got one, and lines were added at its end.

    Raises:
        CardError: it is not YAML, says otherwise than what is given, or has a value the Hub does not know.
    """
    present = parse(front, where)
    for name, value in given.items():
        if name in present and _as_list(present[name]) != _as_list(value):
            raise CardError(
                f"{where} says {name}: {_shown(present[name])}, the option says {_shown(value)}",
                "Change the line in the card, or leave the option out.",
            )
    added = {name: value for name, value in {**derived, **given}.items() if name not in present}
    whole = front
    for name, value in added.items():
        whole = _with_field(whole, name, value, where)
    check_values({**present, **added}, where)
    if parse(whole, where) != {**present, **added}:
        raise CardError(f"{where}: nothing can be added to its front matter", "Write it as lines of `key: value`.")
    return whole


def _with_field(front: str, name: str, value: object, where: str) -> str:
    """A key that is there without a value gets it where it stands; a table has no key twice."""
    line = re.search(rf"""^(["']?){name}\1[ \t]*:(.*)\n""", front, re.MULTILINE)
    if line is None:
        return front + _yaml({name: value})
    if not _NOTHING.fullmatch(line[2]):
        raise CardError(f"{where}: {name} has no value that can be read", f"Give {name} one, or take its line out.")
    return front[: line.start()] + _yaml({name: value}) + front[line.end() :]


def parse(front: str, where: str) -> dict[str, Any]:
    """Read a front matter as the Hub's client does.

    Args:
        front: YAML.
        where: the card's file, for messages.

    Returns:
        Its keys and values.

    Raises:
        CardError: it is not YAML, or not a table.
    """
    if not front.strip():
        return {}
    hub = import_huggingface_hub("to write a model card")
    try:
        data = hub.ModelCard(f"---\n{front}---\n").data.to_dict()
    except Exception as error:
        reason = " ".join(str(error).split())
        raise CardError(
            f"{where}: its front matter cannot be read: {reason}", "Correct the lines between ---."
        ) from error
    assert isinstance(data, dict)
    return data


def _yaml(fields: Mapping[str, Any]) -> str:
    data = import_huggingface_hub("to write a model card").ModelCardData(**fields)
    return f"{data.to_yaml()}\n"


def check_values(fields: Mapping[str, Any], where: str) -> None:
    """Check the values that the Hub has lists of.

    Args:
        fields: of a front matter.
        where: what to call it in a message.

    Raises:
        CardError: names the value.
    """
    for licence in _as_list(fields.get("license")):
        _check_licence(licence, fields, where)
    for code in _as_list(fields.get("language")):
        _check_language(code, where)
    for repo_id in _as_list(fields.get("base_model")):
        if not isinstance(repo_id, str) or not _REPO_ID.fullmatch(repo_id):
            raise CardError(
                f"{where}: base_model is {_shown(repo_id)}, expected OWNER/NAME of a model on the Hub",
                "A model that is not there is named in the text of the card, not here.",
            )


def _check_licence(licence: object, fields: Mapping[str, Any], where: str) -> None:
    if licence not in LICENCES:
        near = [known for known in LICENCES if str(licence).lower().rstrip("0123456789.- ") in known][:6]
        raise CardError(
            f"{where}: license is {_shown(licence)}, which is not in the Hub's list",
            f"Do you mean one of {listing(near)}? For any other: license: other, with license_name and license_link."
            if near
            else "For a licence that is not listed: license: other, with license_name and license_link.",
        )
    if licence == "other" and not fields.get("license_name"):
        raise CardError(
            f"{where}: license is other, and there is no license_name",
            "Add license_name and license_link to the card.",
        )


def _check_language(code: object, where: str) -> None:
    table = import_iso639("to check a language code")
    if code in _NO_LANGUAGES or (isinstance(code, str) and code.islower() and table.is_language(code, _PARTS)):
        return
    raise CardError(
        f"{where}: language is {_shown(code)}, which is no ISO 639 code",
        'In YAML, no means false; write "no" in quotes.'
        if code is False
        else "Two or three letters, such as en, ko or yue; or multilingual, or code.",
    )


def _as_list(value: object) -> Sequence[object]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _shown(value: object) -> str:
    return ", ".join(str(one) or "empty" for one in _as_list(value))
