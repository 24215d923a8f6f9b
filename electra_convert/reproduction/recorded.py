"""What a conversion.json says of where a model came from, held to its form: a stranger may have written it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from electra_convert.config.record import ADDED_TO, SCHEMA, is_as_written
from electra_convert.errors import CorruptFileError, SourceError
from electra_convert.formats.files import small_bytes
from electra_convert.formats.json_objects import decode_object
from electra_convert.formats.names import CONVERSION_FILE, PARITY_FILE
from electra_convert.hub.download import SCHEME

_REPOSITORY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}/[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_VERSION = re.compile(r"\d{1,4}(\.\d{1,4}){0,3}(\.?[a-z]{1,4}\d{0,4})?")
_AGAIN = "Do not trust this record; convert the model again, or take it from elsewhere."
_OLDER = (
    "Whoever has the source can show that the model is the same with electra-convert verify SOURCE {0}, or convert "
    "again with this version, which records both."
)


@dataclass(frozen=True)
class RecordedFile:
    """A file that is said to have been read: its name there, its size in bytes, and its SHA-256 where one is said."""

    name: str
    size: int
    sha256: str | None


@dataclass(frozen=True)
class RecordedPlace:
    """Where a model is said to come from.

    Attributes:
        repository: OWNER/REPO on the Hub, or None where it was on none.
        commit: of the repository.
        path: within it, empty for all of it.
        files: what was read there.
    """

    repository: str | None
    commit: str
    path: str
    files: tuple[RecordedFile, ...]

    @property
    def address(self) -> str:
        """As it may be typed."""
        return "/".join(part for part in (f"{SCHEME}{self.repository}@{self.commit}", self.path) if part)

    @property
    def told(self) -> str:
        """Where it is, or else the names of what was read."""
        return self.address if self.repository else ", ".join(file.name for file in self.files)


@dataclass(frozen=True)
class Recorded:
    """What a conversion.json says.

    Attributes:
        values: all of it.
        place: where the source is said to be.
        generator: where a generator that was given beside it is said to be, or None.
        options: what the conversion was told; not held to any form yet.
        version: of the tool that made it.
        is_addition: whether it is of ONNX models that were added to the model in the folder around them.
    """

    values: Mapping[str, Any]
    place: RecordedPlace
    generator: RecordedPlace | None
    options: Mapping[str, Any]
    version: str
    is_addition: bool

    @property
    def model(self) -> tuple[frozenset[str], object]:
        """Which model of a conversion it is of: its roles, and its task."""
        return model_of(self.values)

    @property
    def same_conversion(self) -> tuple[object, ...]:
        """What is equal of two records of one conversion."""
        return self.place, self.generator, repr(self.options)


def model_of(record: Mapping[str, Any]) -> tuple[frozenset[str], object]:
    """Which model of a conversion a record is of: its roles, and its task."""
    config = record.get("config")
    return frozenset(config if isinstance(config, dict) else ()), record.get("task")


def slipped(path: Path) -> str | None:
    """How a record is not as the tool wrote it, or None.

    Raises:
        SourceError: it cannot be read.
    """
    content = _bytes(path)
    if not is_as_written(content) and (b'"provenance"' in content or b'"sha256"' in content):
        return "it was changed since it was written: its last line is not the SHA-256 of the lines above it"
    return None


def _bytes(path: Path) -> bytes:
    try:
        return small_bytes(path)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error


def read_recorded(path: Path, where: str) -> Recorded:
    """Read the conversion.json of a model.

    Args:
        where: what the model is called in messages.

    Raises:
        SourceError: it is of an earlier version, which recorded no sources, or of a later one.
        CorruptFileError: it is not what this tool writes.
    """
    name = f"{CONVERSION_FILE} of {where}"
    values = decode_object(_bytes(path), name)
    if values.get("schema") != SCHEMA:
        raise SourceError(
            f"{name} has schema {values.get('schema')!r:.80}, expected {SCHEMA}", "Use a later version."
        )
    provenance, tool = values.get("provenance"), values.get("tool")
    said = tool.get("version") if isinstance(tool, dict) else None
    version = said if isinstance(said, str) and _VERSION.fullmatch(said) else "unknown"
    if provenance is None:
        raise SourceError(
            f"{name} was written by electra_convert {version}, and says neither from which files the model was "
            "converted, with what hashes, nor with which options: the conversion cannot be repeated from it",
            _OLDER.format(where),
        )
    fields = _object(name, "provenance", provenance)
    generator = fields.get("generator")
    return Recorded(
        values,
        _place(name, fields),
        None if generator is None else _place(name, _object(name, "generator", generator)),
        _object(name, "options", fields.get("options")),
        version,
        ADDED_TO in fields,
    )


def _place(name: str, fields: Mapping[str, Any]) -> RecordedPlace:
    rows = fields.get("files")
    if not isinstance(rows, list) or not rows:
        raise _malformed(name, "files", rows)
    files = tuple(_file(name, _object(name, "a file", row)) for row in rows)
    if fields.get("repository") is None:
        return RecordedPlace(None, "", "", files)
    repository, commit, path = (_text(name, fields, key) for key in ("repository", "commit", "path"))
    if not _REPOSITORY.fullmatch(repository) or ".." in repository:
        raise _malformed(name, "repository", repository)
    if not _COMMIT.fullmatch(commit):
        raise _malformed(name, "commit", commit)
    if path and not _is_inside(path):
        raise _malformed(name, "path", path)
    return RecordedPlace(repository, commit, path, files)


def _file(name: str, row: Mapping[str, Any]) -> RecordedFile:
    file, size, sha256 = _text(name, row, "name"), row.get("size"), row.get("sha256")
    if not _is_inside(file):
        raise _malformed(name, "the name of a file", file)
    if type(size) is not int or not 0 <= size < 1 << 63:
        raise _malformed(name, f"the size of {file}", size)
    if sha256 is not None and not (isinstance(sha256, str) and _SHA256.fullmatch(sha256)):
        raise _malformed(name, f"the SHA-256 of {file}", sha256)
    return RecordedFile(file, size, sha256)


def _is_inside(path: str) -> bool:
    """Whether a path leads to a place within a folder, on any system."""
    return path.isprintable() and not {"", ".", ".."} & set(path.split("/")) and not set(path) & set("\\:")


def _text(name: str, fields: Mapping[str, Any], key: str) -> str:
    value = fields.get(key)
    if not isinstance(value, str):
        raise _malformed(name, key, value)
    return value


def _object(name: str, key: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _malformed(name, key, value)
    return value


def _malformed(name: str, key: str, value: object) -> CorruptFileError:
    return CorruptFileError(f"{name}, provenance: {key} is {value!r:.100}, which convert never writes", _AGAIN)


def with_hashes_of_parity(place: RecordedPlace, path: Path) -> RecordedPlace:
    """A place with the hashes of long files that parity.json has, where conversion.json has none.

    Raises:
        CorruptFileError: parity.json is not what this tool writes.
    """
    if not path.is_file() or all(file.sha256 for file in place.files):
        return place
    provenance = decode_object(_bytes(path), PARITY_FILE).get("provenance")
    if not isinstance(provenance, dict):
        return place
    known = {file.name: file for file in _place(PARITY_FILE, provenance).files}
    files = tuple(
        replace(file, sha256=other.sha256)
        if file.sha256 is None and (other := known.get(file.name)) is not None and other.size == file.size
        else file
        for file in place.files
    )
    return replace(place, files=files)
