"""How good both models are at held-out sequences, under the names of Google's metrics; trains nothing.

They are those of metric_fn in run_pretraining.py (google-research/electra, 8a46635), with one deviation: disc_auc is
the exact area under the curve over tokens, where tf.metrics.auc goes by 200 thresholds and counts padding as
original. google_metrics.py counts as Google's code does. Those that begin with frequency_ are not Google's: they are
what one would have who knows nothing but how frequent tokens are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from electra_convert.metrics import area_under_curve, binary_metrics
from electra_convert.pretraining.model import Tensors
from electra_convert.pretraining.objective import Outputs


@dataclass
class Tally:
    """Counts over the batches seen so far.

    Attributes:
        predicted: per token that was to be predicted: its loss, whether prediction and sample were right, and its
            frequency.
        sequences: per sequence: the discriminator's mean loss.
        tokens: per token: the discriminator's logit, whether it was replaced, and the frequency of what it sees.
    """

    predicted: list[NDArray[np.float64]] = field(default_factory=list)
    sequences: list[NDArray[np.float64]] = field(default_factory=list)
    tokens: list[NDArray[np.float64]] = field(default_factory=list)

    def add(self, batch: Tensors, outputs: Outputs, present: torch.Tensor, log_frequencies: torch.Tensor) -> None:
        """Count a batch.

        Args:
            batch: the sequences.
            outputs: what the models made of them.
            present: [batch, length] bool, true where there is a token.
            log_frequencies: [vocabulary] float64, as Batches has them.
        """
        chosen = batch.weights > 0
        original = batch.input_ids.gather(1, batch.positions)
        right = (outputs.guesses == original, outputs.sampled_ids == original)
        predicted = (outputs.masked_lm_losses, *right, log_frequencies[original])
        self.predicted.append(_columns(*(column[chosen] for column in predicted)))
        if outputs.disc_logits is not None and outputs.disc_losses is not None:
            mean = (outputs.disc_losses * present).sum(1) / present.sum(1)
            self.sequences.append(_columns(mean))
            seen = batch.input_ids.scatter(1, batch.positions, outputs.sampled_ids)
            detected = (outputs.disc_logits, outputs.labels, log_frequencies[seen])
            self.tokens.append(_columns(*(column[present] for column in detected)))

    def metrics(self) -> dict[str, float]:
        """The metrics of all batches, and those that token frequency alone would have; of a discriminator only where
        there is one."""
        loss, best, sampled, frequency = _joined(self.predicted, 4).T
        found = {
            "masked_lm_loss": _mean(loss),
            "masked_lm_accuracy": _mean(best),
            "frequency_masked_lm_loss": _mean(-frequency),
        }
        if not self.tokens:
            return found
        logits, labels, frequency = _joined(self.tokens, 3).T
        detected = binary_metrics(logits, labels > 0, called=logits > 0)
        return found | {
            "sampled_masked_lm_accuracy": _mean(sampled),
            "disc_loss": _mean(_joined(self.sequences, 1)),
            # What has no meaning is 0, as tf.metrics has it, and an area that nothing spans is a half.
            "disc_accuracy": detected.accuracy or 0.0,
            "disc_precision": detected.precision or 0.0,
            "disc_recall": detected.recall or 0.0,
            "disc_auc": 0.5 if detected.auc is None else detected.auc,
            "frequency_auc": _of_frequency(frequency, labels > 0),
            "replaced_share": _mean(labels),
        }


def _of_frequency(frequency: NDArray[np.float64], replaced: NDArray[np.bool_]) -> float:
    """The area under the curve of frequency alone, whichever of rare and frequent tokens are replaced more often."""
    area = area_under_curve(frequency, replaced)
    return 0.5 if area is None else max(area, 1 - area)


def merged(tallies: Iterable[Tally]) -> Tally:
    """The tallies of several processes as one."""
    whole = Tally()
    for tally in tallies:
        whole.predicted += tally.predicted
        whole.sequences += tally.sequences
        whole.tokens += tally.tokens
    return whole


def _columns(*columns: torch.Tensor) -> NDArray[np.float64]:
    table: NDArray[np.float64] = torch.stack([column.double() for column in columns], dim=1).cpu().numpy()
    return table


def _joined(parts: list[NDArray[np.float64]], width: int) -> NDArray[np.float64]:
    return np.concatenate([np.empty((0, width)), *parts])


def _mean(values: NDArray[np.float64]) -> float:
    """The mean; 0 of nothing, as tf.metrics has it."""
    return float(values.mean()) if values.size else 0.0
