"""The activations of configurations, in ONNX' operators.

By the names and formulas of transformers' activations.py (5.24).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import pi, sqrt

from electra_convert.graphs.operators import Operators


def gelu(graph: Operators, values: str) -> str:
    """x/2 (1 + erf(x/√2)), in the order of operators that onnxruntime takes for one."""
    shifted = graph.add("Add", graph.add("Erf", graph.add("Div", values, graph.number(sqrt(2)))), graph.number(1.0))
    return graph.add("Mul", graph.add("Mul", values, shifted), graph.number(0.5))


def gelu_by_tanh(graph: Operators, values: str) -> str:
    """x/2 (1 + tanh(√(2/π) (x + 0.044715 x³)))."""
    cubed = graph.add("Pow", values, graph.number(3.0))
    inner = graph.add("Add", values, graph.add("Mul", cubed, graph.number(0.044715)))
    curved = graph.add("Tanh", graph.add("Mul", inner, graph.number(sqrt(2 / pi))))
    return graph.add("Mul", graph.add("Mul", values, graph.number(0.5)), graph.add("Add", curved, graph.number(1.0)))


def silu(graph: Operators, values: str) -> str:
    """x sigmoid(x)."""
    return graph.add("Mul", values, graph.add("Sigmoid", values))


def _of_operator(operator: str) -> Callable[[Operators, str], str]:
    return lambda graph, values: graph.add(operator, values)


ACTIVATIONS: Mapping[str, Callable[[Operators, str], str]] = {
    **dict.fromkeys(("gelu", "gelu_python"), gelu),
    **dict.fromkeys(("gelu_new", "gelu_pytorch_tanh", "gelu_fast", "gelu_accurate"), gelu_by_tanh),
    **dict.fromkeys(("silu", "swish"), silu),
    **{name: _of_operator(name.title()) for name in ("relu", "tanh", "sigmoid")},
    "linear": lambda _, values: values,
}
