"""What may be wrong with a run is told once, with its cause and its cure, and what is well is not called so."""

from __future__ import annotations

from math import log

import pytest

from electra_convert.config.hparams import Hparams
from electra_convert.pretraining.options import training_settings
from electra_convert.pretraining.watch import Watch, entropy

VOCABULARY = 8000
HPARAMS = {"num_train_steps": 1000, "num_warmup_steps": 50, "learning_rate": 1e-3}
COLLAPSED = {
    "disc_auc": 0.51, "disc_loss": entropy(0.12), "disc_recall": 0.0, "disc_precision": 0.0, "replaced_share": 0.12,
}  # fmt: skip
LEARNING = {**COLLAPSED, "disc_auc": 0.59, "disc_loss": 0.97 * entropy(0.12)}
LEARNT = {**LEARNING, "disc_auc": 0.8, "disc_loss": 0.25, "disc_recall": 0.3, "disc_precision": 0.7}


@pytest.fixture
def watched():
    """A run that is watched, and what is warned of."""

    def begin(vocabulary=VOCABULARY, begins=0, **hparams):
        warnings: list[str] = []
        settings = training_settings(Hparams({**HPARAMS, **hparams}, "test"))
        return Watch(settings, vocabulary, begins, warnings.append), warnings

    return begin


def test_a_collapse_is_told_at_the_first_evaluation_that_shows_it_and_at_the_end(watched):
    """The figures of a real run, whose AUC was between 0.498 and 0.532 at each of six evaluations."""
    watch, warnings = watched(num_train_steps=6000, num_warmup_steps=400)
    for step, area in enumerate((0.5, 0.532, 0.498, 0.51, 0.52, 0.5), 1):
        watch.evaluated(1000 * step, {**COLLAPSED, "disc_auc": area})
    watch.ended()
    first, last = warnings
    assert first.startswith("At step 1,000 the discriminator tells nothing apart: disc_auc is 0.50")
    assert "A learning rate of 0.001 after a warm-up of 400 steps" in first
    assert "--learning-rate 0.0003 or a longer warm-up." in first
    assert last.startswith("The run has ended, and the discriminator tells nothing apart")


@pytest.mark.parametrize("metrics", [LEARNING, LEARNT, {}, {"masked_lm_loss": 5.0}])
def test_a_discriminator_that_learns_however_slowly_is_not_warned_of(watched, metrics):
    watch, warnings = watched()
    for step in (250, 500, 750):
        watch.evaluated(step, metrics)
    assert warnings == []


@pytest.mark.parametrize(("begins", "step"), [(0, 40), (0, 89), (990, 1000)])
def test_what_has_hardly_been_trained_is_not_called_collapsed(watched, begins, step):
    watch, warnings = watched(begins=begins)
    watch.evaluated(step, COLLAPSED)
    watch.ended()
    assert warnings == []


def test_a_run_that_recovers_ends_without_a_warning(watched):
    watch, warnings = watched()
    watch.evaluated(500, COLLAPSED)
    watch.evaluated(1000, LEARNT)
    watch.ended()
    assert len(warnings) == 1


def test_a_collapse_that_only_the_last_evaluation_shows_is_told_once(watched):
    watch, warnings = watched()
    watch.evaluated(1000, COLLAPSED)
    watch.ended()
    assert len(warnings) == 1


def test_a_discriminator_that_calls_nothing_replaced_is_told_once_the_run_is_over(watched):
    watch, warnings = watched()
    for step in (500, 1000):
        watch.evaluated(step, LEARNING)
    assert warnings == []
    watch.ended()
    [line] = warnings
    assert line.startswith("The discriminator calls no token replaced (disc_recall 0)")
    assert "disc_auc of 0.59" in line


def test_a_discriminator_that_is_not_trained_is_told_so(watched):
    watch, warnings = watched(disc_weight=0)
    watch.evaluated(500, COLLAPSED)
    assert "disc_weight is 0" in warnings[0]


def losses(share):
    """Reports every 20 steps, of a loss that is such a share of its trivial value."""
    return [(step, {"masked_lm_loss": share * log(VOCABULARY)}) for step in range(20, 400, 20)]


def test_a_generator_that_guesses_evenly_for_long_is_told_once(watched):
    watch, warnings = watched()
    told_at = None
    for step, means in losses(0.999):
        watch.reported(step, means)
        told_at = told_at or (step if warnings else None)
    [line] = warnings
    assert told_at == 100
    assert line.startswith(
        "After 100 steps the generator guesses as if all tokens were as likely: masked_lm_loss is 8.98"
    )
    assert "--learning-rate between 1e-4 and 1e-3" in line


@pytest.mark.parametrize(("vocabulary", "share"), [(VOCABULARY, 0.95), (None, 1.0)])
def test_a_generator_that_learns_and_one_that_is_not_there_are_not_warned_of(watched, vocabulary, share):
    watch, warnings = watched(vocabulary)
    for step, means in losses(share):
        watch.reported(step, means)
    assert warnings == []


def test_a_loss_that_rises_after_it_fell_is_not_called_where_it_began(watched):
    watch, warnings = watched()
    for step, means in [*losses(0.9)[:2], *losses(1.0)[2:]]:
        watch.reported(step, means)
    assert warnings == []
