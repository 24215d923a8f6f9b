"""What may be wrong with a run that goes on as if nothing were: seen in its losses and metrics, and told once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf, log

from electra_convert.pretraining.options import Settings

# A loss this near to its trivial value is at it: of log V, and of the entropy of how often tokens are replaced.
_NEAR_UNIFORM, _NEAR_ENTROPY = 0.98, 0.99
# Where a discriminator has learnt anything, it is above this before its warm-up ends: frequencies alone give 0.7.
_CHANCE = 0.55
# Steps after the warm-up: as many a loss may stay where it began, and as few tell nothing yet.
_LONG, _TOO_FEW = 50, 40
# Rates of small models that collapsed have been seen to learn when they were lowered by this, to the paper's at most.
_LOWER, _USUAL = 3, 5e-4


class Watch:
    """Watches a run, and warns of what its reports show; of each kind once, and at the end of what is so still.

    Args:
        settings: the training hparams.
        vocabulary: how many tokens the generator chooses from; None where there is no generator.
        begins: the step that the run begins or goes on at.
        warn: is told what may be wrong, why, and what to do.
    """

    def __init__(self, settings: Settings, vocabulary: int | None, begins: int, warn: Callable[[str], None]) -> None:
        self._settings, self._warn = settings, warn
        self._uniform = inf if vocabulary is None else _NEAR_UNIFORM * log(vocabulary)
        # What is learnt is learnt from here on.
        self._from = max(begins, settings.num_warmup_steps)
        self._step, self._metrics = begins, dict[str, float]()
        self._told = dict[str, int]()

    def reported(self, step: int, losses: Mapping[str, float]) -> None:
        """Look at the means of the losses since the last report."""
        self._step = step
        if losses["masked_lm_loss"] < self._uniform:
            self._uniform = inf
        elif self._uniform < inf and step - self._from >= _LONG:
            self._tell_once("uniform", self._about_generator(losses["masked_lm_loss"]))

    def evaluated(self, step: int, metrics: Mapping[str, float]) -> None:
        """Look at the metrics of the held-out sequences."""
        self._step, self._metrics = step, dict(metrics)
        if self._is_collapsed:
            self._tell_once("collapsed", f"At step {step:,} {self._about_collapse()}")

    def ended(self) -> None:
        """Look back at a run that is over."""
        share = self._metrics.get("replaced_share")
        if self._is_collapsed and self._told.get("collapsed") != self._step:
            self._warn(f"The run has ended, and {self._about_collapse()}")
        elif not self._is_collapsed and self._trained_enough and share and self._metrics["disc_recall"] == 0:
            self._warn(
                "The discriminator calls no token replaced (disc_recall 0): it tells them apart to a disc_auc of "
                f"{self._metrics['disc_auc']:.2f}, but holds none for replaced rather than not. Train it longer, or "
                "with a generator that is worse at guessing (a smaller generator_hidden_size)."
            )

    @property
    def _trained_enough(self) -> bool:
        return self._step - self._from >= _TOO_FEW

    @property
    def _is_collapsed(self) -> bool:
        """Whether the discriminator tells nothing apart, and has no better loss than who knows the share alone."""
        share = self._metrics.get("replaced_share", 0.0)
        if not self._trained_enough or not 0 < share < 1:
            return False
        return self._metrics["disc_auc"] < _CHANCE and self._metrics["disc_loss"] > _NEAR_ENTROPY * entropy(share)

    def _about_collapse(self) -> str:
        metrics, settings = self._metrics, self._settings
        what = (
            f"the discriminator tells nothing apart: disc_auc is {metrics['disc_auc']:.2f} (0.5 is chance), and "
            f"disc_loss {metrics['disc_loss']:.3f} that of the same probability for every token. "
        )
        if not settings.disc_weight:
            return f"{what}disc_weight is 0, so that it does not learn."
        return (
            f"{what}A learning rate of {settings.learning_rate:g} after a warm-up of {settings.num_warmup_steps:,} "
            f"steps is too much for these models, which seldom recover: start anew, with --learning-rate "
            f"{min(settings.learning_rate / _LOWER, _USUAL):.1g} or a longer warm-up."
        )

    def _about_generator(self, loss: float) -> str:
        settings = self._settings
        what = (
            f"After {self._step:,} steps the generator guesses as if all tokens were as likely: masked_lm_loss is "
            f"{loss:.2f}, the logarithm of the size of the vocabulary. "
        )
        if not settings.gen_weight:
            return f"{what}gen_weight is 0, so that it does not learn."
        return (
            f"{what}A learning rate of {settings.learning_rate:g} is too low for it to learn, or so high that it "
            "cannot; start anew, with a --learning-rate between 1e-4 and 1e-3."
        )

    def _tell_once(self, kind: str, line: str) -> None:
        if kind not in self._told:
            self._told[kind] = self._step
            self._warn(line)


def entropy(share: float) -> float:
    """The loss, in nats, of the best constant probability where such a share is positive.

    >>> round(entropy(0.5), 4)
    0.6931
    """
    return -share * log(share) - (1 - share) * log(1 - share)
