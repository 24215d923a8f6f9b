"""A corpus is tokenised once, into files that hold just what packing gives."""

from __future__ import annotations

import gzip
import shutil

import numpy as np
import pytest
from conftest import FIXTURES

from electra_convert.errors import CorruptFileError
from electra_convert.pretraining.corpus import cache as caches
from electra_convert.pretraining.corpus import sequences
from electra_convert.pretraining.corpus.cache import open_corpus
from electra_convert.pretraining.corpus.documents import lines_of_corpus
from electra_convert.pretraining.corpus.files import corpus_files
from electra_convert.pretraining.corpus.packing import Line
from electra_convert.pretraining.corpus.sequences import Tokenisation, make_builder
from electra_convert.pretraining.corpus.vocabulary import encoder, read_word_pieces
from electra_convert.tokenizer.of_checkpoint import TokenizerOptions

CORPUS = FIXTURES / "corpus"
RECORDS = FIXTURES / "pretraining" / "tfrecords"


@pytest.fixture(scope="module")
def pieces():
    return read_word_pieces(TokenizerOptions(vocab=FIXTURES / "vocab.txt"), None)


def opened(place, cache, pieces, length=32, blank_lines=True):
    return open_corpus(corpus_files([place]), Tokenisation(pieces, length, blank_lines), cache, None)


def test_a_cache_holds_what_packing_the_lines_gives(tmp_path, pieces):
    corpus = opened(CORPUS, tmp_path, pieces)
    encode = encoder(pieces.definition)
    builder = make_builder(Tokenisation(pieces, 32, True))
    expected = []
    for file in corpus_files([CORPUS]):
        lines = lines_of_corpus([file])
        expected += [builder.add(Line(encode([line])[0], len(line))) if line else builder.finish() for line in lines]
        expected.append(builder.finish())
    expected = [example for example in expected if example]
    assert len(corpus) == len(expected)
    assert corpus.record.lost == builder.losses
    inputs = corpus.read(np.arange(len(corpus)))
    for row, example in enumerate(expected):
        length = len(example.ids)
        assert inputs.input_ids[row, :length].tolist() == example.ids
        assert not inputs.input_ids[row, length:].any()
        assert inputs.input_mask[row].sum() == length
        assert inputs.segment_ids[row].tolist() == [0] * example.first + [1] * (length - example.first) + [0] * (
            32 - length
        )


def test_long_lines_are_tokenised_in_parts_and_give_the_same_sequences(tmp_path, pieces, monkeypatch):
    lines = list(lines_of_corpus(corpus_files([CORPUS])))
    (tmp_path / "long.txt").write_text("\n".join([" ".join(lines[:200]), "", lines[200], " ".join(lines[201:])]))
    whole = opened(tmp_path / "long.txt", tmp_path / "whole", pieces)
    longest = []

    def encoding(definition, marker):
        encode = encoder(definition, marker)
        return lambda block: longest.append(max(map(len, block))) or encode(block)

    monkeypatch.setattr(sequences, "encoder", encoding)
    monkeypatch.setattr(sequences, "_PART_LETTERS", 40)
    monkeypatch.setattr(sequences, "_BLOCK_LETTERS", 300)
    parts = opened(tmp_path / "long.txt", tmp_path / "parts", pieces)
    assert max(longest) < 80 < len(longest)
    assert parts.record == whole.record
    everything = np.arange(len(whole))
    np.testing.assert_array_equal(parts.read(everything).input_ids, whole.read(everything).input_ids)


def test_records_are_read_into_a_cache_as_tensorflow_reads_them(tmp_path, pieces):
    files = corpus_files(sorted(RECORDS.glob("*tfrecord-*")))
    corpus = open_corpus(files, Tokenisation(pieces, 64, True), tmp_path, None)
    decoded = np.load(RECORDS / "decoded.npz")
    inputs = corpus.read(np.arange(len(corpus)))
    np.testing.assert_array_equal(inputs.input_ids, decoded["input_ids"])
    np.testing.assert_array_equal(inputs.input_mask, decoded["input_mask"])
    np.testing.assert_array_equal(inputs.segment_ids, decoded["segment_ids"])


def test_packed_files_give_the_same_sequences(tmp_path, pieces):
    plain, packed = tmp_path / "plain", tmp_path / "packed"
    shutil.copytree(CORPUS, plain)
    packed.mkdir()
    for path in plain.iterdir():
        (packed / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    first, second = opened(plain, tmp_path / "a", pieces), opened(packed, tmp_path / "b", pieces)
    everything = np.arange(len(first))
    np.testing.assert_array_equal(first.read(everything).input_ids, second.read(everything).input_ids)


def test_blank_lines_end_documents_unless_they_do_not(tmp_path, pieces):
    assert len(opened(CORPUS, tmp_path, pieces)) > len(opened(CORPUS, tmp_path, pieces, blank_lines=False))


def test_a_corpus_is_tokenised_once(tmp_path, pieces, monkeypatch):
    opened(CORPUS, tmp_path, pieces)
    monkeypatch.setattr(caches, "_make", None)
    opened(CORPUS, tmp_path, pieces)


@pytest.mark.parametrize("other", [{"length": 33}, {"blank_lines": False}])
def test_other_settings_and_other_text_are_other_caches(tmp_path, pieces, other):
    opened(CORPUS, tmp_path, pieces)
    opened(CORPUS, tmp_path, pieces, **other)
    opened(CORPUS / "english.txt", tmp_path, pieces)
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("name", ["tokens.bin", "examples.bin", "corpus.json"])
def test_a_damaged_cache_is_named(tmp_path, pieces, name):
    opened(CORPUS, tmp_path, pieces)
    [folder] = tmp_path.iterdir()
    (folder / name).write_bytes((folder / name).read_bytes()[:-7])
    with pytest.raises(CorruptFileError) as raised:
        opened(CORPUS, tmp_path, pieces)
    assert "Remove" in raised.value.hint


@pytest.mark.parametrize("name", ["tokens.bin", "examples.bin"])
def test_a_flipped_bit_in_a_cache_is_found(tmp_path, pieces, name):
    opened(CORPUS, tmp_path, pieces)
    [folder] = tmp_path.iterdir()
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 4
    (folder / name).write_bytes(content)
    with pytest.raises(CorruptFileError, match=rf"{name} does not have the checksum it was written with"):
        opened(CORPUS, tmp_path, pieces)


def test_a_cache_that_was_not_finished_is_not_there(tmp_path, pieces, monkeypatch):
    def broken(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(caches, "write_file", broken)
    with pytest.raises(KeyboardInterrupt):
        opened(CORPUS, tmp_path, pieces)
    assert list(tmp_path.iterdir()) == []
