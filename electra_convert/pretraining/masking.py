"""Dynamic masking: which tokens of a batch the generator is to predict; numpy only, no model.

pretrain/pretrain_helpers.py (mask) of google-research/electra, with one deviation: positions are drawn without
replacement, where Google's may draw one twice and then mask fewer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from electra_convert.pretraining.corpus.cache import Inputs
from electra_convert.pretraining.settings import Settings

# The share of the chosen tokens that become [MASK]; the rest stay and are predicted all the same.
_REPLACED = 0.85
_NEVER_MASKED = ("[CLS]", "[SEP]", "[MASK]", "[PAD]")


@dataclass(frozen=True)
class Draws:
    """The random numbers that one batch needs, each in [0, 1) and float32.

    Attributes:
        order: [batch, length]; the tokens with the lowest are masked.
        replace: [batch, predictions]; decides whether a token becomes [MASK].
        sample: [batch, predictions]; decides what the generator samples.
    """

    order: NDArray[np.float32]
    replace: NDArray[np.float32]
    sample: NDArray[np.float32]

    def rows(self, part: slice) -> Draws:
        """Those of some of the sequences: what is drawn does not depend on how a batch is split up."""
        return Draws(self.order[part], self.replace[part], self.sample[part])


@dataclass(frozen=True)
class Batch:
    """Sequences with the tokens chosen that are to be predicted.

    Attributes:
        inputs: the sequences as they are.
        masked_ids: [batch, length] int64, what the generator is given.
        positions: [batch, predictions] int64, the chosen columns; 0 where weights are 0.
        weights: [batch, predictions] float32, 1 for a chosen token and 0 for filling.
        sample: [batch, predictions] float32 in [0, 1), what sampling goes by.
    """

    inputs: Inputs
    masked_ids: NDArray[np.int64]
    positions: NDArray[np.int64]
    weights: NDArray[np.float32]
    sample: NDArray[np.float32]


def draw(random: np.random.Generator, batch_size: int, settings: Settings) -> Draws:
    """Draw the random numbers of a batch.

    Args:
        random: where they come from.
        batch_size: the number of sequences.
        settings: the training hparams.

    Returns:
        The draws.
    """
    predictions = (batch_size, settings.max_predictions_per_seq)
    order = random.random((batch_size, settings.max_seq_length), np.float32)
    return Draws(order, random.random(predictions, np.float32), random.random(predictions, np.float32))


def mask(inputs: Inputs, draws: Draws, ids: Mapping[str, int], settings: Settings) -> Batch:
    """Choose tokens to predict, and mask most of them.

    Args:
        inputs: the sequences.
        draws: random numbers for them.
        ids: the id of each piece of the vocabulary.
        settings: the training hparams.

    Returns:
        The batch; a sequence without any token that may be masked has none.
    """
    never = np.array([ids[token] for token in _NEVER_MASKED])
    candidates = inputs.input_mask & ~np.isin(inputs.input_ids, never)
    counts = np.minimum(_wanted(inputs, settings), candidates.sum(axis=1))
    order = np.where(candidates, draws.order[:, : candidates.shape[1]], np.inf)
    width = min(settings.max_predictions_per_seq, order.shape[1])
    chosen = np.argsort(order, axis=1, kind="stable")[:, :width]
    weights = np.arange(width) < counts[:, None]
    positions = np.where(weights, chosen, 0)
    masked_ids = inputs.input_ids.copy()
    rows, columns = np.nonzero(weights & (draws.replace[:, :width] < _REPLACED))
    masked_ids[rows, positions[rows, columns]] = ids["[MASK]"]
    return Batch(inputs, masked_ids, positions, weights.astype(np.float32), draws.sample[:, :width])


def _wanted(inputs: Inputs, settings: Settings) -> NDArray[np.int64]:
    """How many tokens of each sequence are to be predicted; special ones count towards the length."""
    share = np.rint(inputs.input_mask.sum(axis=1).astype(np.float32) * np.float32(settings.mask_prob))
    wanted: NDArray[np.int64] = np.clip(share.astype(np.int64), 1, settings.max_predictions_per_seq)
    return wanted
