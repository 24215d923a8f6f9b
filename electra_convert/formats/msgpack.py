"""msgpack, as strictly as its specification allows: what a file says is decoded, long bytes are located and not read.

https://github.com/msgpack/msgpack/blob/master/spec.md. The msgpack package holds a whole file in memory, and whatever
it unpacks of it a second time.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from electra_convert.errors import CorruptFileError
from electra_convert.formats.files import ReadFile

# A model of 48 layers has some hundred arrays, 8 maps deep, and three times as many with its optimiser's state.
_MOST_VALUES = 200_000
_DEEPEST = 32
_LONGEST_TEXT = 1 << 10
_WINDOW = 1 << 12
_AGAIN = "Copy or download the file again."
# By its first byte: how many bytes state the length of what follows.
_TEXTS = {0xD9: 1, 0xDA: 2, 0xDB: 4}
_BINARIES = {0xC4: 1, 0xC5: 2, 0xC6: 4}
_LISTS = {0xDC: 2, 0xDD: 4}
_MAPS = {0xDE: 2, 0xDF: 4}
_EXTENSIONS = {0xC7: 1, 0xC8: 2, 0xC9: 4}
_FIXED_EXTENSIONS = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}
_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}
_FLOATS = {0xCA: ">f", 0xCB: ">d"}
_NATURALS = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}
_INTEGERS = {0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8}


@dataclass(frozen=True)
class Binary:
    """Bytes, where they lie in the file."""

    start: int
    length: int


@dataclass(frozen=True)
class Extension:
    """A value of an application's own type, where it lies in the file."""

    code: int
    start: int
    length: int


Value: TypeAlias = "bool | int | float | str | Binary | Extension | list[Value] | dict[str, Value] | None"


class MsgpackReader:
    """Decodes values of one file, in all no more than any model has.

    Args:
        file: it is read at the places that are asked for, and nowhere else.
    """

    def __init__(self, file: ReadFile) -> None:
        self._file = file
        self._left = _MOST_VALUES
        self._window, self._window_start = b"", 0

    def read(self, start: int, end: int) -> Value:
        """Decode the one value that a range of the file is.

        Raises:
            CorruptFileError: it is none, does not end where the range does, or is more than any model holds.
        """
        value, position = self._value(start, end, 0)
        if position != end:
            raise self.damaged(position, f"{end - position} bytes follow the end of a value")
        return value

    def damaged(self, position: int, what: str) -> CorruptFileError:
        """The error about what is at a place of the file."""
        return CorruptFileError(f"{self._file.path} is damaged at byte {position}: {what}", _AGAIN)

    def _value(self, start: int, end: int, depth: int) -> tuple[Value, int]:
        """A value and where it ends."""
        self._left -= 1
        if self._left < 0:
            raise self.damaged(start, f"it holds more than {_MOST_VALUES} values, which no model does")
        if depth > _DEEPEST:
            raise self.damaged(start, f"its values are nested deeper than {_DEEPEST}")
        first = self._natural(start, 1, end)
        if first <= 0x7F:
            return first, start + 1
        if first >= 0xE0:
            return first - 0x100, start + 1
        if first in _CONSTANTS:
            return _CONSTANTS[first], start + 1
        if 0x80 <= first <= 0x8F or first in _MAPS:
            count, position = self._length(first, 0x0F, _MAPS, start, end)
            return self._map(count, position, end, depth + 1)
        if 0x90 <= first <= 0x9F or first in _LISTS:
            count, position = self._length(first, 0x0F, _LISTS, start, end)
            return self._list(count, position, end, depth + 1)
        if 0xA0 <= first <= 0xBF or first in _TEXTS:
            length, position = self._length(first, 0x1F, _TEXTS, start, end)
            return self._text(length, position, end)
        return self._number(first, start, end) or self._located(first, start, end)

    def _number(self, first: int, start: int, end: int) -> tuple[Value, int] | None:
        if first in _FLOATS:
            width = struct.calcsize(_FLOATS[first])
            return struct.unpack(_FLOATS[first], self._bytes(start + 1, width, end))[0], start + 1 + width
        if width := _NATURALS.get(first) or _INTEGERS.get(first) or 0:
            content = self._bytes(start + 1, width, end)
            return int.from_bytes(content, "big", signed=first in _INTEGERS), start + 1 + width
        return None

    def _located(self, first: int, start: int, end: int) -> tuple[Value, int]:
        """Bytes, or a value of another type, which are not read here."""
        if first in _BINARIES:
            length, position = self._length(first, 0, _BINARIES, start, end)
            return Binary(position, length), self._after(position, length, end)
        if first in _FIXED_EXTENSIONS:
            length, position = _FIXED_EXTENSIONS[first], start + 1
        elif first in _EXTENSIONS:
            length, position = self._length(first, 0, _EXTENSIONS, start, end)
        else:
            raise self.damaged(start, f"no value begins with {first:#04x}")
        code = self._natural(position, 1, end)
        return Extension(code, position + 1, length), self._after(position + 1, length, end)

    def _map(self, count: int, position: int, end: int, depth: int) -> tuple[Value, int]:
        decoded: dict[str, Value] = {}
        for _ in range(count):
            key, after = self._value(position, end, depth)
            if not isinstance(key, str):
                raise self.damaged(position, "a key of a map is not a text")
            if key in decoded:
                raise self.damaged(position, f"the key {key!r:.100} is there twice")
            decoded[key], position = self._value(after, end, depth)
        return decoded, position

    def _list(self, count: int, position: int, end: int, depth: int) -> tuple[Value, int]:
        decoded: list[Value] = []
        for _ in range(count):
            value, position = self._value(position, end, depth)
            decoded.append(value)
        return decoded, position

    def _text(self, length: int, position: int, end: int) -> tuple[Value, int]:
        if length > _LONGEST_TEXT:  # no name, so that nobody asks what it says
            return Binary(position, length), self._after(position, length, end)
        try:
            return self._bytes(position, length, end).decode(), position + length
        except UnicodeDecodeError as error:
            raise self.damaged(position, "a text is not Unicode") from error

    def _length(self, first: int, mask: int, widths: Mapping[int, int], start: int, end: int) -> tuple[int, int]:
        """A length that the first byte holds itself, or that follows it, and where what has it begins."""
        if first not in widths:
            return first & mask, start + 1
        width = widths[first]
        return self._natural(start + 1, width, end), start + 1 + width

    def _natural(self, position: int, width: int, end: int) -> int:
        return int.from_bytes(self._bytes(position, width, end), "big")

    def _bytes(self, position: int, length: int, end: int) -> bytes:
        after = self._after(position, length, end)
        if position < self._window_start or after > self._window_start + len(self._window):
            self._window_start = position
            self._window = self._file.read(min(max(length, _WINDOW), self._file.size - position), position)
        return self._window[position - self._window_start : after - self._window_start]

    def _after(self, position: int, length: int, end: int) -> int:
        if position + length > end:
            raise self.damaged(position, f"{length} bytes are stated, {max(0, end - position)} are left")
        return position + length
