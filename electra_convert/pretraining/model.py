"""The two networks trained together, tied and initialised as Google's are, and their losses; no data, no optimiser.

The objective is that of PretrainingModel in run_pretraining.py (google-research/electra, 8a46635).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import nn

from electra_convert.frameworks import import_transformers
from electra_convert.pretraining.dropout import ATTENTION, attend, use_fast_dropout
from electra_convert.pretraining.options import Settings
from electra_convert.schemes.heads import MASKED_LM, PRETRAINING
from electra_convert.schemes.layouts import Layout
from electra_convert.schemes.mapping import Role

# The two kernels that Google leaves to tf.layers.dense's own initialiser (modeling.BertModel,
# run_pretraining._get_discriminator_output).
_GLOROT = ("electra.embeddings_project.weight", "discriminator_predictions.dense_prediction.weight")


class Tensors(NamedTuple):
    """A batch on its device; batches.Batch says what each is. No attention mask where there is no padding."""

    input_ids: torch.Tensor
    masked_ids: torch.Tensor
    segment_ids: torch.Tensor
    attention_mask: torch.Tensor | None
    positions: torch.Tensor
    weights: torch.Tensor
    sample: torch.Tensor


class Outputs(NamedTuple):
    """What one pass computes.

    Attributes:
        masked_lm_log_probs: [batch * predictions, vocabulary]; None for a uniform generator.
        masked_lm_losses: [batch, predictions], in nats.
        sampled_ids: [batch, predictions], what the generator put in the chosen tokens' place.
        labels: [batch, length], 1 where a token was replaced by another.
        disc_logits: [batch, length]; None without a discriminator.
        disc_losses: the same shape, in nats; None without a discriminator.
    """

    masked_lm_log_probs: torch.Tensor | None
    masked_lm_losses: torch.Tensor
    sampled_ids: torch.Tensor
    labels: torch.Tensor
    disc_logits: torch.Tensor | None
    disc_losses: torch.Tensor | None


class Electra(nn.Module):
    """A generator and a discriminator, and the pass through both.

    Args:
        networks: the transformers models by role, tied; without a generator replacements are uniform, without a
            discriminator it is a masked language model.
        settings: the training hparams.
    """

    def __init__(self, networks: Mapping[Role, nn.Module], settings: Settings) -> None:
        super().__init__()
        self.networks = nn.ModuleDict({str(role): network for role, network in networks.items()})
        self.vocabulary: int = config_of(next(iter(networks.values()))).vocab_size
        self.temperature = settings.temperature
        self.disallow_correct = settings.disallow_correct

    def forward(self, batch: Tensors) -> Outputs:
        """Predict the masked tokens, sample replacements, and tell them from the originals."""
        original = batch.input_ids.gather(1, batch.positions)
        if "generator" in self.networks:
            log_probs = self.masked_lm_log_probs(batch)
            losses = -log_probs.gather(1, original.view(-1, 1)).view_as(original)
        else:
            log_probs = None
            losses = torch.full_like(batch.weights, self.vocabulary).log()
        with torch.no_grad():
            sampled = self._sample(log_probs, original, batch.sample)
            # Filling points at the first column, [CLS], and leaves it as it is.
            sampled = torch.where(batch.weights > 0, sampled, original)
            corrupted = self.replaced(batch, sampled)
            labels = (corrupted != batch.input_ids).to(losses.dtype)
        if "discriminator" not in self.networks:
            return Outputs(log_probs, losses, sampled, labels, None, None)
        logits = self.disc_logits(corrupted, batch)
        return Outputs(log_probs, losses, sampled, labels, logits, disc_losses(logits, labels))

    def replaced(self, batch: Tensors, sampled: torch.Tensor) -> torch.Tensor:
        """The sequences with [batch, predictions] ids put in the chosen tokens' place: [batch, length]."""
        return batch.input_ids.scatter(1, batch.positions, sampled)

    def masked_lm_log_probs(self, batch: Tensors) -> torch.Tensor:
        """What the generator expects in the chosen places: [batch * predictions, vocabulary] float32, in nats."""
        generator: Any = self.networks["generator"]
        hidden = generator.electra(batch.masked_ids, batch.attention_mask, batch.segment_ids)[0]
        # Only these rows are projected to the vocabulary.
        places = batch.positions.unsqueeze(-1).expand(-1, -1, hidden.shape[-1])
        chosen = hidden.gather(1, places).flatten(0, 1)
        logits: torch.Tensor = generator.generator_lm_head(generator.generator_predictions(chosen))
        return logits.float().log_softmax(dim=-1)

    def disc_logits(self, input_ids: torch.Tensor, batch: Tensors) -> torch.Tensor:
        """How much each of [batch, length] tokens looks replaced: float32 of the same shape, positive where it does.

        Args:
            input_ids: the tokens, some of them replaced.
            batch: the sequences they were made from.
        """
        discriminator: Any = self.networks["discriminator"]
        hidden = discriminator.electra(input_ids, batch.attention_mask, batch.segment_ids)[0]
        logits: torch.Tensor = discriminator.discriminator_predictions(hidden).float()
        return logits

    def _sample(self, log_probs: torch.Tensor | None, original: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
        if log_probs is None:
            log_probs = torch.zeros(original.numel(), self.vocabulary, device=original.device)
        if self.temperature == 1.0 and not self.disallow_correct:
            weights = log_probs.exp()
        else:
            logits = log_probs / self.temperature
            if self.disallow_correct:
                # Before the softmax: where the generator is sure, all that is left after it may be zeros.
                logits.scatter_(1, original.view(-1, 1), -torch.inf)
            weights = logits.softmax(dim=-1)
        return sample(weights, uniforms.flatten()).view_as(original)


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


def make_networks(configs: Mapping[Role, Mapping[str, Any]], layout: Layout, attention: str) -> dict[Role, nn.Module]:
    """Make transformers' models, tied as a layout of google-research/electra has it; `initialise` is yet to come.

    Args:
        configs: the configuration of each model, by transformers' names.
        layout: the layout.
        attention: the implementation of attention, such as sdpa, or dropout.ATTENTION.
    """
    transformers = import_transformers("to pretrain")
    transformers.AttentionInterface.register(ATTENTION, attend)
    networks: dict[Role, nn.Module] = {}
    for role, values in configs.items():
        config = transformers.ElectraConfig(**values, attn_implementation=attention)
        network = networks[role] = getattr(transformers, PRETRAINING[role].architecture())(config)
        # transformers keeps gradients from the row of [PAD]; Google's code has no such exception (embedding_lookup of
        # model/modeling.py), and [PAD] may be sampled.
        network.electra.embeddings.word_embeddings.padding_idx = None
        if attention == ATTENTION:
            use_fast_dropout(network)
    if len(networks) == 2:
        _tie(networks["discriminator"], networks["generator"], layout)
    return networks


def _tie(discriminator: Any, generator: Any, layout: Layout) -> None:  # noqa: ANN401 - torch.nn.Module
    scopes = {network.role: network.scopes for network in layout.networks}
    if scopes["generator"].encoder == scopes["discriminator"].encoder:
        generator.electra = discriminator.electra
    elif scopes["generator"].embeddings == scopes["discriminator"].embeddings:
        generator.electra.embeddings = discriminator.electra.embeddings
    generator.generator_lm_head.weight = generator.electra.embeddings.word_embeddings.weight


def config_of(network: nn.Module) -> Any:  # noqa: ANN401 - transformers.ElectraConfig
    """The configuration of a transformers model."""
    return network.config


def named_weights(network: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters of a model by transformers' names, without the word embeddings' second name."""
    named = network.named_parameters(remove_duplicate=False)
    return {name: parameter for name, parameter in named if name != MASKED_LM.repeated}


def initialise(networks: Mapping[Role, nn.Module], seed: int) -> None:
    """Draw all weights, in place; what the models share is drawn once.

    Kernels and embeddings come from a normal distribution cut off at two standard deviations (create_initializer of
    model/modeling.py), but for two kernels that Google leaves to TensorFlow's default; norms are 1 and biases 0.

    Args:
        networks: the models, tied.
        seed: the same seed gives the same weights, on any device.
    """
    random = torch.Generator().manual_seed(seed)
    drawn: set[int] = set()
    for network in networks.values():
        deviation = config_of(network).initializer_range
        for name, parameter in sorted(named_weights(network).items()):
            if id(parameter) not in drawn:
                drawn.add(id(parameter))
                parameter.data.copy_(_initial(name, parameter.shape, deviation, random))


def _initial(name: str, shape: torch.Size, deviation: float, random: torch.Generator) -> torch.Tensor:
    values = torch.empty(shape)
    if name.endswith(".bias"):
        return values.zero_()
    if "LayerNorm" in name:
        return values.fill_(1.0)
    if name in _GLOROT:
        return nn.init.xavier_uniform_(values, generator=random)
    if not deviation:
        return values.zero_()
    return nn.init.trunc_normal_(values, std=deviation, a=-2 * deviation, b=2 * deviation, generator=random)
