"""ELECTRA's forward pass as a graph, over weights under transformers' names; what transformers' classes compute.

Written from model/modeling.py of google-research/electra (8a46635) and transformers' models/electra/
modeling_electra.py; tests hold it to what Google's code computed, in onnxruntime.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

from electra_convert.errors import ConfigError, NamesError, listing
from electra_convert.formats.onnx import Graph, Port
from electra_convert.graphs.activations import ACTIVATIONS, gelu
from electra_convert.graphs.operators import Operators
from electra_convert.graphs.weights import Float32Weights, Weights
from electra_convert.schemes.family import ELECTRA
from electra_convert.schemes.heads import HEADS
from electra_convert.schemes.layouts import collapse
from electra_convert.schemes.mapping import WORD_EMBEDDINGS, Sizes
from electra_convert.schemes.models import Model
from electra_convert.tensors.spec import DTYPES, TensorSpec
from electra_convert.tensors.weight import Weight

# In the order of transformers' tokenizers; optimum and transformers.js know them by these names.
INPUTS = _IDS, _MASK, _TYPES = "input_ids", "attention_mask", "token_type_ids"
STATES = "last_hidden_state"
_BATCH, _LENGTH = "batch_size", "sequence_length"
# What is added to the score of a padded place: the lowest float32 (transformers' eager attention).
_LOWEST = -3.4028234663852886e38
_EMBEDDINGS = f"{ELECTRA.prefix}embeddings"
_BOOL = 9  # of TensorProto.DataType


@dataclass(frozen=True)
class Values:
    """What a node gives: its name, and its shape, in which a dimension that may have any size is a name."""

    name: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class Computed:
    """A model as a graph, with the weights that it computes with."""

    graph: Graph
    entries: Sequence[tuple[Weight, TensorSpec]]


def electra_graph(
    model: Model,
    config: Mapping[str, Any],
    hold: Callable[[Operators, Mapping[str, Weight]], Weights] = Float32Weights,
) -> Computed:
    """Make the graph of a model.

    Args:
        model: its weights, by transformers' names.
        config: its configuration, by transformers' names.
        hold: in which form the weights are held.

    Returns:
        A graph that takes input_ids, attention_mask and token_type_ids, int64 [batch, length] of any size, and gives
        what the model's class in transformers does: the hidden states of an encoder, the logits of a head.

    Raises:
        NamesError: its head is one that is not known how to compute.
        ConfigError: there are no operators for its activation.
    """
    head = model.head
    if head.compute is None and not head.is_bare:
        own = listing(collapse(head.unmapped or head.names))
        raise NamesError(
            f"{model.folder}: it is not known how its head computes: {own}",
            f"An encoder without a head converts; so do heads of {_known()}.",
        )
    if config["hidden_act"] not in ACTIVATIONS:
        raise ConfigError(
            f"{model.folder}: hidden_act is {config['hidden_act']!r}, which is not written as ONNX' operators",
            f"Those that there are: {', '.join(ACTIVATIONS)}.",
        )
    graph = Operators()
    weights = hold(graph, model.weights)
    network = _Network(graph, weights, model.sizes, config)
    states = network.encode()
    answers = head.compute(network, states) if head.compute else (states,)
    given = [(name, answer.shape) for name, answer in zip(head.outputs or (STATES,), answers, strict=True)]
    for (name, _), answer in zip(given, answers, strict=True):
        graph.add("Identity", answer.name, called=name)
    inputs = [Port(name, DTYPES["int64"], (_BATCH, _LENGTH)) for name in (_IDS, _MASK, _TYPES)]
    outputs = [Port(name, DTYPES["float32"], shape) for name, shape in given]
    return Computed(graph.graph(inputs, outputs), weights.entries)


def _known() -> str:
    """What heads are called that are known to compute."""
    return listing([head.kind or head.name.replace("_", " ") for head in HEADS.values() if head.compute])


class _Network:
    """One model while its graph is made; also what its head computes with (schemes/heads/computing.py)."""

    def __init__(self, graph: Operators, weights: Weights, sizes: Sizes, config: Mapping[str, Any]) -> None:
        self._graph = graph
        self._weights = weights
        self._sizes = sizes
        self._heads: int = config["num_attention_heads"]
        self._activate = ACTIVATIONS[config["hidden_act"]]
        self._epsilon = float(config["layer_norm_eps"])

    def encode(self) -> Values:
        """The hidden states of the last layer, [batch, length, hidden]."""
        hidden, bias = self._embed(), self._bias()
        for number in range(self._sizes.layers):
            hidden = self._layer(f"{ELECTRA.prefix}encoder.layer.{number}", hidden, bias)
        return Values(hidden, (_BATCH, _LENGTH, self._sizes.hidden))

    def dense(self, layer: str, values: Values) -> Values:
        """A dense layer, over the last axis."""
        return Values(self._dense(layer, values.name), (*values.shape[:-1], self._weights.width(f"{layer}.bias")))

    def normalise(self, layer: str, values: Values) -> Values:
        """A layer normalisation, over the last axis."""
        return Values(self._norm(layer, values.name), values.shape)

    def activate(self, values: Values) -> Values:
        """The activation of the model's configuration (hidden_act)."""
        return Values(self._activate(self._graph, values.name), values.shape)

    def gelu(self, values: Values) -> Values:
        """The exact one, whatever the configuration says."""
        return Values(gelu(self._graph, values.name), values.shape)

    def first(self, states: Values) -> Values:
        """The state of [CLS] alone: [batch, hidden] of [batch, length, hidden]."""
        (batch, _, width) = states.shape
        return Values(self._graph.add("Gather", states.name, self._graph.integer(0), axis=1), (batch, width))

    def vocabulary(self, layer: str, states: Values) -> Values:
        """How likely each piece is, by the layer's table or where it has none the word embeddings, and its bias."""
        own = f"{layer}.weight"
        product = self._weights.product_with_rows(states.name, own if own in self._weights else WORD_EMBEDDINGS)
        logits = self._graph.add("Add", product, self._weights.whole(f"{layer}.bias"))
        return Values(logits, (*states.shape[:-1], self._sizes.vocabulary))

    def columns(self, values: Values, count: int) -> tuple[Values, ...]:
        """The last axis, of so many columns, each for itself: [batch, length] of [batch, length, count]."""
        last = len(values.shape) - 1
        names = [
            self._graph.add("Gather", values.name, self._graph.integer(column), axis=last) for column in range(count)
        ]
        return tuple(Values(name, values.shape[:-1]) for name in names)

    def _embed(self) -> str:
        graph, weights = self._graph, self._weights
        words = weights.rows(WORD_EMBEDDINGS, _IDS)
        table = weights.whole(f"{_EMBEDDINGS}.position_embeddings.weight")
        length = graph.add("Shape", _IDS, start=1, end=2)
        positions = graph.add("Slice", table, graph.integers([0]), length, graph.integers([0]))
        types = graph.add("Gather", weights.whole(f"{_EMBEDDINGS}.token_type_embeddings.weight"), _TYPES)
        summed = graph.add("Add", graph.add("Add", words, positions), types)
        normed = self._norm(f"{_EMBEDDINGS}.LayerNorm", summed)
        project = f"{ELECTRA.prefix}embeddings_project"
        return self._dense(project, normed) if f"{project}.weight" in weights else normed

    def _bias(self) -> str:
        """What is added to the scores of all heads: nothing at a token, the lowest number where there is padding."""
        graph = self._graph
        there = graph.add("Cast", _MASK, to=_BOOL)
        bias = graph.add("Where", there, graph.number(0.0), graph.number(_LOWEST))
        return graph.add("Unsqueeze", bias, graph.integers([1, 2]))

    def _layer(self, scope: str, hidden: str, bias: str) -> str:
        graph = self._graph
        attended = self._attend(f"{scope}.attention.self", hidden, bias)
        output = self._dense(f"{scope}.attention.output.dense", attended)
        hidden = self._norm(f"{scope}.attention.output.LayerNorm", graph.add("Add", output, hidden))
        wide = self._activate(graph, self._dense(f"{scope}.intermediate.dense", hidden))
        output = self._dense(f"{scope}.output.dense", wide)
        return self._norm(f"{scope}.output.LayerNorm", graph.add("Add", output, hidden), called=scope)

    def _attend(self, scope: str, hidden: str, bias: str) -> str:
        graph, width = self._graph, self._sizes.hidden // self._heads
        query = graph.add("Mul", self._dense(f"{scope}.query", hidden), graph.number(1 / sqrt(width)))
        key, value = (self._dense(f"{scope}.{name}", hidden) for name in ("key", "value"))
        scores = graph.add("MatMul", self._apart(query, (0, 2, 1, 3)), self._apart(key, (0, 2, 3, 1)))
        weights = graph.add("Softmax", graph.add("Add", scores, bias), axis=-1)
        seen = graph.add("MatMul", weights, self._apart(value, (0, 2, 1, 3)))
        together = graph.add("Transpose", seen, perm=(0, 2, 1, 3))
        return graph.add("Reshape", together, graph.integers([0, 0, self._sizes.hidden]))

    def _apart(self, values: str, order: tuple[int, ...]) -> str:
        """The heads on an axis of their own; the axes, batch, length, heads and width, in an order."""
        shape = self._graph.integers([0, 0, self._heads, self._sizes.hidden // self._heads])
        return self._graph.add("Transpose", self._graph.add("Reshape", values, shape), perm=order)

    def _dense(self, layer: str, values: str) -> str:
        return self._graph.add("Add", self._weights.product(values, layer), self._weights.whole(f"{layer}.bias"))

    def _norm(self, layer: str, values: str, called: str | None = None) -> str:
        scale, shift = (self._weights.whole(f"{layer}.{part}") for part in ("weight", "bias"))
        return self._graph.add(
            "LayerNormalization", values, scale, shift, called=called, axis=-1, epsilon=self._epsilon
        )
