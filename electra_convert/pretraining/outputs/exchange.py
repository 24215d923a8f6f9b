"""Networks in training seen as a checkpoint of the rest of the tool, and filled from one: the way in and out of every
file; reads and writes none itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from electra_convert.checkpoint import Checkpoint, Model
from electra_convert.config.sources import Findings
from electra_convert.errors import NamesError, TrainingError, listing
from electra_convert.pretraining.training.model import named_weights
from electra_convert.pretraining.training.optimizer import moments_of
from electra_convert.schemes.google import GOOGLE
from electra_convert.schemes.heads import PRETRAINING
from electra_convert.schemes.layouts import Layout, collapse
from electra_convert.schemes.mapping import SLOT_NAMES, Role, Sizes
from electra_convert.schemes.models import step_constant
from electra_convert.tensors.spec import DTYPES, Tensor, stream_bytes
from electra_convert.tensors.weight import Weight


@dataclass(frozen=True)
class Trained:
    """What is trained, and what it is.

    Attributes:
        networks: transformers' models, tied.
        optimizer: the optimiser of all their parameters.
        layout: their layout in google-research/electra.
        findings: their configurations, and the hparams of the run.
    """

    networks: Mapping[Role, nn.Module]
    optimizer: torch.optim.AdamW
    layout: Layout
    findings: Findings


def as_checkpoint(trained: Trained, step: int) -> Checkpoint:
    """See networks and optimiser as a checkpoint, without copying what is in main memory.

    Args:
        trained: the networks.
        step: the global step they are at.

    Returns:
        A checkpoint with slots and step; it changes when the networks do.
    """
    return Checkpoint(
        path=Path("the run"),
        name="pretraining",
        format="pretraining",
        scheme=GOOGLE,
        layout=trained.layout,
        models={role: _model(role, network, trained) for role, network in trained.networks.items()},
        step=step,
        step_tensor=step_constant(step),
        unmapped=(),
        notices=(),
        folder=Path(),
        sources=(),
    )


def _model(role: Role, network: nn.Module, trained: Trained) -> Model:
    weights, slots = {}, {}
    for name, parameter in named_weights(network).items():
        weights[name] = Weight(_tensor(name, parameter))
        for slot, moment in moments_of(trained.optimizer, parameter).items():
            slots[f"{name}.{slot}"] = Weight(_tensor(f"{name}.{slot}", moment))
    config = network.config
    sizes = Sizes(
        vocabulary=config.vocab_size,
        positions=config.max_position_embeddings,
        types=config.type_vocab_size,
        embedding=config.embedding_size,
        hidden=config.hidden_size,
        intermediate=config.intermediate_size,
        layers=config.num_hidden_layers,
    )
    return Model(role=role, head=PRETRAINING[role], sizes=sizes, weights=weights, slots=slots, folder=Path())


def _tensor(name: str, values: torch.Tensor) -> Tensor:
    array = np.ascontiguousarray(values.detach().cpu().numpy())
    content = array.reshape(-1).view(np.uint8).data
    return Tensor(name, DTYPES["float32"], array.shape, partial(stream_bytes, content))


def restore_weights(checkpoint: Checkpoint, networks: Mapping[Role, nn.Module]) -> None:
    """Fill networks with the weights of a checkpoint.

    Args:
        checkpoint: its models have the networks' sizes.
        networks: filled in place.

    Raises:
        NamesError: a model is missing, or two that share a tensor here have different values for it.
        CorruptFileError: a tensor failed its container's checks.
    """
    filled: set[nn.Parameter] = set()
    unequal = []
    for role, network in networks.items():
        for name, parameter in named_weights(network).items():
            values = _values(checkpoint.models[role].weights[name]).to(parameter.device)
            if parameter in filled and not torch.equal(parameter.data, values):
                unequal.append(name)
            parameter.data.copy_(values)
            filled.add(parameter)
    if unequal:
        raise NamesError(
            f"{checkpoint.path}: discriminator and generator share these tensors while they are trained, but have "
            f"different values for them: {listing(collapse(unequal))}",
            """Give the generator embeddings of its own: --hparams '{"untied_generator_embeddings": true}'.""",
        )


def restore_moments(checkpoint: Checkpoint, trained: Trained) -> None:
    """Fill the optimiser with the slots of a checkpoint.

    Args:
        checkpoint: it has all slots.
        trained: the networks and their optimiser, filled in place.

    Raises:
        TrainingError: it has only some of them.
        CorruptFileError: a tensor failed its container's checks.
    """
    if checkpoint.slot_state != "full":
        raise TrainingError(
            f"{checkpoint.path} has optimiser slots of some weights only, so its run cannot be continued",
            "--reset-optimizer takes its weights alone, and starts a new schedule.",
        )
    for role, network in trained.networks.items():
        slots = checkpoint.models[role].slots
        for name, parameter in named_weights(network).items():
            moments = moments_of(trained.optimizer, parameter)
            for slot in SLOT_NAMES:
                moments[slot].copy_(_values(slots[f"{name}.{slot}"]))


def _values(weight: Weight) -> torch.Tensor:
    try:
        return torch.from_numpy(np.array(weight.read_float32()))
    except NamesError as error:
        raise NamesError(error.message, "Use an earlier checkpoint.") from error
