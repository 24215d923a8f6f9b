"""What a schedule is made of where hparams leave it open, and what is said of it before a run begins."""

from __future__ import annotations

import re

import pytest

from electra_convert.config.hparams import Hparams
from electra_convert.config.resolve import Resolved, Value
from electra_convert.config.sources import Findings
from electra_convert.errors import UsageError
from electra_convert.pretraining.options import PretrainOptions, training_settings
from electra_convert.pretraining.progress import Relay, Silent
from electra_convert.pretraining.schedule import scheduled, tell_of_schedule

SEQUENCES = 68


@pytest.fixture
def decided():
    """Decides on the schedule of models of such a width, and gives the hparams and all that is said."""

    def decide(hidden=256, begins=True, stated=None, sequences=SEQUENCES, **options):
        given = PretrainOptions(**options)
        beside = Hparams({**(stated or {}), **given.given_hparams.given}, "test")
        configs = {"discriminator": Resolved({"hidden_size": Value(hidden, "test")}, ())}
        findings = Findings(configs, beside, {}, ())
        found = scheduled(findings, training_settings(beside), given, sequences, begins)
        settings, told = training_settings(found.hparams), Relay(Silent())
        tell_of_schedule(settings, found, given.given_hparams, given, sequences, told)
        return settings, found.hparams.given, told

    return decide


@pytest.mark.parametrize(
    ("hidden", "rate", "origin"),
    [(256, 5e-4, "small models"), (768, 2e-4, "base and large models"), (1024, 2e-4, "base and large models")],
)
def test_the_rate_is_the_papers_for_the_size(decided, hidden, rate, origin):
    settings, given, told = decided(hidden)
    assert settings.learning_rate == rate
    # Google's code has 0.0005 for all sizes; it must be told another.
    assert given.get("learning_rate", 5e-4) == rate
    assert f"The highest learning rate is {rate:g}, the paper's for {origin}." in told.notes


@pytest.mark.parametrize(
    ("given", "origin"),
    [
        ({"learning_rate": 3e-4}, "as it is given"),
        ({"hparams": {"learning_rate": 3e-4}}, "as it is given"),
        ({"stated": {"learning_rate": 3e-4}}, "as in the hparams of what it goes on from"),
    ],
)
def test_another_rate_that_is_stated_counts(decided, given, origin):
    settings, _, told = decided(768, **given)
    assert settings.learning_rate == 3e-4
    assert f"The highest learning rate is 0.0003, {origin}." in told.notes


def test_a_schedule_that_is_continued_keeps_its_rate(decided):
    settings, _, told = decided(768, begins=False)
    assert settings.learning_rate == 5e-4
    assert "The highest learning rate is 0.0005, Google's default." in told.notes


@pytest.mark.parametrize(
    ("epochs", "sequences", "batch", "steps"), [(3, 68, 32, 7), (0.5, 68, 32, 2), (1, 10, 128, 1), (2, 64, 32, 4)]
)
def test_epochs_are_passes_over_what_is_trained_on(decided, epochs, sequences, batch, steps):
    settings, given, _ = decided(epochs=epochs, batch_size=batch, sequences=sequences)
    assert settings.num_train_steps == given["num_train_steps"] == steps
    assert settings.num_warmup_steps == steps // 10


def test_epochs_leave_a_warm_up_that_is_given_as_it_is(decided):
    settings, _, told = decided(epochs=40, warmup_steps=2)
    assert (settings.num_train_steps, settings.num_warmup_steps) == (22, 2)
    assert told.warnings == []


@pytest.mark.parametrize(("steps", "passes"), [(1_000_000, "1,882,353 times"), (1, "1.9 times"), (6, "11 times")])
def test_passes_over_the_corpus_are_told(decided, steps, passes):
    _, _, told = decided(steps=steps)
    assert f"The run goes through its 68 sequences {passes}, in {steps:,} steps of 128." in told.notes


def test_part_of_a_pass_is_a_share(decided):
    assert "only to 12%" in decided(steps=1, sequences=1024)[2].notes[0]


def test_passes_without_number_are_warned_of_with_how_many_would_do(decided):
    *_, told = decided(hparams={"num_warmup_steps": 10_000})
    [line] = told.warnings
    assert line.startswith("1,882,353 passes over the corpus teach little")
    assert "--epochs 40 takes 22 steps" in line


@pytest.mark.parametrize(
    ("steps", "warmup", "said"),
    [
        (1000, 100, None),
        (
            1000,
            101,
            "takes 10% of the run of 1,000: the learning rate for so long stays below 0.0005. --warmup-steps 100 ",
        ),
        (20_000, 10_000, "takes 50% of the run of 20,000: .* --warmup-steps 2000 "),
        (100_000, 10_000, None),
        (200_000, 50_000, None),
        (12, 4, None),
        (1, 4, "is no shorter than the run of 1: the learning rate stays far below 0.0005. --warmup-steps 1 "),
    ],
)
def test_a_warm_up_of_more_than_a_tenth_of_a_short_run_is_warned_of(decided, steps, warmup, said):
    *_, told = decided(steps=steps, warmup_steps=warmup, sequences=10**6)
    assert len(told.warnings) == (said is not None)
    if said:
        assert re.search(said, told.warnings[0])


@pytest.mark.parametrize(
    "given", [{"epochs": 0}, {"epochs": -1.0}, {"epochs": float("nan")}, {"epochs": 2, "steps": 9}]
)
def test_epochs_that_cannot_be_are_refused(given):
    with pytest.raises(UsageError, match="--epochs"):
        PretrainOptions(**given)
