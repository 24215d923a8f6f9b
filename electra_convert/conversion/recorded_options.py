"""The options of a conversion as conversion.json keeps them, and read back from one that anybody may have written."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, fields
from pathlib import Path
from typing import Any

from electra_convert.checkpoint import Checkpoint
from electra_convert.config.keys import LOCATIONS
from electra_convert.config.labels import given_labels
from electra_convert.config.transformers import read_config
from electra_convert.conversion.options import Options
from electra_convert.errors import CorruptFileError, SourceError, UsageError
from electra_convert.formats.files import sha256_of_file, small_text
from electra_convert.formats.json_objects import decode_json
from electra_convert.formats.names import CONVERSION_FILE, kind_of
from electra_convert.schemes.layouts import Choice, read_task
from electra_convert.schemes.mapping import Role
from electra_convert.tokenizer.of_checkpoint import TokenizerOptions
from electra_convert.tokenizer.vocabulary import read_list

# Fields of Options that decide no byte of an output, or stand elsewhere in the record.
_ELSEWHERE = frozenset({"generator", "generator_origin", "tokenizer", "overwrite", "verify", "dry_run"})
_OWN_FORM = frozenset({"model", "to", "task", "labels", "exclude", "hparams", "config"})
# Every other field of either is text, a number or a switch, and recorded as it is.
_PLAIN = {one.name: one for one in fields(Options) if one.name not in _ELSEWHERE | _OWN_FORM}
_PLAIN_OF_TOKENIZER = {
    one.name: one for one in fields(TokenizerOptions) if one.name not in {"vocab", "added_tokens", "kept"}
}
# Where transformers had once loaded a config.json from.
_PLACE = "_name_or_path"
_LONGEST_NAME = 255  # bytes, of a file
# Finds a file by the SHA-256 of its bytes, in hexadecimal; None where there is none.
Find = Callable[[str], Path | None]


class LostInputError(SourceError):
    """A file that an option named is not to be found."""


def option_fields(options: Options, checkpoint: Checkpoint, roles: tuple[Role, ...]) -> dict[str, Any]:
    """What decides the bytes of an output, as JSON: options that were given and are not what happens without them.

    Files are kept by what is in them, the vocabulary by its hash, since it lies in the output as it is.

    Raises:
        ConfigError: a file that one names is malformed.
        SourceError: one cannot be read.
    """
    tokens = options.tokenizer
    given: dict[str, Any] = {
        "model": options.model if set(roles) != set(checkpoint.models) else None,
        "to": None if options.to == checkpoint.scheme.target else options.to,
        "task": None if options.task is None else _task_text(options.task),
        "labels": None if options.labels is None else list(given_labels(options.labels)),
        "exclude": list(options.exclude) or None,
        "hparams": None if options.hparams is None else _hparams_fields(options.hparams),
        "config": None if options.config is None else _config_fields(options.config),
        "vocab": None if tokens.vocab is None else _vocab_fields(tokens.vocab),
        "added_tokens": None if tokens.added_tokens is None else _token_lines(tokens.added_tokens),
        **{name: _unless_default(options, one) for name, one in _PLAIN.items()},
        **{name: _unless_default(tokens, one) for name, one in _PLAIN_OF_TOKENIZER.items()},
    }
    return {name: value for name, value in given.items() if value is not None}


def _unless_default(options: Options | TokenizerOptions, one: Field[Any]) -> Any:  # noqa: ANN401 - of any option
    value = getattr(options, one.name)
    return None if value == one.default else value


def _task_text(choice: Choice) -> str:
    return choice.task if choice.kind is None else f"{choice.task}={choice.kind.kind}"


def _hparams_fields(given: str) -> dict[str, Any]:
    """Hparams with the name of the file they stood in, which origins tell, and without places on a machine."""
    is_text = given.lstrip().startswith("{")
    values = decode_json(given if is_text else small_text(Path(given)))
    named = {} if is_text else {"name": Path(given).name}
    return {**named, "values": {key: value for key, value in values.items() if key not in LOCATIONS}}


def _config_fields(path: Path) -> dict[str, Any]:
    values = {key: value for key, value in read_config(path).items() if key != _PLACE}
    return {"name": path.name, "values": values}


def _token_lines(given: Path | tuple[str, ...]) -> list[str]:
    return list(read_list(given) if isinstance(given, Path) else given)


def _vocab_fields(place: Path) -> dict[str, Any]:
    """The file of a vocabulary, or the files of a tokenizer's folder."""
    inside = (path for path in sorted(place.iterdir()) if path.is_file()) if place.is_dir() else (place,)
    files = [path for path in inside if not place.is_dir() or kind_of(path.name) == "tokenizer"]
    try:
        rows = [{"name": path.name, "size": path.stat().st_size, "sha256": sha256_of_file(path)} for path in files]
    except OSError as error:
        raise SourceError(f"{error.filename} cannot be read: {error.strerror}") from error
    return {"folder": place.is_dir(), "files": rows}


def read_options(recorded: Mapping[str, Any], find: Find, scratch: Path) -> Options:
    """Options as a record has them, each held to its kind; files that they name are made anew in a folder.

    Args:
        recorded: what option_fields made, or anybody else.
        find: finds the files of the vocabulary.
        scratch: an empty folder for the files.

    Raises:
        CorruptFileError: a value is not what an option of its name may be.
        LostInputError: a file that was given is not to be found.
        SourceError: there is an option that this version does not know.
    """
    read = _Reader(recorded, find, scratch)
    unknown = sorted(recorded.keys() - {*_OWN_FORM, *_PLAIN, "vocab", "added_tokens", *_PLAIN_OF_TOKENIZER})
    if unknown:
        raise SourceError(
            f"{CONVERSION_FILE} has an option that this version does not know: {unknown[0]!r:.80}",
            "Use the version that made it, or a later one.",
        )
    try:
        return read.options()
    except UsageError as error:
        raise CorruptFileError(f"{CONVERSION_FILE}, options: {error.message}") from error


@dataclass(frozen=True)
class _Reader:
    """Reads one option after the other."""

    recorded: Mapping[str, Any]
    find: Find
    scratch: Path

    def options(self) -> Options:
        tokenizer = TokenizerOptions(
            vocab=self._vocab(), added_tokens=self._texts("added_tokens"), **self._plain(_PLAIN_OF_TOKENIZER)
        )
        return Options(
            model=self._of("model", str),
            to=self._of("to", str),
            hparams=self._hparams(),
            config=self._config(),
            tokenizer=tokenizer,
            task=read_task(self._of("task", str)),
            labels=self._texts("labels"),
            exclude=self._texts("exclude") or (),
            **self._plain(_PLAIN),
        )

    def _plain(self, known: Mapping[str, Field[Any]]) -> dict[str, Any]:
        given = {name: self._of(name, _kind(one)) for name, one in known.items() if name in self.recorded}
        return {name: value for name, value in given.items() if value is not None}

    def _of(self, name: str, kind: type) -> Any:  # noqa: ANN401 - JSON values
        value = self.recorded.get(name)
        if value is not None and type(value) is not kind:
            raise _malformed(name, value)
        return value

    def _texts(self, name: str) -> tuple[str, ...] | None:
        value = self._of(name, list)
        if value is not None and not all(isinstance(one, str) for one in value):
            raise _malformed(name, value)
        return None if value is None else tuple(value)

    def _hparams(self) -> str | None:
        value = self._object("hparams")
        if value is None:
            return None
        text = json.dumps(value.get("values"))
        return str(self._file("hparams", value["name"], text.encode())) if "name" in value else text

    def _config(self) -> Path | None:
        value = self._object("config")
        if value is None:
            return None
        return self._file("config", value.get("name"), json.dumps(value.get("values")).encode())

    def _vocab(self) -> Path | None:
        value = self._object("vocab")
        if value is None:
            return None
        rows = value.get("files")
        if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
            raise _malformed("vocab", rows)
        made = [self._file("vocab", row.get("name"), self._found(row)) for row in rows]
        return made[0].parent if value.get("folder") is True else made[0]

    def _found(self, row: Mapping[str, Any]) -> bytes:
        path = self.find(str(row.get("sha256")))
        if path is None:
            raise LostInputError(
                f"it was converted with --vocab {row.get('name')!r:.80}, SHA-256 {row.get('sha256')!r:.80}, which is "
                "none of the files here: it was changed since, or the model does not have it as it was",
                "Whoever has that file can convert again, and compare what that makes.",
            )
        return path.read_bytes()

    def _object(self, name: str) -> Mapping[str, Any] | None:
        value: Mapping[str, Any] | None = self._of(name, dict)
        return value

    def _file(self, option: str, name: object, content: bytes) -> Path:
        """A file of the name that it had; no name leads out of the folder."""
        if not isinstance(name, str) or not is_plain_name(name):
            raise _malformed(f"{option}: name", name)
        folder = self.scratch / option
        folder.mkdir(exist_ok=True)
        path = folder / name
        path.write_bytes(content)
        return path


def _kind(one: Field[Any]) -> type:
    """What a plain option is: its annotation is text, since nothing here is evaluated."""
    text = str(one.type)
    return bool if "bool" in text else int if "int" in text.split(" ") else str


def is_plain_name(name: str) -> bool:
    """Whether a text may be the name of a file, and leads nowhere else."""
    return (
        name not in {"", ".", ".."}
        and name.isprintable()
        and not set(name) & set('/\\:"')
        and len(name.encode("utf-8", "replace")) <= _LONGEST_NAME
    )


def _malformed(name: str, value: object) -> CorruptFileError:
    return CorruptFileError(f"{CONVERSION_FILE}, options: {name} is {value!r:.80}, which convert never writes")
