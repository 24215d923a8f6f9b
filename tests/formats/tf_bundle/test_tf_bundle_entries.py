import pytest
from hypothesis import given
from hypothesis import strategies as st
from tf_bundle_files import PREFIXES, refusal_of, table_of
from tf_bundle_tables import encode_any_entry

from electra_convert.errors import CorruptFileError
from electra_convert.formats.tf_bundle import index_path
from electra_convert.formats.tf_bundle.entries import (
    BY_NUMBER,
    TO_NUMBER,
    BundleEntry,
    BundleHeader,
    Extent,
    contents,
    decode_entry,
    decode_header,
    encode_entry,
    encode_header,
    require_apart,
    require_entry,
    require_header,
)
from electra_convert.formats.wire import encode_content, encode_number
from electra_convert.tensors.spec import DTYPES

HEADER = BundleHeader(num_shards=2)
INT64 = st.sampled_from([0, 1, -1]) | st.integers(-(2**63), 2**63 - 1)
EXTENTS = st.builds(Extent, INT64, st.none() | INT64)
ENTRIES = st.builds(
    BundleEntry,
    data_type=st.integers(0, 2**31 - 1),
    shape=st.lists(INT64, max_size=4).map(tuple),
    shard=st.integers(0, 2**31 - 1),
    offset=INT64,
    size=INT64,
    checksum=st.integers(0, 2**32 - 1),
    slices=st.lists(st.lists(EXTENTS, max_size=3).map(tuple), max_size=3).map(tuple),
)


@given(ENTRIES)
def test_any_entry_comes_back(entry):
    assert decode_entry(encode_any_entry(entry)) == entry


@pytest.mark.parametrize("prefix", PREFIXES, ids=lambda prefix: prefix.parent.name)
def test_the_messages_of_a_real_index_are_encoded_again_byte_for_byte(prefix):
    (key, header), *entries = table_of(index_path(prefix)).items()
    assert key == b""
    assert encode_header(decode_header(header)) == header
    assert [encode_entry(decode_entry(value)) for _, value in entries] == [value for _, value in entries]


@given(st.binary(max_size=60))
def test_any_bytes_are_an_entry_and_a_header_or_refused(message):
    for decode in (decode_entry, decode_header):
        assert refusal_of(lambda decode=decode: decode(message)) != ""


def test_a_header_states_byte_order_and_who_can_read_it():
    version = encode_number(1, 5) + encode_number(2, 1) + encode_content(3, b"\x02\x03")
    header = decode_header(encode_number(1, 3) + encode_number(2, 1) + encode_content(3, version))
    assert header == BundleHeader(3, big_endian=True, min_consumer=1, bad_consumers=frozenset({2, 3}))
    assert header.readable
    assert header.byteorder == "big"
    assert not BundleHeader(1, min_consumer=2).readable
    assert not BundleHeader(1, bad_consumers=frozenset({1})).readable


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        (encode_content(2, encode_content(2, b"") * 33), "more than 32 dimensions"),
        (encode_content(7, encode_content(1, b"") * 33), "more than 32 dimensions"),
        (encode_content(7, b"") * 65537, "more than 65536 slices"),
        (encode_content(2, encode_number(3, 1)), "unknown rank"),
        (encode_number(2, 1), "stored as a number"),
        (encode_content(1, b"x"), "stored as bytes"),
    ],
)
def test_a_message_that_is_no_entry_is_refused(message, complaint):
    with pytest.raises(CorruptFileError, match=complaint):
        decode_entry(message)


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        (BundleEntry(99, (), size=4), "unknown number 99"),
        (BundleEntry(0, ()), "unknown number 0"),
        (BundleEntry(101, (), size=4), "unknown number 101"),
        (BundleEntry(1, (-1,), size=4), r"shape \[-1\] is impossible"),
        (BundleEntry(1, (2**62, 2**62), size=4), "is impossible"),
        (BundleEntry(1, (2**62, 0), size=0), "is impossible"),
        (BundleEntry(1, (2**40,), size=4), "takes 4398046511104 bytes, 4 are said"),
        (BundleEntry(1, (2,), size=4), "takes 8 bytes, 4 are said"),
        (BundleEntry(1, (1,), size=4, offset=-1), "4 bytes at byte -1"),
        (BundleEntry(1, (1,), size=-4), "-4 bytes at byte 0"),
        (BundleEntry(1, (1,), size=4, offset=2**63 - 2), "impossible"),
        (BundleEntry(1, (1,), size=4, shard=2), "data file 2, there are 2"),
        (BundleEntry(1, (1,), size=4, shard=-1), "data file -1"),
        (BundleEntry(7, (2**60,), size=9), "cannot be stored in 9 bytes"),
    ],
)
def test_an_entry_that_cannot_be_is_refused(entry, complaint):
    with pytest.raises(CorruptFileError, match=complaint):
        require_entry(entry, HEADER)


@pytest.mark.parametrize("count", [0, -1, 2**31])
def test_a_number_of_data_files_that_cannot_be_is_refused(count):
    with pytest.raises(CorruptFileError, match=f"{count} data files"):
        require_header(BundleHeader(count))


def test_tensors_that_share_bytes_are_refused_and_neighbours_are_not():
    first = BundleEntry(1, (2,), offset=0, size=8)
    require_apart([first, BundleEntry(1, (), offset=8, size=4), BundleEntry(1, (0,), offset=4)])
    require_apart([first, BundleEntry(1, (2,), shard=1, offset=4, size=8)])
    with pytest.raises(CorruptFileError, match="share the byte 4 of data file 0"):
        require_apart([BundleEntry(1, (2,), offset=4, size=8), first])


def test_every_type_that_is_not_opaque_can_be_written_and_read():
    for dtype in DTYPES.values():
        if dtype.kind != "opaque":
            assert BY_NUMBER[TO_NUMBER[dtype]] == dtype
    assert all(
        TO_NUMBER[dtype] == number
        for number, dtype in BY_NUMBER.items()
        if dtype in TO_NUMBER and number not in {11, 12, 13, 15, 16}
    )


@pytest.mark.parametrize("dtype", [dtype for dtype in BY_NUMBER.values() if dtype.kind == "opaque"], ids=str)
def test_what_cannot_be_read_is_named(dtype):
    assert "numbers" in contents(dtype) or "narrower than a byte" in contents(dtype)
