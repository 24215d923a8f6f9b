"""What of a corpus the tokenizer makes [UNK] of: words longer than it takes, counted in letters, and its refusal."""

from __future__ import annotations

from collections.abc import Sequence

from electra_convert.errors import CorpusError
from electra_convert.pretraining.corpus.vocabulary import Pieces
from electra_convert.pretraining.corpus.whole_words import CONTINUES

_MOST = 0.5
WITHOUT_LONG_WORDS = (
    "--tokenizer characters makes each letter a token; the hparam max_word_length lets words be longer."
)


class LongWords:
    """Counts the letters of words that are longer than a tokenizer takes, each of which is one [UNK]."""

    def __init__(self, pieces: Pieces) -> None:
        from tokenizers import Tokenizer

        unknown = pieces.special_ids.get("[UNK]", -1)
        self._longest, self._unknown = pieces.longest_word, frozenset((unknown, unknown | CONTINUES))
        self._splitting = Tokenizer.from_str(pieces.definition) if self._longest else None

    def letters(self, lines: Sequence[str], encoded: Sequence[Sequence[int]]) -> int:
        """How many letters of some lines stand in such words."""
        longest = self._longest
        if longest is None:
            return 0
        # Lines without [UNK] have none, and words are looked at closely only where there may be one.
        return sum(
            self._of_word(word)
            for line, ids in zip(lines, encoded, strict=True)
            if len(line) > longest and not self._unknown.isdisjoint(ids)
            for word in line.split()
            if len(word) > longest
        )

    def _of_word(self, word: str) -> int:
        """The letters of those of its parts that punctuation and the like leave too long."""
        assert self._splitting is not None
        assert self._longest is not None
        normalizer, splitter = self._splitting.normalizer, self._splitting.pre_tokenizer
        text = word if normalizer is None else normalizer.normalize_str(word)
        parts = [text] if splitter is None else [part for part, _ in splitter.pre_tokenize_str(text)]
        return sum(len(part) for part in parts if len(part) > self._longest)


def require_known(long_letters: int, letters: int, unknown: int, tokens: int, pieces: Pieces) -> None:
    """Refuse a corpus most of which is [UNK].

    Args:
        long_letters: how many letters stand in words that are too long.
        letters: how many there are.
        unknown: how many tokens are [UNK].
        tokens: how many there are, without special ones.

    Raises:
        CorpusError: more than half of it is.
    """
    if long_letters > _MOST * letters:
        told = told_of_long_words(long_letters, letters, pieces)
        raise CorpusError(f"most of the corpus would become [UNK]: {told}", WITHOUT_LONG_WORDS)
    if unknown > _MOST * tokens:
        raise CorpusError(
            f"{unknown / tokens:.0%} of the tokens of the corpus are [UNK]",
            "Is the vocabulary, or its casing, the corpus's? WordPiece also splits at signs such as _ and :; for ids "
            "of items and the like, --tokenizer whitespace takes each word between spaces for one token.",
        )


def told_of_long_words(long_letters: int, letters: int, pieces: Pieces) -> str:
    """How much of a corpus stands in words that are too long."""
    share = 100 * long_letters / max(1, letters)
    percent = f"{share:.0f}%" if share >= 10 else f"{share:.2g}%"
    return (
        f"{long_letters:,} of {letters:,} letters ({percent}) stand in words of more "
        f"than {pieces.longest_word} letters, which are one [UNK] each"
    )
