"""The schedule of a run: its steps from passes over the corpus, its rate from the models' size, and what is said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import ceil
from typing import Any

from electra_convert.config.hparams import Hparams
from electra_convert.config.sources import Findings
from electra_convert.pretraining.options import PretrainOptions, Settings

# "Pre-training details" of the paper (Clark et al., 2020, appendix A): the rate of Small, and that of Base and Large.
# configure_pretraining.py has the first for all sizes, and leaves it to its user to know the second.
_LARGE_RATE = 2e-4
_LARGE = 768
# A run this short has seldom a longer warm-up than this on purpose, but for trials of a few steps.
_SHORT, _WARMUP_SHARE, _TRIAL_WARMUP = 100_000, 10, 2
# More passes than these teach little that fewer do not; they matter where they take many steps.
_MANY_PASSES, _ENOUGH_PASSES, _MANY_STEPS = 100, 40, 1000


def scheduled(findings: Findings, options: PretrainOptions, sequences: int, begins: bool) -> Findings:
    """State the hparams that follow from corpus and models, so that a run's record and Google's code have them.

    Args:
        findings: the models, and the hparams that are stated already.
        options: what was asked for.
        sequences: how many are trained on.
        begins: whether a schedule begins: one that is continued keeps its rate.
    """
    hparams = findings.hparams
    assert hparams is not None
    stated: dict[str, Any] = {}
    if begins and "learning_rate" not in hparams.given and _is_large(findings):
        stated["learning_rate"] = _LARGE_RATE
    if options.epochs is not None:
        steps = stated["num_train_steps"] = steps_of(options.epochs, sequences, hparams["train_batch_size"])
        if "num_warmup_steps" not in hparams.given:
            # Google's default is for a million steps.
            stated["num_warmup_steps"] = min(hparams["num_warmup_steps"], steps // _WARMUP_SHARE)
    return replace(findings, hparams=Hparams({**hparams.given, **stated}, hparams.origin, hparams.warnings))


def steps_of(epochs: float, sequences: int, batch_size: int) -> int:
    """The steps of so many passes over the sequences; the last may begin another pass.

    >>> steps_of(3, 100, 16)
    19
    """
    return max(1, ceil(epochs * sequences / batch_size))


def _is_large(findings: Findings) -> bool:
    return bool(max(config["hidden_size"] for config in findings.configs.values()) >= _LARGE)


def schedule_notes(
    settings: Settings, findings: Findings, given: Hparams, options: PretrainOptions, sequences: int
) -> Iterator[str]:
    """What a reader should know of a schedule before it begins.

    Args:
        settings: the training hparams, all of them.
        findings: the models, and the hparams that were stated.
        given: the hparams that were given for this very run.
        options: what was asked for.
        sequences: how many are trained on.
    """
    steps, size = settings.num_train_steps, settings.train_batch_size
    passes = _times(passes_of(settings, sequences))
    yield f"The run goes through its {sequences:,} sequences {passes}, in {steps:,} steps of {size}."
    if options.epochs is not None and "num_warmup_steps" not in given.given:
        yield f"The warm-up takes {settings.num_warmup_steps:,} of these steps."
    yield f"The highest learning rate is {settings.learning_rate:g}, {_origin(findings, given)}."


def _times(passes: float) -> str:
    if passes < 1:
        return f"only to {passes:.0%}"
    return f"{passes:,.0f} times" if passes >= 10 else f"{passes:.1f} times"


def passes_of(settings: Settings, sequences: int) -> float:
    """How often a run sees each sequence."""
    return settings.num_train_steps * settings.train_batch_size / sequences


def _origin(findings: Findings, given: Hparams) -> str:
    stated: Mapping[str, Any] = findings.hparams.given if findings.hparams else {}
    if "learning_rate" in given.given:
        return "as it is given"
    large, rate = _is_large(findings), stated.get("learning_rate")
    if rate == (_LARGE_RATE if large else None):
        return f"the paper's for {'base and large' if large else 'small'} models"
    return "Google's default" if rate is None else "as in the hparams of what it goes on from"


def schedule_warnings(settings: Settings, sequences: int) -> Iterator[str]:
    """What may not be as it is meant about a schedule, with what to do."""
    steps, warmup = settings.num_train_steps, settings.num_warmup_steps
    tenth = max(1, steps // _WARMUP_SHARE)
    if warmup >= steps or (warmup > max(_TRIAL_WARMUP, tenth) and steps <= _SHORT):
        long = "is no shorter than" if warmup >= steps else f"takes {warmup / steps:.0%} of"
        stays = "stays far below" if warmup >= steps else "for so long stays below"
        yield (
            f"The warm-up of {warmup:,} steps {long} the run of {steps:,}: the learning rate {stays} "
            f"{settings.learning_rate}. --warmup-steps {tenth} would be a tenth of the run."
        )
    if passes_of(settings, sequences) > _MANY_PASSES and steps >= _MANY_STEPS:
        fewer = steps_of(_ENOUGH_PASSES, sequences, settings.train_batch_size)
        yield (
            f"{passes_of(settings, sequences):,.0f} passes over the corpus teach little that fewer do not, and the "
            f"corpus by heart: --epochs {_ENOUGH_PASSES} takes {fewer:,} steps."
        )
