"""The messages of a checkpoint's index: the header, and what is said of each tensor; checks no sizes.

Source: tensorflow/core/protobuf/tensor_bundle.proto and framework/tensor_shape.proto, tensor_slice.proto,
versions.proto.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from electra_convert.formats.tf_bundle.checksums import mask, unmask
from electra_convert.formats.tf_bundle.damage import MalformedError
from electra_convert.formats.tf_bundle.wire import (
    Bytes,
    content,
    decode_varint,
    encode_content,
    encode_fixed32,
    encode_number,
    fields,
    integer,
    signed,
)

HEADER_KEY = b""
# The version of the format written here, and the newest one read (kTensorBundleVersion in tensor_bundle.h).
VERSION = 1
# numpy before 2 holds no more dimensions; TensorFlow's operations stop far below.
_MAX_RANK = 32
MAX_SLICES = 1 << 16


@dataclass(frozen=True)
class BundleHeader:
    """What holds for the whole checkpoint.

    Attributes:
        num_shards: how many data files there are.
        big_endian: whether the elements are stored with the high byte first.
        min_consumer: the oldest version of the format whose readers can read it.
        bad_consumers: later versions whose readers cannot.
    """

    num_shards: int
    big_endian: bool = False
    min_consumer: int = 0
    bad_consumers: frozenset[int] = frozenset()

    @property
    def readable(self) -> bool:
        """Whether readers of this version can read it (CheckVersions in versions.cc)."""
        return self.min_consumer <= VERSION and VERSION not in self.bad_consumers

    @property
    def byteorder(self) -> Literal["little", "big"]:
        """The order of bytes as Python names it."""
        return "big" if self.big_endian else "little"


@dataclass(frozen=True)
class Extent:
    """The part of one dimension that a slice takes.

    Attributes:
        start: the first index.
        length: how many indices, or None for the whole dimension.
    """

    start: int = 0
    length: int | None = None


TensorSlice = tuple[Extent, ...]


@dataclass(frozen=True)
class BundleEntry:
    """What the index says of one tensor.

    Attributes:
        data_type: TensorFlow's number of the type of its elements.
        shape: its dimensions, outermost first.
        shard: the number of the data file.
        offset: of its first byte in that file.
        size: its bytes there.
        checksum: their CRC32C, unmasked.
        slices: of a partitioned variable, whose bytes lie in entries of their own; otherwise none.
    """

    data_type: int
    shape: tuple[int, ...]
    shard: int = 0
    offset: int = 0
    size: int = 0
    checksum: int = unmask(0)
    slices: tuple[TensorSlice, ...] = ()


def decode_header(message: bytes) -> BundleHeader:
    """Decode a BundleHeaderProto.

    Args:
        message: its bytes.

    Returns:
        The header.

    Raises:
        MalformedError: it is not such a message.
    """
    num_shards = endianness = 0
    version: Bytes = b""
    for number, value in fields(message):
        if number == 1:
            num_shards = signed(value)
        elif number == 2:
            endianness = integer(value)
        elif number == 3:
            version = content(value)
    if endianness > 1:
        raise MalformedError(f"its header has the unknown byte order {endianness}")
    return BundleHeader(num_shards, endianness == 1, *_consumers(version))


def _consumers(version: Bytes) -> tuple[int, frozenset[int]]:
    """Decode the min_consumer and the bad_consumers of a VersionDef."""
    min_consumer = 0
    bad: set[int] = set()
    for number, value in fields(version):
        if number == 2:
            min_consumer = signed(value)
        elif number == 3:
            bad.update([value] if isinstance(value, int) else _packed(value))
    return min_consumer, frozenset(bad)


def _packed(values: Bytes) -> Iterator[int]:
    position = 0
    while position < len(values):
        value, position = decode_varint(values, position)
        yield value


def encode_header(header: BundleHeader) -> bytes:
    """Encode a BundleHeaderProto as TensorFlow writes it.

    Args:
        header: what to encode.

    Returns:
        Its bytes.
    """
    version = encode_number(1, VERSION)
    return encode_number(1, header.num_shards) + encode_number(2, header.big_endian) + encode_content(3, version)


def decode_entry(message: bytes) -> BundleEntry:
    """Decode a BundleEntryProto.

    Args:
        message: its bytes.

    Returns:
        The entry; its numbers may be anything.

    Raises:
        MalformedError: it is not such a message, or has more dimensions or slices than any tensor.
    """
    data_type = shard = offset = size = masked = 0
    shape: tuple[int, ...] = ()
    slices: list[TensorSlice] = []
    for number, value in fields(message):
        if number == 1:
            data_type = integer(value)
        elif number == 2:
            shape = _decode_shape(content(value))
        elif number == 3:
            shard = signed(value)
        elif number == 4:
            offset = signed(value)
        elif number == 5:
            size = signed(value)
        elif number == 6:
            masked = integer(value)
        elif number == 7:
            slices.append(_decode_slice(content(value)))
            if len(slices) > MAX_SLICES:
                raise MalformedError(f"more than {MAX_SLICES} slices")
    return BundleEntry(data_type, shape, shard, offset, size, unmask(masked), tuple(slices))


def encode_entry(entry: BundleEntry) -> bytes:
    """Encode a BundleEntryProto as TensorFlow writes it.

    Args:
        entry: what to encode, without slices: no tensor is written in parts.

    Returns:
        Its bytes.
    """
    shape = b"".join(encode_content(2, encode_number(1, dimension)) for dimension in entry.shape)
    return b"".join(
        [
            encode_number(1, entry.data_type),
            encode_content(2, shape),
            encode_number(3, entry.shard),
            encode_number(4, entry.offset),
            encode_number(5, entry.size),
            encode_fixed32(6, mask(entry.checksum)),
        ]
    )


def _decode_shape(message: Bytes) -> tuple[int, ...]:
    shape: list[int] = []
    for number, value in fields(message):
        if number == 2:
            sizes = [signed(size) for field_number, size in fields(content(value)) if field_number == 1]
            shape.append(sizes[-1] if sizes else 0)
        elif number == 3 and value:
            raise MalformedError("a tensor of unknown rank")
        if len(shape) > _MAX_RANK:
            raise MalformedError(f"more than {_MAX_RANK} dimensions")
    return tuple(shape)


def _decode_slice(message: Bytes) -> TensorSlice:
    extents: list[Extent] = []
    for number, value in fields(message):
        if number == 1:
            extents.append(_decode_extent(content(value)))
        if len(extents) > _MAX_RANK:
            raise MalformedError(f"a slice of more than {_MAX_RANK} dimensions")
    return tuple(extents)


def _decode_extent(message: Bytes) -> Extent:
    numbers = {number: signed(value) for number, value in fields(message) if number in (1, 2)}
    return Extent(numbers.get(1, 0), numbers.get(2))
