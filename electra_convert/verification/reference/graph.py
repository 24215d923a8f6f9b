"""The reference model: the forward pass of google-research/electra in TensorFlow, which conversions are held to.

Written from model/modeling.py, run_pretraining.py and the tasks in finetune/ (commit 8a46635), over variables that
TensorFlow's own reader finds by their own names. It shares no table of names, no reader and no configuration with the
rest of this package, so that a mistake there cannot hide here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from electra_convert.errors import SourceError
from electra_convert.frameworks import import_tensorflow

Role = Literal["discriminator", "generator"]
TensorFlow = Any  # the module, which mypy does not see
Node = Any  # a tensor of it

# contrib_layers.layer_norm adds this to the variance.
_EPSILON = 1e-12
_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"


@dataclass(frozen=True)
class Scopes:
    """What the names of a model's variables begin with: before /embeddings and /encoder, and of its head, if any."""

    embeddings: str
    encoder: str
    head: str | None


@dataclass(frozen=True)
class Task:
    """A task that a checkpoint was fine-tuned for.

    Attributes:
        name: the scope of its variables in task_specific.
        kind: one of TASK_ANSWERS: what is computed with them, which they do not say.
    """

    name: str
    kind: str


@dataclass(frozen=True)
class Arithmetic:
    """What no variable says.

    Attributes:
        heads: the number of attention heads.
        activation: gelu, relu, tanh or linear.
        precision: float32, as Google's code computes, or float64.
        rounded: variables to be rounded first, and to which dtype.
    """

    heads: int
    activation: str = "gelu"
    precision: Literal["float32", "float64"] = "float32"
    rounded: Mapping[str, str] = field(default_factory=dict)


class Variables:
    """The variables of a checkpoint, read by TensorFlow."""

    def __init__(self, prefix: Path) -> None:
        """Open a checkpoint at its path without .index.

        Raises:
            MissingPackageError: TensorFlow is not installed.
            SourceError: TensorFlow cannot read it.
        """
        self.tensorflow = import_tensorflow("to run the TensorFlow side")
        # The graph is run as it is written; to have it rewritten first would take longer than to run it.
        self.tensorflow.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
        try:
            # tf.train.load_checkpoint would take a folder of that name for what was meant.
            self._reader = self.tensorflow.compat.v1.train.NewCheckpointReader(str(prefix))
            self._keys = self._by_name()
        except (ValueError, RuntimeError, self.tensorflow.errors.OpError) as error:
            raise SourceError(f"{prefix}: TensorFlow cannot read it: {' '.join(str(error).split())[:300]}") from error

    def _by_name(self) -> dict[str, str]:
        """The keys of the checkpoint by the names of variables, which an object-based checkpoint keeps apart."""
        keys = {str(key): str(key) for key in self._reader.get_variable_to_shape_map()}
        if _OBJECT_GRAPH not in keys:
            return keys
        from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

        graph = TrackableObjectGraph.FromString(self._reader.get_tensor(_OBJECT_GRAPH))
        saved = (attribute for node in graph.nodes for attribute in node.attributes)
        return {attribute.full_name: attribute.checkpoint_key for attribute in saved if attribute.full_name}

    def __contains__(self, name: str) -> bool:
        return name in self._keys

    def holds_scope(self, scope: str) -> bool:
        """Whether any variable's name begins so."""
        return any(name.startswith(scope) for name in self._keys)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a variable."""
        return tuple(self._reader.get_variable_to_shape_map()[self._keys[name]])

    def read(self, name: str) -> NDArray[np.generic]:
        """The values of a variable."""
        values: NDArray[np.generic] = self._reader.get_tensor(self._keys[name])
        return values


def find_scopes(variables: Variables, role: Role) -> Scopes:
    """Find where a model lives, as PretrainingModel.__init__ of run_pretraining.py decides it."""
    head = f"{role}_predictions" if variables.holds_scope(f"{role}_predictions/") else None
    if role == "discriminator":
        return Scopes("electra", "electra", head)
    encoder = "generator" if variables.holds_scope("generator/encoder/") else "electra"
    embeddings = "generator" if variables.holds_scope("generator/embeddings/") else "electra"
    return Scopes(embeddings, encoder, head)


@dataclass(frozen=True)
class Outputs:
    """What a model computes from one batch.

    Attributes:
        hidden: the embeddings (projected where the model projects them) and every layer's output, each
            [rows, length, hidden].
        answers: what the head computes, none without one: logits, [rows, length] of a discriminator, [rows, length,
            vocabulary] of a generator, [rows, labels] of a classifier, [rows, length, labels] of a tagger; of a
            reader start_logits and end_logits, [rows, length].
    """

    hidden: tuple[NDArray[np.floating], ...]
    answers: Mapping[str, NDArray[np.floating]]


def run_reference(
    prefix: Path,
    role: Role,
    arithmetic: Arithmetic,
    inputs: Sequence[tuple[NDArray[np.int32], ...]],
    task: Task | None = None,
) -> list[Outputs]:
    """Run one model of a checkpoint.

    Args:
        prefix: the checkpoint's path without .index.
        role: which of its models.
        arithmetic: what the variables do not say.
        inputs: for each batch input_ids, input_mask and segment_ids, each [rows, length].
        task: whose head is to be computed, of a checkpoint that was fine-tuned.

    Returns:
        The outputs of each batch, at all positions, in the precision asked for.

    Raises:
        MissingPackageError: TensorFlow is not installed.
        SourceError: TensorFlow cannot read the checkpoint, or cannot run the model.
    """
    variables = Variables(prefix)
    tensorflow = variables.tensorflow
    graph = _Graph(tensorflow, variables, find_scopes(variables, role), arithmetic, task)
    ids = tensorflow.TensorSpec([None, None], tensorflow.int32)
    try:
        function = tensorflow.function(graph.outputs, autograph=False).get_concrete_function(ids, ids, ids)
        computed = [function(*(tensorflow.constant(array) for array in batch)) for batch in inputs]
    except (KeyError, ValueError, tensorflow.errors.OpError) as error:
        told = " ".join(str(error).split())[:300]
        raise SourceError(f"{prefix}: TensorFlow cannot run the {role}: {told}") from error
    return [
        Outputs(tuple(layer.numpy() for layer in hidden), {name: answer.numpy() for name, answer in answers.items()})
        for hidden, answers in computed
    ]


@dataclass(frozen=True)
class _Graph:
    """The graph of one model, piece by piece as Google's code builds it."""

    tensorflow: TensorFlow
    variables: Variables
    scopes: Scopes
    arithmetic: Arithmetic
    task: Task | None

    def outputs(self, input_ids: Node, input_mask: Node, segment_ids: Node) -> tuple[list[Node], dict[str, Node]]:
        """modeling.BertModel.__init__, with the hidden states kept, and the head."""
        hidden = [self.embed(input_ids, segment_ids)]
        penalty = self.penalty(input_mask)
        while self.layer_scope(len(hidden) - 1) is not None:
            hidden.append(self.layer(self.layer_scope(len(hidden) - 1) or "", hidden[-1], penalty))
        return hidden, self.answers(hidden[-1])

    def layer_scope(self, layer: int) -> str | None:
        scope = f"{self.scopes.encoder}/encoder/layer_{layer}"
        return scope if f"{scope}/output/dense/kernel" in self.variables else None

    def variable(self, name: str) -> Node:
        tf = self.tensorflow
        # Made outside the function's graph, so that it is handed in and not copied into it as a constant.
        with tf.init_scope():
            value = tf.constant(self.variables.read(name))
            if name in self.arithmetic.rounded:
                value = tf.cast(value, self.arithmetic.rounded[name])
            return tf.cast(value, self.arithmetic.precision)

    def dense(self, scope: str, x: Node) -> Node:
        return self.tensorflow.matmul(x, self.variable(f"{scope}/kernel")) + self.variable(f"{scope}/bias")

    def layer_norm(self, scope: str, x: Node) -> Node:
        """modeling.layer_norm, which is contrib_layers.layer_norm over the last axis."""
        mean, variance = self.tensorflow.nn.moments(x, [-1], keepdims=True)
        beta, gamma = self.variable(f"{scope}/LayerNorm/beta"), self.variable(f"{scope}/LayerNorm/gamma")
        return self.tensorflow.nn.batch_normalization(x, mean, variance, beta, gamma, _EPSILON)

    def activate(self, x: Node) -> Node:
        """modeling.get_activation."""
        tf = self.tensorflow
        if self.arithmetic.activation == "gelu":
            return x * (0.5 * (1.0 + tf.math.erf(x / math.sqrt(2.0))))
        return {"relu": tf.nn.relu, "tanh": tf.tanh, "linear": tf.identity}[self.arithmetic.activation](x)

    def embed(self, input_ids: Node, segment_ids: Node) -> Node:
        """modeling.embedding_lookup, embedding_postprocessor, and the projection of BertModel."""
        tf, scope = self.tensorflow, f"{self.scopes.embeddings}/embeddings"
        words = tf.gather(self.variable(f"{scope}/word_embeddings"), input_ids)
        types = tf.gather(self.variable(f"{scope}/token_type_embeddings"), segment_ids)
        positions = self.variable(f"{scope}/position_embeddings")[: tf.shape(input_ids)[1]]
        embedded = self.layer_norm(scope, words + types + positions)
        width = self.variables.shape(f"{scope}/word_embeddings")[1]
        hidden = self.variables.shape(f"{self.scopes.encoder}/encoder/layer_0/attention/self/query/kernel")[0]
        if width == hidden:
            return embedded
        return self.dense(f"{self.scopes.encoder}/embeddings_project", embedded)

    def penalty(self, input_mask: Node) -> Node:
        """modeling.attention_layer: what is added to the scores of padding."""
        mask = self.tensorflow.cast(input_mask[:, None, None, :], self.arithmetic.precision)
        return (1.0 - mask) * -10000.0

    def layer(self, scope: str, x: Node, penalty: Node) -> Node:
        """One layer of modeling.transformer_model, post-norm."""
        attended = self.dense(f"{scope}/attention/output/dense", self.attend(scope, x, penalty))
        attended = self.layer_norm(f"{scope}/attention/output", attended + x)
        intermediate = self.activate(self.dense(f"{scope}/intermediate/dense", attended))
        return self.layer_norm(f"{scope}/output", self.dense(f"{scope}/output/dense", intermediate) + attended)

    def attend(self, scope: str, x: Node, penalty: Node) -> Node:
        """modeling.attention_layer."""
        tf, heads = self.tensorflow, self.arithmetic.heads
        width = x.shape[-1] // heads
        shape = tf.shape(x)

        def split(name: str) -> Node:
            projected = self.dense(f"{scope}/attention/self/{name}", x)
            return tf.transpose(tf.reshape(projected, [shape[0], shape[1], heads, width]), [0, 2, 1, 3])

        scores = tf.matmul(split("query"), split("key"), transpose_b=True) * (1.0 / math.sqrt(width))
        context = tf.matmul(tf.nn.softmax(scores + penalty), split("value"))
        return tf.reshape(tf.transpose(context, [0, 2, 1, 3]), [shape[0], shape[1], heads * width])

    def answers(self, hidden: Node) -> dict[str, Node]:
        if self.task is not None:
            if self.task.kind not in TASK_ANSWERS:
                raise ValueError(f"Google's code has no task of the kind {self.task.kind}")
            return TASK_ANSWERS[self.task.kind](self, f"task_specific/{self.task.name}", hidden)
        return {} if self.scopes.head is None else {"logits": self.logits(self.scopes.head, hidden)}

    def logits(self, head: str, hidden: Node) -> Node:
        """run_pretraining.PretrainingModel: _get_discriminator_output and _get_masked_lm_output."""
        tf = self.tensorflow
        dense = self.activate(self.dense(f"{head}/dense", hidden))
        if head == "discriminator_predictions":
            return tf.squeeze(self.dense(f"{head}/dense_1", dense), -1)
        table = self.variable(f"{self.scopes.embeddings}/embeddings/word_embeddings")
        return tf.matmul(self.layer_norm(head, dense), table, transpose_b=True) + self.variable(f"{head}/output_bias")


def _of_a_text(graph: _Graph, scope: str, hidden: Node) -> dict[str, Node]:
    """classification/classification_tasks.py, both kinds of task."""
    return {"logits": graph.dense(f"{scope}/dense", hidden[:, 0])}


def _of_tokens(graph: _Graph, scope: str, hidden: Node) -> dict[str, Node]:
    """tagging/tagging_tasks.py, at every token."""
    return {"logits": graph.dense(f"{scope}/dense", hidden)}


def _of_a_passage(graph: _Graph, scope: str, hidden: Node) -> dict[str, Node]:
    """qa/qa_tasks.py with joint_prediction false, before positions outside the passage are masked."""
    if f"{scope}/qa_hidden/kernel" in graph.variables:
        raise ValueError(f"{scope} was trained with joint_prediction: the end depends on the start")
    ends = {"start_logits": f"{scope}/dense", "end_logits": f"{scope}/dense_1"}
    return {name: graph.tensorflow.squeeze(graph.dense(layer, hidden), -1) for name, layer in ends.items()}


# get_prediction_module of the tasks in finetune/, without what is done only in training or in evaluation: from the
# scope of a task and the hidden states of the last layer, by the kind of task.
TASK_ANSWERS: Mapping[str, Callable[[_Graph, str, Node], dict[str, Node]]] = {
    "sequence_classification": _of_a_text,
    "regression": _of_a_text,
    "token_classification": _of_tokens,
    "question_answering": _of_a_passage,
}
