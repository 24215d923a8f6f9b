"""TFRecords of build_pretraining_dataset.py are read as TensorFlow reads them, and damage is named."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from conftest import FIXTURES
from crc32c import crc32c
from hypothesis import given
from hypothesis import strategies as st

from electra_convert.errors import CorruptFileError
from electra_convert.formats.wire import encode_content, encode_varint, mask
from electra_convert.pretraining.corpus.sequences import read_examples
from electra_convert.pretraining.corpus.tfrecords import is_tfrecords, read_tfrecords

FOLDER = FIXTURES / "pretraining" / "tfrecords"
FILES = sorted(FOLDER.glob("*.tfrecord-*"))
DECODED = np.load(FOLDER / "decoded.npz")


def frame(record: bytes) -> bytes:
    header = struct.pack("<Q", len(record))
    return header + struct.pack("<I", mask(crc32c(header))) + record + struct.pack("<I", mask(crc32c(record)))


def example(packed: bool = True, **lists: list[int]) -> bytes:
    entries = b""
    for name, values in lists.items():
        varints = [encode_varint(value & (1 << 64) - 1) for value in values]
        body = encode_content(1, b"".join(varints)) if packed else b"".join(b"\x08" + one for one in varints)
        entries += encode_content(1, encode_content(1, name.encode()) + encode_content(2, encode_content(3, body)))
    return encode_content(1, entries)


def written(path, *records: bytes):
    path.write_bytes(b"".join(map(frame, records)))
    return path


def test_the_files_are_read_as_tensorflow_reads_them():
    found = [record for path in FILES for record in read_tfrecords(path)]
    for name in ("input_ids", "input_mask", "segment_ids"):
        np.testing.assert_array_equal(np.stack([record[name] for record in found]), DECODED[name])


def test_examples_are_the_records_without_their_padding():
    found = [one for path in FILES for one in read_examples(path)]
    for one, ids, present, segments in zip(
        found, DECODED["input_ids"], DECODED["input_mask"], DECODED["segment_ids"], strict=True
    ):
        assert one.ids == ids[present > 0].tolist()
        assert len(one.ids) - one.first == segments.sum()


@given(
    values=st.lists(st.integers(0, (1 << 63) - 1), max_size=30),
    packed=st.booleans(),
)
def test_any_integers_are_read_packed_or_not(tmp_path_factory, values, packed):
    path = tmp_path_factory.getbasetemp() / "any.tfrecord"
    written(path, example(packed, input_ids=values, input_mask=values, segment_ids=values))
    [record] = read_tfrecords(path)
    assert record["input_ids"].tolist() == values


def test_a_text_is_no_tfrecord_file(tmp_path):
    (tmp_path / "text").write_text("Los pájaros están cantando en el jardín.\n")
    assert not is_tfrecords(tmp_path / "text")
    assert all(map(is_tfrecords, FILES))


@pytest.mark.parametrize("position", range(0, 1221, 61))
def test_a_damaged_byte_is_found_wherever_it_is(tmp_path, position):
    data = bytearray(FILES[2].read_bytes())
    data[position] ^= 0x40
    (tmp_path / "damaged").write_bytes(data)
    with pytest.raises(CorruptFileError, match=r"damaged (has a|is cut short)"):
        list(read_tfrecords(tmp_path / "damaged"))


@pytest.mark.parametrize("length", [1, 11, 12, 100, 1220])
def test_a_file_cut_short_is_found(tmp_path, length):
    (tmp_path / "short").write_bytes(FILES[2].read_bytes()[:length])
    with pytest.raises(CorruptFileError, match="short is cut short"):
        list(read_tfrecords(tmp_path / "short"))


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (example(input_ids=[1], input_mask=[1]), "record 0: expected input_ids, input_mask, segment_ids"),
        (example(input_ids=[1], input_mask=[1], segment_ids=[0, 0]), "found input_ids of 1, .* segment_ids of 2"),
        (b"", "found nothing"),
        (encode_content(1, b"\xff"), "record 0 is damaged"),
        (
            encode_content(1, encode_content(1, encode_content(2, encode_content(3, encode_content(1, b"\x80"))))),
            "does not end with one",
        ),
    ],
)
def test_records_of_another_kind_are_refused(tmp_path, record, said):
    with pytest.raises(CorruptFileError, match=said):
        list(read_tfrecords(written(tmp_path / "other", record)))


@pytest.mark.parametrize(
    ("present", "segments"),
    [([1, 0, 1], [0, 0, 0]), ([1, 1, 0], [0, 1, 1]), ([1, 1, 1], [1, 0, 0]), ([0, 0, 0], [0, 0, 0])],
)
def test_padding_elsewhere_than_at_the_end_is_refused(tmp_path, present, segments):
    path = written(tmp_path / "odd", example(input_ids=[2, 5, 3], input_mask=present, segment_ids=segments))
    with pytest.raises(CorruptFileError, match="two segments and then padding"):
        list(read_examples(path))
