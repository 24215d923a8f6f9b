"""What was really replaced, against what the discriminator says: hits, misses, false alarms, and figures of many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from electra_convert.demo.scores import ScoredText
from electra_convert.demo.texts import EncodedText

Outcome = Literal["hit", "miss", "false alarm", "passed"]


@dataclass(frozen=True)
class Truth:
    """What is known of a text: for each of its scored tokens whether it was replaced."""

    replaced: tuple[bool, ...]


@dataclass(frozen=True)
class Evaluation:
    """How well the discriminator tells replaced tokens from original ones; None where a figure has no meaning.

    Attributes:
        tokens: how many were judged.
        replaced: how many of them really were replaced.
        accuracy: the share judged rightly.
        precision: of those called replaced, the share that was.
        recall: of those replaced, the share called so.
        auc: the probability that a replaced token scores higher than an original one, ties counted half.
    """

    tokens: int
    replaced: int
    accuracy: float | None
    precision: float | None
    recall: float | None
    auc: float | None


def outcome(called: bool, replaced: bool) -> Outcome:
    """Name what became of one token.

    Args:
        called: whether the discriminator calls it replaced.
        replaced: whether it was.

    Returns:
        "hit", "miss", "false alarm", or "passed" for an original token that was let through.
    """
    if replaced:
        return "hit" if called else "miss"
    return "false alarm" if called else "passed"


def compare(original: EncodedText, edited: EncodedText) -> Truth:
    """Find the tokens of an edited text that are not in the original; words are compared whole.

    Args:
        original: the text as it was.
        edited: the text that is scored.

    Returns:
        For each token of the edited text, special ones left out, whether its word is new. What is only missing marks
        nothing.
    """
    before, after = _words(original), _words(edited)
    blocks = SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks()
    kept = {word for block in blocks for word in range(block.b, block.b + block.size)}
    return Truth(tuple(piece.word not in kept for piece in edited.pieces if not piece.special))


def _words(text: EncodedText) -> list[tuple[str, ...]]:
    """Each word as its pieces; an unknown one as it is spelt, since two of these need not be equal."""
    words = []
    for _, group in groupby(text.pieces, key=lambda piece: piece.word):
        pieces = list(group)
        spelt = text.text[pieces[0].start : pieces[-1].end]
        words.append(tuple(spelt if piece.text == "[UNK]" else piece.text for piece in pieces))
    return words


def evaluate(scored: Sequence[tuple[ScoredText, Truth]], threshold: float) -> Evaluation:
    """Compare what the discriminator says of some texts with what is known of them.

    Args:
        scored: texts, and the truth of each.
        threshold: a token is called replaced where its probability is higher.

    Returns:
        The figures over all tokens.
    """
    tokens = [token for text, _ in scored for token in text.tokens]
    probabilities = np.array([token.probability for token in tokens], np.float64)
    replaced = np.array([value for _, truth in scored for value in truth.replaced], bool)
    called = probabilities > threshold
    right = int((called & replaced).sum())
    return Evaluation(
        tokens=len(tokens),
        replaced=int(replaced.sum()),
        accuracy=_share(int((called == replaced).sum()), len(tokens)),
        precision=_share(right, int(called.sum())),
        recall=_share(right, int(replaced.sum())),
        auc=_auc(probabilities, replaced),
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _auc(probabilities: NDArray[np.float64], replaced: NDArray[np.bool_]) -> float | None:
    """The area under the ROC curve is Mann and Whitney's U over the number of pairs."""
    positive = int(replaced.sum())
    negative = len(replaced) - positive
    if not positive or not negative:
        return None
    _, place, counts = np.unique(probabilities, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return float((ranks[replaced].sum() - positive * (positive + 1) / 2) / (positive * negative))
