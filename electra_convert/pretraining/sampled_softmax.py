"""The softmax over a token and a few candidates in place of the vocabulary, as tf.nn.sampled_softmax_loss has it."""

from __future__ import annotations

from math import log
from typing import NamedTuple

import torch

from electra_convert.pretraining.sampling import Drawing, draw
from electra_convert.pretraining.tables import look_up


class SharedCandidates(NamedTuple):
    """The candidates of a step, on a device.

    Attributes:
        ids: [candidates], each once.
        tries: how many draws it took until there were so many different ones.
        vocabulary: how many ids they were drawn from.
    """

    ids: torch.Tensor
    tries: int
    vocabulary: int

    def log_expected(self, ids: torch.Tensor) -> torch.Tensor:
        """The logarithm of how often ids are expected among the candidates, float32 of their shape.

        That is ExpectedCountHelper in tensorflow/core/kernels/range_sampler.cc (v2.16.1).
        """
        probabilities = torch.log1p(1 / (ids + 1.0)) / log(self.vocabulary + 1)
        if self.tries == len(self.ids):
            return (probabilities * self.tries).log()
        return (-(self.tries * torch.log1p(-probabilities)).expm1()).log()


class SampledSoftmax:
    """What a generator says of some rows as far as candidates go: losses, with gradients, and replacements.

    Logits are lowered by the logarithm of how often each token is expected among the candidates, so that the
    gradients come close to those of the softmax over the vocabulary; a candidate that is the target of a row does not
    count in it (sampled_softmax_loss and _compute_sampled_logits in tensorflow/python/ops/nn_impl.py, v2.16.1).

    Args:
        hidden: [rows, width].
        weight: [vocabulary, width].
        bias: [vocabulary], or None.
        targets: [rows], the tokens that were there.
        candidates: what stands for the vocabulary.
        drawing: how replacements are drawn.
        in_place: whether the weight's gradient is added to that of the weight, a leaf, where it stands.

    Attributes:
        losses: [rows] float32, in nats.
    """

    def __init__(
        self,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        targets: torch.Tensor,
        candidates: SharedCandidates,
        drawing: Drawing,
        in_place: bool = False,
    ) -> None:
        ids = candidates.ids
        of_target = (hidden * look_up(weight, targets, in_place)).sum(dim=1).float()
        others = (hidden @ look_up(weight, ids, in_place).t()).float()
        if bias is not None:
            of_target, others = of_target + bias[targets], others + bias[ids]
        # The target first.
        self._ids = torch.cat([targets.unsqueeze(1), ids.expand(len(targets), -1)], dim=1)
        others = others.masked_fill(targets.unsqueeze(1) == ids, -torch.inf)
        self._logits = torch.cat([of_target.unsqueeze(1), others], dim=1)
        lowered = [candidates.log_expected(some) for some in (targets, ids)]
        self._lowered = torch.cat([lowered[0].unsqueeze(1), lowered[1].expand(len(targets), -1)], dim=1)
        self._drawing = drawing
        self.losses = -(self._logits - self._lowered).log_softmax(dim=1)[:, 0]

    @torch.no_grad()
    def sampled(self, uniforms: torch.Tensor) -> torch.Tensor:
        """Draw a replacement for each row, its target or a candidate, by [rows] float32 numbers in [0, 1): [rows]."""
        logits = self._logits / self._drawing.temperature - self._lowered
        if self._drawing.disallow_correct:
            logits[:, 0] = -torch.inf
        return self._ids.gather(1, draw(logits, uniforms)[0].unsqueeze(1)).squeeze(1)

    @torch.no_grad()
    def likeliest(self) -> torch.Tensor:
        """The likeliest of each row's target and the candidates: [rows] int64."""
        return self._ids.gather(1, self._logits.argmax(dim=1, keepdim=True)).squeeze(1)
