"""When two runs agree: the limits they are held to, and when a run in float64 is asked for; no framework runs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from electra_convert.errors import NamesError
from electra_convert.verification.compare import Stage, compare_stages
from electra_convert.verification.runners import Stages


def stages(values: float) -> Stages:
    return {"layer 1": [np.full((1, 2, 3), values)]}


def compared(
    reference: float, candidate: float, exact: float, better: float | Callable[[], Stages] | None = None
) -> Stage:
    """The one stage of two runs, of the candidate's in float64 and of the reference's, which may be a function."""
    own = better if callable(better) or better is None else lambda: stages(better)
    (stage,) = compare_stages(stages(reference), stages(candidate), stages(exact), lambda _: 1e-4, own)
    return stage


def test_the_reference_is_not_run_again_where_rounding_accounts_for_all():
    assert compared(1.0, 1.0 + 4e-5, 1.0 + 2e-5, pytest.fail).passed
    assert compared(1.0, 1.0, 1.0, pytest.fail).passed


def test_a_reference_that_is_far_from_its_own_float64_run_has_a_wider_limit():
    stage = compared(1.0, 1.0 + 7e-4, 1.0 + 2e-4, better=1.0 + 2e-4)
    assert stage.passed
    assert stage.limit == pytest.approx(8e-4)
    stage = compared(1.0, 1.0 + 9e-4, 1.0 + 2e-4, better=1.0 + 2e-4)
    assert not stage.passed
    assert stage.fault == "0.0009 apart, the limit is 0.0008; 0 apart in float64, so by rounding alone"


def test_a_wrong_candidate_does_not_widen_the_limit():
    stage = compared(1.0, 1.5, 1.5, better=1.0)
    assert not stage.passed
    assert stage.limit == 1e-4
    assert stage.fault == "0.5 apart in float32 (the limit is 0.0001), and 0.5 in float64: not by rounding"


def test_a_difference_below_the_limit_that_rounding_does_not_account_for_is_looked_at_in_float64():
    assert compared(1.0, 1.0 + 5e-5, 1.0 + 5e-5 + 1e-7, better=1.0 + 5e-5).passed
    stage = compared(1.0, 1.0 + 5e-5, 1.0 + 5e-5, better=1.0)
    assert not stage.passed
    assert "and 5e-05 in float64: not by rounding" in stage.fault


def test_a_limit_that_was_asked_for_is_the_only_one():
    assert compared(1.0, 1.0 + 9e-5, 1.0 + 9e-5, better=None).passed
    stage = compared(1.0, 1.0 + 2e-4, 1.0 + 1e-4, better=None)
    assert (stage.passed, stage.fault) == (False, "0.0002 apart, the limit is 0.0001")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_never_passes(bad):
    assert not compared(bad, 1.0, 1.0, better=bad).passed
    assert not compared(1.0, bad, bad, better=1.0).passed
    assert not compared(bad, bad, bad, better=bad).passed


@pytest.mark.parametrize(
    ("candidate", "told"),
    [({}, "layer 1 are not there"), ({"layer 1": [np.zeros((1, 2, 4))]}, r"layer 1 are of shape \[1, 2, 4\]")],
)
def test_a_stage_that_the_candidate_has_not_is_named(candidate, told):
    with pytest.raises(NamesError, match=rf"the candidate's {told}, the reference's of shape \[1, 2, 3\]"):
        compare_stages(stages(1.0), candidate, candidate, lambda _: 1e-4)
