"""Tables put together by hand, so that anything can be wrong in them but the checksums."""

from __future__ import annotations

from crc32c import crc32c

from electra_convert.formats.tf_bundle.entries import BundleEntry, Extent, encode_entry
from electra_convert.formats.tf_bundle.table import MAGIC
from electra_convert.formats.wire import encode_content, encode_number, encode_varint, mask

# A block without entries, as the metaindex always is.
EMPTY = b"\0\0\0\0\x01\0\0\0"


def signed_block(payload: bytes, block_type: int = 0) -> bytes:
    """A block with its trailer, whatever is in it."""
    stored = payload + bytes([block_type])
    return stored + mask(crc32c(stored)).to_bytes(4, "little")


def file_of(
    data_blocks: list[bytes], handles: list[tuple[int, int]] | None = None, index: bytes | None = None
) -> bytes:
    """A table of the given blocks, already signed, and of handles that need not be theirs."""
    if handles is None:
        starts = [sum(map(len, data_blocks[:count])) for count in range(len(data_blocks))]
        handles = [(start, len(block) - 5) for start, block in zip(starts, data_blocks, strict=True)]
    content = b"".join(data_blocks)
    metaindex = encode_varint(len(content)) + encode_varint(len(EMPTY))
    content += signed_block(EMPTY)
    if index is None:
        index = index_block(handles)
    footer = metaindex + encode_varint(len(content)) + encode_varint(len(index))
    return content + signed_block(index) + footer.ljust(40, b"\0") + MAGIC.to_bytes(8, "little")


def index_block(handles: list[tuple[int, int]]) -> bytes:
    payload = b""
    starts = []
    for number, (offset, size) in enumerate(handles):
        starts.append(len(payload))
        handle = encode_varint(offset) + encode_varint(size)
        payload += bytes([0, 1, len(handle)]) + bytes([0xF0 + number]) + handle
    return (
        payload
        + b"".join(start.to_bytes(4, "little") for start in starts or [0])
        + len(starts or [0]).to_bytes(4, "little")
    )


def block_of(entries: bytes, restarts: tuple[int, ...] = (0,), count: int | None = None) -> bytes:
    words = [*restarts, len(restarts) if count is None else count]
    return entries + b"".join(word.to_bytes(4, "little") for word in words)


def compressed_table(entries: dict[bytes, bytes]) -> bytes:
    """A table whose one data block is compressed with Snappy."""
    import cramjam

    encoded = b"".join(
        b"\0" + encode_varint(len(key)) + encode_varint(len(value)) + key + value for key, value in entries.items()
    )
    return file_of([signed_block(bytes(cramjam.snappy.compress_raw(block_of(encoded))), 1)])


def encode_any_entry(entry: BundleEntry) -> bytes:
    """An entry with its slices, which the package reads and never writes."""
    slices = [b"".join(encode_content(1, _encode_extent(extent)) for extent in part) for part in entry.slices]
    return encode_entry(entry) + b"".join(encode_content(7, part) for part in slices)


def _encode_extent(extent: Extent) -> bytes:
    if extent.length is None:
        return encode_number(1, extent.start)
    # The length is one of a oneof: proto3 writes it even if it is zero, which encode_number leaves out.
    return encode_number(1, extent.start) + (encode_number(2, extent.length) or b"\x10\x00")
