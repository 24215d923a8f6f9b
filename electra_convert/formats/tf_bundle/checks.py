"""What an index may say: every number of its entries bounded before it is used; looks at no data file.

TensorFlow itself aborts or crashes on some of what is refused here.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from math import prod

from electra_convert.formats.tf_bundle.damage import MalformedError
from electra_convert.formats.tf_bundle.data_types import BY_NUMBER
from electra_convert.formats.tf_bundle.entries import BundleEntry, BundleHeader

_INT64_END = 1 << 63
# Shards are numbered with five digits (BundleWriter); nothing writes more.
_MAX_SHARDS = 100_000


def require_header(header: BundleHeader) -> None:
    """Refuse a header that no save has.

    Args:
        header: the index's header.

    Raises:
        MalformedError: says which number is impossible.
    """
    if not 0 < header.num_shards <= _MAX_SHARDS:
        raise MalformedError(f"it says there are {header.num_shards} data files")


def require_entry(entry: BundleEntry, header: BundleHeader) -> None:
    """Refuse an entry that no save has.

    Args:
        entry: one tensor's entry.
        header: of the same index.

    Raises:
        MalformedError: says which number is impossible.
    """
    dtype = BY_NUMBER.get(entry.data_type)
    if dtype is None:
        raise MalformedError(f"its type has the unknown number {entry.data_type}")
    # numpy counts without the zeros, too.
    extent = prod(dimension for dimension in entry.shape if dimension) * max(1, dtype.itemsize)
    if any(dimension < 0 for dimension in entry.shape) or extent >= _INT64_END:
        raise MalformedError(f"its shape {list(entry.shape)} is impossible")
    if not entry.slices:
        _require_place(entry, header)
        elements = prod(entry.shape)
        if dtype.kind != "opaque" and entry.size != elements * dtype.itemsize:
            raise MalformedError(
                f"{dtype} of shape {list(entry.shape)} takes {elements * dtype.itemsize} bytes, "
                f"{entry.size} are said to be stored"
            )
        # The narrowest elements take two bits.
        if dtype.kind == "opaque" and elements > 4 * entry.size:
            raise MalformedError(f"{elements} elements cannot be stored in {entry.size} bytes")


def _require_place(entry: BundleEntry, header: BundleHeader) -> None:
    if not 0 <= entry.shard < header.num_shards:
        raise MalformedError(f"it is in data file {entry.shard}, there are {header.num_shards}")
    if entry.offset < 0 or entry.size < 0 or entry.offset + entry.size >= _INT64_END:
        raise MalformedError(f"{entry.size} bytes at byte {entry.offset} are impossible")


def require_apart(entries: Iterable[BundleEntry]) -> None:
    """Refuse tensors that lie over one another in a data file.

    Args:
        entries: all those of an index.

    Raises:
        MalformedError: two of them do.
    """
    places = sorted((entry.shard, entry.offset, entry.size) for entry in entries if entry.size and not entry.slices)
    for (shard, offset, size), (next_shard, next_offset, _) in pairwise(places):
        if shard == next_shard and offset + size > next_offset:
            raise MalformedError(f"two tensors share the byte {next_offset} of data file {shard}")
