"""A model's weights found in its file a second time, by the modules that hold them and not by the table of names.

What the file of a scheme that nothing loads holds is run under the names that conversion gives it. Were those wrong,
both sides of a comparison would be wrong in the same way. So every parameter of the model that transformers made is
looked for in the file again: by the end of its name, its leaf as the kind of its module has it in torch or in flax.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from electra_convert.errors import NamesError
from electra_convert.schemes.mapping import Role
from electra_convert.tensors.cast import widen
from electra_convert.tensors.spec import Source, Tensor

# What flax' modules call what torch's call weight; a dense layer's is [in, out] there and [out, in] in torch.
_FLAX_LEAVES = {"Linear": "kernel", "LayerNorm": "scale", "Embedding": "embedding"}
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
        NamesError: one has other values than every tensor of its name in the file.
        CorruptFileError: a tensor failed its container's checks.
    """
    stored = {
        tuple(name.replace("/", ".").split(".")): tensor
        for source in sources
        for name, tensor in source.tensors.items()
        if tensor.dtype.kind == "float"
    }
    names = [name for name in stored if not _OTHER_HALF[role].intersection(name)]
    count = 0
    for name, parameter, spellings in _parameters(loaded):
        for spelling, turned in spellings:
            ends = [stored[key] for key in names if key[-len(spelling) :] == spelling]
            # An optimiser's state, or a second model, repeats a model's names after others of its own.
            if ends and not any(_same(parameter.detach().numpy(), tensor, turned) for tensor in ends):
                raise NamesError(
                    f"{path}: read a second time, {ends[0].name} is not what conversion makes {name} of",
                    "Please report it, with the output of inspect.",
                )
            count += bool(ends)
    return count


def _parameters(loaded: Any) -> Iterator[tuple[str, Any, list[tuple[tuple[str, ...], bool]]]]:  # noqa: ANN401
    """Every parameter with its name, and what it may be called in a file, each with whether it is turned there."""
    for prefix, module in loaded.named_modules():
        for leaf, parameter in module.named_parameters(recurse=False):
            keys = tuple(prefix.split(".")) if prefix else ()
            spellings = [((*keys, leaf), False)]
            kind = type(module).__name__
            if leaf == "weight" and kind in _FLAX_LEAVES:
                spellings.append(((*keys, _FLAX_LEAVES[kind]), kind == "Linear"))
            yield ".".join((*keys, leaf)), parameter, spellings


def _same(held: Any, tensor: Tensor, turned: bool) -> bool:  # noqa: ANN401
    values = widen(tensor.read().reshape(-1).view(np.uint8).data, tensor.dtype).reshape(tensor.shape)
    expected = (values.T if turned else values).astype(held.dtype, copy=False)
    return np.array_equal(held, expected, equal_nan=True)
