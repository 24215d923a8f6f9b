"""Keras' scheme: the variables of transformers' TFElectra classes, by the names that Keras gives them anywhere.

A variable is called MODEL/electra/encoder/layer_._0/attention/self/query/kernel:0. The model's name may carry a
counter, be the user's own or be missing, and in HDF5 a layer's group stands before it; what follows is the same
(modeling_tf_electra.py in transformers 3.0.2 to 4.57.6, and NVIDIA's modeling.py, which was made from it).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path

from electra_convert.errors import SourceError, counted, listing
from electra_convert.formats.locate import Location
from electra_convert.formats.tf_bundle import BundleSource
from electra_convert.schemes.family import ELECTRA
from electra_convert.schemes.foreign import numbered_by_keras, resemblance
from electra_convert.schemes.mapping import WORD_EMBEDDINGS
from electra_convert.schemes.models import Checkpoint, OpenSource, Scheme
from electra_convert.schemes.transformers import Part, checkpoint_of, read_part
from electra_convert.tensors.op import Op
from electra_convert.tensors.spec import Source, Tensor
from electra_convert.tensors.weight import Weight

_SCOPE = "electra"
_PARTS_OF_ENCODER = frozenset({"embeddings", "embeddings_project", "encoder"})
_WORD_TABLE = (_SCOPE, "embeddings", "word_embeddings", "weight")
_LAYER = re.compile(r"layer_\._(0|[1-9][0-9]{0,5})")
# What the last part of a variable's name is in transformers, and the op that brings it there.
_ENDINGS = {
    "kernel": ("weight", Op.TRANSPOSE),
    "bias": ("bias", Op.KEEP),
    "gamma": ("weight", Op.KEEP),
    "beta": ("bias", Op.KEEP),
    "weight": ("weight", Op.KEEP),
    "embeddings": ("weight", Op.KEEP),
}
# Where an optimiser keeps its state: in HDF5, and in a graph of objects.
_OPTIMIZER_GROUP = "optimizer_weights"
_OF_OPTIMIZER = re.compile(r"(.*/)?(\.OPTIMIZER_SLOT|optimizer|opt|_variables)/")
_STEP_KEY = "step/.ATTRIBUTES/VARIABLE_VALUE"
_HEADS_OF_BOTH = frozenset({"discriminator_predictions", "generator_predictions"})
_EMBEDDINGS = f"{ELECTRA.prefix}embeddings."
_ENCODER = f"{ELECTRA.prefix}encoder."


@dataclass(frozen=True)
class _Variable:
    """A tensor, the parts of its full name, and the way to it in a graph of objects."""

    tensor: Tensor
    parts: tuple[str, ...]
    key: str

    @property
    def is_of_optimizer(self) -> bool:
        """Whether an optimiser keeps it."""
        return self.parts[0] == _OPTIMIZER_GROUP or _OF_OPTIMIZER.match(self.key) is not None

    @property
    def is_counter(self) -> bool:
        """Whether it is one number that is no weight."""
        return not self.tensor.shape and self.tensor.dtype.kind != "float"


# Where a model's own names begin within full names, and what stands just before that.
_Place = tuple[int, str]


@dataclass(frozen=True)
class _Own:
    """A variable of a model: its name within it, the way to the model in a graph of objects, and the model's name."""

    variable: _Variable
    name: tuple[str, ...]
    way: str
    model: str


@dataclass(frozen=True)
class _Half:
    """What one model of a container is made of.

    Attributes:
        weights: by transformers' names.
        tied: pairs of variables that the container holds twice.
        strange: names in the container that say nothing.
    """

    weights: Mapping[str, Weight]
    tied: tuple[tuple[Weight, Weight], ...]
    strange: tuple[str, ...]


def _parts(name: str) -> tuple[str, ...]:
    return tuple(name.removesuffix(":0").split("/"))


def _recognises(names: Collection[str]) -> bool:
    return any(_parts(name)[-len(_WORD_TABLE) :] == _WORD_TABLE for name in names)


def _read(path: Path, locations: Sequence[Location], open_source: OpenSource) -> Checkpoint:
    parts, warnings = [], []
    for location in locations:
        read, told = _read_file(location, open_source(location))
        parts += read
        warnings += told
    return replace(checkpoint_of(KERAS, path, locations, parts), warnings=tuple(warnings))


def _read_file(location: Location, source: Source) -> tuple[list[Part], list[str]]:
    """The models of a container, and warnings of what is not of them."""
    _require_names(location.path, source.tensors)
    keys = source.keys if isinstance(source, BundleSource) else {}
    every = [_Variable(tensor, _parts(name), keys.get(name, "")) for name, tensor in source.tensors.items()]
    training = [variable for variable in every if variable.is_of_optimizer]
    rest = [variable for variable in every if not variable.is_of_optimizer]
    places = set(_places(rest))
    if not places:
        raise SourceError(
            f"{location.path} is not an ELECTRA model: none of the variables of transformers' TFElectra classes "
            f"(electra/...) is there; it looks like {resemblance(source.tensors)}"
        )
    own = {one.tensor.name: _own(one, depth) for one in rest for depth in _depths(one, places)}
    around = [variable for variable in rest if variable.tensor.name not in own]
    counters = [variable for variable in around if variable.is_counter]
    layers = [variable for variable in around if not variable.is_counter]
    parts = [_part(location, source, half) for half in _halves(list(own.values()))]
    step = next((variable.tensor for variable in counters if variable.key == _STEP_KEY), None)
    parts[0] = replace(
        parts[0],
        step=step,
        left_out=(*parts[0].left_out, *(variable.tensor.name for variable in (*training, *around))),
        notices=(*parts[0].notices, *_notices(training, [one for one in counters if one.tensor is not step])),
    )
    return parts, _warnings(layers)


def _require_names(path: Path, names: Iterable[str]) -> None:
    if numbered_by_keras(names):
        raise SourceError(
            f"{path} numbers its variables (vars/0) instead of naming them, as Keras saves *.weights.h5 and "
            "keras-hub its ElectraBackbone; this tool does not read that",
            "A model of transformers: save it again with save_pretrained, or with save_weights('weights.h5'). "
            "keras-hub's presets are Google's own models: convert those (hf://google/electra-small-discriminator).",
        )


def _places(variables: Iterable[_Variable]) -> Iterator[_Place]:
    """Where encoders' names begin: at the last electra/ before a part of an encoder."""
    for variable in variables:
        parts = variable.parts
        for depth in reversed(range(len(parts) - 1)):
            if parts[depth] == _SCOPE and parts[depth + 1] in _PARTS_OF_ENCODER:
                yield depth, parts[depth - 1] if depth else ""
                break


def _depths(variable: _Variable, places: Set[_Place]) -> list[int]:
    """Where a variable's name within its model begins; nothing where it is of none."""
    before = ("", *variable.parts[:-1])
    return [depth for depth, name in enumerate(before) if (depth, name) in places][:1]


def _own(variable: _Variable, depth: int) -> _Own:
    name = variable.parts[depth:]
    way, found, _ = f"/{variable.key}".partition(f"/{name[0]}/")
    return _Own(variable, name, way if found else "", variable.parts[depth - 1] if depth else "")


def _halves(own: Sequence[_Own]) -> list[_Half]:
    """The models of a container: one, unless ways to several encoders lead through its graph, or heads of both
    models are there, under two names.

    A model that has no embeddings of its own, as in NVIDIA's checkpoints, has those of the other one.
    """
    ways = _grouped((one.way, one) for one in own)
    if len(_whole(ways)) < 2 and {one.name[0] for one in own} >= _HEADS_OF_BOTH:
        ways = _grouped((one.model, one) for one in own)
    whole = _whole(ways)
    if len(whole) < 2:
        return [_half(own)]
    stray = [one.variable.tensor.name for way, group in ways.items() if way not in whole for one in group]
    given = next((half.weights for half in whole.values() if WORD_EMBEDDINGS in half.weights), {})
    shared = {name: weight for name, weight in given.items() if name.startswith(_EMBEDDINGS)}
    found = [replace(half, weights=_with(half.weights, shared)) for half in whole.values()]
    return [replace(found[0], strange=(*found[0].strange, *stray)), *found[1:]]


def _grouped(named: Iterable[tuple[str, _Own]]) -> dict[str, list[_Own]]:
    groups: dict[str, list[_Own]] = {}
    for name, one in named:
        groups.setdefault(name, []).append(one)
    return groups


def _whole(groups: Mapping[str, Sequence[_Own]]) -> dict[str, _Half]:
    """Of groups of variables those that have an encoder, by their names."""
    halves = {name: _half(group) for name, group in groups.items()}
    return {name: half for name, half in halves.items() if any(one.startswith(_ENCODER) for one in half.weights)}


def _with(weights: Mapping[str, Weight], shared: Mapping[str, Weight]) -> Mapping[str, Weight]:
    has_own = any(name.startswith(_EMBEDDINGS) for name in weights)
    return weights if has_own else {**weights, **shared}


def _half(own: Iterable[_Own]) -> _Half:
    weights: dict[str, Weight] = {}
    tied, strange = [], []
    for one in own:
        found = _parameter(one.name)
        if found is None:
            strange.append(one.variable.tensor.name)
            continue
        name, op = found
        weight = Weight(one.variable.tensor, op)
        if weights.setdefault(name, weight) is not weight:
            tied.append((weight, weights[name]))
    return _Half(weights, tuple(tied), tuple(strange))


def _parameter(parts: Sequence[str]) -> tuple[str, Op] | None:
    """What transformers calls a variable, and the op that brings it there; None where its name says nothing."""
    *scopes, last = parts
    if last not in _ENDINGS or not scopes:
        return None
    ending, op = _ENDINGS[last]
    named = [f"layer.{match[1]}" if (match := _LAYER.fullmatch(scope)) else scope for scope in scopes]
    return ".".join([*named, ending]), op


def _part(location: Location, source: Source, half: _Half) -> Part:
    part = read_part(location, source, half.weights)
    model = replace(part.model, tied=(*part.model.tied, *half.tied))
    return replace(part, model=model, unmapped=(*part.unmapped, *half.strange))


def _notices(training: Collection[_Variable], counters: Collection[_Variable]) -> list[str]:
    told = []
    if training:
        told.append(f"Left out, state of Keras' optimiser: {counted(len(training), 'tensor')}.")
    if counters:
        names = listing(sorted(variable.tensor.name for variable in counters))
        told.append(f"Left out, counters of the training: {names}.")
    return told


def _warnings(layers: Collection[_Variable]) -> list[str]:
    """What is said of layers that a Keras model has around ELECTRA."""
    if not layers:
        return []
    names: Mapping[str, None] = dict.fromkeys("/".join(variable.parts[:-1]) for variable in layers)
    return [
        f"Left out, layers of the Keras model around ELECTRA: {listing(names)}. Without them the model has no "
        "answers of its own."
    ]


KERAS = Scheme(
    "keras",
    {"hdf5", "safetensors", "tensorflow"},
    _recognises,
    _read,
    described=True,
    target="safetensors",
    loads="nothing",
)
