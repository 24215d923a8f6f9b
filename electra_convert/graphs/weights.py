"""How a graph computes with weights, and in which form they are held for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from electra_convert.graphs.operators import Operators
from electra_convert.tensors.op import Op
from electra_convert.tensors.spec import DTYPES, TensorSpec
from electra_convert.tensors.weight import Weight

# What transformers calls a layer's matrix after the layer's name, and what it is called turned, [in, out].
WEIGHT, KERNEL = ".weight", ".kernel"


class Weights(Protocol):
    """The weights of a model, of which those that a graph asks for are held."""

    @property
    def entries(self) -> list[tuple[Weight, TensorSpec]]:
        """What is held, and how it is called and stored, each once."""

    def __contains__(self, name: str) -> bool:
        """Whether the model has a parameter of this name."""

    def width(self, name: str) -> int:
        """How long a parameter's last axis is."""

    def whole(self, name: str) -> str:
        """A parameter as it is."""

    def rows(self, table: str, ids: str) -> str:
        """Those rows of a table that stand at some ids."""

    def product(self, values: str, layer: str) -> str:
        """Values times the kernel of a dense layer, [in, out]."""

    def product_with_rows(self, values: str, table: str) -> str:
        """Values times each row of a table."""


class Float32Weights:
    """Weights in float32, each once.

    The matrix of a dense layer is held as ONNX multiplies with it, [in, out], and under the name that Google's code
    and flax give that orientation: what transformers calls LAYER.weight is LAYER.kernel.

    Args:
        graph: what computes with them.
        parameters: a model's, by transformers' names and in transformers' orientation.
    """

    def __init__(self, graph: Operators, parameters: Mapping[str, Weight]) -> None:
        self._graph = graph
        self._parameters = parameters
        self._held: dict[str, tuple[Weight, TensorSpec]] = {}

    @property
    def entries(self) -> list[tuple[Weight, TensorSpec]]:
        """What is held, and how it is called and stored, each once."""
        return list(self._held.values())

    def __contains__(self, name: str) -> bool:
        return name in self._parameters

    def width(self, name: str) -> int:
        """How long a parameter's last axis is."""
        return self._parameters[name].shape[-1]

    def whole(self, name: str) -> str:
        """A parameter as it is."""
        return self._hold(name, self._parameters[name])

    def rows(self, table: str, ids: str) -> str:
        """Those rows of a table that stand at some ids."""
        return self._graph.add("Gather", self.whole(table), ids)

    def product(self, values: str, layer: str) -> str:
        """Values times the kernel of a dense layer, [in, out]."""
        weight = self._parameters[f"{layer}{WEIGHT}"]
        turned = Weight(weight.tensor, weight.op.then(Op.TRANSPOSE))
        return self._graph.add("MatMul", values, self._hold(f"{layer}{KERNEL}", turned))

    def product_with_rows(self, values: str, table: str) -> str:
        """Values times each row of a table."""
        turned = self._graph.add("Transpose", self.whole(table), perm=(1, 0))
        return self._graph.add("MatMul", values, turned)

    def _hold(self, name: str, weight: Weight) -> str:
        self._held[name] = (weight, TensorSpec(name, DTYPES["float32"], weight.shape))
        return name
