"""Weights rounded to 8 bits, and a graph that multiplies with them: dynamic quantisation, in ONNX' operators.

Each output of a dense layer, and each row of a table, has a scale of its own. What they are multiplied with is
rounded to 8 bits as it comes, by the smallest and the largest value of the batch.

The scale is such that no two neighbouring weights of one sign are above 128 together: x86 processors without VNNI add
two products at a time in 16 bits (pmaddubsw in the kernels of onnxruntime, mlas/lib/amd64/QgemmU8S8KernelAvx2.asm),
which 255 times 128 fits and 255 times twice 127 does not. That way every processor computes the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from electra_convert.graphs.operators import Operators
from electra_convert.graphs.weights import KERNEL, WEIGHT, Float32Weights
from electra_convert.tensors.cast import require_finite, widen
from electra_convert.tensors.op import Op
from electra_convert.tensors.spec import DTYPES, PIECE_BYTES, Tensor, TensorSpec, stream_bytes
from electra_convert.tensors.weight import Weight

_MOST = 127
# What the scales of a matrix are called after its name.
SCALE = ".scale"
_FLOAT = 1  # of TensorProto.DataType
Values = NDArray[np.floating]


class Int8Weights(Float32Weights):
    """Weights of which matrices and the table of words are held in 8 bits, and all others in float32."""

    def __init__(self, graph: Operators, parameters: Mapping[str, Weight]) -> None:
        super().__init__(graph, parameters)
        self._rounded: dict[str, tuple[str, ...]] = {}

    def rows(self, table: str, ids: str) -> str:
        """Those rows of a table that stand at some ids."""
        graph = self._graph
        values, scales = self._hold_rounded(table, self._parameters[table])
        found = graph.add("Cast", graph.add("Gather", values, ids), to=_FLOAT)
        scale = graph.add("Unsqueeze", graph.add("Gather", scales, ids), graph.integers([-1]))
        return graph.add("Mul", found, scale)

    def product(self, values: str, layer: str) -> str:
        """Values times the kernel of a dense layer, [in, out]."""
        kernel, scales = self._hold_rounded(f"{layer}{KERNEL}", self._parameters[f"{layer}{WEIGHT}"], Op.TRANSPOSE)
        return self._product(values, kernel, scales)

    def product_with_rows(self, values: str, table: str) -> str:
        """Values times each row of a table."""
        rows, scales = self._hold_rounded(table, self._parameters[table])
        return self._product(values, self._graph.add("Transpose", rows, perm=(1, 0)), scales)

    def _product(self, values: str, kernel: str, scales: str) -> str:
        graph = self._graph
        if values not in self._rounded:
            self._rounded[values] = graph.add_several(3, "DynamicQuantizeLinear", values)
        rounded, scale, zero = self._rounded[values]
        summed = graph.add("Cast", graph.add("MatMulInteger", rounded, kernel, zero), to=_FLOAT)
        return graph.add("Mul", summed, graph.add("Mul", scale, scales))

    def _hold_rounded(self, name: str, weight: Weight, op: Op = Op.KEEP) -> tuple[str, str]:
        """Hold a matrix, rounded row by row and then turned by an op, and the scales of its rows."""
        rounding = _Rounding(weight)
        (rows, _), source = weight.shape, weight.tensor.name
        held = Tensor(source, DTYPES["int8"], weight.shape, rounding.stream_values)
        scales = Tensor(source, DTYPES["float32"], (rows,), rounding.stream_scales)
        self._held[name] = (Weight(held, op), TensorSpec(name, DTYPES["int8"], op.shape(weight.shape)))
        beside = f"{name}{SCALE}"
        self._held[beside] = (Weight(scales), TensorSpec(beside, DTYPES["float32"], (rows,)))
        return name, beside


class _Rounding:
    """A matrix whose rows are rounded to 8 bits, when they are asked for."""

    def __init__(self, weight: Weight) -> None:
        self._weight = weight

    def stream_values(self, scratch: memoryview) -> Iterator[memoryview]:
        """The rounded matrix, as Tensor.stream gives it."""
        values = np.empty(self._weight.shape, np.int8)
        row = 0
        for rows in self._rows():
            scales = _scales(rows)[:, None]
            values[row : row + len(rows)] = np.rint(rows / np.where(scales == 0, 1, scales))
            row += len(rows)
        yield from stream_bytes(values.reshape(-1).view(np.uint8).data, scratch)

    def stream_scales(self, scratch: memoryview) -> Iterator[memoryview]:
        """The scale of each row, as Tensor.stream gives it."""
        scales = np.concatenate([_scales(rows) for rows in self._rows()])
        yield from stream_bytes(scales.view(np.uint8).data, scratch)

    def _rows(self) -> Iterator[Values]:
        """The matrix in float32, some rows at a time where it lies row by row."""
        tensor = self._weight.tensor
        if self._weight.op is Op.TRANSPOSE:
            yield self._weight.read_float32()
            return
        columns = tensor.shape[1]
        length = columns * tensor.dtype.itemsize
        for piece in tensor.stream(memoryview(bytearray(length * max(1, PIECE_BYTES // length)))):
            require_finite(piece, tensor)
            yield widen(piece, tensor.dtype).astype(np.float32).reshape(-1, columns)


def _scales(rows: Values) -> NDArray[np.float32]:
    """Of each row its largest value, or sum of two neighbours, over 127; rounding adds at most 1 to such a sum."""
    steps = rows / np.float32(_MOST)
    sums = steps[:, 1::2] + steps[:, : steps.shape[1] // 2 * 2 : 2]
    most: NDArray[np.float32] = np.maximum(np.abs(steps).max(axis=1), np.abs(sums).max(axis=1, initial=0))
    return most
