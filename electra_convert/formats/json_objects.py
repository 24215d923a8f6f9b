"""JSON that anyone may have written, read from files and decoded strictly; knows nothing of what it is about."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path
from typing import Any

from electra_convert.errors import CorruptFileError, SourceError
from electra_convert.formats.files import small_bytes

_AGAIN = "Copy or download the checkpoint again."
# No file of a model nests a tenth as deep; Python fails somewhere beyond 300, in reading, comparing or writing.
DEEPEST = 100


def decode_object(text: bytes, where: str) -> dict[str, object]:
    """Decode a JSON object in UTF-8 that anyone may have written: no key twice, no text that is not Unicode, no NaN.

    Raises:
        CorruptFileError: it is not such an object.
    """
    try:
        value = _shallow(lambda: json.loads(text.decode(), object_pairs_hook=_unique, parse_constant=_no_number))
    except ValueError as error:
        raise CorruptFileError(f"{where} is not valid JSON: {error}", _AGAIN) from error
    if not isinstance(value, dict):
        raise CorruptFileError(f"{where} is not a JSON object but a {type(value).__name__}", _AGAIN)
    return value


def read_object(path: Path) -> dict[str, object]:
    """Decode a file that holds such an object.

    Raises:
        SourceError: it cannot be read, or is far larger than any such file.
        CorruptFileError: it holds no such object.
    """
    try:
        content = small_bytes(path)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error
    return decode_object(content, str(path))


def decode_json(text: str | bytes) -> Any:  # noqa: ANN401 - JSON values
    """Decode JSON that anyone may have written, as json.loads does, where it nests no deeper than files of models do.

    >>> decode_json('{"labels": ["yes", "no"]}')
    {'labels': ['yes', 'no']}

    Raises:
        ValueError: it is no JSON, or nests deeper than DEEPEST.
    """
    return _shallow(lambda: json.loads(text))


def _shallow(decode: Callable[[], Any]) -> Any:  # noqa: ANN401 - JSON values
    too_deep = ValueError(f"it nests deeper than {DEEPEST} levels")
    try:
        value = decode()
    except (RecursionError, MemoryError) as error:
        raise too_deep from error
    level = [value]
    for _ in range(DEEPEST):
        level = [inner for outer in level for inner in _values(outer) if isinstance(inner, dict | list)]
        if not level:
            return value
    raise too_deep


def _values(outer: object) -> Iterable[object]:
    if isinstance(outer, dict):
        return outer.values()
    return outer if isinstance(outer, list) else ()


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    # JSON can spell a lone surrogate; encoding one is a UnicodeEncodeError, which is a ValueError.
    for text in chain.from_iterable(pairs):
        if isinstance(text, str):
            text.encode()
    unique = dict(pairs)
    if len(unique) < len(pairs):
        [(key, count)] = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"the key {key!r} appears {count} times")
    return unique


def _no_number(constant: str) -> object:
    raise ValueError(f"{constant} is not a JSON number")
