"""TFRecords of build_pretraining_dataset.py, read without TensorFlow; nothing of how they are trained on.

The container is that of tensorflow/core/lib/io/record_writer.h: a length, its checksum, the record, its checksum. A
record is a tf.train.Example with three lists of integers: input_ids, input_mask and segment_ids.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from crc32c import crc32c
from numpy.typing import NDArray

from electra_convert.errors import CorruptFileError
from electra_convert.formats.wire import Bytes, MalformedError, blame, fields, mask, messages, signed

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
_FEATURES = ("input_ids", "input_mask", "segment_ids")
# What a record of the longest sequences there are takes a hundred times over.
_LONGEST_RECORD = 1 << 22
_CONTINUES = 0x80
_LONGEST_VARINT = 9  # bytes; ids are small, and nine hold 63 bits


def is_tfrecords(path: Path) -> bool:
    """Whether a file begins as a TFRecord file does: with a length that its checksum confirms."""
    with path.open("rb") as file:
        header = file.read(_HEADER.size)
    return len(header) == _HEADER.size and _HEADER.unpack(header)[1] == mask(crc32c(header[:8]))


def read_tfrecords(path: Path) -> Iterator[dict[str, NDArray[np.int64]]]:
    """Read the sequences of a file: input_ids, input_mask and segment_ids of each, all [length] int64.

    Raises:
        CorruptFileError: it is damaged, cut short, or holds no such examples.
    """
    for number, record in enumerate(_records(path)):
        with blame(f"{path}, record {number}"):
            lists = _integers(record)
        if not lists.keys() >= set(_FEATURES) or len({len(lists[name]) for name in _FEATURES}) != 1:
            found = ", ".join(f"{name} of {len(values)}" for name, values in lists.items()) or "nothing"
            raise CorruptFileError(
                f"{path}, record {number}: expected {', '.join(_FEATURES)} of one length, found {found}",
                "Only files of google-research/electra's build_pretraining_dataset.py can be trained on.",
            )
        yield {name: lists[name] for name in _FEATURES}


def frame(record: bytes) -> bytes:
    """The bytes that stand for a record in a file: its length, the checksum of that, the record, and its checksum."""
    length = struct.pack("<Q", len(record))
    return length + _FOOTER.pack(mask(crc32c(length))) + record + _FOOTER.pack(mask(crc32c(record)))


def _records(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while header := file.read(_HEADER.size):
            if len(header) < _HEADER.size:
                raise _damaged(path, "is cut short within a length")
            length, checksum = _HEADER.unpack(header)
            if checksum != mask(crc32c(header[:8])) or length > _LONGEST_RECORD:
                raise _damaged(path, "has a length that its checksum does not confirm")
            record, footer = file.read(length), file.read(_FOOTER.size)
            if len(record) < length or len(footer) < _FOOTER.size:
                raise _damaged(path, "is cut short within a record")
            if _FOOTER.unpack(footer)[0] != mask(crc32c(record)):
                raise _damaged(path, "has a record that its checksum does not confirm")
            yield record


def _damaged(path: Path, what: str) -> CorruptFileError:
    return CorruptFileError(f"{path} {what}", "Copy the file again, or make it again.")


def _integers(record: bytes) -> dict[str, NDArray[np.int64]]:
    """tf.train.Example: features (1), of entries (1) with a key (1) and a value (2) that has an int64_list (3)."""
    found: dict[str, NDArray[np.int64]] = {}
    for features in messages(record, 1):
        for entry in messages(features, 1):
            key = b"".join(map(bytes, messages(entry, 1))).decode(errors="replace")
            lists = [int64_list for value in messages(entry, 2) for int64_list in messages(value, 3)]
            found[key] = np.concatenate([np.empty(0, np.int64), *map(_values, lists)])
    return found


def _values(int64_list: Bytes) -> NDArray[np.int64]:
    """The elements of an Int64List, which are packed into one field or, rarely, a field each."""
    found = [value for number, value in fields(int64_list) if number == 1]
    parts = [np.array([signed(one)]) if isinstance(one, int) else _varints(bytes(one)) for one in found]
    return np.concatenate([np.empty(0, np.int64), *parts])


def _varints(packed: bytes) -> NDArray[np.int64]:
    data = np.frombuffer(packed, np.uint8)
    ends = np.flatnonzero(data < _CONTINUES)
    starts = np.concatenate([[0], ends + 1])
    lengths = np.diff(starts)
    if starts[-1] != len(data) or lengths.max(initial=0) > _LONGEST_VARINT:
        raise MalformedError("a list of integers does not end with one, or holds one of more than 63 bits")
    values = np.zeros(len(ends), np.int64)
    for place in range(int(lengths.max(initial=0))):
        there = lengths > place
        values[there] |= (data[starts[:-1][there] + place].astype(np.int64) & 0x7F) << (7 * place)
    return values
