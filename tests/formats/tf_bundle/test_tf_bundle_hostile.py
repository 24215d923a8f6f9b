"""Every damage to a small checkpoint ends in an error of this package or in the very same tensors."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tf_bundle_files import HEADER, assert_same, data_of, read, refusal_of, some_arrays, write
from tf_bundle_tables import encode_any_entry

from electra_convert.formats.tf_bundle import index_path, open_source
from electra_convert.formats.tf_bundle.entries import BundleEntry, Extent
from electra_convert.formats.tf_bundle.table import encode_table


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    return write(tmp_path_factory.mktemp("hostile") / "model", some_arrays())


def refused(prefix) -> bool:
    """Whether opening or reading the checkpoint fails as it should; otherwise its tensors are unchanged."""

    def read_all() -> None:
        with open_source(prefix) as source:
            assert_same(read(source), some_arrays())

    message = refusal_of(read_all)
    assert message is None or message.isprintable()
    return message is not None


@pytest.mark.parametrize("part", [index_path, data_of])
def test_a_file_cut_at_any_byte_is_refused(prefix, part):
    path = part(prefix)
    content = path.read_bytes()
    try:
        for length in range(len(content)):
            path.write_bytes(content[:length])
            assert refused(prefix), length
    finally:
        path.write_bytes(content)


def footer_filling(index: bytes) -> range:
    """The zeros behind the footer's handles, and the byte before, which may be made to announce one of them."""
    return range(len(index[:-8].rstrip(b"\0")) - 1, len(index) - 8)


@pytest.mark.parametrize("part", [index_path, data_of])
@pytest.mark.parametrize("bits", [0x01, 0x80, 0xFF])
def test_a_flip_of_any_byte_is_refused_unless_nothing_reads_it(prefix, part, bits):
    path = part(prefix)
    content = path.read_bytes()
    unread = footer_filling(content) if part is index_path else range(0)
    changed = bytearray(content)
    try:
        for position in range(len(content)):
            changed[position] ^= bits
            path.write_bytes(changed)
            assert refused(prefix) or position in unread, position
            changed[position] ^= bits
    finally:
        path.write_bytes(content)


NUMBERS = st.sampled_from([0, 1, -1, 2, 4, 7, 99, 1 << 31, 1 << 40, (1 << 63) - 1, -(1 << 63)])
SLICES = st.lists(st.lists(st.builds(Extent, NUMBERS, st.none() | NUMBERS), max_size=2).map(tuple), max_size=2)
ENTRIES = st.builds(
    BundleEntry,
    data_type=st.integers(0, 40),
    shape=st.lists(NUMBERS, max_size=3).map(tuple),
    shard=st.sampled_from([0, 0, 0, 1, -1]),
    offset=NUMBERS,
    size=NUMBERS,
    checksum=st.integers(0, 2**32 - 1),
    slices=SLICES.map(tuple),
)


@settings(max_examples=120, deadline=None)
@given(
    st.dictionaries(
        st.binary(min_size=1, max_size=8), ENTRIES.map(encode_any_entry) | st.binary(max_size=20), max_size=3
    )
)
def test_an_index_that_says_anything_is_refused_or_read(tmp_path_factory, entries):
    prefix = tmp_path_factory.getbasetemp() / "anything"
    index_path(prefix).write_bytes(encode_table([HEADER, *sorted(entries.items())]))
    data_of(prefix).write_bytes(bytes(64))

    def stream_all() -> None:
        with open_source(prefix) as source:
            for tensor in source.tensors.values():
                refusal_of(lambda tensor=tensor: list(tensor.stream(memoryview(bytearray(64)))))

    assert (refusal_of(stream_all) or "").isprintable()
