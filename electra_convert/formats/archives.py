"""Zip archives that anyone may have made, bounded before anything in them is unpacked."""

from __future__ import annotations

import zipfile
from collections.abc import Collection
from pathlib import Path

from electra_convert.errors import CorruptFileError

# Weights shrink by a tenth when they are packed, masks and token ids to a tenth; a bomb grows a thousandfold.
_MOST_GROWTH = 16
# What any archive may grow to, so that a small one of nothing but zeros is read.
_ALWAYS = 1 << 24
_METHODS: Collection[int] = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1
_AGAIN = "Copy or download the file again."


def largest_content(stored: int) -> int:
    """How many bytes the content of a file may have together, by the bytes that it takes on the disk."""
    return _ALWAYS + _MOST_GROWTH * stored


def checked_records(path: Path, archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The records of an archive, none of which is larger than the file makes likely; nothing is unpacked.

    Args:
        path: the archive's file.
        archive: the same, opened.

    Raises:
        CorruptFileError: a record is encrypted, packed in another way than deflate, or of a name that another has;
            or they state more bytes together than an archive of this size holds, as where several share their bytes.
    """
    records = archive.infolist()
    for record in records:
        if record.flag_bits & _ENCRYPTED:
            raise CorruptFileError(
                f"{path}: its record {record.filename!r} is encrypted", "Save it without a password."
            )
        if record.compress_type not in _METHODS:
            raise CorruptFileError(
                f"{path}: its record {record.filename!r} is packed by zip's method {record.compress_type}, expected "
                "none or deflate",
                "Save it again as the library that made it does.",
            )
    if len({record.filename for record in records}) < len(records):
        raise CorruptFileError(f"{path} has two records of one name", _AGAIN)
    stated, most = sum(record.file_size for record in records), largest_content(path.stat().st_size)
    if stated > most:
        raise CorruptFileError(
            f"{path} states {stated} bytes of content, far more than its {path.stat().st_size} bytes can hold",
            "If it is what it should be, save it again without compression.",
        )
    return records
