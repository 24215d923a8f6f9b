"""Networks and optimiser in training: made, filled from a checkpoint, and seen as one; reads and writes no files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from electra_convert.checkpoint import Checkpoint, Model
from electra_convert.config.hparams import Hparams
from electra_convert.config.sources import Findings
from electra_convert.conversion.plan import OutputPlan
from electra_convert.errors import NamesError, TrainingError
from electra_convert.pretraining.architectures import make_pair, shared_lines
from electra_convert.pretraining.batches import weights_seed
from electra_convert.pretraining.corpus.vocabulary import Pieces
from electra_convert.pretraining.dropout import ATTENTION
from electra_convert.pretraining.model import config_of, initialise, make_networks, named_weights
from electra_convert.pretraining.model_folders import plan_folders, restore
from electra_convert.pretraining.optimizer import make_optimizer, moments_of
from electra_convert.pretraining.options import PretrainOptions, Settings
from electra_convert.pretraining.preparation import Preparation
from electra_convert.pretraining.progress import Reporter
from electra_convert.pretraining.starting.start import Start
from electra_convert.pretraining.tables import use_table
from electra_convert.schemes.google import GOOGLE
from electra_convert.schemes.heads import PRETRAINING
from electra_convert.schemes.layouts import Layout
from electra_convert.schemes.mapping import SLOT_NAMES, Role, Sizes
from electra_convert.schemes.models import step_constant
from electra_convert.tensors.spec import DTYPES, Tensor, stream_bytes
from electra_convert.tensors.weight import Weight

Losses = list[list[float]]


@dataclass
class TrainState:
    """What training changes, and what it is.

    Attributes:
        networks: transformers' models, tied.
        optimizer: the optimiser of all their parameters.
        layout: their layout in google-research/electra.
        findings: their configurations, and the hparams of the run.
        step: the global step they are at.
        pending: losses of the last steps, which have not been reported yet.
        plan: lays out models of any architecture; None where they are Google's ELECTRA.
    """

    networks: Mapping[Role, nn.Module]
    optimizer: torch.optim.AdamW
    layout: Layout
    findings: Findings
    step: int = 0
    pending: Losses = field(default_factory=list)
    plan: Callable[[], OutputPlan] | None = None


def make_state(preparation: Preparation, device: torch.device, compiled: bool, seed: int = 0) -> TrainState:
    """Make the models of a run on a device, and their optimiser, its moments zero.

    Args:
        preparation: what the run is decided by.
        device: where it is computed.
        compiled: whether it is by torch.compile.
        seed: of the weights of models of any architecture; those of Google's ELECTRA are not set yet.
    """
    own_dropout = device.type == "cpu" and not compiled
    if preparation.designs:
        networks = _any_networks(preparation, own_dropout, seed)
    else:
        networks = make_networks(preparation.configs, preparation.layout, ATTENTION if own_dropout else "sdpa")
    for network in networks.values():
        network.to(device)
        if not compiled and not preparation.designs:
            use_table(network)
    named = {f"{role}.{name}": one for role, network in networks.items() for name, one in network.named_parameters()}
    once = {id(parameter): (name, parameter) for name, parameter in reversed(named.items())}
    optimizer = make_optimizer(dict(reversed(once.values())), preparation.settings.weight_decay_rate)
    state = TrainState(networks, optimizer, preparation.layout, preparation.findings)
    if preparation.designs:
        length = preparation.settings.max_seq_length
        state.plan = partial(plan_folders, networks, optimizer, preparation.pieces, length)
    return state


def _ids_by_name(pieces: Pieces) -> dict[str, int]:
    """The id of each token, special ones by ELECTRA's names."""
    special = {row: name for name, row in pieces.special_ids.items()}
    return {special.get(row, piece or f"[{row}]"): row for row, piece in enumerate(pieces.vocabulary.pieces)}


def _any_networks(preparation: Preparation, own_dropout: bool, seed: int) -> dict[Role, nn.Module]:
    return make_pair(
        preparation.designs,
        _ids_by_name(preparation.pieces),
        preparation.settings.max_seq_length,
        bool(Hparams(preparation.hparams, "")["untied_generator_embeddings"]),
        weights_seed(seed),
        own_dropout,
    )


def begin_any(state: TrainState, saved: Path | None, step: int, settings: Settings, reporter: Reporter) -> None:
    """Give models of any architecture what they begin with: as they were made, or as a run's checkpoint has them.

    Args:
        state: as make_state makes it; filled in place.
        saved: the folder of the checkpoint's models, None for a new run.
        step: the checkpoint's.
        settings: the training hparams.
        reporter: told where it begins.

    Raises:
        NamesError: the checkpoint's weights are not the state's.
        CorruptFileError: a tensor failed its container's checks.
    """
    for line in shared_lines(state.networks) if saved is None else ():
        reporter.noticed(line)
    if saved is not None:
        restore(saved, state.networks, state.optimizer)
        state.step = step
        reporter.noticed(f"The run continues at step {step} of {settings.num_train_steps}.")


def begin(
    state: TrainState,
    start: Start | None,
    settings: Settings,
    options: PretrainOptions,
    reporter: Reporter,
) -> None:
    """Give a state the weights, the moments and the step that it begins with.

    Args:
        state: as make_state makes it; filled in place.
        start: what it goes on from, or None.
        settings: the training hparams.
        options: what was asked for.
        reporter: told where it begins.

    Raises:
        NamesError: the checkpoint's weights are not the state's.
        TrainingError: the checkpoint has only some of the optimiser's slots, or its run is over.
        CorruptFileError: a tensor failed its container's checks.
    """
    if start is None or start.is_afresh:
        initialise(state.networks, weights_seed(options.seed))
    if start is None:
        return
    checkpoint = start.checkpoint
    restore_weights(checkpoint, state.networks)
    if start.is_afresh or (options.reset_optimizer and start.told):
        reporter.noticed("The optimiser and the schedule begin anew, at step 0.")
        return
    if not start.is_own and (options.reset_optimizer or checkpoint.slot_state == "none"):
        why = "" if options.reset_optimizer else ", which has no optimiser slots"
        reporter.noticed(f"The weights are those of {checkpoint.name}{why}; the schedule begins at step 0.")
        return
    _restore_moments(checkpoint, state)
    total = settings.num_train_steps
    if checkpoint.step is None or checkpoint.step > total:
        raise TrainingError(
            f"{checkpoint.path} is at step {checkpoint.step}, but num_train_steps is {total}",
            "Give the num_train_steps of the whole run, or --reset-optimizer to begin a new schedule.",
        )
    reporter.noticed(f"The run of {checkpoint.name} continues at step {checkpoint.step} of {total}.")
    state.step = checkpoint.step


def as_checkpoint(state: TrainState) -> Checkpoint:
    """See a state as a checkpoint with slots and step, without copying what is in main memory.

    Returns:
        The checkpoint, which changes when the state does.
    """
    return Checkpoint(
        path=Path("the run"),
        name="pretraining",
        format="pretraining",
        scheme=GOOGLE,
        layout=state.layout,
        models={role: _model(role, network, state.optimizer) for role, network in state.networks.items()},
        step=state.step,
        step_tensor=step_constant(state.step),
        unmapped=(),
        notices=(),
        folder=Path(),
        sources=(),
    )


def _model(role: Role, network: nn.Module, optimizer: torch.optim.AdamW) -> Model:
    weights, slots = {}, {}
    for name, parameter in named_weights(network).items():
        weights[name] = Weight(_tensor(name, parameter))
        for slot, moment in moments_of(optimizer, parameter).items():
            slots[f"{name}.{slot}"] = Weight(_tensor(f"{name}.{slot}", moment))
    config = config_of(network)
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
    """Fill networks with the weights of a checkpoint, whose models have their sizes; what it lacks stays as it is.

    Raises:
        NamesError: a weight is not finite.
        CorruptFileError: a tensor failed its container's checks.
    """
    for role, model in checkpoint.models.items():
        for name, parameter in named_weights(networks[role]).items():
            if name in model.weights:
                parameter.data.copy_(_values(model.weights[name]))


def _restore_moments(checkpoint: Checkpoint, state: TrainState) -> None:
    """Fill the optimiser with the slots of a checkpoint."""
    if checkpoint.slot_state != "full":
        raise TrainingError(
            f"{checkpoint.path} has optimiser slots of some weights only, so its run cannot be continued",
            "--reset-optimizer takes its weights alone, and starts a new schedule.",
        )
    for role, network in state.networks.items():
        slots = checkpoint.models[role].slots
        for name, parameter in named_weights(network).items():
            moments = moments_of(state.optimizer, parameter)
            for slot in SLOT_NAMES:
                moments[slot].copy_(_values(slots[f"{name}.{slot}"]))


def _values(weight: Weight) -> torch.Tensor:
    try:
        return torch.from_numpy(np.array(weight.read_float32()))
    except NamesError as error:
        raise NamesError(error.message, "Use an earlier checkpoint.") from error
