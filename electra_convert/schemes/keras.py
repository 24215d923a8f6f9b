"""Keras' scheme: the variables of transformers' TFElectra classes, by the names that Keras gives them in every container.

A variable is called MODEL/electra/encoder/layer_._0/attention/self/query/kernel:0. The model's name may carry a counter,
be the user's own or be missing, and in HDF5 the group of a layer stands before it; what follows is always the same.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from electra_convert.errors import SourceError, counted, listing
from electra_convert.formats.locate import Location
from electra_convert.schemes.foreign import numbered_by_keras
from electra_convert.schemes.models import Checkpoint, OpenSource, Scheme
from electra_convert.schemes.transformers import Part, checkpoint_of, read_part
from electra_convert.tensors.spec import Source, Tensor
from electra_convert.tensors.weight import Op, Weight

_SCOPE = "electra"
_PARTS_OF_ENCODER = frozenset({"embeddings", "embeddings_project", "encoder"})
_WORD_TABLE = [_SCOPE, "embeddings", "word_embeddings", "weight"]
_LAYER = re.compile(r"layer_\._(0|[1-9][0-9]{0,5})")
# What the last part of a variable's name is in transformers, and the orientation it has here.
_ENDINGS = {
    "kernel": ("weight", Op.TRANSPOSE),
    "bias": ("bias", Op.KEEP),
    "gamma": ("weight", Op.KEEP),
    "beta": ("bias", Op.KEEP),
    "weight": ("weight", Op.KEEP),
    "embeddings": ("weight", Op.KEEP),
}
# Where Keras keeps an optimiser in HDF5, and what stands before all that is not it.
_OPTIMIZER_GROUP = "optimizer_weights"


@dataclass(frozen=True)
class _Variable:
    """A tensor, and the parts of its full name."""

    tensor: Tensor
    parts: tuple[str, ...]


@dataclass(frozen=True)
class _Place:
    """Where a model's own names begin within full names, and what stands just before that."""

    depth: int
    name: str

    def holds(self, variable: _Variable) -> bool:
        """Whether a variable is of the model."""
        return len(variable.parts) > self.depth and (
            self.depth == 0 or variable.parts[self.depth - 1] == self.name
        )


def _parts(name: str) -> tuple[str, ...]:
    return tuple(name.removesuffix(":0").split("/"))


def _recognises(names: Collection[str]) -> bool:
    return any(list(_parts(name)[-4:]) == _WORD_TABLE for name in names)


def _read(path: Path, locations: Sequence[Location], open_source: OpenSource) -> Checkpoint:
    found = [_read_file(location, open_source(location)) for location in locations]
    checkpoint = checkpoint_of(KERAS, path, locations, [part for part, _ in found])
    return replace(checkpoint, warnings=tuple(warning for _, warnings in found for warning in warnings))


def _read_file(location: Location, source: Source) -> tuple[Part, list[str]]:
    """The model of a container, and warnings of what is not of it."""
    _require_names(location.path, source.tensors)
    variables = [_Variable(tensor, _parts(name)) for name, tensor in source.tensors.items()]
    training = [variable for variable in variables if variable.parts[0] == _OPTIMIZER_GROUP]
    rest = [variable for variable in variables if variable not in training]
    places = set(_places(rest))
    own = [(variable, place) for variable in rest for place in places if place.holds(variable)]
    around = [variable for variable in rest if not any(place.holds(variable) for place in places)]
    weights, tied, strange = _weights(own)
    part = read_part(location, source, weights)
    left_out = [variable.tensor.name for variable in (*training, *around)]
    part = replace(
        part,
        model=replace(part.model, tied=(*part.model.tied, *tied)),
        unmapped=(*part.unmapped, *strange),
        left_out=(*part.left_out, *left_out),
        notices=(*part.notices, *_training_notices(training)),
    )
    return part, _around(around)


def _require_names(path: Path, names: Iterable[str]) -> None:
    if numbered_by_keras(names):
        raise SourceError(
            f"{path} is of Keras 3, which numbers variables (vars/0) in place of naming them, as keras-hub saves its "
            "ElectraBackbone; this tool does not read it",
            "keras-hub's presets are Google's models: convert those (hf://google/electra-small-discriminator). One "
            "that was trained further has to be copied in Python, variable by variable, into transformers' model.",
        )


def _places(variables: Iterable[_Variable]) -> Iterator[_Place]:
    """Where encoders' names begin: at the last electra/ before a part of an encoder."""
    for variable in variables:
        parts = variable.parts
        for depth in reversed(range(len(parts) - 1)):
            if parts[depth] == _SCOPE and parts[depth + 1] in _PARTS_OF_ENCODER:
                yield _Place(depth, parts[depth - 1] if depth else "")
                break


def _weights(
    own: Iterable[tuple[_Variable, _Place]],
) -> tuple[dict[str, Weight], list[tuple[Weight, Weight]], list[str]]:
    """A model's weights by transformers' names; pairs of those that the file holds twice; names that say nothing."""
    weights: dict[str, Weight] = {}
    tied = []
    strange = []
    for variable, place in own:
        found = _parameter(variable.parts[place.depth :])
        if found is None:
            strange.append(variable.tensor.name)
            continue
        name, op = found
        weight = Weight(variable.tensor, op)
        if weights.setdefault(name, weight) is not weight:
            tied.append((weight, weights[name]))
    return weights, tied, strange


def _parameter(parts: Sequence[str]) -> tuple[str, Op] | None:
    """What transformers calls a variable, and the op that brings it there; None where its name says nothing."""
    *scopes, last = parts
    if last not in _ENDINGS or not scopes:
        return None
    ending, op = _ENDINGS[last]
    named = [f"layer.{match[1]}" if (match := _LAYER.fullmatch(scope)) else scope for scope in scopes]
    return ".".join([*named, ending]), op


def _training_notices(training: Collection[_Variable]) -> list[str]:
    if not training:
        return []
    return [f"Left out, state of Keras' optimiser: {counted(len(training), 'tensor')}."]


def _around(variables: Collection[_Variable]) -> list[str]:
    """What is said of layers that a Keras model has around ELECTRA."""
    if not variables:
        return []
    layers: Mapping[str, None] = dict.fromkeys("/".join(variable.parts[:-1]) for variable in variables)
    return [
        f"Left out, layers of the Keras model around ELECTRA: {listing(layers)}. Without them the model has no "
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
