"""ELECTRA's objective around any generator and discriminator: losses of masked sequences; draws and reduces nothing.

It is that of PretrainingModel in run_pretraining.py (google-research/electra, 8a46635).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import nn

from electra_convert.pretraining.modules import Detector, MaskedLm


class Masked(NamedTuple):
    """Sequences with some of their tokens masked, on their device; batches.Batch says what each is.

    Attributes:
        input_ids: [batch, length], as they are.
        masked_ids: [batch, length], what the generator is given.
        positions: [batch, predictions], the chosen columns.
        weights: [batch, predictions], 1 for a chosen token and 0 for filling.
        sample: [batch, predictions] in [0, 1), what sampling goes by.
        inputs: what both models are given beside ids, by keyword.
    """

    input_ids: torch.Tensor
    masked_ids: torch.Tensor
    positions: torch.Tensor
    weights: torch.Tensor
    sample: torch.Tensor
    inputs: Mapping[str, Any]


class Predictions(NamedTuple):
    """What a generator says of some tokens.

    Attributes:
        losses: [rows] float32, its cross entropy with the tokens that were there, in nats.
        guesses: [rows], what it holds most likely.
        sampled: [rows], what it puts in their place.
    """

    losses: torch.Tensor
    guesses: torch.Tensor
    sampled: torch.Tensor


class Outputs(NamedTuple):
    """What one pass computes.

    Attributes:
        masked_lm_losses: [batch, predictions], in nats.
        guesses: [batch, predictions], what the generator holds most likely in the chosen places.
        sampled_ids: [batch, predictions], what the generator put in the chosen tokens' place.
        labels: [batch, length], 1 where a token was replaced by another.
        disc_logits: [batch, length]; None without a discriminator.
        disc_losses: the same shape, in nats; None without a discriminator.
    """

    masked_lm_losses: torch.Tensor
    guesses: torch.Tensor
    sampled_ids: torch.Tensor
    labels: torch.Tensor
    disc_logits: torch.Tensor | None
    disc_losses: torch.Tensor | None


class Objective(nn.Module):
    """A generator and a discriminator, and the pass through both.

    Args:
        generator: gives logits over the vocabulary for every token; without it replacements are uniform.
        discriminator: gives a logit for every token; without it the generator alone is trained.
        vocabulary: how many tokens there are; needed without a generator.
        temperature: divides the generator's logits before sampling.
        disallow_correct: whether the generator may not sample the token that was masked.
    """

    def __init__(
        self,
        generator: nn.Module | None,
        discriminator: nn.Module | None,
        *,
        vocabulary: int | None = None,
        temperature: float = 1.0,
        disallow_correct: bool = False,
    ) -> None:
        super().__init__()
        # In this order: the last bit of the gradients' norm depends on it.
        self.discriminator, self.generator = discriminator, generator
        self.vocabulary, self.temperature, self.disallow_correct = vocabulary, temperature, disallow_correct
        # Views of modules that are registered above: not modules themselves, so that nothing is there twice.
        self.masked_lm = None if generator is None else MaskedLm(generator)
        self.detector = None if discriminator is None else Detector(discriminator)

    def losses(self, batch: Masked) -> Outputs:
        """Predict the masked tokens, sample replacements, and tell them from the originals."""
        original = batch.input_ids.gather(1, batch.positions)
        predicted = self._predicted(batch, original)
        losses, guesses, sampled = (values.view_as(original) for values in predicted)
        with torch.no_grad():
            # Filling stays as it is.
            sampled = torch.where(batch.weights > 0, sampled, original)
            corrupted = self.replaced(batch, sampled)
            labels = (corrupted != batch.input_ids).to(losses.dtype)
        if self.detector is None:
            return Outputs(losses, guesses, sampled, labels, None, None)
        logits = self.detector(corrupted, batch.inputs)
        return Outputs(losses, guesses, sampled, labels, logits, disc_losses(logits, labels))

    def replaced(self, batch: Masked, sampled: torch.Tensor) -> torch.Tensor:
        """The sequences with [batch, predictions] ids put in the chosen tokens' place: [batch, length]."""
        return batch.input_ids.scatter(1, batch.positions, sampled)

    def _predicted(self, batch: Masked, original: torch.Tensor) -> Predictions:
        if self.masked_lm is None:
            return self._uniform(original.flatten(), batch.sample.flatten())
        rows = self.masked_lm.rows(batch.masked_ids, batch.positions, batch.inputs)
        return self.predictions(rows, original.flatten(), batch.sample.flatten())

    def predictions(self, rows: torch.Tensor, targets: torch.Tensor, uniforms: torch.Tensor) -> Predictions:
        """Project the chosen places to the vocabulary, the only place where that is done.

        Args:
            rows: [rows, width], what masked_lm.rows gives: its projection's inputs, or logits where it has none.
            targets: [rows], the tokens that were there.
            uniforms: [rows] in [0, 1), what sampling goes by.
        """
        assert self.masked_lm is not None
        log_probs = self.masked_lm.project(rows).float().log_softmax(dim=-1)
        losses = -log_probs.gather(1, targets.unsqueeze(1)).squeeze(1)
        with torch.no_grad():
            sampled = sample(self._likelihoods(log_probs, targets), uniforms)
            return Predictions(losses, log_probs.argmax(-1), sampled)

    def _uniform(self, targets: torch.Tensor, uniforms: torch.Tensor) -> Predictions:
        """Without a generator every token is as likely as any other."""
        assert self.vocabulary is not None
        log_probs = torch.zeros(targets.numel(), self.vocabulary, device=targets.device)
        losses = torch.full_like(uniforms, self.vocabulary).log()
        sampled = sample(self._likelihoods(log_probs, targets), uniforms)
        return Predictions(losses, torch.zeros_like(targets), sampled)

    def _likelihoods(self, log_probs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        if self.temperature == 1.0 and not self.disallow_correct:
            return log_probs.exp()
        logits = log_probs / self.temperature
        if self.disallow_correct:
            # Before the softmax: where the generator is sure, all that is left after it may be zeros.
            logits.scatter_(1, targets.unsqueeze(1), -torch.inf)
        return logits.softmax(dim=-1)


def sample(weights: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
    """Draw one column of each row, as likely as its weight.

    One uniform number and a cumulative sum a row; Google's code draws noise for every column instead.

    Args:
        weights: [rows, columns] float32, from 0 up; each row has one above 0.
        uniforms: [rows] float32 in [0, 1).

    Returns:
        [rows] int64; a column of weight 0 is never drawn.
    """
    heights = weights.cumsum(dim=-1)
    total = heights[:, -1]
    # The product may round up to the total, beyond which there is no column.
    below = torch.nextafter(total, torch.zeros_like(total))
    drawn = torch.searchsorted(heights, torch.minimum(uniforms * total, below).unsqueeze(1), right=True)
    # Of a model that has diverged every height is NaN; the loss tells of it, not an index out of range.
    return drawn.squeeze(1).clamp(max=weights.shape[1] - 1)


def disc_losses(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The discriminator's cross entropy at every position, in nats."""
    return nn.functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")
