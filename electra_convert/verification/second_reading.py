"""A model's weights found in its file a second time, by the modules that hold them and not by the table of names.

What the file of a scheme that nothing loads holds is run under the names that conversion gives it. Were those wrong,
both sides of a comparison would be wrong in the same way. So every parameter of the model that transformers made is
looked for in the file again: by the end of its name, its leaf as the kind of module has it in torch, flax or Keras.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from electra_convert.errors import NamesError
from electra_convert.formats.tf_bundle import BundleSource
from electra_convert.schemes.mapping import Role
from electra_convert.tensors.cast import widen
from electra_convert.tensors.spec import Source, Tensor

# What flax' modules call what torch's call weight; a dense layer's is [in, out] there and [out, in] in torch.
_FLAX_LEAVES = {"Linear": "kernel", "LayerNorm": "scale", "Embedding": "embedding"}
# What Keras' call weight and bias, where it is not bias.
_KERAS_LEAVES = {
    ("Linear", "weight"): "kernel",
    ("LayerNorm", "weight"): "gamma",
    ("LayerNorm", "bias"): "beta",
    ("Embedding", "weight"): "embeddings",
}
_OTHER_HALF: dict[Role, frozenset[str]] = {
    "discriminator": frozenset(("generator", "generator_model")),
    "generator": frozenset(("discriminator", "discriminator_model")),
}


def require_second_reading(path: Path, loaded: Any, role: Role, sources: Sequence[Source]) -> int:  # noqa: ANN401
    """Hold every parameter of a model to the tensor that its file has for it; return how many were found there.

    Args:
        path: what was pointed at, for messages.
        loaded: the torch.nn.Module, filled with what conversion makes of the file.
        role: which of the two models it is.
        sources: the opened containers.

    Raises:
        NamesError: one has other values than the tensor in the file.
        CorruptFileError: a tensor failed its container's checks.
    """
    stored = {
        (*_way(source, name), *name.removesuffix(":0").replace("/", ".").split(".")): tensor
        for source in sources
        for name, tensor in source.tensors.items()
        if tensor.dtype.kind == "float"
    }
    names = [name for name in stored if not _OTHER_HALF[role].intersection(name)]
    count = 0
    for name, parameter, spellings in _parameters(loaded):
        for spelling, turned in spellings:
            ends = [key for key in names if key[-len(spelling) :] == spelling]
            if not ends:
                continue
            # An optimiser's state repeats a model's names after others of its own; the other model, where nothing but
            # Keras' name of it tells them apart, at the same length.
            shortest = min(map(len, ends))
            tensors = [stored[key] for key in ends if len(key) == shortest]
            _require_one(path, name, parameter.detach().numpy(), tensors, turned)
            count += 1
    return count


def _way(source: Source, name: str) -> list[str]:
    """Which of two models the way to a variable leads through, in a graph of objects."""
    keys = source.keys if isinstance(source, BundleSource) else {}
    return [part for part in keys.get(name, "").split("/") if any(part in names for names in _OTHER_HALF.values())]


def _parameters(loaded: Any) -> Iterator[tuple[str, Any, list[tuple[tuple[str, ...], bool]]]]:  # noqa: ANN401
    """Every parameter with its name, and what it may be called in a file, each with whether it is turned there."""
    for prefix, module in loaded.named_modules():
        for leaf, parameter in module.named_parameters(recurse=False):
            keys = tuple(prefix.split(".")) if prefix else ()
            kind = type(module).__name__
            turned = leaf == "weight" and kind == "Linear"
            spellings = {(*keys, leaf): False}
            if leaf == "weight" and kind in _FLAX_LEAVES:
                spellings[*keys, _FLAX_LEAVES[kind]] = turned
            spellings.setdefault((*_keras_scopes(keys), _KERAS_LEAVES.get((kind, leaf), leaf)), turned)
            yield ".".join((*keys, leaf)), parameter, list(spellings.items())


def _keras_scopes(keys: Sequence[str]) -> Iterator[str]:
    """Keras numbers a layer in its name, layer_._0, in which there is a dot."""
    for before, key in zip(("", *keys), keys, strict=False):
        yield f"_{key}" if before == "layer" else f"{key}_" if key == "layer" else key


def _require_one(path: Path, name: str, held: Any, tensors: Sequence[Tensor], turned: bool) -> None:  # noqa: ANN401
    for tensor in tensors:
        values = widen(tensor.read().reshape(-1).view(np.uint8).data, tensor.dtype).reshape(tensor.shape)
        expected = (values.T if turned else values).astype(held.dtype, copy=False)
        if np.array_equal(held, expected, equal_nan=True):
            return
    raise NamesError(
        f"{path}: read a second time, {tensors[0].name} is not what conversion makes {name} of",
        "Please report it, with the output of inspect.",
    )
