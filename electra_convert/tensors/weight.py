"""Tensors with what is to be done to them, compared, and made from nothing; moves none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from electra_convert.schemes.mapping import STEP_NAME
from electra_convert.tensors.ops import Op
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
        values = self.tensor.read()
        return np.ascontiguousarray(values.T) if self.op is Op.TRANSPOSE else values


def same_bits(first: Weight, second: Weight) -> bool:
    """Whether two tensors hold the same bits after their ops.

    Args:
        first: one tensor.
        second: the other.

    Returns:
        True if dtype, shape and every byte are equal.

    Raises:
        CorruptFileError: one of them failed its container's checks.
    """
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


def constant(spec: TensorSpec, values: bytes) -> Tensor:
    """A small tensor of known bytes.

    Args:
        spec: its name, dtype and shape.
        values: its elements in C order, little-endian.

    Returns:
        The tensor.
    """
    return Tensor(spec.name, spec.dtype, spec.shape, partial(stream_bytes, values))


def zeros(spec: TensorSpec) -> Tensor:
    """A tensor of zeros that takes no memory.

    Args:
        spec: its name, dtype and shape.

    Returns:
        The tensor.
    """

    def stream(scratch: memoryview) -> Iterator[memoryview]:
        for _, window in pieces(scratch, spec.nbytes):
            window[:] = bytes(len(window))
            yield window

    return Tensor(spec.name, spec.dtype, spec.shape, stream)


def step_constant(step: int) -> Tensor:
    """A global step that no container holds, as google-research/electra stores it."""
    return constant(TensorSpec(STEP_NAME, DTYPES["int64"], ()), step.to_bytes(8, "little"))
