"""A corpus is tokenised once, into files that hold just what packing gives; batches follow from the seed alone."""

from __future__ import annotations

import gzip
import json
import os
import shutil

import numpy as np
import pytest
from conftest import FIXTURES

from electra_convert.config.hparams import Hparams
from electra_convert.errors import CorpusError, CorruptFileError, VocabularyError
from electra_convert.pretraining import prepare as preparation
from electra_convert.pretraining.batches import Batches
from electra_convert.pretraining.corpus import cache as caches
from electra_convert.pretraining.corpus import tokenising
from electra_convert.pretraining.corpus.cache import open_corpus
from electra_convert.pretraining.corpus.text import corpus_files, read_lines
from electra_convert.pretraining.corpus.tokenising import Tokenisation, make_builder
from electra_convert.pretraining.corpus.vocabulary import encoder, read_word_pieces, train_word_pieces
from electra_convert.pretraining.settings import training_settings

CORPUS = FIXTURES / "corpus"
RECORDS = FIXTURES / "pretraining" / "tfrecords"


@pytest.fixture(scope="module")
def pieces():
    return read_word_pieces(FIXTURES / "vocab.txt", None, None, None)


def opened(place, cache, pieces, length=32, blank_lines=True):
    return open_corpus(corpus_files([place]), Tokenisation(pieces, length, blank_lines), cache, None)


def test_a_cache_holds_what_packing_the_lines_gives(tmp_path, pieces):
    corpus = opened(CORPUS, tmp_path, pieces)
    encode = encoder(pieces.definition)
    builder = make_builder(Tokenisation(pieces, 32, True))
    expected = []
    for path in corpus_files([CORPUS]):
        expected += [builder.add(encode([line])[0]) if line else builder.finish() for line in read_lines(path)]
        expected.append(builder.finish())
    expected = [example for example in expected if example]
    assert len(corpus) == len(expected)
    assert corpus.record.trimmed == builder.trimmed
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
    lines = [line for path in corpus_files([CORPUS]) for line in read_lines(path)]
    (tmp_path / "long.txt").write_text("\n".join([" ".join(lines[:200]), "", lines[200], " ".join(lines[201:])]))
    whole = opened(tmp_path / "long.txt", tmp_path / "whole", pieces)
    longest = []

    def encoding(definition):
        encode = encoder(definition)
        return lambda block: longest.append(max(map(len, block))) or encode(block)

    monkeypatch.setattr(tokenising, "encoder", encoding)
    monkeypatch.setattr(tokenising, "_PART_LETTERS", 40)
    monkeypatch.setattr(tokenising, "_BLOCK_LETTERS", 300)
    parts = opened(tmp_path / "long.txt", tmp_path / "parts", pieces)
    assert max(longest) < 80 < len(longest)
    assert parts.record == whole.record
    everything = np.arange(len(whole))
    np.testing.assert_array_equal(parts.read(everything).input_ids, whole.read(everything).input_ids)


def test_records_are_read_into_a_cache_as_tensorflow_reads_them(tmp_path, pieces):
    files = [path for path in corpus_files([RECORDS]) if "tfrecord-" in path.name]
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


# Batches


def batches(corpus, pieces, seed=0, held_out=0.1, **hparams):
    settings = training_settings(Hparams({"max_seq_length": 32, "train_batch_size": 16, **hparams}, "test"))
    return Batches(corpus, pieces.vocabulary.ids, settings, seed, held_out)


def sequences(batch):
    return [tuple(row) for row in batch.inputs.input_ids.tolist()]


def test_an_epoch_has_every_sequence_once_and_never_one_that_is_held_out(tmp_path, pieces):
    corpus = opened(CORPUS, tmp_path, pieces)
    made = batches(corpus, pieces, train_batch_size=8, eval_batch_size=4)
    trained, held_out = made.sequences
    assert trained + held_out == len(corpus)
    assert held_out == round(0.1 * len(corpus))
    seen = [one for step in range(-(-2 * trained // 8)) for one in sequences(made.training(step, slice(None)))]
    everything = sorted(tuple(row) for row in corpus.read(np.arange(len(corpus))).input_ids.tolist())
    kept = [one for batch in made.evaluation() for one in sequences(batch)]
    assert sorted(seen[:trained] + kept) == everything
    assert sorted(seen[trained : 2 * trained] + kept) == everything
    assert seen[:trained] != seen[trained : 2 * trained]


def test_a_seed_gives_the_same_batches_and_another_gives_others(tmp_path, pieces):
    corpus = opened(CORPUS, tmp_path, pieces)
    one, same, other = (batches(corpus, pieces, seed).training(7, slice(None)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.masked_ids, same.masked_ids)
    np.testing.assert_array_equal(one.sample, same.sample)
    assert sequences(one) != sequences(other)


def test_the_parts_of_a_batch_are_the_batch(tmp_path, pieces):
    made = batches(opened(CORPUS, tmp_path, pieces), pieces)
    whole = made.training(3, slice(None))
    parts = [made.training(3, slice(first, first + 4)) for first in range(0, 16, 4)]
    for name in ("masked_ids", "positions", "weights", "sample"):
        np.testing.assert_array_equal(np.concatenate([getattr(part, name) for part in parts]), getattr(whole, name))


def test_a_batch_may_be_larger_than_the_corpus(tmp_path, pieces):
    corpus = opened(CORPUS / "english.txt", tmp_path, pieces)
    made = batches(corpus, pieces, train_batch_size=3 * len(corpus))
    assert len(made.training(1, slice(None)).masked_ids) == 3 * len(corpus)


# Vocabularies


def lines():
    return (line for path in corpus_files([CORPUS]) for line in read_lines(path))


@pytest.mark.parametrize(("lower_case", "strips"), [(None, None), (False, None), (True, False)])
def test_a_trained_vocabulary_is_the_same_every_time_and_covers_its_text(lower_case, strips):
    made = [train_word_pieces(lines, 700, lower_case, strips) for _ in range(3)]
    assert made[0].vocabulary.raw == made[1].vocabulary.raw == made[2].vocabulary.raw
    assert len(made[0].vocabulary) == 700
    assert made[0].vocabulary.pieces[:5] == ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    unknown = made[0].vocabulary.ids["[UNK]"]
    assert not any(unknown in ids for ids in encoder(made[0].definition)(list(lines())))
    assert any("á" in piece for piece in made[0].vocabulary.pieces) == (not made[0].strip_accents)
    assert any(piece.lower() != piece for piece in made[0].vocabulary.pieces[5:]) == (not made[0].lower_case)


def test_a_small_text_gives_a_small_vocabulary_and_says_so():
    made = train_word_pieces(lambda: ["el gato", "la gata"], 5000, None, None)
    assert len(made.vocabulary) < 50
    assert "not the 5000 that were asked for" in made.notices[0]


def test_special_tokens_are_not_known_inside_a_text(pieces):
    [ids] = encoder(pieces.definition)(["see [MASK] here"])
    assert not set(ids) & {pieces.vocabulary.ids[token] for token in ("[MASK]", "[CLS]", "[SEP]", "[PAD]")}


def test_a_tokenizers_folder_gives_its_own_casing(tmp_path, pieces):
    (tmp_path / "vocab.txt").write_bytes(pieces.vocabulary.raw)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True, "strip_accents": False}))
    found = read_word_pieces(tmp_path, None, None, None)
    assert (found.lower_case, found.strip_accents) == (True, False)


def test_linked_folders_are_searched_each_once(tmp_path):
    (tmp_path / "corpus" / "a").mkdir(parents=True)
    (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
    (tmp_path / "corpus" / "a" / "one.txt").write_text("one\n")
    (tmp_path / "elsewhere" / "deep" / "two.txt").write_text("two\n")
    (tmp_path / "corpus" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "corpus" / "again").symlink_to(tmp_path / "corpus")
    (tmp_path / "elsewhere" / "deep" / "around").symlink_to(tmp_path / "elsewhere")
    found = corpus_files([tmp_path / "corpus"])
    assert [str(path.relative_to(tmp_path / "corpus")) for path in found] == ["a/one.txt", "linked/deep/two.txt"]


def test_what_is_neither_file_nor_folder_is_refused_unless_hidden(tmp_path):
    (tmp_path / "text.txt").write_text("text\n")
    (tmp_path / ".hidden").symlink_to(tmp_path / "nowhere")
    assert corpus_files([tmp_path]) == (tmp_path / "text.txt",)
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    with pytest.raises(CorpusError, match="broken is a link that leads nowhere"):
        corpus_files([tmp_path])
    (tmp_path / "broken").unlink()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CorpusError, match="pipe is neither a file nor a folder"):
        corpus_files([tmp_path])


def lines_of_many_letters():
    return iter(["¿Qué están haciendo los pájaros? The birds sing, don't they: 鳥 が 歌う。"])


@pytest.mark.parametrize("size", [6, 8])
def test_a_vocabulary_too_small_for_its_letters_is_refused(size):
    with pytest.raises(VocabularyError, match="the special tokens and the commonest characters alone are"):
        train_word_pieces(lines_of_many_letters, size, False, False)


@pytest.mark.parametrize("size", [7, *range(9, 40)])
def test_a_trained_vocabulary_is_never_larger_than_was_asked_for(size):
    assert len(train_word_pieces(lines_of_many_letters, size, False, False).vocabulary) <= size


@pytest.mark.parametrize(("words", "cut"), [(8, False), (400, True)])
def test_a_corpus_of_lines_longer_than_sequences_is_told_how_much_is_cut(tmp_path, pieces, words, cut):
    (tmp_path / "text.txt").write_text(f"{'the bird ' * words}\n" * 50)
    told = preparation._corpus_notices(opened(tmp_path / "text.txt", tmp_path / "cache", pieces))
    assert any("write one sentence per line" in line for line in told) == cut
