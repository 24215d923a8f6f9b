"""The objective as a module of its own, for a training loop of one's own: it masks, and reduces what comes out."""

from __future__ import annotations

from collections.abc import Collection
from math import ceil
from typing import Any, NamedTuple

import torch
from torch import nn

from electra_convert.errors import UsageError
from electra_convert.pretraining.modules import Hidden, TokenHead
from electra_convert.pretraining.objective import Masked, Objective, Outputs


class Results(NamedTuple):
    """What a pass of Electra gives; all but loss, mlm_loss and disc_loss without gradients.

    Attributes:
        loss: gen_weight * mlm_loss + disc_weight * disc_loss.
        mlm_loss: the generator's mean cross entropy over masked tokens, in nats.
        disc_loss: the discriminator's mean cross entropy over tokens that are no padding, in nats.
        gen_acc: the share of masked tokens that the generator holds most likely.
        disc_acc: the share of masked tokens the discriminator is right about, and that of all others, averaged.
        disc_labels: [batch, length] float, 1 where a token was replaced by another.
        disc_predictions: [batch, length] float, 1 where the discriminator says so.
    """

    loss: torch.Tensor
    mlm_loss: torch.Tensor
    disc_loss: torch.Tensor
    gen_acc: torch.Tensor
    disc_acc: torch.Tensor
    disc_labels: torch.Tensor
    disc_predictions: torch.Tensor


class Electra(Objective):
    """ELECTRA's objective around any two modules, with the arguments and results of the electra-pytorch package.

    Replace `from electra_pytorch import Electra` by `from electra_convert import Electra`, and the rest of a program
    stays as it is. Either model may be one of transformers, or any module that takes token ids and gives logits. Of a
    masked language model of transformers only the masked tokens are projected to the vocabulary.

    >>> import torch
    >>> from electra_convert import Electra
    >>> from transformers import ElectraConfig, ElectraForMaskedLM, ElectraForPreTraining
    >>> config = ElectraConfig(vocab_size=100, embedding_size=16, hidden_size=32, num_hidden_layers=1)
    >>> generator, discriminator = ElectraForMaskedLM(config), ElectraForPreTraining(config)
    >>> generator.electra.embeddings = discriminator.electra.embeddings
    >>> trainer = Electra(generator, discriminator, mask_token_id=4, mask_ignore_token_ids=[2, 3])
    >>> results = trainer(torch.randint(5, 100, (8, 32)))
    >>> results.loss.backward()
    >>> results.disc_labels.shape
    torch.Size([8, 32])

    For the same masks and samples the losses and shares are electra-pytorch's. It differs in what it draws:

    - A sample takes one uniform number, not noise for every logit; the distribution is the same.
    - Of every sequence the share mask_prob of what may be masked is masked, rounded up. electra-pytorch masks other
      counts where special tokens or padding come first, and then padding too.
    - random_token_prob is that of a masked token; there, any token may become a random one, special ones too.
    - Without any token to mask mlm_loss is 0, where it is NaN there.

    Args:
        generator: gives [batch, length, num_tokens] logits of [batch, length] ids.
        discriminator: gives a logit for each of [batch, length] ids; or hidden states, with discr_dim.
        num_tokens: the size of the vocabulary, needed for random_token_prob.
        discr_dim: the width of hidden states of the discriminator, of which a layer of Electra's own makes logits.
        discr_layer: which layer's they are: its name, or the number of a child; by default the module's own output.
        mask_prob: the share of tokens that is masked, above 0 and below 1.
        replace_prob: the probability that a masked token becomes mask_token_id; otherwise it stays as it is.
        random_token_prob: the probability that a masked token becomes a random one instead.
        mask_token_id: the id of [MASK].
        pad_token_id: the id of padding, which is neither masked nor counted.
        mask_ignore_token_ids: ids that are never masked either, such as those of [CLS] and [SEP].
        disc_weight: the discriminator's loss counts this much.
        gen_weight: the generator's loss counts this much.
        temperature: divides the generator's logits before sampling, above 0.

    Raises:
        UsageError: an argument is impossible, or a module gives something else than logits.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        num_tokens: int | None = None,
        discr_dim: int = -1,
        discr_layer: str | int = -1,
        mask_prob: float = 0.15,
        replace_prob: float = 0.85,
        random_token_prob: float = 0.0,
        mask_token_id: int = 2,
        pad_token_id: int = 0,
        mask_ignore_token_ids: Collection[int] = (),
        disc_weight: float = 50.0,
        gen_weight: float = 1.0,
        temperature: float = 1.0,
    ) -> None:
        if discr_dim > 0:
            discriminator = TokenHead(Hidden(discriminator, discr_layer), discr_dim)
        super().__init__(generator, discriminator, temperature=temperature)
        # electra-pytorch's order: the states that it saved of optimisers go by the numbers of parameters.
        self._modules["discriminator"] = self._modules.pop("discriminator")
        self.num_tokens = num_tokens
        self.mask_prob, self.replace_prob, self.random_token_prob = mask_prob, replace_prob, random_token_prob
        self.mask_token_id, self.pad_token_id = mask_token_id, pad_token_id
        self.mask_ignore_token_ids = {*mask_ignore_token_ids, pad_token_id}
        self.disc_weight, self.gen_weight = disc_weight, gen_weight
        self._ignored: torch.Tensor
        self.register_buffer("_ignored", torch.tensor(sorted(self.mask_ignore_token_ids)), persistent=False)
        self._require_possible()

    def _require_possible(self) -> None:
        if not 0 < self.mask_prob < 1:
            raise UsageError(f"mask_prob is {self.mask_prob}, expected a number above 0 and below 1")
        for name in ("replace_prob", "random_token_prob"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} is {getattr(self, name)}, expected a number from 0 to 1")
        if not self.temperature > 0:
            raise UsageError(f"temperature is {self.temperature}, expected a number above 0")
        if self.random_token_prob and self.num_tokens is None:
            raise UsageError("random_token_prob draws tokens from num_tokens, which is not given")

    def forward(self, input: torch.Tensor, **inputs: Any) -> Results:  # noqa: ANN401 - electra-pytorch's names
        """Mask some tokens, let the generator replace them, and see whether the discriminator notices.

        Args:
            input: [batch, length] ids.
            inputs: what both models are given beside ids, such as attention_mask.
        """
        masked = self.mask(input, **inputs)
        return self.reduced(masked, self.losses(masked))

    def mask(self, input: torch.Tensor, **inputs: Any) -> Masked:  # noqa: ANN401 - as forward
        """Draw which tokens of [batch, length] ids are masked, and all that sampling goes by, from torch's generator.

        Every sequence has the same number of places; filling is what is too many of them.
        """
        ids = input.long()
        maskable = ~torch.isin(ids, self._ignored)
        counts = (maskable.sum(dim=1, keepdim=True) * self.mask_prob).ceil()
        order = torch.rand(ids.shape, device=ids.device).masked_fill(~maskable, -1.0)
        width = ceil(ids.shape[1] * self.mask_prob)
        positions = order.topk(width, dim=1).indices
        weights = torch.arange(width, device=ids.device) < counts
        uniforms = torch.rand((3, *positions.shape), device=ids.device)
        original = ids.gather(1, positions)
        seen = torch.where(uniforms[0] < self.replace_prob, self.mask_token_id, original)
        if self.random_token_prob:
            seen = self._randomised(seen, uniforms[1])
        masked_ids = ids.scatter(1, positions, torch.where(weights, seen, original))
        return Masked(ids, masked_ids, positions, weights.float(), uniforms[2], inputs)

    def _randomised(self, ids: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
        assert self.num_tokens is not None
        drawn = torch.randint(self.num_tokens, ids.shape, device=ids.device)
        return torch.where((uniforms < self.random_token_prob) & ~torch.isin(drawn, self._ignored), drawn, ids)

    def reduced(self, masked: Masked, outputs: Outputs) -> Results:
        """The losses and shares of what one pass computed."""
        assert outputs.disc_logits is not None
        assert outputs.disc_losses is not None
        chosen, present = masked.weights, masked.input_ids != self.pad_token_id
        mlm_loss = _mean(outputs.masked_lm_losses, chosen)
        disc_loss = _mean(outputs.disc_losses, present)
        with torch.no_grad():
            predictions = (outputs.disc_logits > 0).to(outputs.labels.dtype)
            originals = masked.input_ids.gather(1, masked.positions)
            gen_acc = _mean((outputs.guesses == originals).float(), chosen)
            right = (predictions == outputs.labels).float()
            was_chosen = torch.zeros_like(right).scatter(1, masked.positions, chosen)
            disc_acc = (_mean(right, was_chosen) + _mean(right, 1 - was_chosen)) / 2
        loss = self.gen_weight * mlm_loss + self.disc_weight * disc_loss
        return Results(loss, mlm_loss, disc_loss, gen_acc, disc_acc, outputs.labels, predictions)


def _mean(values: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """The mean of what counts; 0 of nothing."""
    return (values * weights).sum() / weights.sum().clamp(min=1)
