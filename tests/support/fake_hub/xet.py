"""What hf_xet's store on disk says of the files in it: the Xet hash of each, by its SHA-256."""

from __future__ import annotations

import struct
from pathlib import Path

_HEADER, _ENTRY = 48, 48
_VERIFICATION, _METADATA = 0x8000_0000, 0x4000_0000


def xet_hashes(store: Path) -> dict[str, str]:
    """Read every shard of a store: after a header of 48 bytes, files until one whose hash is all ones."""
    found: dict[str, str] = {}
    for shard in sorted(store.rglob("*.mdb")):
        found |= _of_shard(shard.read_bytes())
    return found


def _of_shard(data: bytes) -> dict[str, str]:
    found, place = {}, _HEADER
    while place + _ENTRY <= len(data) and data[place : place + 32] != b"\xff" * 32:
        name = _text(data[place : place + 32])
        flags, count = struct.unpack_from("<II", data, place + 32)
        place += _ENTRY + count * _ENTRY * (2 if flags & _VERIFICATION else 1)
        if flags & _METADATA:
            found[_text(data[place : place + 32])] = name
            place += _ENTRY
    return found


def _text(digest: bytes) -> str:
    return "".join(f"{word:016x}" for word in struct.unpack("<4Q", digest))
