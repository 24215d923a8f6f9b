"""What TensorFlow's and ONNX' files are made of: varints and messages of Protocol Buffers, names, masked checksums;
bounded at every step, and what is said where a bound is broken. Knows no message and no file; whatever breaks the
rules of its encoding raises MalformedError, here and in what is decoded with this.

Source: the encoding guide of Protocol Buffers; groups, which no message here uses, count as damage.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from electra_convert.errors import CorruptFileError

AGAIN = "Copy or download the checkpoint again, all of its files from one save."
# Longer names exist only in hostile files.
_SHOWN_CHARACTERS = 200
_MASK_DELTA = 0xA282EAD8
_WORD = 0xFFFFFFFF
Bytes = bytes | memoryview
Value = int | Bytes

_VARINT, _FIXED64, _LENGTH_DELIMITED, _FIXED32 = 0, 1, 2, 5
_FIXED_WIDTHS = {_FIXED64: 8, _FIXED32: 4}
_VARINT_BITS = 64


class MalformedError(CorruptFileError):
    """Bytes break the rules of their encoding; whoever knows the file they come from names it with blame()."""


@contextmanager
def blame(where: object) -> Iterator[None]:
    """Turn a MalformedError of the block into a CorruptFileError that says where it was found."""
    try:
        yield
    except MalformedError as error:
        raise CorruptFileError(f"{where} is damaged: {error.message}", AGAIN) from error


def shown(name: str) -> str:
    """Make a name fit for one line of a message."""
    short = name if len(name) <= _SHOWN_CHARACTERS else f"{name[:_SHOWN_CHARACTERS]}..."
    return short if short.isprintable() else ascii(short)[1:-1]


def decode_name(key: bytes) -> str:
    """Decode a name; bytes that are not UTF-8 become lone surrogates, so that encode_name gives them back."""
    return key.decode("utf-8", "surrogateescape")


def encode_name(name: str) -> bytes:
    """Encode a name that decode_name may have made.

    Raises:
        UnicodeEncodeError: the name has surrogates that decode_name never makes.
    """
    return name.encode("utf-8", "surrogateescape")


def mask(checksum: int) -> int:
    """Mask a CRC32C: rotated right by 15 bits, plus a constant (tensorflow/core/lib/hash/crc32c.h)."""
    return ((checksum >> 15 | checksum << 17) + _MASK_DELTA) & _WORD


def unmask(stored: int) -> int:
    """Undo mask()."""
    rotated = (stored - _MASK_DELTA) & _WORD
    return (rotated << 15 | rotated >> 17) & _WORD


def decode_varint(data: Bytes, position: int) -> tuple[int, int]:
    """Decode the varint (LEB128, seven bits a byte, low ones first) here: its value, and the position behind it."""
    value = 0
    for shift in range(0, _VARINT_BITS, 7):
        if position >= len(data):
            raise MalformedError("a number is cut short")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return _bounded(value), position
    raise MalformedError("a number is longer than 64 bits")


def _bounded(value: int) -> int:
    if value >> _VARINT_BITS:
        raise MalformedError("a number is longer than 64 bits")
    return value


def encode_varint(value: int) -> bytes:
    """Encode a varint, from -2**63 to below 2**64, in its shortest form; negative ones are of 64 bits."""
    rest = value & ((1 << _VARINT_BITS) - 1)
    encoded = bytearray()
    while rest > 0x7F:
        encoded.append(rest & 0x7F | 0x80)
        rest >>= 7
    encoded.append(rest)
    return bytes(encoded)


def fields(message: Bytes) -> Iterator[tuple[int, Value]]:
    """Go through the fields of a message: the number of each, and its value.

    That is an unsigned integer for varints and fixed widths, otherwise bytes of the kind the message is given in (of
    a memoryview nothing is copied).
    """
    position, end = 0, len(message)
    while position < end:
        tag, position = decode_varint(message, position)
        number, wire_type = tag >> 3, tag & 7
        if not number:
            raise MalformedError("a field has the number 0")
        if wire_type == _VARINT:
            value, position = decode_varint(message, position)
            yield number, value
        else:
            width, position = _width(message, position, wire_type)
            if width > end - position:
                raise MalformedError(f"a field of {width} bytes is longer than the {end - position} left for it")
            content = message[position : position + width]
            position += width
            yield number, content if wire_type == _LENGTH_DELIMITED else int.from_bytes(content, "little")


def _width(message: Bytes, position: int, wire_type: int) -> tuple[int, int]:
    """Return how many bytes a field's content takes, and where it begins."""
    if wire_type == _LENGTH_DELIMITED:
        return decode_varint(message, position)
    if wire_type in _FIXED_WIDTHS:
        return _FIXED_WIDTHS[wire_type], position
    raise MalformedError(f"a field has the unknown wire type {wire_type}")


def integer(value: Value) -> int:
    """Take a field's value for an unsigned integer."""
    if not isinstance(value, int):
        raise MalformedError("a number is stored as bytes")
    return value


def signed(value: Value) -> int:
    """Take a field's value for an int64 or int32, both of which varints hold as 64 bits."""
    number = integer(value)
    return number - (1 << _VARINT_BITS) if number >> (_VARINT_BITS - 1) else number


def content(value: Value) -> Bytes:
    """Take a field's value for bytes: a string or a message."""
    if isinstance(value, int):
        raise MalformedError("bytes are stored as a number")
    return value


def messages(message: Bytes, number: int) -> Iterator[Bytes]:
    """Go through those fields of a message that have one number and hold bytes: messages or strings."""
    for found, value in fields(message):
        if found == number:
            yield content(value)


def encode_number(number: int, value: int) -> bytes:
    """Encode a varint field; zero is the default of proto3 and is left out."""
    return encode_varint(number << 3 | _VARINT) + encode_varint(value) if value else b""


def encode_fixed32(number: int, value: int) -> bytes:
    """Encode a fixed32 field, from 0 to below 2**32; zero is the default of proto3 and is left out."""
    return encode_varint(number << 3 | _FIXED32) + value.to_bytes(4, "little") if value else b""


def encode_content(number: int, value: bytes) -> bytes:
    """Encode a length-delimited field: a string or a message; written when it is empty too."""
    return encode_varint(number << 3 | _LENGTH_DELIMITED) + encode_varint(len(value)) + value
