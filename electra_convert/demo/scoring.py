"""What the discriminator says of a text: of each token and word how likely it was replaced, and where it stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from electra_convert.demo.evaluation import Mark, MarkedText, Unit
from electra_convert.demo.html import scores_page
from electra_convert.demo.text import EncodedText, Piece
from electra_convert.pages import framed

_SHOWN = 40  # characters of a text in its repr


@dataclass(frozen=True)
class Token:
    """A token and how likely it was replaced.

    Attributes:
        piece: as the vocabulary writes it, such as ##ing.
        text: what stands there in the original text.
        start: where that begins, in characters (code points).
        end: where it ends.
        probability: that it was replaced, the sigmoid of the discriminator's logit.
        word: the number of the word it is part of.
        replaced: whether it was, where that is known.
        before: the piece that stood there, where the generator put this one in.
    """

    piece: str
    text: str
    start: int
    end: int
    probability: float
    word: int
    replaced: bool | None = None
    before: str | None = None


@dataclass(frozen=True)
class Word:
    """A word; as likely replaced as the most suspicious of its tokens.

    Attributes:
        text: what stands there in the original text.
        start: where it begins, in characters (code points).
        end: where it ends.
        probability: the highest of its tokens'.
    """

    text: str
    start: int
    end: int
    probability: float


@dataclass(frozen=True, repr=False)
class ScoredText:
    """What the discriminator says of a text; special tokens are left out.

    Attributes:
        text: the text as it was given.
        tokens: in their order.
        windows: in how many overlapping parts the model was given it; 1 where it fits.
    """

    text: str
    tokens: tuple[Token, ...]
    windows: int = 1

    @cached_property
    def words(self) -> tuple[Word, ...]:
        """The words, in their order."""
        return tuple(Word(mark.name, mark.start, mark.end, mark.probability) for mark in self.marked("word").marks)

    def marked(self, unit: Unit = "token", threshold: float = 0.5) -> MarkedText:
        """Mark each token, or each word, as replaced whose probability is above a threshold."""
        words = groupby(self.tokens, key=lambda token: token.word)
        groups = [[token] for token in self.tokens] if unit == "token" else [list(group) for _, group in words]
        marks = tuple(_mark(self.text, group, unit, threshold) for group in groups)
        return MarkedText(self.text, unit, marks, self.windows)

    def __repr__(self) -> str:
        shown = self.text if len(self.text) <= _SHOWN else f"{self.text[: _SHOWN - 1]}…"
        called = sum(token.probability > 0.5 for token in self.tokens)
        return f"<ScoredText {shown!r}: {called} of {len(self.tokens)} tokens called replaced>"

    def _repr_html_(self) -> str:
        """What a notebook shows: the page that `demo --html` writes."""
        return framed(scores_page([self.marked()], 0.5))


class ScoredTexts(list[ScoredText]):
    """Scored texts, in their order; a notebook shows them as one page."""

    def _repr_html_(self) -> str | None:
        return framed(scores_page([one.marked() for one in self], 0.5)) if self else None


def scored_text(text: EncodedText, probabilities: Sequence[float], windows: int) -> ScoredText:
    """Give each piece of a text its probability; windows is in how many parts the model was given it."""
    tokens = (
        _token(text.text, piece, probability)
        for piece, probability in zip(text.pieces, probabilities, strict=True)
        if not piece.special
    )
    return ScoredText(text.text, tuple(tokens), windows)


def _token(text: str, piece: Piece, probability: float) -> Token:
    there = text[piece.start : piece.end]
    return Token(piece.text, there, piece.start, piece.end, probability, piece.word, piece.replaced, piece.before)


def _mark(text: str, tokens: Sequence[Token], unit: Unit, threshold: float) -> Mark:
    start, end = min(token.start for token in tokens), max(token.end for token in tokens)
    probability = max(token.probability for token in tokens)
    known = [token.replaced for token in tokens if token.replaced is not None]
    before = [token.before for token in tokens if token.before is not None]
    there, piece = text[start:end], tokens[0].piece
    return Mark(
        name=there if unit == "word" else f"[UNK] {there}" if piece == "[UNK]" else piece,
        start=start,
        end=end,
        probability=probability,
        called=probability > threshold,
        replaced=any(known) if known else None,
        before=" ".join(before) or None,
    )


def sigmoid(logits: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Turn logits into probabilities.

    In float64, so that a probability is above one half exactly where the logit is above zero: Google's decision,
    round((sign(logits) + 1) / 2) in run_pretraining.py, is then the threshold 0.5.
    """
    return 0.5 * (1.0 + np.tanh(0.5 * logits.astype(np.float64)))
