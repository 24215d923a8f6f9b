"""The index of a checkpoint, opened: its header and its entries, checked; opens no data file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from electra_convert.errors import SourceError
from electra_convert.formats.files import ReadFile
from electra_convert.formats.names import BUNDLE_INDEX
from electra_convert.formats.tf_bundle.checks import require_apart, require_entry, require_header
from electra_convert.formats.tf_bundle.damage import MalformedError, blame, shown
from electra_convert.formats.tf_bundle.entries import (
    HEADER_KEY,
    MAX_SLICES,
    BundleEntry,
    BundleHeader,
    decode_entry,
    decode_header,
)
from electra_convert.formats.tf_bundle.names import decode_name
from electra_convert.formats.tf_bundle.table import Entry, read_table
from electra_convert.formats.tf_bundle.versions import refuse_v1


@dataclass(frozen=True)
class Index:
    """What an index says.

    Attributes:
        header: what holds for the whole checkpoint.
        entries: by key, in the order of the keys.
    """

    header: BundleHeader
    entries: Mapping[bytes, BundleEntry]


def index_path(prefix: Path) -> Path:
    """The path of the index of a checkpoint.

    Args:
        prefix: what all of its files' names begin with.

    Returns:
        The path.
    """
    return Path(f"{prefix}{BUNDLE_INDEX}")


def data_path(prefix: Path, shard: int, num_shards: int) -> Path:
    """The path of a data file of a checkpoint (DataFilename in naming.cc).

    Args:
        prefix: what all of its files' names begin with.
        shard: the number of the data file.
        num_shards: how many there are.

    Returns:
        The path.
    """
    return Path(f"{prefix}.data-{shard:05d}-of-{num_shards:05d}")


def read_index(path: Path) -> Index:
    """Read an index.

    Args:
        path: the .index file.

    Returns:
        What it says, every entry possible in itself.

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
