"""The schedule of a run: its steps from passes over the corpus, its rate from the models' size, and what is said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import ceil
from typing import Any

from electra_convert.config.hparams import Hparams
from electra_convert.config.sources import Findings
from electra_convert.pretraining.options import PretrainOptions, Settings
from electra_convert.pretraining.progress import Reporter

# "Pre-training details" of the paper (Clark et al., 2020, appendix A): the rate of Small, and that of Base and Large.
# configure_pretraining.py has the first for all sizes, and leaves it to its user to know the second.
_LARGE_RATE = 2e-4
_LARGE = 768
# A run this short has seldom a longer warm-up than this on purpose, but for trials of a few steps.
_SHORT, _WARMUP_SHARE, _TRIAL = 100_000, 10, 20
# More passes than these teach little that fewer do not; they matter where they take many steps.
_MANY_PASSES, _ENOUGH_PASSES, _MANY_STEPS = 100, 40, 1000


def scheduled(
    findings: Findings, settings: Settings, options: PretrainOptions, sequences: int, begins: bool
) -> Findings:
    """State the hparams that follow from corpus and models, so that a run's record and Google's code have them.

    Args:
        findings: the models, and the hparams that are stated already.
        settings: the training hparams so far.
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
        steps = stated["num_train_steps"] = steps_of(options.epochs, sequences, settings.train_batch_size)
        if "num_warmup_steps" not in hparams.given:
            # Google's default is for a million steps.
            stated["num_warmup_steps"] = min(settings.num_warmup_steps, steps // _WARMUP_SHARE)
    return replace(findings, hparams=Hparams({**hparams.given, **stated}, hparams.origin, hparams.warnings))


def steps_of(epochs: float, sequences: int, batch_size: int) -> int:
    """The steps of so many passes over the sequences; the last may begin another pass.

    >>> steps_of(3, 100, 16)
    19
    """
    return max(1, ceil(epochs * sequences / batch_size))


def _is_large(findings: Findings) -> bool:
    """Whether a model is as wide as Base; of an architecture that calls its width otherwise this is not known."""
    widths = [
        config.values["hidden_size"].value for config in findings.configs.values() if "hidden_size" in config.values
    ]
    return any(width >= _LARGE for width in widths)


def tell_of_schedule(
    settings: Settings,
    findings: Findings,
    given: Hparams,
    options: PretrainOptions,
    sequences: int,
    reporter: Reporter,
) -> None:
    """Tell what a reader should know of a schedule before it begins, and warn of what may not be as it was meant.

    Args:
        settings: the training hparams, all of them.
        findings: the models, and the hparams that were stated.
        given: the hparams that were given for this very run.
        options: what was asked for.
        sequences: how many are trained on.
        reporter: is told.
    """
    steps, size, warmup = settings.num_train_steps, settings.train_batch_size, settings.num_warmup_steps
    passes = steps * size / sequences
    reporter.noticed(
        f"The run goes through its {sequences:,} sequences {_times(passes)}, in {steps:,} steps of {size}."
    )
    if options.epochs is not None and "num_warmup_steps" not in given.given:
        reporter.noticed(f"The warm-up takes {warmup:,} of these steps.")
    reporter.noticed(f"The highest learning rate is {settings.learning_rate:g}, {_origin(findings, given)}.")
    if warmup >= steps or (warmup > steps / _WARMUP_SHARE and _TRIAL <= steps <= _SHORT):
        reporter.warned(_about_warmup(settings))
    if passes > _MANY_PASSES and steps >= _MANY_STEPS:
        fewer = steps_of(_ENOUGH_PASSES, sequences, size)
        reporter.warned(
            f"{passes:,.0f} passes over the corpus teach little that fewer do not, and the corpus by heart: --epochs "
            f"{_ENOUGH_PASSES} takes {fewer:,} steps."
        )


def _times(passes: float) -> str:
    if passes < 1:
        return f"only to {passes:.0%}"
    return f"{passes:,.0f} times" if passes >= 10 else f"{passes:.1f} times"


def _origin(findings: Findings, given: Hparams) -> str:
    stated: Mapping[str, Any] = findings.hparams.given if findings.hparams else {}
    if "learning_rate" in given.given:
        return "as it is given"
    large, rate = _is_large(findings), stated.get("learning_rate")
    if rate == (_LARGE_RATE if large else None):
        return f"the paper's for {'base and large' if large else 'small'} models"
    return "Google's default" if rate is None else "as in the hparams of what it goes on from"


def _about_warmup(settings: Settings) -> str:
    steps, warmup = settings.num_train_steps, settings.num_warmup_steps
    tenth = max(1, steps // _WARMUP_SHARE)
    if warmup >= steps:
        told, stays = "is no shorter than", "stays far below"
    else:
        told, stays = f"takes {warmup / steps:.0%} of", "for so long stays below"
    return (
        f"The warm-up of {warmup:,} steps {told} the run of {steps:,}: the learning rate {stays} "
        f"{settings.learning_rate}. --warmup-steps {tenth} would be a tenth of the run."
    )
