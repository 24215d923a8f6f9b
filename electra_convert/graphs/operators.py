"""A graph of ONNX' operators as it grows, one call an operator; knows no model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from electra_convert.formats.onnx import Attribute, Graph, Node, Port
from electra_convert.tensors.spec import DTYPES, TensorSpec

# All that graphs of this tool are made of.
OPERATORS = frozenset(
    """
    Add Cast Div DynamicQuantizeLinear Erf Gather Identity LayerNormalization MatMul MatMulInteger Mul Pow Relu
    Reshape Shape Sigmoid Slice Softmax Tanh Transpose Unsqueeze Where
    """.split()
)


def is_constant(name: str) -> bool:
    """Whether a tensor of a graph is by its name a constant such as a shape, and no weight."""
    return name.partition(".")[0] in DTYPES


class Operators:
    """Nodes and constants, in the order in which they are asked for; values go by names."""

    def __init__(self) -> None:
        self._nodes: list[Node] = []
        self._constants: dict[str, tuple[TensorSpec, bytes]] = {}

    def add(self, operator: str, *inputs: str, called: str | None = None, **attributes: Attribute) -> str:
        """Add a node that gives one value.

        Args:
            operator: what it does, by ONNX' name.
            inputs: the values that it takes.
            called: the name of what it gives, where that is to be found again.
            attributes: its settings.

        Returns:
            The name of what it gives.
        """
        return self.add_several(1, operator, *inputs, called=called, **attributes)[0]

    def add_several(
        self, count: int, operator: str, *inputs: str, called: str | None = None, **attributes: Attribute
    ) -> tuple[str, ...]:
        """The same of a node that gives several values."""
        name = called or f"{operator}.{len(self._nodes)}"
        outputs = (name, *(f"{name}.{number}" for number in range(1, count)))
        self._nodes.append(Node(operator, inputs, outputs, attributes))
        return outputs

    def integers(self, values: Sequence[int]) -> str:
        """A constant of integers, such as a shape."""
        return self._constant("_".join(map(str, values)) or "none", np.array(values, "<i8"))

    def integer(self, value: int) -> str:
        """A constant of one integer, without a dimension."""
        return self._constant(f"one_{value}", np.array(value, "<i8"))

    def number(self, value: float) -> str:
        """A constant of one number."""
        return self._constant(f"{value:.9g}", np.array(value, "<f4"))

    def graph(self, inputs: Sequence[Port], outputs: Sequence[Port]) -> Graph:
        """All of it, with what goes in and comes out."""
        return Graph(tuple(self._nodes), tuple(inputs), tuple(outputs), tuple(self._constants.values()))

    def _constant(self, name: str, values: NDArray[np.generic]) -> str:
        dtype = DTYPES[values.dtype.name]
        spec = TensorSpec(f"{dtype.name}.{name}", dtype, values.shape)
        self._constants[spec.name] = (spec, values.tobytes())
        return spec.name
