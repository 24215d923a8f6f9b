"""JSON that anyone may have written, decoded strictly; knows nothing of what it is about."""

from __future__ import annotations

import json
from collections import Counter
from itertools import chain

from electra_convert.errors import CorruptFileError

_AGAIN = "Copy or download the checkpoint again."


def decode_object(text: bytes, where: str) -> dict[str, object]:
    """Decode a JSON object in UTF-8 that anyone may have written: no key twice, no text that is not Unicode, no NaN.

    Raises:
        CorruptFileError: it is not such an object.
    """
    try:
        value = json.loads(text.decode(), object_pairs_hook=_unique, parse_constant=_no_number)
    except (ValueError, RecursionError, MemoryError) as error:
        raise CorruptFileError(f"{where} is not valid JSON: {error}", _AGAIN) from error
    if not isinstance(value, dict):
        raise CorruptFileError(f"{where} is not a JSON object but a {type(value).__name__}", _AGAIN)
    return value


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
