"""transformers' names in flax: nested keys for dots; kernel, scale and embedding for weight; kernels turned."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from electra_convert.formats.locate import Location
from electra_convert.schemes.models import Checkpoint, OpenSource, Scheme
from electra_convert.schemes.transformers import read_models
from electra_convert.tensors.op import Op
from electra_convert.tensors.spec import Source, Tensor
from electra_convert.tensors.weight import Weight

# What transformers' own conversion knows of flax's layers (modeling_flax_pytorch_utils.py of transformers 4).
_WEIGHT = "weight"
_LEAVES = {"kernel": _WEIGHT, "scale": _WEIGHT, "embedding": _WEIGHT, "bias": "bias"}
# The key that flax's modules keep parameters under, beside which a training state has its optimiser's.
_PARAMETERS = "params"
_TRAINING = ("opt_state", "step")


def _recognises(names: Collection[str]) -> bool:
    return any(_parts(name)[-3:] == ["embeddings", "word_embeddings", "embedding"] for name in names)


def _parts(name: str) -> list[str]:
    """A name's keys; a file in safetensors has dots between them, one in msgpack what this tool puts there."""
    return name.replace("/", ".").split(".")


def _translate(tensors: Mapping[str, Tensor]) -> dict[str, Weight]:
    """Every array that is no state of training under transformers' name, kernels as torch has them."""
    nested = any(_parts(name)[0] == _PARAMETERS for name in tensors)
    translated = {}
    for name, tensor in tensors.items():
        *keys, leaf = _parts(name)
        if nested and [*keys, leaf][0] in _TRAINING:
            continue
        if nested and keys[:1] == [_PARAMETERS]:
            keys = keys[1:]
        op = Op.TRANSPOSE if leaf == "kernel" and len(tensor.shape) == 2 else Op.KEEP
        translated[".".join([*keys, _LEAVES.get(leaf, leaf)])] = Weight(tensor, op)
    return translated


def _read(path: Path, locations: Sequence[Location], open_source: OpenSource) -> Checkpoint:
    checkpoint = read_models(FLAX, path, locations, open_source, _translate)
    known = {weight.tensor.name for model in checkpoint.models.values() for weight in model.weights.values()}
    left = [name for source in checkpoint.sources for name in _of_training(source) if name not in known]
    if not left:
        return checkpoint
    notice = f"Left out, the state of the training ({', '.join(sorted({_parts(name)[0] for name in left}))})."
    return replace(checkpoint, left_out=checkpoint.left_out | set(left), notices=(*checkpoint.notices, notice))


def _of_training(source: Source) -> list[str]:
    nested = any(_parts(name)[0] == _PARAMETERS for name in source.tensors)
    return [name for name in source.tensors if nested and _parts(name)[0] in _TRAINING]


FLAX = Scheme(
    "flax",
    {"msgpack", "safetensors"},
    _recognises,
    _read,
    described=True,
    target="safetensors",
    loads="nothing",
    gelu_in_generators=False,
)
