"""TensorFlow's sorted table, a variant of LevelDB's: read from a file, and written byte for byte as TensorFlow does;
knows not what keys and values mean.

Source: tensorflow/core/lib/io/format.cc, block.cc, table.cc, table_builder.cc and block_builder.cc, with the options
that BundleWriter sets.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from crc32c import crc32c

from electra_convert.errors import CorruptFileError
from electra_convert.formats.files import ReadFile
from electra_convert.formats.tf_bundle import snappy
from electra_convert.formats.wire import (
    AGAIN,
    MalformedError,
    blame,
    decode_varint,
    encode_varint,
    mask,
    unmask,
)

MAGIC = 0xDB4775248B80FB57
_FOOTER_BYTES = 48
_TRAILER_BYTES = 5
_RAW, _SNAPPY = 0, 1
# Bounds far above what checkpoints need: TensorFlow starts a new block after 256 KiB, and a key takes about 60 bytes.
_MAX_BLOCK_BYTES = 64 << 20
_MAX_TABLE_BYTES = 256 << 20
_MAX_ENTRIES = 1 << 20
# What is written.
_BLOCK_BYTES = 256 << 10
_DATA_RESTART_INTERVAL = 16
_INDEX_RESTART_INTERVAL = 1

Entry = tuple[bytes, bytes]


@dataclass(frozen=True)
class Handle:
    """Where a block lies in the file, and the size of its payload; the trailer of five bytes follows."""

    offset: int
    size: int

    @property
    def end(self) -> int:
        """The offset behind its trailer."""
        return self.offset + self.size + _TRAILER_BYTES


def is_table(file: ReadFile) -> bool:
    """Whether a file ends as a table does."""
    return file.size >= _FOOTER_BYTES and file.read(8, file.size - 8) == MAGIC.to_bytes(8, "little")


def read_table(file: ReadFile) -> Iterator[Entry]:
    """Read a whole table, each block checked against its CRC32C: ascending keys, no two the same, and values.

    Raises:
        CorruptFileError: the file is not a table, or a damaged one, or holds more than any checkpoint's index.
    """
    if not is_table(file):
        raise CorruptFileError(
            f"{file.path} is not a TensorFlow index, or is cut short: "
            f"its {file.size} bytes do not end as a table does",
            AGAIN,
        )
    with blame(file.path):
        previous: bytes | None = None
        size = 0
        for count, (key, value) in enumerate(_entries(file)):
            if previous is not None and key <= previous:
                raise MalformedError("its keys are not in order")
            size += len(key) + len(value)
            if size > _MAX_TABLE_BYTES or count >= _MAX_ENTRIES:
                raise MalformedError("it holds more than any checkpoint's index")
            previous = key
            yield key, value


def _entries(file: ReadFile) -> Iterator[Entry]:
    metaindex, index = _footer(file)
    for _ in _block_entries(_read_block(file, metaindex, file.size - _FOOTER_BYTES)):
        pass
    floor = 0
    for _, value in _block_entries(_read_block(file, index, file.size - _FOOTER_BYTES)):
        handle, _ = _handle(value, 0)
        if handle.offset < floor:
            raise MalformedError(
                f"its block at byte {handle.offset} begins before byte {floor}, where the last one ends"
            )
        yield from _block_entries(_read_block(file, handle, index.offset))
        floor = handle.end


def _footer(file: ReadFile) -> tuple[Handle, Handle]:
    footer = file.read(_FOOTER_BYTES, file.size - _FOOTER_BYTES)[:-8]
    metaindex, position = _handle(footer, 0)
    index, _ = _handle(footer, position)
    return metaindex, index


def _handle(data: bytes, position: int) -> tuple[Handle, int]:
    offset, position = decode_varint(data, position)
    size, position = decode_varint(data, position)
    return Handle(offset, size), position


def _read_block(file: ReadFile, handle: Handle, end: int) -> bytes:
    """Read the block at the handle, which has to end at or before the byte `end`, and decompress it."""
    if handle.end > end or handle.size > _MAX_BLOCK_BYTES:
        raise MalformedError(f"a block of {handle.size} bytes at byte {handle.offset} does not fit before byte {end}")
    stored = file.read(handle.size + _TRAILER_BYTES, handle.offset)
    payload, block_type = stored[: handle.size], stored[handle.size]
    expected = unmask(int.from_bytes(stored[-4:], "little"))
    found = crc32c(stored[:-4])
    if found != expected:
        raise MalformedError(
            f"the block at byte {handle.offset} has CRC32C {found:08x}, {expected:08x} is stored for it"
        )
    if block_type == _SNAPPY:
        return snappy.decompress(payload, _MAX_BLOCK_BYTES)
    if block_type != _RAW:
        raise MalformedError(f"the block at byte {handle.offset} is of the unknown type {block_type}")
    return payload


def _block_entries(block: bytes) -> Iterator[Entry]:
    restarts, end = _restarts(block)
    key = b""
    position = 0
    while position < end:
        most_shared = 0 if position in restarts else len(key)
        shared, position = decode_varint(block, position)
        unshared, position = decode_varint(block, position)
        value_length, position = decode_varint(block, position)
        if shared > most_shared:
            raise MalformedError(f"a key shares {shared} bytes with the last, where {most_shared} are possible")
        if unshared + value_length > end - position:
            raise MalformedError(f"an entry of {unshared + value_length} bytes is longer than its block")
        key = key[:shared] + block[position : position + unshared]
        position += unshared + value_length
        yield key, block[position - value_length : position]


def _restarts(block: bytes) -> tuple[frozenset[int], int]:
    """Return the offsets in a block at which a key is stored whole, and the offset at which the entries end."""
    if len(block) < 8:
        raise MalformedError(f"a block has {len(block)} bytes, the least possible is 8")
    (count,) = struct.unpack_from("<I", block, len(block) - 4)
    end = len(block) - 4 * (count + 1)
    if count < 1 or end < 0:
        raise MalformedError(f"a block of {len(block)} bytes says it has {count} restarts")
    offsets = struct.unpack_from(f"<{count}I", block, end)
    if offsets[0] != 0 or offsets[-1] > end or any(a >= b for a, b in pairwise(offsets)):
        raise MalformedError("the restarts of a block are not in order")
    return frozenset(offsets), end


def encode_table(entries: Iterable[Entry]) -> bytes:
    """Encode a whole table, uncompressed, from ascending keys, no two the same, and their values."""
    table = _Table()
    for key, value in entries:
        table.add(key, value)
    return table.finish()


class _Block:
    """A block being filled: keys share prefixes except at restarts."""

    def __init__(self, restart_interval: int) -> None:
        self._interval = restart_interval
        self._restarts = [0]
        self._since_restart = 0
        self._buffer = bytearray()
        self.last_key = b""

    @property
    def empty(self) -> bool:
        return not self._buffer

    @property
    def size(self) -> int:
        return len(self._buffer) + 4 * len(self._restarts) + 4

    def add(self, key: bytes, value: bytes) -> None:
        shared = 0
        if self._since_restart < self._interval:
            shared = _shared_length(self.last_key, key)
        else:
            self._restarts.append(len(self._buffer))
            self._since_restart = 0
        for length in (shared, len(key) - shared, len(value)):
            self._buffer += encode_varint(length)
        self._buffer += key[shared:] + value
        self._since_restart += 1
        self.last_key = key

    def finish(self) -> bytes:
        return bytes(self._buffer) + struct.pack(f"<{len(self._restarts) + 1}I", *self._restarts, len(self._restarts))


class _Table:
    """A table being filled: data blocks, and the index of those written."""

    def __init__(self) -> None:
        self._file = bytearray()
        self._block = _Block(_DATA_RESTART_INTERVAL)
        self._index = _Block(_INDEX_RESTART_INTERVAL)
        self._unindexed: tuple[bytes, bytes] | None = None

    def add(self, key: bytes, value: bytes) -> None:
        if not self._block.empty and len(key) + len(value) >= 2 * _BLOCK_BYTES:
            self._flush()
        if self._unindexed:
            last_key, handle = self._unindexed
            self._index.add(_separator(last_key, key), handle)
            self._unindexed = None
        self._block.add(key, value)
        if self._block.size >= _BLOCK_BYTES:
            self._flush()

    def finish(self) -> bytes:
        self._flush()
        metaindex = self._append(_Block(_DATA_RESTART_INTERVAL).finish())
        if self._unindexed:
            last_key, handle = self._unindexed
            self._index.add(_successor(last_key), handle)
        footer = metaindex + self._append(self._index.finish())
        return bytes(self._file) + footer.ljust(_FOOTER_BYTES - 8, b"\0") + MAGIC.to_bytes(8, "little")

    def _flush(self) -> None:
        if not self._block.empty:
            self._unindexed = (self._block.last_key, self._append(self._block.finish()))
            self._block = _Block(_DATA_RESTART_INTERVAL)

    def _append(self, payload: bytes) -> bytes:
        """Append a block with its trailer, and return its encoded handle."""
        handle = Handle(len(self._file), len(payload))
        stored = payload + bytes([_RAW])
        self._file += stored + mask(crc32c(stored)).to_bytes(4, "little")
        return encode_varint(handle.offset) + encode_varint(handle.size)


def _shared_length(first: bytes, second: bytes) -> int:
    length = min(len(first), len(second))
    if first[:length] == second[:length]:
        return length
    return next(index for index in range(length) if first[index] != second[index])


def _separator(last: bytes, first: bytes) -> bytes:
    """The shortest key that is easily found at or after one key and before another (FindShortestSeparator)."""
    index = _shared_length(last, first)
    if index < min(len(last), len(first)) and last[index] < 0xFF and last[index] + 1 < first[index]:
        return last[:index] + bytes([last[index] + 1])
    return last


def _successor(last: bytes) -> bytes:
    """The shortest key that is easily found at or after one key (FindShortSuccessor)."""
    for index, byte in enumerate(last):
        if byte != 0xFF:
            return last[:index] + bytes([byte + 1])
    return last
