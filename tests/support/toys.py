"""A naming scheme and a head of no use: what it takes to add one, kept as small as that is."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from electra_convert.formats.locate import Location
from electra_convert.schemes.heads import Head
from electra_convert.schemes.mapping import stacked
from electra_convert.schemes.models import Checkpoint, OpenSource, Scheme
from electra_convert.schemes.transformers import read_models
from electra_convert.tensors.op import Op
from electra_convert.tensors.spec import Tensor
from electra_convert.tensors.weight import Weight

# Two dense layers over the same hidden states in Google's code, one of two labels in transformers.
TOY_HEAD = Head(
    "toy",
    "discriminator",
    "ForToys",
    rules=stacked(("task_specific/{task}/first", "task_specific/{task}/second"), "toys", "hidden", "one"),
)
# Names of transformers after a word, matrices the other way round.
TOY_PREFIX = "toy:"


def _recognises(names: Collection[str]) -> bool:
    return all(name.startswith(TOY_PREFIX) for name in names)


def _translate(tensors: Mapping[str, Tensor]) -> dict[str, Weight]:
    return {
        name.removeprefix(TOY_PREFIX): Weight(tensor, Op.TRANSPOSE if len(tensor.shape) == 2 else Op.KEEP)
        for name, tensor in tensors.items()
    }


def _read(path: Path, locations: Sequence[Location], open_source: OpenSource) -> Checkpoint:
    return read_models(TOY_SCHEME, path, locations, open_source, _translate)


TOY_SCHEME = Scheme("toy", {"safetensors"}, _recognises, _read, described=True, target="safetensors", loads="nothing")
