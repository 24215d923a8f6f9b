"""How HDF5 encodes what is said of a file, a group and a dataset; whatever breaks the rules, or goes beyond what
Keras writes, raises an error of the encoding here, and the reader says where.

Source: the HDF5 File Format Specification, version 3.0: superblock versions 0 and 1, B-trees of version 1, object
headers of version 1. h5py asks the library for these by default (libver="earliest"), whatever its version.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from electra_convert.errors import ElectraConvertError
from electra_convert.tensors.spec import DTYPES, DType

SIGNATURE = b"\x89HDF\r\n\x1a\n"
# Superblock, addresses of 8 bytes; a smaller file is no HDF5 file.
SUPERBLOCK_BYTES = 100
_ALIGNMENT = 8

DATASPACE, DATATYPE, LAYOUT, EXTERNAL_FILES, FILTERS, CONTINUATION = 1, 3, 8, 7, 11, 16
# A group has the first, or, for a name that is not ASCII, the others.
SYMBOL_TABLE, LINK_INFO, LINK = 17, 2, 6
_SHARED = 2  # a flag of a message: its content lies elsewhere
_COMPACT, _CONTIGUOUS = 0, 1
_INTEGER, _FLOAT = 0, 1
_SOFT_LINK = 2
_MOST_DIMENSIONS = 32
# Of IEEE's formats, and bfloat16: precision, exponent's place and width, mantissa's place and width, bias.
_FLOATS: dict[tuple[int, ...], str] = {
    (16, 10, 5, 0, 10, 15): "float16",
    (16, 7, 8, 0, 7, 127): "bfloat16",
    (32, 23, 8, 0, 23, 127): "float32",
    (64, 52, 11, 0, 52, 1023): "float64",
}
OPAQUE = DTYPES["string"]


class MalformedError(ElectraConvertError):
    """Bytes break the rules of the format; the reader turns it into damage of the file."""


class UnsupportedError(ElectraConvertError):
    """What the format allows and Keras does not write; the reader says what to do about it."""


class Fields:
    """Bytes taken one field after the other, none beyond their end."""

    def __init__(self, content: bytes, position: int = 0) -> None:
        self._content = content
        self._position = position

    @property
    def left(self) -> int:
        """How many bytes are left."""
        return len(self._content) - self._position

    def take(self, length: int) -> bytes:
        """The next bytes."""
        if length > self.left:
            raise MalformedError(f"{length} bytes are wanted where {self.left} are left")
        start, self._position = self._position, self._position + length
        return self._content[start : self._position]

    def number(self, width: int) -> int:
        """The next unsigned number, little-endian."""
        return int.from_bytes(self.take(width), "little")

    def expect(self, signature: bytes) -> None:
        """Take a signature."""
        if (found := self.take(len(signature))) != signature:
            raise MalformedError(f"{found!r} stands where {signature!r} should")


@dataclass(frozen=True)
class Superblock:
    """What a file says of itself.

    Attributes:
        width: the bytes of an address and of a length.
        end: where it ends.
        root: the address of the root group's object header.
    """

    width: int
    end: int
    root: int

    @property
    def undefined(self) -> int:
        """The address of what is nowhere."""
        return (1 << (8 * self.width)) - 1


def decode_superblock(content: bytes) -> Superblock:
    """Decode the first bytes of a file, behind its signature checked before."""
    fields = Fields(content, len(SIGNATURE))
    version = fields.number(1)
    if version > 1:
        raise UnsupportedError(f"it is of a newer form (superblock {version})")
    fields.take(4)
    width, lengths = fields.number(1), fields.number(1)
    if width != lengths or width not in (4, 8):
        raise MalformedError(f"addresses of {width} bytes and lengths of {lengths}")
    fields.take(9 + 4 * version)
    base, _, end, _ = (fields.number(width) for _ in range(4))
    if base:
        raise UnsupportedError("it begins behind a block of the user's")
    fields.take(width)
    return Superblock(width, end, fields.number(width))


def messages(content: bytes) -> Iterator[tuple[int, Fields]]:
    """Go through the messages of a block of an object header: the type of each and its content."""
    fields = Fields(content)
    while fields.left >= _ALIGNMENT:
        kind, length, flags = fields.number(2), fields.number(2), fields.number(1)
        fields.take(3)
        content = fields.take(length)
        if flags & _SHARED and kind in (DATASPACE, DATATYPE, LAYOUT, FILTERS):
            raise UnsupportedError("a part of its description is shared with others")
        yield kind, Fields(content)


def decode_shape(fields: Fields, width: int) -> tuple[int, ...]:
    """Decode a dataspace: the dimensions; raises UnsupportedError where there are no values at all."""
    version, rank, flags = (fields.number(1) for _ in range(3))
    if version == 1:
        fields.take(5)
    elif version != 2:
        raise MalformedError(f"a dataspace of version {version}")
    elif fields.number(1) == 2:
        raise UnsupportedError("it has no values")
    if rank > _MOST_DIMENSIONS or flags > 3:
        raise MalformedError(f"{rank} dimensions, flags {flags}")
    return tuple(fields.number(width) for _ in range(rank))


def decode_dtype(fields: Fields) -> DType:
    """Decode a datatype: numbers as they lie in a tensor's storage, anything else opaque."""
    head, bits = fields.number(1), fields.number(3)
    size, kind = fields.number(4), head & 0xF
    if kind not in (_INTEGER, _FLOAT):
        return OPAQUE
    offset, precision = fields.number(2), fields.number(2)
    name = ""
    if kind == _FLOAT:
        places = (precision, *(fields.number(1) for _ in range(4)), fields.number(4))
        sign = bits >> 8 & 0xFF
        name = _FLOATS.get(places, "") if sign == precision - 1 else ""
    elif precision == 8 * size:
        name = f"{'' if bits & 8 else 'u'}int{precision}"
    dtype = DTYPES.get(name)
    if dtype is None or offset or dtype.itemsize != size:
        raise UnsupportedError(f"it has numbers of {size} bytes in a form of their own")
    if bits & 0x41:
        raise UnsupportedError("its numbers are big-endian")
    return dtype


@dataclass(frozen=True)
class Place:
    """Where a dataset's values lie: in the file from an address on, or in its description itself."""

    address: int
    length: int
    content: bytes | None = None


def decode_place(fields: Fields, width: int) -> Place:
    """Decode a layout; raises UnsupportedError for one in chunks, which alone may be compressed."""
    version, kind = fields.number(1), fields.number(1)
    if version not in (3, 4):
        raise UnsupportedError(f"its layout is of version {version}")
    if kind == _COMPACT:
        length = fields.number(2)
        return Place(0, length, fields.take(length))
    if kind != _CONTIGUOUS:
        raise UnsupportedError("it is stored in chunks")
    return Place(fields.number(width), fields.number(width))


def decode_tree_node(fields: Fields, width: int) -> tuple[int, list[int]]:
    """Decode what follows the signature of a group's B-tree node: its level, and the addresses of its children."""
    kind, level, used = fields.number(1), fields.number(1), fields.number(2)
    if kind:
        raise MalformedError(f"a B-tree of type {kind} in a group")
    fields.take(2 * width)
    children = []
    for _ in range(used):
        fields.take(width)
        children.append(fields.number(width))
    return level, children


def decode_symbols(fields: Fields, width: int) -> list[tuple[int, int]]:
    """Decode what follows the signature of a symbol table node: of each link its name's place, and an address."""
    if fields.number(1) != 1:
        raise MalformedError("a symbol table node of an unknown version")
    fields.take(1)
    found = []
    for _ in range(fields.number(2)):
        name, address, cached = fields.number(width), fields.number(width), fields.number(4)
        fields.take(20)
        if cached == _SOFT_LINK:
            raise UnsupportedError("it has a link that is a path")
        found.append((name, address))
    return found


def require_links_here(fields: Fields, width: int) -> None:
    """Refuse a group whose links lie in a heap of their own, as more than eight do where one is not ASCII."""
    _, flags = fields.number(1), fields.number(1)
    fields.take(8 * (flags & 1))
    if fields.number(width) != (1 << (8 * width)) - 1:
        raise UnsupportedError("it is a group of the newer form")


def decode_link(fields: Fields, width: int) -> tuple[bytes, int]:
    """Decode a link message: a name, and the address of an object."""
    version, flags = fields.number(1), fields.number(1)
    if version != 1:
        raise MalformedError(f"a link of version {version}")
    if flags & 8 and fields.number(1):
        raise UnsupportedError("it has a link that is a path")
    fields.take((8 if flags & 4 else 0) + (1 if flags & 16 else 0))
    name = fields.take(fields.number(1 << (flags & 3)))
    return name, fields.number(width)
