"""TensorFlow's sorted table, written byte for byte as TensorFlow writes it; knows not what keys and values mean.

Source: tensorflow/core/lib/io/table_builder.cc and block_builder.cc, with the options that BundleWriter sets.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from crc32c import crc32c

from electra_convert.formats.tf_bundle.checksums import mask
from electra_convert.formats.tf_bundle.table import FOOTER_BYTES, MAGIC, RAW, Entry, Handle
from electra_convert.formats.tf_bundle.wire import encode_varint

_BLOCK_BYTES = 256 << 10
_DATA_RESTART_INTERVAL = 16
_INDEX_RESTART_INTERVAL = 1


def encode_table(entries: Iterable[Entry]) -> bytes:
    """Encode a whole table, uncompressed.

    Args:
        entries: keys in ascending order, no two the same, and their values.

    Returns:
        The bytes of the file.
    """
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
        return bytes(self._file) + footer.ljust(FOOTER_BYTES - 8, b"\0") + MAGIC.to_bytes(8, "little")

    def _flush(self) -> None:
        if not self._block.empty:
            self._unindexed = (self._block.last_key, self._append(self._block.finish()))
            self._block = _Block(_DATA_RESTART_INTERVAL)

    def _append(self, payload: bytes) -> bytes:
        """Append a block with its trailer, and return its encoded handle."""
        handle = Handle(len(self._file), len(payload))
        stored = payload + bytes([RAW])
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
