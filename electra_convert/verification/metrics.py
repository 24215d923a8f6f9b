"""How far two results are from each other, in numbers and in how often a user would see the same; sets no limits."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Masks = NDArray[np.integer]
_ELEMENTS = 1 << 17  # looked at in one go, so that what is made of them stays in a processor's cache


@dataclass(frozen=True)
class Figures:
    """The distance between two arrays; each is NaN where one of the arrays holds a NaN.

    Attributes:
        max_abs: the largest absolute difference.
        mean_abs: the mean absolute difference.
        relative: the length of the difference over the length of the reference.
        cosine: the smallest cosine between vectors at the same position; of single numbers, between all of them.
    """

    max_abs: float
    mean_abs: float
    relative: float
    cosine: float


def distance(reference: Sequence[Array], candidate: Sequence[Array]) -> Figures:
    """Measure how far arrays [rows, length, width], or of single numbers with fewer dimensions, are apart."""
    worst, total, count, squares, norm, cosine = 0.0, 0.0, 0, 0.0, 0.0, 1.0
    with np.errstate(invalid="ignore", over="ignore"):  # a NaN or an infinity shows in the figures
        for one, other in _rows(reference, candidate):
            difference = np.abs(one - other)
            worst = float(np.maximum(worst, difference.max()))
            total += float(difference.sum())
            count += difference.size
            squares += float(np.vdot(difference, difference))
            norm += float(np.vdot(one, one))
            cosine = float(np.minimum(cosine, _cosine(one, other)))
    relative = math.sqrt(squares / norm) if norm else math.sqrt(squares)
    return Figures(worst, total / count, relative, cosine)


def largest_difference(one: Sequence[Array], other: Sequence[Array]) -> float:
    """The largest absolute difference of arrays of the same shapes; NaN where one of them holds a NaN."""
    worst = 0.0
    with np.errstate(invalid="ignore", over="ignore"):
        for first, second in _rows(one, other):
            worst = float(np.maximum(worst, np.abs(first - second).max()))
    return worst


def _rows(reference: Sequence[Array], candidate: Sequence[Array]) -> Iterator[tuple[Array, Array]]:
    """Vectors at the same positions, some at a time, in float64."""
    for expected, found in zip(reference, candidate, strict=True):
        width = expected.shape[-1] if expected.ndim == 3 else expected.size
        rows = max(1, _ELEMENTS // width)
        for start in range(0, expected.size // width, rows):
            piece = slice(start, start + rows)
            one, other = (array.reshape(-1, width)[piece].astype(np.float64) for array in (expected, found))
            yield one, other


def _cosine(one: Array, other: Array) -> float:
    """The smallest cosine between rows; 1 where both are zero."""
    products, *squares = (np.einsum("ij,ij->i", *pair) for pair in ((one, other), (one, one), (other, other)))
    lengths = np.sqrt(squares[0]) * np.sqrt(squares[1])
    equal = (one == other).all(axis=1)
    with np.errstate(divide="ignore"):
        return float(np.min(np.where(equal, 1.0, products / np.where(lengths == 0, np.inf, lengths))))


@dataclass(frozen=True)
class Agreement:
    """How often a user of the models would see the same.

    Attributes:
        positions: how many positions were looked at; padding is not.
        decisions: the share at which a discriminator decides alike between replaced and original.
        top_1: the share at which a generator's likeliest token is the same.
        top_5: the mean share of the five likeliest tokens that are the same.
        divergence: the largest Kullback-Leibler divergence of a generator's distributions, in nats.
        choices: the share at which a task's likeliest class, tag or place is the same; positions counts them.
    """

    positions: int
    decisions: float | None = None
    top_1: float | None = None
    top_5: float | None = None
    divergence: float | None = None
    choices: float | None = None

    def __str__(self) -> str:
        if self.choices is not None:
            return f"Likeliest answer alike: {self.choices:.2%} of {self.positions:,}."
        if self.decisions is not None:
            return f"Replaced or original: {self.decisions:.2%} of {self.positions:,} decisions alike."
        return (
            f"Likeliest token alike: {self.top_1:.2%}, five likeliest: {self.top_5:.2%} "
            f"of {self.positions:,} positions; largest KL divergence {self.divergence:.2g} nats."
        )


def agreement_of_decisions(
    reference: Sequence[Array], candidate: Sequence[Array], masks: Sequence[Masks]
) -> Agreement:
    """Compare a discriminator's decisions, which run_pretraining.py makes at a logit of 0.

    Args:
        reference: logits [rows, length].
        candidate: logits of the same shapes.
        masks: [rows, length], 1 where there is a token.
    """
    equal, positions = 0, 0
    for expected, found, mask in zip(reference, candidate, masks, strict=True):
        equal += int(((expected > 0) == (found > 0))[mask > 0].sum())
        positions += int((mask > 0).sum())
    return Agreement(positions, decisions=equal / positions)


def agreement_of_tokens(reference: Sequence[Array], candidate: Sequence[Array], masks: Sequence[Masks]) -> Agreement:
    """Compare what a generator proposes.

    Args:
        reference: logits [rows, length, vocabulary].
        candidate: logits of the same shapes.
        masks: [rows, length], 1 where there is a token.
    """
    first, five, divergence, positions = 0, 0.0, 0.0, 0
    for expected, found, mask in zip(reference, candidate, masks, strict=True):
        rows = np.argwhere(mask > 0)
        step = max(1, _ELEMENTS // expected.shape[-1])
        for start in range(0, len(rows), step):
            places = tuple(rows[start : start + step].T)
            one, other = expected[places], found[places]
            top, same = _likeliest(one), _likeliest(other)
            first += int((one.argmax(axis=1) == other.argmax(axis=1)).sum())
            five += float((top[:, :, None] == same[:, None, :]).any(axis=2).mean(axis=1).sum())
            divergence = float(np.maximum(divergence, _divergence(one, other).max()))
            positions += len(one)
    return Agreement(positions, top_1=first / positions, top_5=five / positions, divergence=divergence)


def agreement_of_choices(reference: Sequence[Array], candidate: Sequence[Array]) -> Agreement:
    """Compare which of several things is the likeliest: a class, a tag, the place of an answer.

    Args:
        reference: logits [rows, choices].
        candidate: logits of the same shapes.
    """
    alike = [one.argmax(axis=1) == other.argmax(axis=1) for one, other in zip(reference, candidate, strict=True)]
    count = sum(len(rows) for rows in alike)
    return Agreement(count, choices=sum(int(rows.sum()) for rows in alike) / count)


def _likeliest(logits: Array) -> NDArray[np.intp]:
    count = min(5, logits.shape[1])
    return np.argpartition(logits, logits.shape[1] - count, axis=1)[:, -count:]


def _divergence(one: Array, other: Array) -> Array:
    """The divergence of each row's distributions."""
    with np.errstate(invalid="ignore"):
        (shifted, powers, total), (other_shifted, _, other_total) = _softmax(one), _softmax(other)
        ratio = np.log(other_total / total)  # of the probabilities, as far as the sums make it
        divergence: Array = (powers * (shifted - other_shifted)).sum(axis=1) / total + ratio
    return np.maximum(divergence, 0.0)


def _softmax(logits: Array) -> tuple[Array, Array, Array]:
    """Logits with a largest of 0 in each row, their exponentials, and the sums of these."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    powers = np.exp(shifted)
    return shifted, powers, powers.sum(axis=1)
