"""What was really replaced, against what the discriminator says: hits, misses, false alarms, and figures of many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby, takewhile
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from electra_convert.demo.scoring import ScoredText
from electra_convert.demo.text import EncodedText

Outcome = Literal["hit", "miss", "false alarm", "passed"]
_Word = tuple[str, ...]
# Matching takes the square of it: two texts of the longest kind, with nothing in common, would take minutes.
_LONGEST_MATCHED = 2_000  # words


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
    first = _shared(before, after)
    last = _shared(before[first:][::-1], after[first:][::-1])
    kept = _kept(before[first : len(before) - last], after[first : len(after) - last])
    new = {first + word for word in range(len(after) - first - last) if word not in kept}
    return Truth(tuple(piece.word in new for piece in edited.pieces if not piece.special))


def _shared(before: Sequence[_Word], after: Sequence[_Word]) -> int:
    """How many words two texts begin with alike."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, after, strict=False)))


def _kept(before: Sequence[_Word], after: Sequence[_Word]) -> set[int]:
    """Which words of what differs were there before: in their places, or in the longest runs that both share."""
    in_place = {index for index, pair in enumerate(zip(before, after, strict=False)) if pair[0] == pair[1]}
    if max(len(before), len(after)) > _LONGEST_MATCHED:
        return in_place if len(before) == len(after) else _in_stock(before, after)
    blocks = SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks()
    in_runs = {word for block in blocks for word in range(block.b, block.b + block.size)}
    return in_place if len(before) == len(after) and len(in_place) > len(in_runs) else in_runs


def _in_stock(before: Sequence[_Word], after: Sequence[_Word]) -> set[int]:
    """Which words occur before at least as often as up to there: in linear time, whatever their order."""
    stock = Counter(before)
    kept = set()
    for index, word in enumerate(after):
        if stock[word] > 0:
            stock[word] -= 1
            kept.add(index)
    return kept


def _words(text: EncodedText) -> list[_Word]:
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
