"""The metadata block at the head of a card: read by the Hub's own client, checked, completed, never overwritten."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from electra_convert.errors import CardError
from electra_convert.frameworks import import_huggingface_hub

_BLOCK = re.compile(r"\A\s*---[ \t\r]*\n(.*?)(?:^---[ \t\r]*(?:\n|\Z))", re.DOTALL | re.MULTILINE)
_NOTHING = re.compile(r"\s*(~|null|Null|NULL)?\s*(#.*)?")
# Forms alone: which licences and languages there are is asked of the Hub, before an upload sends anything.
_LICENCE = re.compile(r"[a-z0-9][a-z0-9.+-]*")
_LANGUAGE = re.compile(r"[a-z]{2,3}|multilingual|code")
_REPO_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
_LICENCES = "https://huggingface.co/docs/hub/repositories-licenses"


@dataclass(frozen=True)
class Metadata:
    """What the user says of a model that its files do not.

    Attributes:
        license: an identifier of the Hub's list; capitals count as small letters, of which they all are.
        language: ISO 639 codes, or one.
        base_model: the repository of the model this one was made from.
    """

    license: str | None = None
    language: str | Sequence[str] = ()
    base_model: str | None = None

    def fields(self) -> dict[str, Any]:
        """The same under the names of the front matter, what is not said left out."""
        languages = [self.language] if isinstance(self.language, str) else self.language
        given = {
            "license": None if self.license is None else self.license.lower(),
            "language": list(dict.fromkeys(code.lower() for code in languages)) or None,
            "base_model": self.base_model,
        }
        return {name: value for name, value in given.items() if value is not None}


def split_card(text: str) -> tuple[str, str]:
    """Part a card, its lines ended by newlines, into its front matter without the lines of dashes, and the rest."""
    block = _BLOCK.match(text)
    return (block[1], text[block.end() :]) if block else ("", text)


def complete(front: str, given: Mapping[str, Any], derived: Mapping[str, Any], where: str) -> str:
    """Add to a front matter, YAML whose lines end, what it does not say yet; no line that says something changes.

    What a user gives may not contradict what is there; what is derived from the model gives way to it. Keys without a
    value get one, and lines are added at the end.

    Raises:
        CardError: it is not YAML, says otherwise than what is given, or has a value of a form the Hub does not take.
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


def languages(front: str, where: str) -> list[str]:
    """The languages that a front matter states, as ISO 639 codes.

    Raises:
        CardError: it is not YAML, or not a table.
    """
    return [str(code) for code in _as_list(parse(front, where).get("language"))]


def _yaml(fields: Mapping[str, Any]) -> str:
    data = import_huggingface_hub("to write a model card").ModelCardData(**fields)
    return f"{data.to_yaml()}\n"


def check_values(fields: Mapping[str, Any], where: str) -> None:
    """Refuse values of a form that the Hub does not take, which can be told without asking it.

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
    if not isinstance(licence, str) or not _LICENCE.fullmatch(licence):
        raise CardError(
            f"{where}: license is {_shown(licence)}, expected an identifier such as apache-2.0",
            f"{_LICENCES} lists them. For any other: license: other, with license_name and license_link.",
        )
    if licence == "other" and not fields.get("license_name"):
        raise CardError(
            f"{where}: license is other, and there is no license_name",
            "Add license_name and license_link to the card.",
        )


def _check_language(code: object, where: str) -> None:
    if isinstance(code, str) and _LANGUAGE.fullmatch(code):
        return
    raise CardError(
        f"{where}: language is {_shown(code)}, which is no ISO 639 code",
        'In YAML, no means false; write "no" in quotes.'
        if code is False
        else "Two or three small letters, such as en, ko or yue; or multilingual, or code.",
    )


def _as_list(value: object) -> Sequence[object]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _shown(value: object) -> str:
    return ", ".join(str(one) or "empty" for one in _as_list(value))
