"""transformers' scheme: the parameters of a model of any age, in a folder or a pair of them, read and named again."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from electra_convert.errors import ConfigError, NamesError, NotElectraError, SourceError, listing
from electra_convert.formats.files import refuse_placeholder, small_text
from electra_convert.formats.json_objects import decode_json
from electra_convert.formats.locate import Location
from electra_convert.formats.names import (
    ADAPTER_FILE,
    BESIDE_FILE,
    CONFIG_FILE,
    CONVERSION_FILE,
    OPTIMIZER_FILE,
    TRAINING_FILE,
)
from electra_convert.schemes.family import ELECTRA, Family
from electra_convert.schemes.foreign import family_of_folder, resemblance, stated_beside
from electra_convert.schemes.heads import with_labels
from electra_convert.schemes.layouts import collapse
from electra_convert.schemes.mapping import (
    SLOT_NAMES,
    STEP_NAME,
    WORD_EMBEDDINGS,
    Role,
    Sizes,
    measure,
)
from electra_convert.schemes.models import (
    Checkpoint,
    Model,
    OpenSource,
    Scheme,
    naming,
    require_complete,
    require_floats,
    step_value,
)
from electra_convert.schemes.state_dict import StateDict, current_name, recognise
from electra_convert.tensors.spec import Source, Tensor
from electra_convert.tensors.weight import Weight, same_bits

# What torch.nn.DataParallel and torch.compile put before every name of a model that they wrap.
_WRAPPERS = {"module.": "torch.nn.DataParallel", "_orig_mod.": "torch.compile"}


def _as_they_are(tensors: Mapping[str, Tensor]) -> dict[str, Weight]:
    return {name: Weight(tensor) for name, tensor in tensors.items()}


def _recognises(names: Collection[str]) -> bool:
    return any("embeddings.word_embeddings.weight" in name for name in names)


def read_models(
    scheme: Scheme,
    path: Path,
    locations: Sequence[Location],
    open_source: OpenSource,
    translate: Callable[[Mapping[str, Tensor]], Mapping[str, Weight]],
) -> Checkpoint:
    """Read the model of one container, or a discriminator and a generator of two, which the caller closes.

    The scheme's names are translated to transformers', of any age, in transformers' orientation.

    Raises:
        SourceError: one of them is not an ELECTRA model.
        NamesError: parameters are missing, have a shape or dtype that does not fit, or both models have one role.
        ConfigError: a conversion.json is damaged.
        CorruptFileError: a file is damaged.
    """
    parts = [_read_folder(location, open_source, translate) for location in locations]
    return checkpoint_of(scheme, path, locations, parts)


def checkpoint_of(scheme: Scheme, path: Path, locations: Sequence[Location], parts: Sequence[Part]) -> Checkpoint:
    """A checkpoint of one model, or of a discriminator and a generator.

    Raises:
        NamesError: both have one role, or their optimiser states are of different steps.
    """
    models: dict[Role, Model] = {}
    for part in parts:
        if (role := part.model.role) in models:
            raise NamesError(f"{path}: both models are {role}s", "A pair is a discriminator and a generator.")
        models[role] = part.model
    sources = tuple({id(source): source for part in parts for source in part.sources}.values())
    steps = [part.step for part in parts if part.step is not None]
    record = parts[0].model.record
    return Checkpoint(
        path=path,
        # Not the folder's: records are the same wherever a model lies.
        name=", ".join(dict.fromkeys(location.path.name for location in locations)),
        format=sources[0].format,
        scheme=scheme,
        layout=None,
        models=models,
        step=_step(path, steps, record),
        step_tensor=steps[0] if steps else None,
        unmapped=tuple(name for part in parts for name in part.unmapped),
        left_out=frozenset(name for part in parts for name in part.left_out),
        notices=tuple(notice for part in parts for notice in part.notices),
        folder=locations[0].folder,
        sources=sources,
        record=record,
    )


@dataclass(frozen=True)
class Part:
    """One model, with what else of a checkpoint came with it."""

    model: Model
    sources: tuple[Source, ...]
    step: Tensor | None = None
    unmapped: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


def _read_folder(
    location: Location,
    open_source: OpenSource,
    translate: Callable[[Mapping[str, Tensor]], Mapping[str, Weight]],
) -> Part:
    """The model of one container, with what this tool lays beside one: its optimiser's state, and more of a head."""
    source = open_source(location)
    beside = _beside(location, open_source)
    weights, unwrapped = _unwrapped(translate(source.tensors))
    part = read_part(location, source, weights)
    optimizer = _optimizer(location, open_source)
    slots = optimizer.tensors if optimizer else {}
    named = _slots(location.folder / OPTIMIZER_FILE, part.model.mapped, slots)
    require_floats(location.path, {name: weight.tensor for name, weight in named.items()})
    kept = {name: Weight(tensor) for name, tensor in beside.tensors.items()} if beside else {}
    return replace(
        part,
        model=replace(part.model, slots=named, beside=kept),
        sources=tuple(opened for opened in (source, optimizer, beside) if opened),
        step=slots.get(STEP_NAME),
        notices=(*unwrapped, *part.notices),
    )


def read_part(location: Location, source: Source, weights: Mapping[str, Weight], ties: bool | None = None) -> Part:
    """Find the one model that weights are of, by transformers' names of any age.

    Args:
        location: where they were found.
        source: the same, opened.
        ties: whether a generator's output table is its word embeddings; by default as the config.json beside it
            says, and where there is none as the values do.

    Raises:
        SourceError: they are not an ELECTRA model's.
        NamesError: parameters are missing, or have a shape or dtype that does not fit.
    """
    with _named_by_type(location):
        state = _recognise(location.path, weights)
        sizes = _sizes(location.path, state, weights)
    model = _model(location, state, sizes, weights, _ties(location) if ties is None else ties)
    left_out = tuple(weights[name].tensor.name for name in state.buffers)
    return Part(
        model=model,
        sources=(source,),
        unmapped=tuple(weights[name].tensor.name for name in state.unexpected),
        left_out=left_out,
        notices=(*source.notices, *_notices(location, left_out), *_untied(model)),
    )


def _unwrapped(weights: Mapping[str, Weight]) -> tuple[Mapping[str, Weight], list[str]]:
    """A model without what every one of its names begins with, where something wrapped it, and notices of that."""
    notices = []
    while found := next(
        (one for one in _WRAPPERS if weights and all(name.startswith(one) for name in weights)), None
    ):
        weights = {name.removeprefix(found): weight for name, weight in weights.items()}
        notices.append(f"Taken off, {found} before every name, which {_WRAPPERS[found]} puts there.")
    return weights, notices


def _recognise(path: Path, weights: Mapping[str, Weight]) -> StateDict:
    try:
        with naming(path):
            state = recognise(weights, _widths_differ(weights))
    except NotElectraError as error:
        raise SourceError(
            f"{path} is not an ELECTRA model: {error.message}; it looks like {resemblance(weights)}"
        ) from error
    what = f"ELECTRA {state.head.role}" if state.head.rules else "ELECTRA encoder"
    require_complete(path, what, state.missing, state.unexpected)
    return state


@contextmanager
def _named_by_type(location: Location) -> Iterator[None]:
    """Say of tensors that make no ELECTRA model what the config.json beside them says that they are."""
    try:
        yield
    except (SourceError, NamesError) as error:
        stated = stated_beside(location.folder, "model_type")
        if not isinstance(stated, str) or stated == family_of_folder(location.folder).model_type:
            raise
        raise SourceError(
            f"{location.path} is not an ELECTRA model: the config.json beside it says that its model_type is "
            f"{stated!r}",
            "Weights of another architecture cannot become ELECTRA's.",
        ) from error


def _parameters(state: StateDict, stored: Mapping[str, Weight]) -> dict[str, Weight]:
    return {binding.hf: stored[state.stored[binding.hf]] for binding in state.bindings}


def _sizes(path: Path, state: StateDict, stored: Mapping[str, Weight]) -> Sizes:
    weights = _parameters(state, stored)
    with naming(f"{path} (shapes in TensorFlow's orientation)"):
        return measure(
            {binding.hf: binding.part_shape(weights[binding.hf].shape) for binding in state.bindings},
            {binding.hf: binding.dims for binding in state.bindings},
            sum(name.endswith("attention.self.query.weight") for name in weights),
        )


def _widths_differ(weights: Mapping[str, Weight]) -> bool | None:
    """Whether hidden states are of another width than embeddings, None where a tensor that tells is missing."""

    def shape(ending: str) -> tuple[int, ...] | None:
        return next((weight.shape for name, weight in weights.items() if name.endswith(ending)), None)

    words, query = shape("embeddings.word_embeddings.weight"), shape("encoder.layer.0.attention.self.query.weight")
    return None if words is None or query is None else words[1:] != query[1:]


def _optimizer(location: Location, open_source: OpenSource) -> Source | None:
    path = location.folder / OPTIMIZER_FILE
    return open_source(Location("safetensors", path, location.folder)) if path.is_file() else None


def _beside(location: Location, open_source: OpenSource) -> Source | None:
    path = location.folder / BESIDE_FILE
    return open_source(Location("safetensors", path, location.folder)) if path.is_file() else None


def _model(
    location: Location, state: StateDict, sizes: Sizes, stored: Mapping[str, Weight], ties: bool | None
) -> Model:
    weights = _parameters(state, stored)
    head = with_labels(state.head, sizes.labels)
    require_floats(location.path, {name: weight.tensor for name, weight in weights.items()})
    record = _record(location.folder)
    tied, own = _output_table(state, stored, weights, ties)
    return Model(
        role=head.role,
        head=head,
        sizes=sizes,
        weights=weights | {name: stored[state.stored[name]] for name in head.unmapped} | own,
        slots={},
        folder=location.folder,
        tied=tied,
        record=record,
        task=recorded_task(record) if head.is_of_a_task else "",
    )


def recorded_task(record: Mapping[str, Any] | None) -> str:
    """The task in Google's code that a recorded conversion was of, or "" where none is recorded."""
    task = (record or {}).get("task")
    return task if isinstance(task, str) and re.fullmatch(r"[\w.-]+", task) else ""


def _ties(location: Location) -> bool | None:
    """Whether transformers ties a generator's output table, by its config.json; None where there is none."""
    if not (location.folder / CONFIG_FILE).is_file():
        return None
    return stated_beside(location.folder, "tie_word_embeddings") is not False


def _output_table(
    state: StateDict, stored: Mapping[str, Weight], weights: Mapping[str, Weight], ties: bool | None
) -> tuple[tuple[tuple[Weight, Weight], ...], dict[str, Weight]]:
    """A generator's output table: one of a pair that must be equal, or by its name a weight of the model's own."""
    if state.repeated is None or state.head.repeated is None:
        return (), {}
    pair = (stored[state.repeated], weights[WORD_EMBEDDINGS])
    if ties or same_bits(*pair):
        return (pair,), {}
    return (), {state.head.repeated: stored[state.repeated]}


def _slots(path: Path, weights: Mapping[str, Weight], optimizer: Mapping[str, Tensor]) -> dict[str, Weight]:
    bare = not any(name.startswith(ELECTRA.prefix) for name in optimizer)
    found = {current_name(name, bare): tensor for name, tensor in optimizer.items() if name != STEP_NAME}
    known = {f"{name}.{slot}": weight for name, weight in weights.items() for slot in SLOT_NAMES}
    if strange := [name for name in found if name not in known]:
        raise NamesError(f"{path} has slots of no parameter of the model: {listing(collapse(strange))}")
    for name, tensor in found.items():
        if tensor.shape != known[name].tensor.shape:
            raise NamesError(f"{path}: {name} is {list(tensor.shape)}, expected {list(known[name].tensor.shape)}")
    return {name: Weight(tensor) for name, tensor in found.items()}


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
        record = decode_json(small_text(path))
    except (OSError, ValueError) as error:
        refuse_placeholder(path)
        raise ConfigError(f"{path} cannot be read: {error}", "Remove it, or restore it.") from error
    if not isinstance(record, dict):
        raise ConfigError(f"{path} is not a JSON object", "Remove it, or restore it.")
    return record


def _notices(location: Location, buffers: Sequence[str]) -> list[str]:
    notices = [location.notice] if location.notice else []
    if (location.folder / ADAPTER_FILE).is_file():
        notices.append(f"Left out, an adapter that is not merged into the weights: {ADAPTER_FILE}.")
    if buffers:
        notices.append(f"Left out, buffers that hold no weights: {listing(buffers)}.")
    return notices


def _untied(model: Model) -> list[str]:
    if model.is_tied:
        return []
    return [
        f"The generator's output table, {model.head.repeated}, is not its word embeddings: it is kept as it is, and "
        "config.json has tie_word_embeddings false."
    ]


def file_name(model: Model, name: str, family: Family = ELECTRA) -> str:
    """The name that a weight, or a slot, has in a file of a model of this head, by a family's names."""
    return name.removeprefix(ELECTRA.prefix) if model.head.is_bare else family.name_of(name)


def _read(path: Path, locations: Sequence[Location], open_source: OpenSource) -> Checkpoint:
    return read_models(TRANSFORMERS, path, locations, open_source, _as_they_are)


TRANSFORMERS = Scheme(
    "transformers", {"safetensors", "torch"}, _recognises, _read, described=True, target="tf", loads="transformers"
)
