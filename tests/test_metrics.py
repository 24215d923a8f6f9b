"""Figures of scores against their definitions, counted pair by pair."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from electra_convert.metrics import area_under_curve, binary_metrics

SCORES = st.lists(st.tuples(st.integers(-4, 4), st.booleans()), min_size=1, max_size=40)


@given(pairs=SCORES)
def test_the_area_is_the_share_of_pairs_that_are_in_order(pairs):
    scores, positive = (np.array(column) for column in zip(*pairs, strict=True))
    ups, downs = scores[positive], scores[~positive]
    wins = [(up > down) + 0.5 * (up == down) for up in ups for down in downs]
    area = area_under_curve(scores.astype(float), positive)
    assert area == (pytest.approx(np.mean(wins)) if wins else None)


def test_what_is_called_positive_is_above_the_threshold():
    scores = np.array([-1.0, 0.0, 2.0, 3.0, -4.0])
    found = binary_metrics(scores, np.array([True, False, True, False, False]), scores > 0)
    assert (found.accuracy, found.precision, found.recall) == (3 / 5, 1 / 2, 1 / 2)


def test_figures_without_a_meaning_are_none():
    nothing = binary_metrics(np.empty(0), np.empty(0, bool), np.empty(0, bool))
    assert (nothing.accuracy, nothing.precision, nothing.recall, nothing.auc) == (None, None, None, None)
    assert binary_metrics(np.array([-1.0]), np.array([False]), np.array([False])).recall is None
