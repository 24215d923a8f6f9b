"""A TensorFlow checkpoint read as ELECTRA models: its variables accounted for, one by one; converts nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from electra_convert.errors import NamesError, NotElectraError, SourceError
from electra_convert.formats.locate import Location
from electra_convert.formats.names import METAGRAPH
from electra_convert.formats.tf_bundle import BundleSource
from electra_convert.schemes.foreign import advice, resemblance
from electra_convert.schemes.layouts import Recognition, collapse, count_layers, recognise
from electra_convert.schemes.mapping import SLOT_NAMES, STEP_NAME, Role
from electra_convert.schemes.models import (
    Checkpoint,
    Model,
    OpenSource,
    naming,
    require_complete,
    require_floats,
    step_value,
)
from electra_convert.schemes.plan import Binding, measure
from electra_convert.tensors.spec import Source, Tensor
from electra_convert.tensors.weight import Weight


def read_google(path: Path, locations: tuple[Location, ...], open_source: OpenSource) -> Checkpoint:
    """Find the models in a TensorFlow checkpoint.

    Args:
        path: what was pointed at, for messages.
        locations: the one checkpoint.
        open_source: opens it; the caller closes it.

    Returns:
        The checkpoint.

    Raises:
        SourceError: it is not an ELECTRA checkpoint.
        NamesError: variables are missing, or have a shape or dtype that does not fit.
        CorruptFileError: a file is damaged.
    """
    location = locations[0]
    source = open_source(location)
    tensors = source.tensors
    recognition = _recognise(location.path, tensors)
    models = {role: _model(location, role, recognition, tensors) for role in recognition.bindings}
    step_tensor = tensors.get(STEP_NAME)
    graph = location.path.with_name(location.path.name + METAGRAPH)
    return Checkpoint(
        path=path,
        name=location.path.name,
        format=source.format,
        variant=recognition.variant,
        models=models,
        step=_step(location.path, step_tensor, source),
        step_tensor=step_tensor,
        unmapped=recognition.unexpected,
        notices=_notices(location, recognition),
        folder=location.folder,
        sources=(source,),
        graph=graph if graph.is_file() else None,
    )


def _recognise(path: Path, tensors: Mapping[str, Tensor]) -> Recognition:
    try:
        recognition = recognise(tensors.keys(), _projects(tensors))
    except NotElectraError as error:
        raise SourceError(
            f"{path} is not a checkpoint of google-research/electra: {error.message}; "
            f"it looks like {resemblance(tensors)}",
            advice(tensors),
        ) from error
    what = f"ELECTRA checkpoint of the {recognition.variant.name} layout"
    require_complete(path, what, recognition.missing, recognition.unexpected)
    return recognition


def _projects(tensors: Mapping[str, Tensor]) -> dict[str, bool]:
    """Of encoder scopes, whether their hidden states are of another width than the embeddings they are given."""
    found = {}
    for scope in ("electra", "generator"):
        own = tensors.get(f"{scope}/embeddings/word_embeddings", tensors.get("electra/embeddings/word_embeddings"))
        query = tensors.get(f"{scope}/encoder/layer_0/attention/self/query/kernel")
        if own is not None and query is not None:
            found[scope] = own.shape[1:] != query.shape[:1]
    return found


def _model(location: Location, role: Role, recognition: Recognition, tensors: Mapping[str, Tensor]) -> Model:
    bindings = recognition.bindings[role]
    network = next(network for network in recognition.variant.networks if network.role == role)
    with naming(location.path):
        sizes = measure(
            {binding.tf: tensors[binding.tf].shape for binding in bindings},
            {binding.tf: binding.dims for binding in bindings},
            count_layers(tensors, network.encoder),
        )
    slots = _slots(bindings, recognition, tensors)
    require_floats(
        location.path,
        {binding.tf: tensors[binding.tf] for binding in bindings}
        | {slot.tensor.name: slot.tensor for slot in slots.values()},
    )
    _require_slot_shapes(location.path, slots, tensors)
    return Model(
        role=role,
        head=network.head,
        sizes=sizes,
        weights={binding.hf: Weight(tensors[binding.tf], binding.op) for binding in bindings},
        slots=slots,
        folder=location.folder,
    )


def _slots(
    bindings: tuple[Binding, ...], recognition: Recognition, tensors: Mapping[str, Tensor]
) -> dict[str, Weight]:
    return {
        f"{binding.hf}.{slot}": Weight(tensors[f"{binding.tf}/{slot}"], binding.op)
        for binding in bindings
        for slot in SLOT_NAMES
        if f"{binding.tf}/{slot}" in recognition.slots
    }


def _require_slot_shapes(path: Path, slots: Mapping[str, Weight], tensors: Mapping[str, Tensor]) -> None:
    for slot in (weight.tensor for weight in slots.values()):
        variable = tensors[slot.name.rpartition("/")[0]]
        if slot.shape != variable.shape:
            raise NamesError(f"{path}: {slot.name} is {list(slot.shape)}, its variable is {list(variable.shape)}")


def _step(prefix: Path, tensor: Tensor | None, source: Source) -> int | None:
    if tensor is not None:
        return step_value(prefix, tensor)
    if isinstance(source, BundleSource) and source.from_object_graph:
        return None  # tf.train.Checkpoint numbers its files by how often it has saved.
    match = re.search(r"-(\d{1,18})$", prefix.name)
    return int(match[1]) if match else None


def _notices(location: Location, recognition: Recognition) -> tuple[str, ...]:
    notices = [location.notice] if location.notice else []
    if recognition.foreign:
        names = ", ".join(collapse(recognition.foreign))
        notices.append(f"Left out, {recognition.variant.foreign_is}: {names}.")
    if recognition.other_slots:
        others = ", ".join(_other_state(recognition))
        notices.append(f"Left out, state of an optimiser that is not ELECTRA's: {others}.")
    if recognition.variant.name == "encoder":
        notices.append("The checkpoint is an encoder alone, without a pretraining head.")
    return tuple(notices)


def _other_state(recognition: Recognition) -> list[str]:
    """Slots and counters of other optimisers: a slot that every variable has by its own name, else all names."""
    variables = {binding.tf for bound in recognition.bindings.values() for binding in bound}
    slots: dict[str, set[str]] = {}
    for name in recognition.other_slots:
        variable, _, slot = name.rpartition("/")
        slots.setdefault(slot, set()).add(variable)
    whole = {slot for slot, having in slots.items() if variables <= having}
    rest = [name for name in recognition.other_slots if name.rpartition("/")[2] not in whole]
    return [f"{slot} of every variable" for slot in sorted(whole)] + collapse(rest)
