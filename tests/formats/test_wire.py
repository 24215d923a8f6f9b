from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from electra_convert.errors import CorruptFileError
from electra_convert.formats.wire import (
    content,
    decode_varint,
    encode_content,
    encode_fixed32,
    encode_number,
    encode_varint,
    fields,
    integer,
    mask,
    signed,
    unmask,
)


@given(st.integers(0, 2**64 - 1), st.binary(max_size=3))
def test_a_varint_comes_back_with_the_position_behind_it(value, rest):
    encoded = encode_varint(value)
    assert decode_varint(encoded + rest, 0) == (value, len(encoded))


@pytest.mark.parametrize("value", [0, 1, -1, 2**63 - 1, -(2**63)])
def test_a_negative_number_is_stored_as_64_bits(value):
    assert signed(decode_varint(encode_varint(value), 0)[0]) == value


@pytest.mark.parametrize("encoded", [b"", b"\x80", b"\xff" * 9, b"\xff" * 10 + b"\x01", b"\xff" * 9 + b"\x02"])
def test_a_varint_cut_short_or_too_long_is_refused(encoded):
    with pytest.raises(CorruptFileError, match=r"cut short|longer than 64 bits"):
        decode_varint(encoded, 0)


@given(st.integers(1, 2**63 - 1), st.integers(1, 2**32 - 1), st.binary())
def test_the_fields_of_a_message_come_back_in_order(number, word, text):
    message = encode_number(1, number) + encode_fixed32(2, word) + encode_content(3, text)
    assert list(fields(message)) == [(1, number), (2, word), (3, text)]
    assert [value for _, value in fields(memoryview(message))] == [number, word, text]


@given(st.binary())
def test_any_bytes_are_a_message_or_refused(message):
    with suppress(CorruptFileError):
        list(fields(message))


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        (b"\x0a\x05abc", "5 bytes is longer than the 3 left"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "longer than the 0 left"),
        (b"\x0d\x01\x02", "4 bytes is longer than the 2 left"),
        (b"\x0b", "unknown wire type 3"),
        (b"\x00\x01", "number 0"),
    ],
)
def test_a_field_that_cannot_be_is_refused(message, complaint):
    with pytest.raises(CorruptFileError, match=complaint):
        list(fields(message))


def test_a_number_in_place_of_bytes_is_refused_and_the_other_way_round():
    with pytest.raises(CorruptFileError, match="as bytes"):
        integer(b"1")
    with pytest.raises(CorruptFileError, match="as a number"):
        content(1)


def test_the_mask_of_the_check_value_is_tensorflows():
    assert mask(0xE3069283) == 0xC78AB0E5
    assert mask(0) == 0xA282EAD8


@given(st.integers(0, 2**32 - 1))
def test_unmask_undoes_mask(checksum):
    assert unmask(mask(checksum)) == checksum
