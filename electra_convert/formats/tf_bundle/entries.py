"""The messages of an index, and the numbers of element types in them: each bounded before it is used, as TensorFlow
itself aborts or crashes on some of what is refused here. Looks at no data file.

Source: tensorflow/core/protobuf/tensor_bundle.proto and framework/types.proto, tensor_shape.proto,
tensor_slice.proto, versions.proto.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Literal

from electra_convert.formats.wire import (
    Bytes,
    MalformedError,
    content,
    decode_varint,
    encode_content,
    encode_fixed32,
    encode_number,
    fields,
    integer,
    mask,
    signed,
    unmask,
)
from electra_convert.tensors.spec import DTYPES, DType

STRING = 7

_NUMBERS = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    STRING: "string",
    8: "complex64",
    9: "int64",
    10: "bool",
    14: "bfloat16",
    17: "uint16",
    18: "complex128",
    19: "float16",
    20: "resource",
    21: "variant",
    22: "uint32",
    23: "uint64",
    24: "float8_e5m2",
    25: "float8_e4m3fn",
    26: "float8_e4m3fnuz",
    27: "float8_e4m3b11fnuz",
    28: "float8_e5m2fnuz",
}
# What a quantised type's numbers mean is in no checkpoint: they are read as the integers that are stored.
_QUANTISED = {11: "int8", 12: "uint8", 13: "int32", 15: "int16", 16: "uint16"}
_NARROW = {29: "int4", 30: "uint4", 31: "int2", 32: "uint2", 33: "float4_e2m1fn"}
HEADER_KEY = b""
# The version of the format written here, and the newest one read (kTensorBundleVersion in tensor_bundle.h).
VERSION = 1
# numpy before 2 holds no more dimensions; TensorFlow's operations stop far below.
_MAX_RANK = 32
MAX_SLICES = 1 << 16
_INT64_END = 1 << 63
# Shards are numbered with five digits (BundleWriter); nothing writes more.
_MAX_SHARDS = 100_000


def _by_number() -> dict[int, DType]:
    table = {number: DTYPES[name] for number, name in (_NUMBERS | _QUANTISED).items()}
    return table | {number: DType(name, "opaque", 0) for number, name in _NARROW.items()}


BY_NUMBER: Mapping[int, DType] = _by_number()
# What can be written: a type that is read under two numbers has the plain one.
TO_NUMBER: Mapping[DType, int] = {
    DTYPES[name]: number for number, name in _NUMBERS.items() if DTYPES[name].kind != "opaque"
}


def contents(dtype: DType) -> str:
    """What completes "it holds ..." of a tensor that cannot be read as numbers."""
    phrases = {
        "string": "text, not numbers",
        "resource": "a resource, not numbers",
        "variant": "variants, not numbers",
    }
    return phrases.get(dtype.name, f"{dtype} elements, narrower than a byte")


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
    """The part of one dimension that a slice takes: a first index and how many, or None for all of it."""

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
    """Decode a BundleHeaderProto."""
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
    """Encode a BundleHeaderProto as TensorFlow writes it."""
    version = encode_number(1, VERSION)
    return encode_number(1, header.num_shards) + encode_number(2, header.big_endian) + encode_content(3, version)


def decode_entry(message: bytes) -> BundleEntry:
    """Decode a BundleEntryProto, whose numbers may be anything."""
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
    """Encode a BundleEntryProto as TensorFlow writes it, without slices: no tensor is written in parts."""
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


def require_header(header: BundleHeader) -> None:
    """Refuse a header that no save has."""
    if not 0 < header.num_shards <= _MAX_SHARDS:
        raise MalformedError(f"it says there are {header.num_shards} data files")


def require_entry(entry: BundleEntry, header: BundleHeader) -> None:
    """Refuse an entry that no save has."""
    dtype = BY_NUMBER.get(entry.data_type)
    if dtype is None:
        raise MalformedError(f"its type has the unknown number {entry.data_type}")
    # numpy counts without the zeros, too.
    extent = prod(dimension for dimension in entry.shape if dimension) * max(1, dtype.itemsize)
    if any(dimension < 0 for dimension in entry.shape) or extent >= _INT64_END:
        raise MalformedError(f"its shape {list(entry.shape)} is impossible")
    if not entry.slices:
        _require_place(entry, header)
        elements = prod(entry.shape)
        if dtype.kind != "opaque" and entry.size != elements * dtype.itemsize:
            raise MalformedError(
                f"{dtype} of shape {list(entry.shape)} takes {elements * dtype.itemsize} bytes, "
                f"{entry.size} are said to be stored"
            )
        # The narrowest elements take two bits.
        if dtype.kind == "opaque" and elements > 4 * entry.size:
            raise MalformedError(f"{elements} elements cannot be stored in {entry.size} bytes")


def _require_place(entry: BundleEntry, header: BundleHeader) -> None:
    if not 0 <= entry.shard < header.num_shards:
        raise MalformedError(f"it is in data file {entry.shard}, there are {header.num_shards}")
    if entry.offset < 0 or entry.size < 0 or entry.offset + entry.size >= _INT64_END:
        raise MalformedError(f"{entry.size} bytes at byte {entry.offset} are impossible")


def require_apart(entries: Iterable[BundleEntry]) -> None:
    """Refuse tensors that lie over one another in a data file."""
    places = sorted((entry.shard, entry.offset, entry.size) for entry in entries if entry.size and not entry.slices)
    for (shard, offset, size), (next_shard, next_offset, _) in pairwise(places):
        if shard == next_shard and offset + size > next_offset:
            raise MalformedError(f"two tensors share the byte {next_offset} of data file {shard}")
