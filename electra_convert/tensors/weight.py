"""Weights: tensors with what is to be done to them; read, compared, joined, made from nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from electra_convert.errors import NamesError
from electra_convert.tensors.cast import cast, require_finite
from electra_convert.tensors.op import Op
from electra_convert.tensors.spec import DTYPES, PIECE_BYTES, Tensor, TensorSpec, pieces, stream_bytes


@dataclass(frozen=True)
class Weight:
    """A tensor and the op that brings it to another orientation."""

    tensor: Tensor
    op: Op = Op.KEEP

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape after the op."""
        return self.op.shape(self.tensor.shape)

    def read(self) -> NDArray[np.generic]:
        """Read it whole, after its op: a C-contiguous array in dtype.storage; raises as Tensor.read does."""
        return self.op.apply(self.tensor.read())

    def read_float32(self) -> NDArray[np.float32]:
        """Read it whole as finite float32, after its op; raises NamesError for NaN and infinity."""
        tensor = self.tensor
        stored = tensor.read().reshape(-1).view(np.uint8).data
        require_finite(stored, tensor)
        values = np.frombuffer(cast(stored, tensor, DTYPES["float32"], finite=True), np.float32)
        return np.ascontiguousarray(self.op.apply(values.reshape(tensor.shape)), np.float32)


def same_bits(first: Weight, second: Weight) -> bool:
    """Whether dtype, shape and every byte of two weights are equal after their ops; raises CorruptFileError."""
    if first.tensor.dtype != second.tensor.dtype or first.shape != second.shape:
        return False
    if first.op is second.op:
        return _digest(first.tensor) == _digest(second.tensor)
    return bool(np.array_equal(first.read().view(np.uint8), second.read().view(np.uint8)))


def _digest(tensor: Tensor) -> bytes:
    digest = sha256()
    for piece in tensor.stream(memoryview(bytearray(PIECE_BYTES))):
        digest.update(piece)
    return digest.digest()


def joined(weights: Sequence[Weight]) -> Weight:
    """One weight of the rows of several that are alike in dtype and, after their ops, in all but the number of rows.

    Raises:
        NamesError: they are not alike.
    """
    if len(weights) == 1:
        return weights[0]
    if len({(weight.tensor.dtype, weight.shape[1:]) for weight in weights}) > 1:
        told = ", ".join(f"{w.tensor.name} is {w.tensor.dtype} of {list(w.shape)}" for w in weights)
        raise NamesError(f"tensors that make one parameter are not alike: {told}")
    shape = (sum(weight.shape[0] for weight in weights), *weights[0].shape[1:])

    def stream(scratch: memoryview) -> Iterator[memoryview]:
        content = np.concatenate([weight.read() for weight in weights]).reshape(-1).view(np.uint8).data
        yield from stream_bytes(content, scratch)

    name = " + ".join(weight.tensor.name for weight in weights)
    return Weight(Tensor(name, weights[0].tensor.dtype, shape, stream))


def split(weight: Weight, parts: int) -> list[Weight]:
    """The weight's rows in as many equal parts, in order: what joined is undone by."""
    if parts == 1:
        return [weight]
    rows = weight.shape[0] // parts
    shape = (rows, *weight.shape[1:])

    def part(index: int) -> Weight:
        def stream(scratch: memoryview) -> Iterator[memoryview]:
            content = weight.read()[index * rows : (index + 1) * rows].reshape(-1).view(np.uint8).data
            yield from stream_bytes(content, scratch)

        return Weight(Tensor(f"{weight.tensor.name}[{index}]", weight.tensor.dtype, shape, stream))

    return [part(index) for index in range(parts)]


def constant(spec: TensorSpec, values: bytes) -> Tensor:
    """A small tensor of known bytes: its elements in C order, little-endian."""
    return Tensor(spec.name, spec.dtype, spec.shape, partial(stream_bytes, values))


def zeros(spec: TensorSpec) -> Tensor:
    """A tensor of zeros that takes no memory."""

    def stream(scratch: memoryview) -> Iterator[memoryview]:
        for _, window in pieces(scratch, spec.nbytes):
            window[:] = bytes(len(window))
            yield window

    return Tensor(spec.name, spec.dtype, spec.shape, stream)
