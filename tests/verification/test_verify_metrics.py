"""What the figures are: by their definitions, whatever the shapes, and never hiding a NaN."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from electra_convert.verification import metrics
from electra_convert.verification.metrics import (
    agreement_of_choices,
    agreement_of_decisions,
    agreement_of_tokens,
    distance,
    largest_difference,
)

numbers = st.floats(-1e3, 1e3, width=32)
pairs = st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 9)).flatmap(
    lambda shape: st.tuples(arrays(np.float32, shape, elements=numbers), arrays(np.float32, shape, elements=numbers))
)


@given(pairs)
def test_the_figures_are_what_their_definitions_say(pair):
    one, other = (array.astype(np.float64) for array in pair)
    found = distance([pair[0]], [pair[1]])
    assert found.max_abs == np.abs(one - other).max() == largest_difference([pair[0]], [pair[1]])
    assert found.mean_abs == pytest.approx(np.abs(one - other).mean())
    if (norm := np.linalg.norm(one)) > 0:
        assert found.relative == pytest.approx(np.linalg.norm(one - other) / norm)
    assert -1.0 - 1e-9 <= found.cosine <= 1.0 + 1e-9


@given(pairs)
def test_how_much_is_looked_at_in_one_go_makes_no_difference(pair):
    whole = distance([pair[0]], [pair[1]])
    elements, metrics._ELEMENTS = metrics._ELEMENTS, 1
    try:
        pieces = distance([pair[0]], [pair[1]])
    finally:
        metrics._ELEMENTS = elements
    assert (pieces.max_abs, pieces.cosine) == (whole.max_abs, pytest.approx(whole.cosine))
    assert (pieces.mean_abs, pieces.relative) == (pytest.approx(whole.mean_abs), pytest.approx(whole.relative))


def test_the_cosine_is_that_of_the_worst_position():
    one = np.array([[[1.0, 0.0], [0.0, 2.0]]], np.float32)
    other = np.array([[[1.0, 0.0], [2.0, 0.0]]], np.float32)
    assert distance([one], [other]).cosine == 0.0
    assert distance([one], [one]).cosine == 1.0
    assert distance([one * 0], [one * 0]).cosine == 1.0


def test_single_numbers_are_one_vector():
    assert distance([np.array([[1.0, 0.0]])], [np.array([[0.0, 1.0]])]).cosine == 0.0


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_nan_or_an_infinity_is_seen_in_either_side(side, bad):
    sides = [np.ones((2, 3, 4), np.float32), np.ones((2, 3, 4), np.float32)]
    sides[side][1, 2, 3] = bad
    found = distance([sides[0]], [sides[1]]).max_abs
    assert not found <= 1e30
    assert not largest_difference([sides[0]], [sides[1]]) <= 1e30


def test_decisions_are_counted_where_there_are_tokens():
    one, other = np.array([[1.0, -1.0, 1.0]]), np.array([[2.0, 1.0, -1.0]])
    assert agreement_of_decisions([one], [other], [np.array([[1, 1, 0]])]).decisions == 0.5


def test_choices_are_counted_by_row():
    one, other = np.array([[1.0, 2.0, 0.0], [0.0, 1.0, -np.inf]]), np.array([[1.0, 3.0, 0.0], [1.0, 0.5, -np.inf]])
    found = agreement_of_choices([one], [other])
    assert (found.choices, found.positions) == (0.5, 2)
    assert str(found) == "Likeliest answer alike: 50.00% of 2."


def test_tokens_and_divergence_are_by_their_definitions():
    random = np.random.default_rng(0)
    one, other = random.normal(size=(2, 1, 5, 11)).astype(np.float32)
    mask = np.array([[1, 1, 1, 1, 0]])
    found = agreement_of_tokens([one], [other], [mask])
    first, second = one[mask > 0].astype(np.float64), other[mask > 0].astype(np.float64)
    probabilities = [np.exp(side) / np.exp(side).sum(axis=1, keepdims=True) for side in (first, second)]
    divergence = (probabilities[0] * np.log(probabilities[0] / probabilities[1])).sum(axis=1)
    tops = [
        len(set(np.argsort(-a)[:5].tolist()) & set(np.argsort(-b)[:5].tolist())) / 5
        for a, b in zip(first, second, strict=True)
    ]
    assert found.positions == 4
    assert found.top_1 == (first.argmax(axis=1) == second.argmax(axis=1)).mean()
    assert found.top_5 == pytest.approx(np.mean(tops))
    assert found.divergence == pytest.approx(divergence.max())
    same = agreement_of_tokens([one], [one], [mask])
    assert (same.top_1, same.top_5, same.divergence) == (1.0, 1.0, 0.0)
