"""How good both models are at held-out sequences, under the names of Google's metrics; trains nothing.

They are those of metric_fn in run_pretraining.py (google-research/electra, 8a46635), with one deviation: disc_auc is
the exact area under the curve over tokens, where tf.metrics.auc goes by 200 thresholds and counts padding as
original. google_metrics.py counts as Google's code does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from electra_convert.metrics import binary_metrics
from electra_convert.pretraining.model import Tensors
from electra_convert.pretraining.objective import Outputs


@dataclass
class Tally:
    """Counts over the batches seen so far.

    Attributes:
        predicted: per token that was to be predicted: its loss, and whether prediction and sample were right.
        sequences: per sequence: the discriminator's mean loss.
        tokens: per token: the discriminator's logit, and whether it was replaced.
    """

    predicted: list[NDArray[np.float64]] = field(default_factory=list)
    sequences: list[NDArray[np.float64]] = field(default_factory=list)
    tokens: list[NDArray[np.float64]] = field(default_factory=list)

    def add(self, batch: Tensors, outputs: Outputs, present: torch.Tensor) -> None:
        """Count a batch.

        Args:
            batch: the sequences.
            outputs: what the models made of them.
            present: [batch, length] bool, true where there is a token.
        """
        chosen = batch.weights > 0
        original = batch.input_ids.gather(1, batch.positions)
        columns = (outputs.masked_lm_losses, outputs.guesses == original, outputs.sampled_ids == original)
        self.predicted.append(_columns(*(column[chosen] for column in columns)))
        if outputs.disc_logits is not None and outputs.disc_losses is not None:
            mean = (outputs.disc_losses * present).sum(1) / present.sum(1)
            self.sequences.append(_columns(mean))
            self.tokens.append(_columns(outputs.disc_logits[present], outputs.labels[present]))

    def metrics(self) -> dict[str, float]:
        """The metrics of all batches; those of a discriminator only where there is one."""
        loss, best, sampled = _joined(self.predicted, 3).T
        found = {"masked_lm_loss": _mean(loss), "masked_lm_accuracy": _mean(best)}
        if not self.tokens:
            return found
        logits, labels = _joined(self.tokens, 2).T
        detected = binary_metrics(logits, labels > 0, called=logits > 0)
        return found | {
            "sampled_masked_lm_accuracy": _mean(sampled),
            "disc_loss": _mean(_joined(self.sequences, 1)),
            # What has no meaning is 0, as tf.metrics has it, and an area that nothing spans is a half.
            "disc_accuracy": detected.accuracy or 0.0,
            "disc_precision": detected.precision or 0.0,
            "disc_recall": detected.recall or 0.0,
            "disc_auc": 0.5 if detected.auc is None else detected.auc,
        }


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
