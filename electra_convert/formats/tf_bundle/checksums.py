"""CRC32C as TensorFlow stores it: masked, so that a checksum of bytes that hold checksums stays a good one."""

from __future__ import annotations

_MASK_DELTA = 0xA282EAD8
_WORD = 0xFFFFFFFF


def mask(checksum: int) -> int:
    """Mask a CRC32C: rotated right by 15 bits, plus a constant (tensorflow/core/lib/hash/crc32c.h).

    Args:
        checksum: the CRC32C of some bytes.

    Returns:
        The word that is stored.
    """
    return ((checksum >> 15 | checksum << 17) + _MASK_DELTA) & _WORD


def unmask(stored: int) -> int:
    """Undo mask().

    Args:
        stored: the word as stored.

    Returns:
        The CRC32C.
    """
    rotated = (stored - _MASK_DELTA) & _WORD
    return (rotated << 15 | rotated >> 17) & _WORD
