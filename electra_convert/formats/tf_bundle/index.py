"""The index of a checkpoint, told from other files and read: its header and entries, checked; opens no data file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from electra_convert.errors import SourceError
from electra_convert.formats.files import ReadFile
from electra_convert.formats.names import BUNDLE_INDEX
from electra_convert.formats.tf_bundle.entries import (
    HEADER_KEY,
    MAX_SLICES,
    BundleEntry,
    BundleHeader,
    decode_entry,
    decode_header,
    require_apart,
    require_entry,
    require_header,
)
from electra_convert.formats.tf_bundle.table import Entry, is_table, read_table
from electra_convert.formats.wire import MalformedError, blame, decode_name, shown

# The tag of the first field under the key "": in V1 the tensors' metadata (SavedTensorSlices in
# saved_tensor_slice.proto), in V2 the number of shards (BundleHeaderProto).
_FIRST_BYTES: Mapping[bytes, Literal[1, 2]] = {b"\x0a": 1, b"\x08": 2}


@dataclass(frozen=True)
class Index:
    """What an index says: what holds for the whole checkpoint, and of each tensor, in the order of the keys."""

    header: BundleHeader
    entries: Mapping[bytes, BundleEntry]


def index_path(prefix: Path) -> Path:
    """The path of the index of a checkpoint."""
    return Path(f"{prefix}{BUNDLE_INDEX}")


def data_path(prefix: Path, shard: int, num_shards: int) -> Path:
    """The path of a data file of a checkpoint (DataFilename in naming.cc)."""
    return Path(f"{prefix}.data-{shard:05d}-of-{num_shards:05d}")


def read_index(path: Path) -> Index:
    """Read an index.

    Raises:
        SourceError: it cannot be read, or is of the old format.
        CorruptFileError: it is damaged, or says something impossible.
    """
    refuse_v1(path)
    with ReadFile(path) as file:
        table = read_table(file)
        header = _header(path, table)
        entries = dict(_entries(path, table, header))
    with blame(path):
        require_apart(entries.values())
    return Index(header, entries)


def _header(path: Path, table: Iterator[Entry]) -> BundleHeader:
    key, value = next(table, (None, b""))
    with blame(path):
        if key != HEADER_KEY:
            raise MalformedError("it has no header")
        header = decode_header(value)
        require_header(header)
    if not header.readable:
        raise SourceError(
            f"{path} was written by a newer TensorFlow, for readers of version {header.min_consumer}",
            "Restore it with that TensorFlow, and save its variables with tf.compat.v1.train.Saver.",
        )
    return header


def _entries(path: Path, table: Iterator[Entry], header: BundleHeader) -> Iterator[tuple[bytes, BundleEntry]]:
    slices = 0
    for key, value in table:
        with blame(f"{path}, in the entry of {shown(decode_name(key))},"):
            entry = decode_entry(value)
            require_entry(entry, header)
            slices += len(entry.slices)
            if slices > MAX_SLICES:
                raise MalformedError(f"more than {MAX_SLICES} slices in all")
        yield key, entry


def container_version(path: Path) -> Literal[1, 2] | None:
    """Tell TensorFlow's tables from other files, and the two checkpoint formats apart.

    It is 1 for a checkpoint in the old format (one file at the prefix), 2 for the index of one in the present format,
    None for anything else.

    Raises:
        SourceError: the file cannot be read.
        CorruptFileError: it is a table, but a damaged one.
    """
    with ReadFile(path) as file:
        if not is_table(file):
            return None
        key, value = next(read_table(file), (None, b""))
        return _FIRST_BYTES.get(value[:1]) if key == HEADER_KEY else None


def refuse_v1(path: Path) -> None:
    """Refuse a checkpoint in the V1 format, and let pass anything else.

    Raises:
        SourceError: it is such a checkpoint, or cannot be read.
        CorruptFileError: it is a table, but a damaged one.
    """
    if container_version(path) == 1:
        raise SourceError(
            f"{path} is a checkpoint in TensorFlow's old V1 format, which is not read",
            "Restore it once with TensorFlow 1's tf.train.Saver (tf.compat.v1 in TensorFlow 2), and save it again "
            "with tf.train.Saver(write_version=tf.train.SaverDef.V2).",
        )
