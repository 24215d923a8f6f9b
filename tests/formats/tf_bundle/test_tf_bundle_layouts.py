"""Checkpoints laid out otherwise than one process on one machine does: partitioned, and of big-endian machines."""

import pytest
from crc32c import crc32c
from tf_bundle_files import assert_same, change_entry, change_index, data_of, flip, read, some_arrays, write
from tf_bundle_tables import encode_any_entry

from electra_convert.errors import CorruptFileError
from electra_convert.formats.tf_bundle import open_source
from electra_convert.formats.tf_bundle.entries import (
    BundleEntry,
    BundleHeader,
    Extent,
    decode_entry,
    encode_entry,
    encode_header,
)
from electra_convert.formats.tf_bundle.slices import slice_key


@pytest.fixture
def prefix(tmp_path):
    return write(tmp_path / "model.ckpt-7", some_arrays())


def to_big_endian(prefix, arrays):
    """Rewrite a checkpoint as a machine would have that stores the high byte first."""
    data = bytearray(data_of(prefix).read_bytes())

    def change(table):
        table[b""] = encode_header(BundleHeader(1, big_endian=True))
        for name, array in arrays.items():
            entry = decode_entry(table[name.encode()])
            stored = array.byteswap().tobytes()
            data[entry.offset : entry.offset + entry.size] = stored
            swapped = BundleEntry(entry.data_type, entry.shape, 0, entry.offset, entry.size, crc32c(stored))
            table[name.encode()] = encode_entry(swapped)

    change_index(prefix, change)
    data_of(prefix).write_bytes(data)


def test_a_checkpoint_of_a_big_endian_machine_is_read(prefix):
    to_big_endian(prefix, some_arrays())
    with open_source(prefix) as source:
        assert_same(read(source), some_arrays())
        scratch = memoryview(bytearray(11))
        kernel = b"".join(bytes(piece) for piece in source.tensors["embeddings/kernel"].stream(scratch))
        assert kernel == some_arrays()["embeddings/kernel"].tobytes()


FIRST, SECOND = (Extent(0, 2), Extent()), (Extent(2, 3), Extent())


def partition(prefix):
    """Make the kernel of some_arrays() a partitioned variable of two slices."""

    def change(table):
        whole = decode_entry(table[b"embeddings/kernel"])
        offset = whole.offset
        for part in (FIRST, SECOND):
            rows = part[0].length
            stored = data_of(prefix).read_bytes()[offset : offset + 12 * rows]
            entry = BundleEntry(1, (rows, 3), 0, offset, len(stored), crc32c(stored))
            table[slice_key(b"embeddings/kernel", part)] = encode_entry(entry)
            offset += len(stored)
        table[b"embeddings/kernel"] = encode_any_entry(BundleEntry(1, (5, 3), slices=(FIRST, SECOND)))
        for key in sorted(table):
            table[key] = table.pop(key)

    change_index(prefix, change)
    return [slice_key(b"embeddings/kernel", part) for part in (FIRST, SECOND)]


def test_a_partitioned_variable_appears_once_and_whole(prefix):
    partition(prefix)
    with open_source(prefix) as source:
        assert list(source.tensors) == sorted(some_arrays())
        assert source.tensors["embeddings/kernel"].checksum is None
        assert_same(read(source), some_arrays())


def test_a_flipped_byte_in_a_slice_names_its_variable(prefix):
    partition(prefix)
    flip(data_of(prefix), 20)
    with open_source(prefix) as source, pytest.raises(CorruptFileError, match="a slice of embeddings/kernel"):
        source.tensors["embeddings/kernel"].read()


def test_a_partitioned_variable_without_one_of_its_slices_is_refused(prefix):
    keys = partition(prefix)
    change_index(prefix, lambda table: table.pop(keys[1]) and None)
    with pytest.raises(CorruptFileError, match=r"variable embeddings/kernel.*slice \[3, 3\] of float32 is missing"):
        open_source(prefix)


def test_more_slices_than_any_checkpoint_has_are_refused(prefix, monkeypatch):
    partition(prefix)
    monkeypatch.setattr("electra_convert.formats.tf_bundle.index.MAX_SLICES", 1)
    with pytest.raises(CorruptFileError, match="more than 1 slices in all"):
        open_source(prefix)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"slices": (FIRST,)}, "do not add up"),
        ({"slices": (FIRST, FIRST, FIRST)}, "do not add up"),
        ({"slices": ((Extent(0, 2),),)}, "1 dimensions, its variable 2"),
        ({"slices": ((Extent(0, 9), Extent()),)}, "takes 0 to 9 of a dimension of 5"),
        ({"data_type": 3}, "the entry of another tensor"),
        ({"shape": (5, 4)}, "the entry of another tensor"),
        ({"shape": (2**40, 3)}, "do not add up"),
        ({"shape": (2**63 - 1, 3)}, "is impossible"),
    ],
)
def test_slices_that_do_not_make_up_their_variable_are_refused(prefix, changes, complaint):
    partition(prefix)
    change_entry(prefix, "embeddings/kernel", **changes)
    with pytest.raises(CorruptFileError, match=complaint):
        open_source(prefix)
