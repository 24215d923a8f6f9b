"""ELECTRA's objective around any generator and discriminator: losses of masked sequences; draws and reduces nothing.

It is that of PretrainingModel in run_pretraining.py (google-research/electra, 8a46635).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import torch
from torch import nn

from electra_convert.errors import UsageError
from electra_convert.pretraining.modules import Detector, MaskedLm
from electra_convert.pretraining.sampled_softmax import SampledSoftmax, SharedCandidates
from electra_convert.pretraining.sampling import Drawing, LogitsSoftmax, draw_evenly
from electra_convert.pretraining.vocabulary_softmax import VocabularySoftmax


class Masked(NamedTuple):
    """Sequences with some of their tokens masked, on their device; batches.Batch says what each is.

    Attributes:
        input_ids: [batch, length], as they are.
        masked_ids: [batch, length], what the generator is given.
        positions: [batch, predictions], the chosen columns.
        weights: [batch, predictions], 1 for a chosen token and 0 for filling.
        sample: [batch, predictions] in [0, 1), what sampling goes by.
        inputs: what both models are given beside ids, by keyword.
        candidates: what stands for the vocabulary in the generator's loss; None for all of it.
    """

    input_ids: torch.Tensor
    masked_ids: torch.Tensor
    positions: torch.Tensor
    weights: torch.Tensor
    sample: torch.Tensor
    inputs: Mapping[str, Any]
    candidates: SharedCandidates | None = None


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


class Softmax(Protocol):
    """What a generator says of some rows."""

    losses: torch.Tensor

    def sampled(self, uniforms: torch.Tensor) -> torch.Tensor:
        """Draw a token for each row by [rows] float32 numbers in [0, 1): [rows] int64."""

    def likeliest(self) -> torch.Tensor:
        """The likeliest token of each row: [rows] int64."""


class Objective(nn.Module):
    """A generator and a discriminator, and the pass through both.

    Args:
        generator: gives logits over the vocabulary for every token; without it replacements are uniform.
        discriminator: gives a logit for every token; without it the generator alone is trained.
        vocabulary: how many tokens there are; needed without a generator.
        temperature: divides the generator's logits before sampling.
        disallow_correct: whether the generator may not sample the token that was masked.
        replaces_from_candidates: whether replacements, too, are drawn from candidates where a batch has some.
        table_in_place: whether the gradient of the generator's projection is added to that of its weight in place, as
            a tables.Table does.
    """

    def __init__(
        self,
        generator: nn.Module | None,
        discriminator: nn.Module | None,
        *,
        vocabulary: int | None = None,
        temperature: float = 1.0,
        disallow_correct: bool = False,
        replaces_from_candidates: bool = False,
        table_in_place: bool = False,
    ) -> None:
        super().__init__()
        # In this order: the last bit of the gradients' norm depends on it.
        self.discriminator, self.generator = discriminator, generator
        self.vocabulary, self.temperature, self.disallow_correct = vocabulary, temperature, disallow_correct
        self.replaces_from_candidates, self.table_in_place = replaces_from_candidates, table_in_place
        # Views of modules that are registered above: not modules themselves, so that nothing is there twice.
        self.masked_lm = None if generator is None else MaskedLm(generator)
        self.detector = None if discriminator is None else Detector(discriminator)

    @property
    def drawing(self) -> Drawing:
        """How replacements are drawn."""
        return Drawing(self.temperature, self.disallow_correct)

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
        targets, uniforms = original.flatten(), batch.sample.flatten()
        if self.masked_lm is None:
            return self._uniform(targets, uniforms)
        rows = self.masked_lm.rows(batch.masked_ids, batch.positions, batch.inputs)
        predicted: Predictions = self.predictions(rows, targets, uniforms, batch.candidates)
        return predicted

    @torch.compiler.disable  # type: ignore[untyped-decorator] # it is traced in vain: its blocks are many
    def predictions(
        self,
        rows: torch.Tensor,
        targets: torch.Tensor,
        uniforms: torch.Tensor,
        candidates: SharedCandidates | None = None,
    ) -> Predictions:
        """Project the chosen places to the vocabulary, the only place where that is done.

        Args:
            rows: [rows, width], what masked_lm.rows gives: its projection's inputs, or logits where it has none.
            targets: [rows], the tokens that were there.
            uniforms: [rows] in [0, 1), what sampling goes by.
            candidates: what stands for the vocabulary; None for all of it.
        """
        if candidates is None:
            softmax = self._softmax(rows, targets)
            return Predictions(softmax.losses, softmax.likeliest(), softmax.sampled(uniforms))
        weight, bias = self._projection()
        sampled = SampledSoftmax(rows, weight, bias, targets, candidates, self.drawing, self.table_in_place)
        with torch.no_grad():
            replacing: Softmax = sampled if self.replaces_from_candidates else self._softmax(rows, targets)
            return Predictions(sampled.losses, replacing.likeliest(), replacing.sampled(uniforms))

    def _softmax(self, rows: torch.Tensor, targets: torch.Tensor) -> Softmax:
        assert self.masked_lm is not None
        if not self.masked_lm.is_projected:
            return LogitsSoftmax(self.masked_lm.project(rows), targets, self.drawing)
        weight, bias = self._projection()
        return VocabularySoftmax(rows, weight, bias, targets, self.drawing, self.table_in_place)

    def _projection(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        last = None if self.masked_lm is None else self.masked_lm.projection
        if last is None:
            raise UsageError(
                "candidates stand for the rows of a last layer, which this generator does not have apart"
            )
        return last.weight, last.bias

    def _uniform(self, targets: torch.Tensor, uniforms: torch.Tensor) -> Predictions:
        """Without a generator every token is as likely as any other."""
        assert self.vocabulary is not None
        losses = torch.full_like(uniforms, self.vocabulary).log()
        sampled = draw_evenly(self.vocabulary, targets, uniforms, self.drawing)
        return Predictions(losses, torch.zeros_like(targets), sampled)


def disc_losses(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The discriminator's cross entropy at every position, in nats."""
    return nn.functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")
