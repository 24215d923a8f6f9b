"""What the generator would put in a text's masked places; draws nothing, replaces nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_SHOWN = 3  # candidates of a mask in its repr


@dataclass(frozen=True)
class Candidate:
    """What the generator would put in a place: a piece of the vocabulary, and its probability."""

    piece: str
    probability: float


@dataclass(frozen=True, repr=False)
class Filling:
    """What the generator would put where a [MASK] is.

    Attributes:
        start: where the mask begins in the text, in characters (code points).
        end: where it ends.
        candidates: the likeliest first.
    """

    start: int
    end: int
    candidates: tuple[Candidate, ...]

    def __repr__(self) -> str:
        shown = [f"{one.piece!r} {one.probability:.1%}" for one in self.candidates[:_SHOWN]]
        rest = ["…"] if len(self.candidates) > _SHOWN else []
        return f"<Filling of characters {self.start} to {self.end}: {', '.join(shown + rest)}>"


def softmax(logits: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Turn the logits of one place into probabilities, in float64."""
    powers = np.exp(logits.astype(np.float64) - logits.max())
    return np.asarray(powers / powers.sum())


def likeliest(tokenizer: Tokenizer, logits: NDArray[np.float32], count: int | None = None) -> tuple[Candidate, ...]:
    """Name what is put in a place, of which logits has one for each row of the vocabulary, the likeliest first."""
    return tuple(islice(_candidates(tokenizer, logits), count))


def likeliest_words(
    tokenizer: Tokenizer, logits: NDArray[np.float32], special: frozenset[str], count: int
) -> tuple[Candidate, ...]:
    """As likeliest, without special tokens and pieces that only continue a word."""
    named = _candidates(tokenizer, logits)
    words = (one for one in named if one.piece not in special and not one.piece.startswith("##"))
    return tuple(islice(words, count))


def _candidates(tokenizer: Tokenizer, logits: NDArray[np.float32]) -> Iterator[Candidate]:
    probabilities = softmax(logits)
    for row in np.argsort(-probabilities, kind="stable"):
        piece = tokenizer.id_to_token(int(row))
        # Rows that pad the vocabulary have no piece.
        if piece is not None:
            yield Candidate(piece, float(probabilities[row]))
