"""The softmax over a token and a few candidates in place of the vocabulary, as tf.nn.sampled_softmax_loss has it."""

from __future__ import annotations

import torch

from electra_convert.pretraining.tables import look_up
from electra_convert.pretraining.vocabulary_softmax import Drawing, draw


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
        candidates: [candidates] ids, each once.
        log_expected: [vocabulary] float32, the logarithm of how often an id is expected among them.
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
        candidates: torch.Tensor,
        log_expected: torch.Tensor,
        in_place: bool = False,
    ) -> None:
        of_target = (hidden * look_up(weight, targets, in_place)).sum(dim=1).float()
        others = (hidden @ look_up(weight, candidates, in_place).t()).float()
        if bias is not None:
            of_target, others = of_target + bias[targets], others + bias[candidates]
        others = others.masked_fill(targets.unsqueeze(1) == candidates, torch.finfo(others.dtype).min)
        self._ids = torch.cat([targets.unsqueeze(1), candidates.expand(len(targets), -1)], dim=1)
        # The target's logit first.
        self._logits = torch.cat([of_target.unsqueeze(1), others], dim=1)
        self._log_expected = torch.cat(
            [log_expected[targets].unsqueeze(1), log_expected[candidates].expand(len(targets), -1)], dim=1
        )
        self.losses = -(self._logits - self._log_expected).log_softmax(dim=1)[:, 0]

    @torch.no_grad()
    def sampled(self, uniforms: torch.Tensor, drawing: Drawing) -> torch.Tensor:
        """Draw a replacement for each row, the target or a candidate: [rows] int64.

        Args:
            uniforms: [rows] float32 in [0, 1), what is drawn by.
            drawing: how.
        """
        logits = self._logits / drawing.temperature - self._log_expected
        if drawing.disallow_correct:
            logits[:, 0] = -torch.inf
        return self._ids.gather(1, draw(logits.softmax(dim=1), uniforms)[0].unsqueeze(1)).squeeze(1)
