"""google-research/electra's scheme: the variables of a TensorFlow checkpoint, read as models and laid out again."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from electra_convert.errors import NamesError, NotElectraError, SourceError, counted, listing
from electra_convert.formats.locate import Location
from electra_convert.formats.names import METAGRAPH, SAVED_MODEL_FILE
from electra_convert.formats.tf_bundle import BundleSource
from electra_convert.schemes.foreign import advice, resemblance
from electra_convert.schemes.heads import kinds
from electra_convert.schemes.layouts import (
    Choice,
    Network,
    Recognition,
    Task,
    collapse,
    count_layers,
    recognise,
    separate,
)
from electra_convert.schemes.mapping import SLOT_NAMES, STEP_NAME, Binding, measure
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
from electra_convert.tensors.spec import Source, Tensor
from electra_convert.tensors.weight import Weight, joined, split


def _recognises(names: Collection[str]) -> bool:
    return any(name.startswith(("electra/encoder/", "electra/embeddings/", "generator/encoder/")) for name in names)


def _read(path: Path, locations: Sequence[Location], open_source: OpenSource) -> Checkpoint:
    """The models in a TensorFlow checkpoint."""
    return _read_task(None, path, locations, open_source)


def _read_task(
    choice: Choice | None, path: Path, locations: Sequence[Location], open_source: OpenSource
) -> Checkpoint:
    """The same, of a fine-tuned one with the head of a task that is chosen."""
    location = locations[0]
    source = open_source(location)
    tensors = source.tensors
    found = _recognise(location.path, tensors, choice)
    if choice is not None:
        _require_task(location.path, found, choice)
    step_tensor = tensors.get(STEP_NAME)
    return Checkpoint(
        path=path,
        name=location.path.name,
        format=source.format,
        scheme=GOOGLE,
        layout=found.layout,
        models={network.role: _model(location, network, found, tensors) for network in found.layout.networks},
        step=_step(location.path, step_tensor, source),
        step_tensor=step_tensor,
        unmapped=found.unexpected,
        left_out=found.training.names | set(found.foreign),
        notices=_notices(location, found, choice.among if choice else separate(found.tasks)),
        folder=location.folder,
        sources=(source,),
        graph=_graph(location.path),
        tasks=found.tasks,
        warnings=() if choice else tuple(_task_warnings(found)),
    )


def _graph(prefix: Path) -> Path | None:
    """The graph saved with a checkpoint: its .meta, or the saved_model.pb above the folder of its variables."""
    places = [prefix.with_name(prefix.name + METAGRAPH)]
    places += [prefix.parent.parent / SAVED_MODEL_FILE] if prefix.parent.name == "variables" else []
    return next((place for place in places if place.is_file()), None)


def _require_task(path: Path, found: Recognition, choice: Choice) -> None:
    """Refuse a task that is not there, or that no class of transformers computes."""
    task = next((task for task in found.tasks if task.name == choice.task), None)
    if task is None:
        there = f"for {listing([task.name for task in found.tasks])}" if found.tasks else "for no task"
        raise NamesError(f"{path} was fine-tuned {there}, not for {choice.task}", "Name one that is there (--task).")
    if task.head is None or choice.kind not in {None, task.head}:
        asked = f" as {choice.kind.name.replace('_', ' ')}" if choice.kind else ""
        told = f"{path}: the head of {task.name} cannot be converted{asked}: {reason_left_out(task)}"
        raise NamesError(told, "Without --task the encoder converts alone, and what it lacks is said.")


def reason_left_out(task: Task) -> str:
    """Why a task has no head that a class of transformers computes."""
    if task.is_joint:
        return (
            "it was trained with joint_prediction (qa_hidden), where the end of an answer depends on its start; no "
            "class of transformers computes that"
        )
    if task.heads:
        those = [kind for kind, head in kinds().items() if head in task.heads]
        return f"its variables are those of {listing(those)}, which only its name or --task {task.name}=KIND can tell"
    layers = sorted({name.split("/")[2] for name in task.variables})
    return f"it has the layers {listing(layers)}, which no head that this tool knows has"


def _task_warnings(found: Recognition) -> list[str]:
    """What is lost with heads that stay behind without anybody's having asked for it."""
    return [
        f"The head of {task.name} is left out: {reason_left_out(task)}. Without it the model has no answers of its "
        "own."
        for task in found.tasks
        if task.head is None
    ]


def _recognise(path: Path, tensors: Mapping[str, Tensor], choice: Choice | None) -> Recognition:
    try:
        shapes = {name: tensor.shape for name, tensor in tensors.items()}
        recognition = recognise(tensors.keys(), _projects(tensors), choice=choice, shapes=shapes)
    except NotElectraError as error:
        raise SourceError(
            f"{path} is not a checkpoint of google-research/electra: {error.message}; "
            f"it looks like {resemblance(tensors)}",
            advice(tensors),
        ) from error
    what = f"ELECTRA checkpoint of the {recognition.layout.name} layout"
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


def _model(location: Location, network: Network, recognition: Recognition, tensors: Mapping[str, Tensor]) -> Model:
    bindings = recognition.bindings[network.role]
    dims = {name: binding.dims for binding in bindings for name in binding.tf}
    slots = [
        (binding, slot)
        for binding in bindings
        for slot in SLOT_NAMES
        if all(f"{name}/{slot}" in recognition.slots for name in binding.tf)
    ]
    with naming(location.path):
        shapes = {name: tensors[name].shape for name in dims}
        sizes = measure(shapes, dims, count_layers(tensors, network.scopes.encoder))
        weights = {binding.hf: _weight(binding, "", tensors) for binding in bindings}
        held = {f"{binding.hf}.{slot}": _weight(binding, f"/{slot}", tensors) for binding, slot in slots}
    head = network.head
    if head.algebra is not None:
        with naming(location.path):
            weights |= head.algebra.forward({rule.hf: weights.pop(rule.hf) for rule in head.rules})
        held = {name: slot for name, slot in held.items() if name.rpartition(".")[0] in weights}
    present = {f"{name}/{slot}": tensors[f"{name}/{slot}"] for binding, slot in slots for name in binding.tf}
    require_floats(location.path, {name: tensors[name] for name in dims} | present)
    _require_slot_shapes(location.path, present, tensors)
    beside = {name: Weight(tensors[name]) for name in network.beside if name in tensors}
    return Model(network.role, head, sizes, weights, held, location.folder, beside=beside, task=network.scopes.task)


def _weight(binding: Binding, suffix: str, tensors: Mapping[str, Tensor]) -> Weight:
    return joined([Weight(tensors[f"{name}{suffix}"], binding.op) for name in binding.tf])


def _require_slot_shapes(path: Path, slots: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
    for slot in slots.values():
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


def _notices(location: Location, recognition: Recognition, apart: Sequence[str]) -> tuple[str, ...]:
    notices = [location.notice] if location.notice else []
    scopes = tuple(f"task_specific/{task}/" for task in apart)
    if heads := [name for name in recognition.foreign if name.startswith(scopes)]:
        notices.append(
            f"Heads of tasks, each of which is converted to a folder of its own: {', '.join(collapse(heads))}."
        )
    if foreign := [name for name in recognition.foreign if not name.startswith(scopes)]:
        notices.append(f"Left out, {recognition.layout.foreign_is}: {', '.join(collapse(foreign))}.")
    notices += _training_notices(recognition)
    if recognition.layout.name == "encoder":
        notices.append("The checkpoint is an encoder alone, without a pretraining head.")
    return tuple(notices)


def _training_notices(recognition: Recognition) -> list[str]:
    state = recognition.training
    told = []
    if state.slots or state.powers:
        told.append(
            f"Left out, state of an optimiser that is not ELECTRA's: {', '.join(_optimizer_told(recognition))}."
        )
    if state.counters:
        told.append(f"Left out, counters of the training: {', '.join(sorted(state.counters))}.")
    if state.gradients:
        names = sorted(state.gradients, key=lambda name: (len(name), name))
        count = counted(len(names), "tensor")
        told.append(f"Left out, accumulated gradients, {count} of variables' shapes: {listing(names, 4)}.")
    return told


def _optimizer_told(recognition: Recognition) -> list[str]:
    """Slots and counters of other optimisers: a slot that every variable has by its own name, else all names."""
    variables = {name for bound in recognition.bindings.values() for binding in bound for name in binding.tf}
    slots: dict[str, set[str]] = {}
    for variable, slot in recognition.training.slots.values():
        slots.setdefault(slot, set()).add(variable)
    whole = {slot for slot, having in slots.items() if variables <= having}
    rest = [name for name, (_, slot) in recognition.training.slots.items() if slot not in whole]
    return [f"{slot} of every variable" for slot in sorted(whole)] + collapse([*rest, *recognition.training.powers])


def variables(network: Network, model: Model) -> Iterator[tuple[str, Weight]]:
    """A model's weights under the names of a layout, in TensorFlow's orientation; slots of those that have them."""
    held = {**model.weights, **google_form(model), **model.slots}
    projects = model.sizes.embedding != model.sizes.hidden
    for binding in network.bindings(model.sizes.layers, projects):
        for slot in ("", *SLOT_NAMES):
            weight = held.get(f"{binding.hf}.{slot}" if slot else binding.hf)
            parts = split(weight, len(binding.tf)) if weight else []
            for name, part in zip(binding.tf, parts, strict=bool(parts)):
                yield f"{name}/{slot}" if slot else name, Weight(part.tensor, part.op.then(binding.op.inverse))
    yield from model.beside.items()


def google_form(model: Model) -> dict[str, Weight]:
    """What a head under algebra was made of, by the names of its rules; empty for a head made elsewhere."""
    algebra = model.head.algebra
    return (algebra.backward({name: model.weights[name] for name in model.head.names}) if algebra else None) or {}


GOOGLE = Scheme(
    "google",
    {"tensorflow"},
    _recognises,
    _read,
    described=False,
    target="safetensors",
    loads="google",
    gelu_in_generators=False,
    read_task=_read_task,
)
