"""Raw Snappy blocks decompressed, in which early builds of TensorFlow stored tables; compresses nothing.

Source: Snappy's format_description.txt. The framed format is another one.
"""

from __future__ import annotations

from electra_convert.formats.wire import MalformedError, decode_varint

# The densest element is a copy of 64 bytes stated in 3.
_MOST_BYTES_FROM_ONE = 22


def decompress(block: bytes, limit: int) -> bytes:
    """Decompress a block to exactly as many bytes as it says it holds.

    Raises:
        MalformedError: it says it holds more than the limit or than its length allows, or does not hold them.
    """
    length, position = decode_varint(block, 0)
    if length > min(limit, _MOST_BYTES_FROM_ONE * len(block)):
        raise MalformedError(f"a block of {len(block)} compressed bytes says it holds {length}")
    output = bytearray()
    while position < len(block):
        append = _copy if block[position] & 3 else _literal
        position = append(block, position, output)
        if len(output) > length:
            raise MalformedError(f"a compressed block holds more than the {length} bytes it says")
    if len(output) < length:
        raise MalformedError(f"a compressed block holds {len(output)} bytes and not the {length} it says")
    return bytes(output)


def _literal(block: bytes, position: int, output: bytearray) -> int:
    """Append the literal whose tag is at the position, and return the position behind it."""
    length = (block[position] >> 2) + 1
    position += 1
    if length > 60:
        width = length - 60
        length = int.from_bytes(_take(block, position, width), "little") + 1
        position += width
    output += _take(block, position, length)
    return position + length


def _copy(block: bytes, position: int, output: bytearray) -> int:
    """Repeat earlier output as the tag at the position says, and return the position behind it."""
    tag = block[position]
    if tag & 3 == 1:
        length, width = (tag >> 2 & 7) + 4, 1
        distance = (tag >> 5) << 8 | _take(block, position + 1, 1)[0]
    else:
        length, width = (tag >> 2) + 1, 2 if tag & 3 == 2 else 4
        distance = int.from_bytes(_take(block, position + 1, width), "little")
    start = len(output) - distance
    if distance == 0 or start < 0:
        raise MalformedError(f"a compressed block copies from {distance} bytes back, where it holds {len(output)}")
    # A copy may reach into what it writes: the stretch that is there is then repeated.
    stretch = output[start : start + length]
    output += (stretch * (-(-length // len(stretch))))[:length]
    return position + 1 + width


def _take(block: bytes, position: int, length: int) -> bytes:
    if length > len(block) - position:
        raise MalformedError("a compressed block is cut short")
    return block[position : position + length]
