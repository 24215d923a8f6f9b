"""Evaluation as google-research/electra reports it, its ways of counting included; trains nothing.

The metrics are those of metric_fn in run_pretraining.py (8a46635), and the loss that its Estimator adds. The counts
are of fixed size, and exact: of several tallies in any order they add up to the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from fractions import Fraction
from math import isfinite

import numpy as np
import torch
from numpy.typing import NDArray

from electra_convert.pretraining.model import Tensors
from electra_convert.pretraining.objective import Outputs
from electra_convert.pretraining.options import Settings

# What is reported of them begins with this; the names after it are Google's.
PREFIX = "google/"
# In tf.metrics.auc: 200 thresholds, two of them just outside of all probabilities, and what keeps it from 0 / 0.
_THRESHOLDS = np.array([-1e-7, *(place / 199 for place in range(1, 199)), 1 + 1e-7], np.float32)
_SMALL = 1e-6
_ALWAYS = ("loss", "masked_lm_loss", "masked_lm_accuracy")
# Probabilities of 0 lie above the first threshold alone.
_AT_ZERO = 1


@dataclass
class Count:
    """A weighted mean: an exact sum over a number of things.

    Attributes:
        total: the sum; a float where it is no number.
        number: of things.
    """

    total: Fraction | float = Fraction(0)
    number: int = 0

    def add(self, total: float, number: int) -> None:
        """Count more things."""
        self.total += Fraction(total) if isfinite(total) else total
        self.number += number

    def __add__(self, other: Count) -> Count:
        return Count(self.total + other.total, self.number + other.number)

    @property
    def mean(self) -> float:
        """The mean; 0 of nothing, as tf.metrics has it."""
        return float(self.total) / self.number if self.number else 0.0


@dataclass
class Counts:
    """What the metrics are made of; each Count is the metric of its name, before it is divided.

    Attributes:
        above: [2, 201], of originals and of replaced tokens, how many have a probability above so many thresholds.
    """

    loss: Count = field(default_factory=Count)
    masked_lm_accuracy: Count = field(default_factory=Count)
    masked_lm_loss: Count = field(default_factory=Count)
    sampled_masked_lm_accuracy: Count = field(default_factory=Count)
    disc_loss: Count = field(default_factory=Count)
    disc_accuracy: Count = field(default_factory=Count)
    disc_precision: Count = field(default_factory=Count)
    disc_recall: Count = field(default_factory=Count)
    above: NDArray[np.int64] = field(default_factory=lambda: np.zeros((2, len(_THRESHOLDS) + 1), np.int64))

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))

    def metrics(self) -> dict[str, float]:
        """All metrics; those of a discriminator only where there is one."""
        counts = {name: count for name, count in vars(self).items() if isinstance(count, Count)}
        found = {f"{PREFIX}{name}": count.mean for name, count in counts.items() if name in _ALWAYS or self._detects}
        return found | ({f"{PREFIX}disc_auc": _area(self.above)} if self._detects else {})

    @property
    def _detects(self) -> bool:
        return self.disc_loss.number > 0


class GoogleTally:
    """Counts over the batches seen so far.

    Args:
        settings: the training hparams: the weights of both losses, and the length that sequences are padded to.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.counts = Counts()

    def add(self, batch: Tensors, outputs: Outputs, present: torch.Tensor) -> None:
        """Count a batch.

        Args:
            batch: the sequences.
            outputs: what the models made of them.
            present: [batch, length] bool, true where there is a token.
        """
        loss = self._settings.gen_weight * self._add_masked_lm(batch, outputs)
        if outputs.disc_logits is not None and outputs.disc_losses is not None:
            loss += self._settings.disc_weight * self._add_disc(outputs.disc_losses, present)
            self._add_detections(outputs.disc_logits, outputs.labels > 0, present)
        self.counts.loss.add(loss, 1)

    def _add_masked_lm(self, batch: Tensors, outputs: Outputs) -> float:
        """Count what the generator says; gives its loss on the batch."""
        chosen, original = batch.weights > 0, batch.input_ids.gather(1, batch.positions)
        total, number = _sum(outputs.masked_lm_losses[chosen]), int(chosen.sum())
        self.counts.masked_lm_loss.add(total, number)
        self.counts.masked_lm_accuracy.add(_sum((outputs.guesses == original)[chosen]), number)
        if outputs.disc_losses is not None:
            self.counts.sampled_masked_lm_accuracy.add(_sum((outputs.sampled_ids == original)[chosen]), number)
        return total / (number + _SMALL)

    def _add_disc(self, losses: torch.Tensor, present: torch.Tensor) -> float:
        """Count the discriminator's losses, a mean a sequence; gives that over the tokens of the batch."""
        sums, tokens = torch.where(present, losses, 0).double().sum(1), present.double().sum(1)
        self.counts.disc_loss.add(_sum(sums / (tokens + _SMALL)), len(losses))
        return _sum(sums) / (_sum(tokens) + _SMALL)

    def _add_detections(self, logits: torch.Tensor, replaced: torch.Tensor, present: torch.Tensor) -> None:
        logits, replaced = logits[present], replaced[present]
        called = logits > 0
        hits, counts = _sum(called & replaced), self.counts
        counts.disc_accuracy.add(_sum(called == replaced), len(logits))
        counts.disc_precision.add(hits, int(called.sum()))
        counts.disc_recall.add(hits, int(replaced.sum()))
        above = np.searchsorted(_THRESHOLDS, logits.sigmoid().cpu().numpy())
        bins = above + replaced.cpu().numpy() * counts.above.shape[1]
        counts.above += np.bincount(bins, minlength=counts.above.size).reshape(counts.above.shape)
        # To tf.metrics.auc padding is an original that is held to be one, as far as Google's code pads.
        counts.above[0, _AT_ZERO] += len(present) * self._settings.max_seq_length - len(logits)


def _sum(values: torch.Tensor) -> float:
    return float(values.double().sum())


def _area(above: NDArray[np.int64]) -> float:
    """The area under the ROC curve in trapezoids between thresholds, as tf.metrics.auc of TensorFlow takes it."""
    # How many are above each threshold, and how many there are.
    false, true = np.cumsum(above[:, ::-1], axis=1)[:, -2::-1].astype(np.float64)
    originals, replaced = above.sum(axis=1)
    recall = (true + _SMALL) / (replaced + _SMALL)
    false_rate = false / (originals + _SMALL)
    return float(((false_rate[:-1] - false_rate[1:]) * (recall[:-1] + recall[1:]) / 2).sum())
