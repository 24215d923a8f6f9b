"""plan.json: what is to be done with the models of an account, and what is left alone; written, and read strictly."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from electra_convert.errors import CorruptFileError, OutputError, SourceError, UsageError, unwritable
from electra_convert.formats.files import WriteFile
from electra_convert.formats.json_objects import read_object
from electra_convert.formats.names import (
    CARD_FILE,
    CONFIG_FILE,
    CONVERSION_FILE,
    PARITY_FILE,
    SAFETENSORS_FILE,
    TOKENIZER_CONFIG_FILE,
    TOKENIZER_FILE,
    VOCABULARY_FILE,
)
from electra_convert.hub.account.row import ModelRow
from electra_convert.hub.account.survey import REPOSITORY, Survey
from electra_convert.version import __version__

SCHEMA = 1
_TOOL = "electra_convert"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_AGAIN = "Write it anew: electra-convert inspect hf://OWNER --plan FILE."
_MODELS = (None, "discriminator", "generator")
_OF_TOKENIZER = (TOKENIZER_FILE, TOKENIZER_CONFIG_FILE, VOCABULARY_FILE)
_FILES = (CARD_FILE, CONFIG_FILE, SAFETENSORS_FILE, *_OF_TOKENIZER, CONVERSION_FILE, PARITY_FILE)


@dataclass(frozen=True)
class Step:
    """What is to be done with one repository.

    Attributes:
        repo: OWNER/REPO.
        commit: what is converted.
        model: of a pair the one that is converted, else None.
        files: what the result consists of.
        why: the reasons.
    """

    repo: str
    commit: str
    model: Any
    files: tuple[str, ...]
    why: tuple[str, ...]


@dataclass(frozen=True)
class Left:
    """What is left alone, and why; the commit is None where it could not be looked at."""

    repo: str
    commit: str | None
    why: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """What is to be done with many repositories of a Hub."""

    endpoint: str
    convert: tuple[Step, ...]
    leave: tuple[Left, ...]


def check_plan(source: str | Path, path: Path) -> None:
    """Refuse a plan that could not be written, before anything is looked at.

    Raises:
        UsageError: the source is a folder, which has no repositories to propose anything to.
        OutputError: there is no place for the plan, or something has it.
    """
    if isinstance(source, Path):
        raise UsageError(
            f"--plan is for models on the Hub, and {source} is a folder",
            "Give hf://OWNER. What is here is converted with electra-convert convert, a model at a time.",
        )
    if path.exists():
        raise OutputError(f"{path} is there already", "Remove it, or choose another name for the plan.")
    if not path.parent.is_dir():
        raise OutputError(f"{path} cannot be written: {path.parent} is no folder", "Make it first.")


def plan_of(survey: Survey) -> Plan:
    """Plan what a survey of the Hub says should be done."""
    convert = tuple(_step(row) for row in survey.rows if row.action == "convert")
    leave = tuple(_left(row) for row in survey.rows if row.action != "convert")
    return Plan(survey.endpoint or "", convert, leave)


def _step(row: ModelRow) -> Step:
    left_out = () if row.tokenizer.pieces is not None else _OF_TOKENIZER
    files = tuple(name for name in _FILES if name not in left_out)
    return Step(row.name, row.commit or "", row.converted, files, row.why)


def _left(row: ModelRow) -> Left:
    why = (*((row.error,) if row.error else ()), *row.why) or ("nothing is to be done",)
    return Left(row.name, row.commit, why)


def write_plan(plan: Plan, path: Path) -> None:
    """Write a plan, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    fields = {
        "schema": SCHEMA,
        "tool": {"name": _TOOL, "version": __version__},
        "endpoint": plan.endpoint,
        "convert": [vars(step) for step in plan.convert],
        "leave": [vars(left) for left in plan.leave],
    }
    staging = path.with_name(f".{path.name}.tmp")
    try:
        staging.unlink(missing_ok=True)
        with WriteFile(staging) as file:
            file.write_at((json.dumps(fields, indent=2) + "\n").encode(), 0)
        staging.replace(path)
    except OSError as error:
        raise unwritable(path, error) from error


def read_plan(path: Path) -> Plan:
    """Read a plan that anybody may have edited; nothing in it is believed that is not of its form.

    Raises:
        SourceError: it cannot be read, is of another version, or says what no plan can.
        CorruptFileError: it is no JSON object.
    """
    try:
        found = read_object(path)
    except CorruptFileError as error:
        raise CorruptFileError(error.message, _AGAIN) from error
    if found.get("schema") != SCHEMA or not isinstance(found.get("tool"), dict):
        _refuse(path, "schema", found.get("schema"), f"{SCHEMA}, as inspect --plan writes it")
    _require_keys(path, "it", found, ("schema", "tool", "endpoint", "convert", "leave"))
    endpoint = found["endpoint"]
    if not isinstance(endpoint, str) or not endpoint.startswith(("https://", "http://")):
        _refuse(path, "endpoint", endpoint, "the address of a Hub")
    convert = tuple(_read_step(path, f"convert[{at}]", one) for at, one in enumerate(_list(path, found, "convert")))
    leave = tuple(_read_left(path, f"leave[{at}]", one) for at, one in enumerate(_list(path, found, "leave")))
    number = Counter([one.repo for one in convert] + [one.repo for one in leave])
    if twice := [name for name, times in number.items() if times > 1]:
        raise SourceError(f"{path} names {twice[0]} more than once", _AGAIN)
    return Plan(endpoint, convert, leave)


def _list(path: Path, found: Mapping[str, Any], key: str) -> list[Any]:
    value = found[key]
    if not isinstance(value, list):
        _refuse(path, key, value, "a list")
    return value


def _read_step(path: Path, where: str, value: object) -> Step:
    one = _object(path, where, value, ("repo", "commit", "model", "files", "why"))
    if one["model"] not in _MODELS:
        _refuse(path, f"{where}.model", one["model"], "null, discriminator or generator")
    files = _texts(path, f"{where}.files", one["files"])
    if unknown := [name for name in files if name not in _FILES]:
        _refuse(path, f"{where}.files", unknown[0], f"what convert writes, such as {SAFETENSORS_FILE}")
    return Step(
        _repo(path, where, one),
        _commit(path, where, one["commit"]),
        one["model"],
        files,
        _texts(path, f"{where}.why", one["why"]),
    )


def _read_left(path: Path, where: str, value: object) -> Left:
    one = _object(path, where, value, ("repo", "commit", "why"))
    commit = None if one["commit"] is None else _commit(path, where, one["commit"])
    return Left(_repo(path, where, one), commit, _texts(path, f"{where}.why", one["why"]))


def _object(path: Path, where: str, value: object, keys: Collection[str]) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        _refuse(path, where, value, "an object")
    _require_keys(path, where, value, keys)
    return value


def _require_keys(path: Path, where: str, found: Mapping[str, Any], keys: Collection[str]) -> None:
    missing, unknown = [key for key in keys if key not in found], [key for key in found if key not in keys]
    if missing:
        raise SourceError(f"{path}: {where} lacks {missing[0]}", _AGAIN)
    if unknown:
        raise SourceError(f"{path}: {where} has {unknown[0]!r:.80}, which no plan has", _AGAIN)


def _repo(path: Path, where: str, one: Mapping[str, Any]) -> str:
    name = one["repo"]
    if not isinstance(name, str) or not REPOSITORY.fullmatch(name):
        _refuse(path, f"{where}.repo", name, "OWNER/REPO")
    return name


def _commit(path: Path, where: str, value: object) -> str:
    if not isinstance(value, str) or not _COMMIT.fullmatch(value):
        _refuse(path, f"{where}.commit", value, "40 hexadecimal digits")
    return value


def _texts(path: Path, where: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        _refuse(path, where, value, "a list of texts")
    return tuple(value)


def _refuse(path: Path, where: str, found: object, expected: str) -> NoReturn:
    raise SourceError(f"{path}: {where} is {found!r:.80}, expected {expected}", _AGAIN)
