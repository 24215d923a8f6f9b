import cramjam
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tf_bundle_files import refusal_of

from electra_convert.errors import CorruptFileError
from electra_convert.formats.tf_bundle.snappy import decompress

LIMIT = 1 << 20

TEXTS = st.lists(st.sampled_from([b"electra/", b"layer_0/", b"kernel", b"\0", b"adam_m"]), max_size=300).map(b"".join)


@given(TEXTS | st.binary(max_size=500))
def test_what_the_library_compresses_is_decompressed(text):
    assert decompress(bytes(cramjam.snappy.compress_raw(text)), LIMIT) == text


def test_long_literals_and_long_runs_are_decompressed():
    for text in (bytes(range(256)) * 400, b"a" * 100_000, bytes(7 * n % 251 for n in range(70_000))):
        assert decompress(bytes(cramjam.snappy.compress_raw(text)), LIMIT) == text


@pytest.mark.parametrize(
    ("block", "complaint"),
    [
        (b"", "cut short"),
        (b"\xff\xff\xff\xff\x0f\x00a", "7 compressed bytes says it holds 4294967295"),
        (b"\x64\x00a", "3 compressed bytes says it holds 100"),
        (b"\x05\x00a", "holds 1 bytes and not the 5"),
        (b"\x01\x04ab", "more than the 1 bytes"),
        (b"\x05\x00a\x01", "cut short"),
        (b"\x05\x00a\x01\x00", "copies from 0 bytes back"),
        (b"\x05\x00a\x01\x02", "copies from 2 bytes back, where it holds 1"),
        (b"\x05\x00a\x02\x01", "cut short"),
        (b"\x05\xf0", "cut short"),
        (b"\x05\xfc\xff\xff\xff\xff", "cut short"),
    ],
)
def test_a_damaged_block_is_refused(block, complaint):
    with pytest.raises(CorruptFileError, match=complaint):
        decompress(block, LIMIT)


def test_a_block_over_the_limit_is_refused_before_it_is_decompressed():
    block = bytes(cramjam.snappy.compress_raw(bytes(1000)))
    with pytest.raises(CorruptFileError, match="says it holds 1000"):
        decompress(block, 999)


@given(TEXTS, st.data())
def test_any_change_is_decompressed_or_refused(text, data):
    block = bytearray(cramjam.snappy.compress_raw(text))
    block[data.draw(st.integers(0, len(block) - 1))] = data.draw(st.integers(0, 255))
    assert refusal_of(lambda: decompress(bytes(block), LIMIT)) != ""
