"""Which tokens are of one word: with every tokenizer, in scripts with spaces and without."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest
from conftest import FIXTURES
from hypothesis import given
from hypothesis import strategies as st
from support.other_tokenizers import save_bpe, save_unigram
from tokenizers import Tokenizer

from electra_convert.errors import CorpusError, VocabularyError
from electra_convert.pretraining.corpus.cache import open_corpus
from electra_convert.pretraining.corpus.counted import count_tokens
from electra_convert.pretraining.corpus.documents import lines_of_corpus
from electra_convert.pretraining.corpus.files import corpus_files
from electra_convert.pretraining.corpus.sequences import Tokenisation
from electra_convert.pretraining.corpus.vocabulary import encoder, read_word_pieces, train_word_pieces
from electra_convert.pretraining.corpus.whole_words import CONTINUES, Marker, Words, read_words
from electra_convert.tokenizer.of_checkpoint import TokenizerOptions
from electra_convert.tokenizer.saved import read_saved_tokenizer

RECORDS = sorted((FIXTURES / "pretraining" / "tfrecords").glob("*.tfrecord-*"))
LINES = ["return the unbelievable objects, of the class.", "el gato canta en la casa"] * 4


@pytest.fixture(scope="module")
def pieces():
    return read_word_pieces(TokenizerOptions(vocab=FIXTURES / "vocab.txt"), None)


def words_of(made, line, words=Words()):  # noqa: B008 - frozen
    """The tokens of a line, word by word."""
    [ids] = encoder(made.definition, Marker(words))([line])
    tokens = Tokenizer.from_str(made.definition).encode(line, add_special_tokens=False).tokens
    assert len(tokens) == len(ids)
    grouped: list[list[str]] = []
    for token, one in zip(tokens, ids, strict=True):
        if one & CONTINUES:
            grouped[-1].append(token)
        else:
            grouped.append([token])
    return grouped


def test_in_prose_they_are_the_pieces_that_google_marks(pieces):
    """BERT's whole words are a piece and those with ## after it (create_pretraining_data.py)."""
    lines = list(lines_of_corpus(corpus_files([FIXTURES / "corpus"])))
    marked, plain = encoder(pieces.definition, Marker(Words()))(lines), encoder(pieces.definition)(lines)
    continuing = pieces.continuing
    for ids, alone in zip(marked, plain, strict=True):
        assert [one & ~CONTINUES for one in ids] == alone
        assert [one >= CONTINUES for one in ids] == [one in continuing for one in alone]


@pytest.mark.parametrize("save", [save_bpe, save_unigram])
def test_with_other_tokenizers_they_are_what_stands_between_spaces_and_signs(tmp_path, save):
    made = read_saved_tokenizer(save(tmp_path / "any", LINES))
    for line in LINES[:2]:
        found = ["".join(group).strip("Ġ▁") for group in words_of(made, line)]
        assert found == line.replace(",", " ,").replace(".", " .").split()


@given(line=st.text(st.sampled_from("aé鳥春。, -\t\u3000"), min_size=1, max_size=20))
def test_a_character_is_of_the_word_that_splitting_gives(line):
    numbers = Marker(Words()).numbers(line)
    signs = [index for index, one in enumerate(line) if one in "。,-"]
    spaced = "".join(f" {one} " if index in signs else one for index, one in enumerate(line))
    letters = [number for number, one in zip(numbers, line, strict=True) if not one.isspace()]
    expected = [number for number, word in enumerate(spaced.split()) for _ in word]
    assert np.array_equal(np.unique(letters, return_inverse=True)[1], expected)


def test_ideographs_are_words_as_spaces_separate_them_or_as_they_are_listed():
    spaced = "東京 大学 の 鳥"
    made = train_word_pieces(lambda: [spaced] * 4, 60, TokenizerOptions())
    assert words_of(made, spaced) == [["東", "京"], ["大", "学"], ["の"], ["鳥"]]
    listed = Words(frozenset(["東京", "大学", "学の"]))
    assert words_of(made, "東京大学の鳥春", listed) == [["東", "京"], ["大", "学"], ["の"], ["鳥"], ["[UNK]"]]
    characters = count_tokens(lambda: [spaced], "characters", 60, False)
    assert words_of(characters, "東京大学の鳥", listed) == [["東", "京"], ["大", "学"], ["の"], ["鳥"]]
    assert words_of(characters, spaced) == [["東", "京"], ["大", "学"], ["の"], ["鳥"]]


def test_a_word_that_is_not_listed_stays_one_unless_it_is_of_ideographs():
    line = "tokyo東京鳥鳥 สวัสดีครับ"
    numbered = list(zip(Marker(Words(frozenset(["東京", "สวัสดี"]))).numbers(line), line, strict=True))
    groups = ["".join(one for _, one in group) for _, group in groupby(numbered, key=lambda pair: pair[0])]
    assert groups == ["tokyo", "東京", "鳥", "鳥", " สวัสดี", "ครับ"]


def test_a_list_of_words_may_have_counts_and_must_have_words(tmp_path):
    place = tmp_path / "words.txt"
    place.write_text("東京 120\n\n大学\tnoun\n", encoding="utf-8-sig")
    assert read_words(place).listed == {"東京", "大学"}
    place.write_bytes("東京\n".encode("gb18030"))
    with pytest.raises(VocabularyError, match=r"words.txt is not UTF-8"):
        read_words(place)
    place.write_text("\n")
    with pytest.raises(VocabularyError, match="has no words"):
        read_words(place)


@pytest.mark.parametrize("split", [False, True])
def test_a_cache_keeps_the_words_beside_the_same_ids(tmp_path, pieces, split):
    files = corpus_files([FIXTURES / "corpus"])
    plain = open_corpus(files, Tokenisation(pieces, 32, True, split), tmp_path, None)
    known = open_corpus(files, Tokenisation(pieces, 32, True, split, Words()), tmp_path, None)
    everything = np.arange(len(plain))
    alone, together = plain.read(everything), known.read(everything)
    np.testing.assert_array_equal(alone.input_ids, together.input_ids)
    np.testing.assert_array_equal(together.continues, np.isin(alone.input_ids, list(pieces.continuing)))
    assert plain.record.unknown == known.record.unknown
    assert plain.record.key != known.record.key


def test_tfrecords_know_their_words_by_their_pieces(tmp_path, pieces):
    records = corpus_files(RECORDS)
    corpus = open_corpus(records, Tokenisation(pieces, 128, True, words=Words()), tmp_path, None)
    inputs = corpus.read(np.arange(len(corpus)))
    np.testing.assert_array_equal(inputs.continues, np.isin(inputs.input_ids, list(pieces.continuing)))


def test_tfrecords_of_a_tokenizer_that_marks_no_words_are_refused(tmp_path):
    made = read_saved_tokenizer(save_bpe(tmp_path / "bpe", LINES))
    records = corpus_files(RECORDS)
    with pytest.raises(CorpusError, match="nothing tells where words end with this tokenizer"):
        open_corpus(records, Tokenisation(made, 128, True, words=Words()), tmp_path / "cache", None)
