"""What becomes [UNK] is counted in letters, named with its cure, and refused where it is most of a corpus."""

from __future__ import annotations

from functools import partial

import pytest
from conftest import FIXTURES

from electra_convert.errors import CorpusError
from electra_convert.pretraining.corpus.cache import open_corpus, require_usable
from electra_convert.pretraining.corpus.files import corpus_files
from electra_convert.pretraining.corpus.sequences import Tokenisation
from electra_convert.pretraining.corpus.vocabulary import read_word_pieces, train_word_pieces
from electra_convert.tokenizer.of_checkpoint import TokenizerOptions

PROSE = "the birds sing and the cat sleeps"


def opened(tmp_path, text, pieces, split=False):
    (tmp_path / "text.txt").write_text(text)
    how = Tokenisation(pieces, 32, True, split)
    return open_corpus(
        corpus_files([tmp_path / "text.txt"]), how, tmp_path / "cache", None, partial(require_usable, pieces)
    )


def trained(text, longest=200):
    options = TokenizerOptions(max_word_length=longest)
    return train_word_pieces(lambda: text.split("\n"), 60, options)


@pytest.mark.parametrize("split", [False, True])
def test_letters_of_words_that_are_too_long_are_counted(tmp_path, split):
    """Of 201 letters and 300, not of 200, and not of 250 with a hyphen in the middle."""
    words = ["a" * 200, "b" * 201, "c" * 300, "d" * 125 + "-" + "e" * 125]
    text = "\n".join([f"{PROSE} {word}" for word in words] + [PROSE] * 20)
    assert opened(tmp_path, text, trained(text), split).record.lost.overlong_words == 501


@pytest.mark.parametrize(("longest", "lost"), [(200, 250), (250, 0), (300, 0), (100, 250)])
def test_words_may_be_as_long_as_max_word_length(tmp_path, longest, lost):
    text = f"{PROSE} {'ab' * 125}\n" + f"{PROSE}\n" * 20
    record = opened(tmp_path, text, trained(text, longest)).record
    assert record.lost.overlong_words == lost
    assert record.unknown == bool(lost)


def test_a_corpus_of_long_words_is_refused_with_its_share_in_letters(tmp_path):
    proteins = "\n".join("MKVLAAGIWY" * count for count in (9, 25, 30, 36))
    with pytest.raises(CorpusError, match=r"910 of 1,000 letters \(91%\) stand in words of more than 200") as raised:
        opened(tmp_path, proteins, trained(proteins))
    assert "--tokenizer characters" in raised.value.hint
    assert "max_word_length" in raised.value.hint


def test_a_corpus_that_is_mostly_unknown_is_refused_with_another_tokenizer_named(tmp_path):
    items = "\n".join(f"item_{number} click:buy item_{number + 1}" for number in range(100))
    with pytest.raises(CorpusError, match="94% of the tokens of the corpus are") as raised:
        opened(tmp_path, f"{items} birds\n" + "birds " * 20, _of_birds(tmp_path))
    assert "--tokenizer whitespace" in raised.value.hint


def _of_birds(tmp_path):
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nbirds\n")
    return read_word_pieces(TokenizerOptions(vocab=tmp_path / "vocab.txt"), None)


def test_nothing_is_counted_where_words_fit(tmp_path):
    pieces = read_word_pieces(TokenizerOptions(vocab=FIXTURES / "vocab.txt"), None)
    assert opened(tmp_path, (FIXTURES / "corpus" / "english.txt").read_text(), pieces).record.lost.overlong_words == 0
