"""The algebra of a classifier: one dense layer in Google's code, in transformers two and a gelu between.

gelu(z) - gelu(-z) = z for every z, so that pairs of units carry the logits through the gelu exactly. Only the C
logits need it, not the h inputs: 2C units do. They are repeated n times with weights of 1/n, n the largest power of
two with 2nC <= h, so that 1/n is exact and dropout in further training hits about as in Google's code; the h - 2nC
units that are left stay zero and get no gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache

import numpy as np
from numpy.typing import NDArray

from electra_convert.errors import NamesError
from electra_convert.tensors.cast import cast
from electra_convert.tensors.spec import DTYPES, DType, Tensor, TensorSpec, stream_bytes
from electra_convert.tensors.weight import Weight

# What the rules call Google's dense layer, [C, h] and [C], and the two of transformers.
_LOGITS, _DENSE, _OUT = "classifier", "classifier.dense", "classifier.out_proj"
Array = NDArray[np.generic]


def forward(weights: Mapping[str, Weight]) -> dict[str, Weight]:
    """The four parameters of transformers' head: [h, h], [h], [C, h], [C]; raises NamesError where 2C > h."""
    kernel, bias = weights[f"{_LOGITS}.weight"], weights[f"{_LOGITS}.bias"]
    labels, hidden = kernel.shape
    copies = copies_of(labels, hidden)
    if not copies:
        raise NamesError(
            f"{kernel.tensor.name} has {labels} classes, more than half the hidden width {hidden}: transformers' "
            "head has a gelu that they cannot be led past exactly",
            "The encoder alone converts, without this head: leave --task out.",
        )
    dtype = kernel.tensor.dtype
    return {
        f"{_DENSE}.weight": _made(kernel, (hidden, hidden), lambda: _paired(kernel.read(), copies, hidden)),
        f"{_DENSE}.bias": _made(bias, (hidden,), lambda: _paired(bias.read(), copies, hidden)),
        f"{_OUT}.weight": _made(kernel, (labels, hidden), lambda: _shares(labels, hidden, copies, dtype)),
        f"{_OUT}.bias": _made(bias, (labels,), lambda: np.zeros(labels, dtype.storage)),
    }


def remark(labels: int, hidden: int) -> str:
    """How many units do what."""
    copies = copies_of(labels, hidden)
    spare = hidden - 2 * labels * copies
    which = f"of {hidden} units, {hidden - spare}" if spare else f"all {hidden} units"
    rest = f", {spare} are zero and get no gradient in further training" if spare else ""
    return (
        f"Google's one dense layer is two here, exactly: {which} carry the logits through the gelu ({copies} "
        f"pairs a class){rest}."
    )


def backward(weights: Mapping[str, Weight]) -> dict[str, Weight] | None:
    """Google's kernel [C, h] and bias [C], or None where the four parameters are not what forward makes."""
    rows, bias = weights[f"{_DENSE}.weight"], weights[f"{_DENSE}.bias"]
    labels, hidden = weights[f"{_OUT}.weight"].shape
    if not copies_of(labels, hidden) or len({weight.tensor.dtype for weight in weights.values()}) > 1:
        return None
    found = {
        f"{_LOGITS}.weight": _made(rows, (labels, hidden), lambda: rows.read()[:labels]),
        f"{_LOGITS}.bias": _made(bias, (labels,), lambda: bias.read()[:labels]),
    }
    again = forward(found)
    same = all(np.array_equal(_bits(again[name].read()), _bits(weights[name].read())) for name in again)
    return found if same else None


def copies_of(labels: int, hidden: int) -> int:
    """How often each pair of units is repeated; 0 where there is no room for one pair a class."""
    room = hidden // (2 * labels)
    return 1 << (room.bit_length() - 1) if room else 0


def _paired(values: Array, copies: int, rows: int) -> Array:
    """Values and the same negated, so often, and zeros to the number of rows."""
    padding = np.zeros((rows - 2 * copies * len(values), *values.shape[1:]), values.dtype)
    return np.concatenate([*[values, _negated(values)] * copies, padding])


def _negated(values: Array) -> Array:
    """With the sign bit turned, in any floating-point format, those that numpy lacks too."""
    width = values.dtype.itemsize
    sign = np.array(1 << (8 * width - 1), f"<u{width}")
    negated: Array = (values.view(sign.dtype) ^ sign).view(values.dtype)
    return negated


def _shares(labels: int, hidden: int, copies: int, dtype: DType) -> Array:
    shares = np.zeros((labels, hidden), "<f4")
    for copy in range(copies):
        first = 2 * labels * copy
        shares[:, first : first + labels] = np.eye(labels) / copies
        shares[:, first + labels : first + 2 * labels] = -np.eye(labels) / copies
    piece = cast(_bits(shares).data, TensorSpec(_OUT, DTYPES["float32"], shares.shape), dtype, finite=True)
    return np.frombuffer(piece, dtype.storage).reshape(shares.shape)


def _bits(values: Array) -> NDArray[np.uint8]:
    return np.ascontiguousarray(values).reshape(-1).view(np.uint8)


def _made(source: Weight, shape: tuple[int, ...], make: Callable[[], Array]) -> Weight:
    """A tensor that is computed when it is read; it goes by the name of what it is made of."""
    compute = cache(make)

    def stream(scratch: memoryview) -> Iterator[memoryview]:
        yield from stream_bytes(_bits(compute()).data, scratch)

    return Weight(Tensor(source.tensor.name, source.tensor.dtype, shape, stream))
