"""The two networks trained together, tied and initialised as Google's are; no data, no optimiser."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import nn

from electra_convert.frameworks import import_transformers
from electra_convert.pretraining.architectures import Discriminator, takes_segments
from electra_convert.pretraining.dropout import ATTENTION, attend, use_fast_dropout
from electra_convert.pretraining.objective import Masked, Objective, Outputs
from electra_convert.pretraining.options import Settings
from electra_convert.pretraining.sampled_softmax import SharedCandidates
from electra_convert.pretraining.tables import has_table
from electra_convert.schemes.heads import MASKED_LM, PRETRAINING
from electra_convert.schemes.layouts import Layout
from electra_convert.schemes.mapping import Role

# The two kernels that Google leaves to tf.layers.dense's own initialiser (modeling.BertModel,
# run_pretraining._get_discriminator_output).
_GLOROT = ("electra.embeddings_project.weight", "discriminator_predictions.dense_prediction.weight")
# torch takes five times the memory of what it draws at once: with a million pieces more than all of training does.
_DRAWN_AT_ONCE = 1 << 24


class Tensors(NamedTuple):
    """A batch on its device; batches.Batch says what each is. No attention mask where there is no padding."""

    input_ids: torch.Tensor
    masked_ids: torch.Tensor
    segment_ids: torch.Tensor
    attention_mask: torch.Tensor | None
    positions: torch.Tensor
    weights: torch.Tensor
    sample: torch.Tensor
    candidates: SharedCandidates | None = None

    @property
    def inputs(self) -> dict[str, torch.Tensor | None]:
        """What both models are given beside ids."""
        return {"attention_mask": self.attention_mask, "token_type_ids": self.segment_ids}

    def to(self, device: torch.device) -> Tensors:
        """The batch on another device; from pinned memory nobody waits for it."""
        moved = [None if one is None else one.to(device, non_blocking=True) for one in self[:-1]]
        drawn = self.candidates
        return Tensors._make(
            [*moved, None if drawn is None else drawn._replace(ids=drawn.ids.to(device, non_blocking=True))]
        )

    def masked(self, inputs: Mapping[str, torch.Tensor | None]) -> Masked:
        """The batch as the objective takes it."""
        chosen = (self.positions, self.weights, self.sample)
        return Masked(self.input_ids, self.masked_ids, *chosen, inputs, self.candidates)


class Electra(Objective):
    """A generator and a discriminator of transformers, and the pass of a training step through both.

    Args:
        networks: the transformers models by role, tied; without a generator replacements are uniform, without a
            discriminator it is a masked language model.
        settings: the training hparams.
    """

    def __init__(self, networks: Mapping[Role, nn.Module], settings: Settings) -> None:
        super().__init__(
            networks.get("generator"),
            networks.get("discriminator"),
            vocabulary=config_of(next(iter(networks.values()))).vocab_size,
            temperature=settings.temperature,
            disallow_correct=settings.disallow_correct,
            replaces_from_candidates=settings.sampled_replacements == "candidates",
            table_in_place="generator" in networks and has_table(networks["generator"]),
        )
        self._of_any_architecture = any(isinstance(network, Discriminator) for network in networks.values())
        self._segments = takes_segments(networks)

    def forward(self, batch: Tensors) -> Outputs:
        """Predict the masked tokens, sample replacements, and tell them from the originals."""
        return self.losses(batch.masked(self.inputs_of(batch)))

    def inputs_of(self, batch: Tensors) -> dict[str, torch.Tensor | None]:
        """What both models are given beside ids: models of any architecture what all have in common."""
        if not self._of_any_architecture:
            return batch.inputs
        mask = None if batch.attention_mask is None else batch.attention_mask[:, 0, 0].long()
        return {"attention_mask": mask, **({"token_type_ids": batch.segment_ids} if self._segments else {})}


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
    for part in torch.split(values.view(-1), _DRAWN_AT_ONCE):
        nn.init.trunc_normal_(part, std=deviation, a=-2 * deviation, b=2 * deviation, generator=random)
    return values
