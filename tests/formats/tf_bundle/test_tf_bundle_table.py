import pytest
from hypothesis import given
from hypothesis import strategies as st
from tf_bundle_files import HEADER, PREFIXES, SMALLEST_INDEX, keys_and_values, table_of
from tf_bundle_tables import EMPTY, block_of, compressed_table, file_of, signed_block

from electra_convert.errors import CorruptFileError
from electra_convert.formats.tf_bundle import index_path
from electra_convert.formats.tf_bundle.table import encode_table
from electra_convert.formats.wire import encode_varint


def test_the_smallest_index_is_read_and_written_as_tensorflow_does(tmp_path):
    path = tmp_path / "a.index"
    path.write_bytes(SMALLEST_INDEX)
    entries = table_of(path)
    assert list(entries) == [b"", b"a"]
    assert encode_table(entries.items()) == SMALLEST_INDEX


@pytest.mark.parametrize("prefix", PREFIXES, ids=lambda prefix: prefix.parent.name)
def test_a_real_index_is_written_again_byte_for_byte(prefix):
    assert encode_table(table_of(index_path(prefix)).items()) == index_path(prefix).read_bytes()


@given(st.dictionaries(st.binary(max_size=40), st.binary(max_size=40), max_size=80))
def test_any_table_comes_back(tmp_path_factory, entries):
    path = tmp_path_factory.mktemp("table") / "any"
    path.write_bytes(encode_table(sorted(entries.items())))
    assert table_of(path) == entries


def test_a_table_of_several_blocks_and_one_great_key_comes_back(tmp_path):
    entries = [*keys_and_values(20_000, lambda n: b"name/%06d" % n, b"v" * 40), (b"z" * 600_000, b"last")]
    path = tmp_path / "big"
    path.write_bytes(encode_table(entries))
    assert list(table_of(path).items()) == entries


HEADER_ENTRY = bytes([0, 0, len(HEADER[1])]) + HEADER[1]
FIRST = signed_block(block_of(HEADER_ENTRY))
PAYLOAD = len(FIRST) - 5


def test_the_tables_made_here_are_sound(tmp_path):
    path = tmp_path / "sound"
    path.write_bytes(file_of([FIRST, signed_block(block_of(b"\0\x01\0a\x01\x01\0b"))]))
    assert table_of(path) == {b"": HEADER[1], b"a": b"", b"ab": b""}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "is not a TensorFlow index, or is cut short: its 0 bytes do not"),
        (bytes(200), "is not a TensorFlow index, or is cut short: its 200 bytes do not"),
        (file_of([FIRST], [(0, PAYLOAD), (0, PAYLOAD)]), "begins before byte"),
        (file_of([FIRST], [(0, PAYLOAD), (PAYLOAD - 1, 3)]), "begins before byte"),
        (file_of([FIRST], [(0, 1 << 40)]), "does not fit"),
        (file_of([FIRST], [(2**64 - 1, 2**64 - 1)]), "does not fit"),
        (file_of([FIRST], [(0, PAYLOAD), (len(FIRST) + 13, 30)]), "does not fit"),
        (file_of([FIRST], [(0, PAYLOAD - 1)]), "has CRC32C"),
        (file_of([FIRST], [(0, PAYLOAD), (len(FIRST), len(EMPTY) + 1)]), "does not fit|has CRC32C"),
        (file_of([FIRST], index=block_of(b"\0\x01\x01a\x80")), "a number is cut short"),
        (file_of([signed_block(b"1234567")]), "has 7 bytes, the least possible is 8"),
        (file_of([signed_block(b"", 0)]), "has 0 bytes"),
        (file_of([signed_block(block_of(HEADER_ENTRY), 7)]), "unknown type 7"),
        (file_of([signed_block(block_of(HEADER_ENTRY, (), 0))]), "says it has 0 restarts"),
        (file_of([signed_block(block_of(HEADER_ENTRY, count=0xFFFFFFFF))]), "says it has 4294967295 restarts"),
        (file_of([signed_block(block_of(HEADER_ENTRY, (4,)))]), "restarts of a block are not in order"),
        (file_of([signed_block(block_of(HEADER_ENTRY, (0, 0)))]), "restarts of a block are not in order"),
        (file_of([signed_block(block_of(HEADER_ENTRY, (0, 9999)))]), "restarts of a block are not in order"),
        (file_of([signed_block(block_of(b"\x01\x01\0a"))]), "shares 1 bytes with the last, where 0 are"),
        (file_of([signed_block(block_of(b"\0\x01\0a\x05\x01\0b"))]), "shares 5 bytes with the last, where 1 are"),
        (
            file_of([signed_block(block_of(b"\0\x01\0a\x01\x01\0b", (0, 4)))]),
            "shares 1 bytes with the last, where 0 are",
        ),
        (file_of([signed_block(block_of(b"\0\x7f\0a"))]), "an entry of 127 bytes is longer"),
        (file_of([signed_block(block_of(b"\0\x00\x7fa"))]), "an entry of 127 bytes is longer"),
        (file_of([signed_block(block_of(b"\0\x01\0a\0\x01\0a"))]), "keys are not in order"),
        (file_of([signed_block(block_of(b"\0\x01\0b\0\x01\0a"))]), "keys are not in order"),
        (file_of([FIRST, FIRST]), "keys are not in order"),
        (file_of([signed_block(b"\xff\xff\xff\xff\x0f\0", 1)]), "says it holds 4294967295"),
        (file_of([signed_block(b"\x80\x80\x80\x20" + bytes(100), 1)]), "says it holds 67108864"),
    ],
)
def test_a_table_that_cannot_be_is_refused_by_name(tmp_path, content, complaint):
    path = tmp_path / "hostile.index"
    path.write_bytes(content)
    with pytest.raises(CorruptFileError, match=f"hostile.index.*({complaint})"):
        table_of(path)


def test_keys_that_share_more_than_memory_holds_are_refused(tmp_path):
    prefix = b"k" * 100_000
    sharing = b"".join(encode_varint(len(prefix) + n) + b"\x01\0a" for n in range(10_000))
    entries = b"\0" + encode_varint(len(prefix)) + b"\0" + prefix + sharing
    path = tmp_path / "hostile.index"
    path.write_bytes(file_of([signed_block(block_of(entries))]))
    with pytest.raises(CorruptFileError, match="holds more than any checkpoint's index"):
        table_of(path)


@pytest.mark.parametrize(
    ("bound", "complaint"), [("_MAX_ENTRIES", "holds more than any"), ("_MAX_BLOCK_BYTES", "does not fit")]
)
def test_a_table_beyond_all_bounds_is_refused(tmp_path, monkeypatch, bound, complaint):
    path = tmp_path / "great.index"
    path.write_bytes(file_of([FIRST, signed_block(block_of(b"\0\x01\0a\x01\x01\0b"))]))
    monkeypatch.setattr(f"electra_convert.formats.tf_bundle.table.{bound}", 2)
    with pytest.raises(CorruptFileError, match=complaint):
        table_of(path)


def test_a_compressed_table_is_read(tmp_path):
    entries = dict(keys_and_values(200, lambda number: b"name/%05d" % number, b"value"))
    path = tmp_path / "compressed.index"
    path.write_bytes(compressed_table(entries))
    assert path.stat().st_size < 2000
    assert table_of(path) == entries
