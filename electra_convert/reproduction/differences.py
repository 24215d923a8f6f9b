"""Where two files differ first, in the words of what is in them: a tensor, a key, a line, or else a byte."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from electra_convert.errors import CorruptFileError, SourceError
from electra_convert.formats.files import LARGEST_SMALL_FILE
from electra_convert.formats.json_objects import decode_object
from electra_convert.formats.tf_bundle.index import index_path, read_index

_AT_ONCE = 1 << 22
_DATA = re.compile(r"\.data-00000-of-00001$")
_LENGTH_BYTES = 8  # of the length of a safetensors header, which stands before it
_SHOWN = 60


def difference(made: Path, found: Path) -> str | None:
    """How a file differs from the one that was made again; None where every byte is the same.

    Raises:
        SourceError: one of them cannot be read.
    """
    try:
        offset = _first_difference(made, found)
        if offset is None:
            return None
        sizes = (made.stat().st_size, found.stat().st_size)
        told = _within(made, found, offset)
    except OSError as error:
        raise SourceError(f"{error.filename} cannot be read: {error.strerror}") from error
    length = "" if sizes[0] == sizes[1] else f"; it has {sizes[1]:,} bytes, expected {sizes[0]:,}"
    return f"{told}{length}"


def _first_difference(made: Path, found: Path) -> int | None:
    position = 0
    with made.open("rb") as one, found.open("rb") as other:
        while True:
            expected, there = one.read(_AT_ONCE), other.read(_AT_ONCE)
            if expected != there:
                pairs = zip(expected, there, strict=False)
                inside = next((at for at, (first, second) in enumerate(pairs) if first != second), None)
                return position + (min(len(expected), len(there)) if inside is None else inside)
            if not expected:
                return None
            position += len(expected)


def _within(made: Path, found: Path, offset: int) -> str:
    """What stands at an offset of the file that was made again."""
    at = f"from byte {offset:,} on"
    if made.suffix == ".json" and max(made.stat().st_size, found.stat().st_size) <= LARGEST_SMALL_FILE:
        return f"{_key(made, found)} ({at})"
    if made.suffix == ".txt":
        with made.open("rb") as file:
            line = file.read(offset).count(b"\n") + 1
        return f"line {line:,} ({at})"
    for start, end, name in _tensors(made):
        if start <= offset < end:
            return f"tensor {name}, {offset - start:,} bytes after its first ({at})"
    return at


def _key(made: Path, found: Path) -> str:
    """The first key under which two JSON objects differ, with both values."""
    try:
        expected, there = (decode_object(path.read_bytes(), path.name) for path in (made, found))
    except CorruptFileError as error:
        return error.message
    return next(differing_keys(expected, there), "the same values, written otherwise")


def differing_keys(expected: Any, found: Any, where: str = "") -> Iterator[str]:  # noqa: ANN401 - JSON values
    """What differs between two values of JSON, key by key.

    >>> list(differing_keys({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}, "c": 4}))
    ['a.b.1 is 3, expected 2', 'c is there, and should not be']
    """
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        expected, found = dict(enumerate(expected)), dict(enumerate(found))
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in (*expected, *(key for key in found if key not in expected)):
            place = f"{where}.{key}" if where else str(key)
            if key not in found:
                yield f"{place} is not there"
            elif key not in expected:
                yield f"{place} is there, and should not be"
            else:
                yield from differing_keys(expected[key], found[key], place)
    elif expected != found or type(expected) is not type(found):
        yield f"{where or 'it'} is {_shown(found)}, expected {_shown(expected)}"


def _shown(value: object) -> str:
    told = json.dumps(value, ensure_ascii=False)
    return told if len(told) <= _SHOWN else f"{told[:_SHOWN]}..."


def _tensors(made: Path) -> Iterator[tuple[int, int, str]]:
    """Where in a file of weights that this tool has just made each tensor begins and ends."""
    if made.suffix == ".safetensors":
        with made.open("rb") as file:
            length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
            header = json.loads(file.read(length))
        for name, fields in header.items():
            if "data_offsets" in fields:
                start, end = (_LENGTH_BYTES + length + at for at in fields["data_offsets"])
                yield start, end, name
    elif _DATA.search(made.name):
        prefix = made.with_name(_DATA.sub("", made.name))
        for key, entry in read_index(index_path(prefix)).entries.items():
            yield entry.offset, entry.offset + entry.size, key.decode("utf-8", "replace")
