"""transformers models read as ELECTRA models: one folder or a pair, of any age; converts nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from electra_convert.errors import ConfigError, NamesError, NotElectraError, SourceError, listing
from electra_convert.formats.locate import Location
from electra_convert.formats.names import ADAPTER_FILE, CONVERSION_FILE, OPTIMIZER_FILE, TRAINING_FILE
from electra_convert.schemes.foreign import resemblance
from electra_convert.schemes.layouts import collapse
from electra_convert.schemes.mapping import SLOT_NAMES, STEP_NAME, WORD_EMBEDDINGS, Role
from electra_convert.schemes.models import (
    Checkpoint,
    Model,
    OpenSource,
    naming,
    require_complete,
    require_floats,
    step_value,
)
from electra_convert.schemes.parameters import StateDict, current_name, recognise
from electra_convert.schemes.plan import measure
from electra_convert.tensors.ops import Op
from electra_convert.tensors.spec import Source, Tensor
from electra_convert.tensors.weight import Weight


def read_state_dicts(path: Path, locations: tuple[Location, ...], open_source: OpenSource) -> Checkpoint:
    """Find the models in transformers folders or files.

    Args:
        path: what was pointed at, for messages.
        locations: one model, or a discriminator and a generator.
        open_source: opens one of them; the caller closes it.

    Returns:
        The checkpoint.

    Raises:
        SourceError: one of them is not an ELECTRA model.
        NamesError: parameters are missing, have a shape or dtype that does not fit, or both models have one role.
        ConfigError: a conversion.json is damaged.
        CorruptFileError: a file is damaged.
    """
    models: dict[Role, Model] = {}
    sources: list[Source] = []
    notices: list[str] = []
    steps: list[Tensor] = []
    unmapped: list[str] = []
    for location in locations:
        source = open_source(location)
        sources.append(source)
        state = _recognise(location.path, source.tensors)
        optimizer = _optimizer(location, open_source)
        sources.extend([optimizer] if optimizer else [])
        if state.role in models:
            raise NamesError(f"{path}: both models are {state.role}s", "A pair is a discriminator and a generator.")
        models[state.role] = _model(location, state, source.tensors, optimizer.tensors if optimizer else {})
        steps.extend([optimizer.tensors[STEP_NAME]] if optimizer and STEP_NAME in optimizer.tensors else [])
        notices.extend(_notices(location, state))
        unmapped.extend(state.unexpected)
    record = next(iter(models.values())).record
    return Checkpoint(
        path=path,
        name=locations[0].path.name if len(locations) == 1 else path.resolve().name,
        format=sources[0].format,
        variant=None,
        models=models,
        step=_step(path, steps, record),
        step_tensor=steps[0] if steps else None,
        unmapped=tuple(unmapped),
        notices=tuple(notices),
        folder=locations[0].folder,
        sources=tuple(sources),
        record=record,
    )


def _recognise(path: Path, tensors: Mapping[str, Tensor]) -> StateDict:
    try:
        with naming(path):
            state = recognise(tensors, _widths_differ(tensors))
    except NotElectraError as error:
        raise SourceError(
            f"{path} is not an ELECTRA model: {error.message}; it looks like {resemblance(tensors)}"
        ) from error
    what = f"ELECTRA {state.role}" if state.head else "ELECTRA encoder"
    require_complete(path, what, state.missing, state.unexpected)
    return state


def _widths_differ(tensors: Mapping[str, Tensor]) -> bool | None:
    """Whether hidden states are of another width than embeddings, None where a tensor that tells is missing."""

    def shape(ending: str) -> tuple[int, ...] | None:
        return next((tensor.shape for name, tensor in tensors.items() if name.endswith(ending)), None)

    words, query = shape("embeddings.word_embeddings.weight"), shape("encoder.layer.0.attention.self.query.weight")
    return None if words is None or query is None else words[1:] != query[1:]


def _optimizer(location: Location, open_source: OpenSource) -> Source | None:
    path = location.folder / OPTIMIZER_FILE
    return open_source(Location("safetensors", path, location.folder)) if path.is_file() else None


def _model(
    location: Location, state: StateDict, tensors: Mapping[str, Tensor], optimizer: Mapping[str, Tensor]
) -> Model:
    weights = {binding.hf: Weight(tensors[state.stored[binding.hf]]) for binding in state.bindings}
    ops = {binding.hf: binding.op for binding in state.bindings}
    layers = sum(name.endswith("attention.self.query.weight") for name in weights)
    with naming(f"{location.path} (shapes in TensorFlow's orientation)"):
        sizes = measure(
            {name: ops[name].inverse.shape(weight.tensor.shape) for name, weight in weights.items()},
            {binding.hf: binding.dims for binding in state.bindings},
            layers,
        )
    slots = _slots(location.folder / OPTIMIZER_FILE, weights, optimizer)
    require_floats(location.path, {name: weight.tensor for name, weight in {**weights, **slots}.items()})
    return Model(
        role=state.role,
        head=state.head,
        sizes=sizes,
        weights=weights,
        slots=slots,
        folder=location.folder,
        task_head={name: tensors[name] for name in state.task_head},
        tied=_tied(state, tensors, weights),
        record=_record(location.folder),
    )


def _tied(
    state: StateDict, tensors: Mapping[str, Tensor], weights: Mapping[str, Weight]
) -> tuple[tuple[Weight, Weight], ...]:
    return () if state.tied_head is None else ((Weight(tensors[state.tied_head]), weights[WORD_EMBEDDINGS]),)


def _slots(path: Path, weights: Mapping[str, Weight], optimizer: Mapping[str, Tensor]) -> dict[str, Weight]:
    bare = not any(name.startswith("electra.") for name in optimizer)
    found = {current_name(name, bare): tensor for name, tensor in optimizer.items() if name != STEP_NAME}
    known = {f"{name}.{slot}": weight for name, weight in weights.items() for slot in SLOT_NAMES}
    if strange := [name for name in found if name not in known]:
        raise NamesError(f"{path} has slots of no parameter of the model: {listing(collapse(strange))}")
    for name, tensor in found.items():
        if tensor.shape != known[name].tensor.shape:
            raise NamesError(f"{path}: {name} is {list(tensor.shape)}, expected {list(known[name].tensor.shape)}")
    return {name: Weight(tensor, Op.KEEP) for name, tensor in found.items()}


def _step(path: Path, steps: list[Tensor], record: Mapping[str, Any] | None) -> int | None:
    values = {step_value(path, tensor) for tensor in steps}
    if len(values) > 1:
        raise NamesError(f"{path}: the two models' optimiser states are of different steps: {sorted(values)}")
    if values:
        return values.pop()
    step = (record or {}).get("step")
    return step if isinstance(step, int) and not isinstance(step, bool) and 0 <= step < 1 << 63 else None


def _record(folder: Path) -> Mapping[str, Any] | None:
    path = next((folder / name for name in (CONVERSION_FILE, TRAINING_FILE) if (folder / name).is_file()), None)
    if path is None:
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path} cannot be read: {error}", "Remove it, or restore it.") from error
    if not isinstance(record, dict):
        raise ConfigError(f"{path} is not a JSON object", "Remove it, or restore it.")
    return record


def _notices(location: Location, state: StateDict) -> list[str]:
    notices = [location.notice] if location.notice else []
    if (location.folder / ADAPTER_FILE).is_file():
        notices.append(f"Left out, an adapter that is not merged into the weights: {ADAPTER_FILE}.")
    if state.buffers:
        notices.append(f"Left out, buffers that hold no weights: {listing(state.buffers)}.")
    return notices
