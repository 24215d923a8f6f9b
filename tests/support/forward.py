"""The forward pass of google-research/electra in numpy, over TensorFlow variables; the parity tests' oracle.

Written from model/modeling.py and run_pretraining.py. It trains nothing, drops nothing out and knows no file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Ids = NDArray[np.integer]
Variables = Mapping[str, NDArray[np.generic]]

# contrib_layers.layer_norm adds this to the variance of float32 tensors.
LAYER_NORM_EPSILON = 1e-12


@dataclass(frozen=True)
class Network:
    """The scopes that the variables of one model live in.

    Attributes:
        embeddings: what comes before "/embeddings/".
        encoder: what comes before "/embeddings_project/" and "/encoder/".
        head: discriminator_predictions, generator_predictions, or None for an encoder without a head.
    """

    embeddings: str
    encoder: str
    head: str | None


@dataclass(frozen=True)
class Outputs:
    """What a forward pass computes.

    Attributes:
        hidden: the output of every layer, [layers, batch, length, hidden].
        logits: [batch, length] of a discriminator, [batch, length, vocabulary] of a generator, None without a head.
    """

    hidden: Array
    logits: Array | None


ENCODER = Network("electra", "electra", None)
DISCRIMINATOR = Network("electra", "electra", "discriminator_predictions")
GENERATOR = Network("electra", "generator", "generator_predictions")
UNTIED_GENERATOR = Network("generator", "generator", "generator_predictions")
WHOLE_GENERATOR = Network("electra", "electra", "generator_predictions")

# run_pretraining.py, PretrainingModel.__init__. Under Electric the discriminator's logits also have the log
# probability of the two towers added; these are the logits without it.
NETWORKS: Mapping[str, Mapping[str, Network]] = {
    "default": {"discriminator": DISCRIMINATOR, "generator": GENERATOR},
    "untied_generator_embeddings": {"discriminator": DISCRIMINATOR, "generator": UNTIED_GENERATOR},
    "tied_generator": {"discriminator": DISCRIMINATOR, "generator": WHOLE_GENERATOR},
    "masked_lm": {"generator": WHOLE_GENERATOR},
    "uniform_generator": {"discriminator": DISCRIMINATOR},
    "two_tower_generator": {"discriminator": DISCRIMINATOR},
    "two_tower_untied_embeddings": {"discriminator": DISCRIMINATOR},
    "fine_tuned": {"discriminator": ENCODER},
}


def forward(
    variables: Variables,
    network: Network,
    heads: int,
    input_ids: Ids,
    input_mask: Ids,
    segment_ids: Ids,
    activation: str = "gelu",
    dtype: type[np.floating] = np.float32,
) -> Outputs:
    """Run one model of a checkpoint.

    Args:
        variables: the arrays by their TensorFlow names; others than the network's are passed over.
        network: where the model's variables are.
        heads: attention heads, which no shape tells.
        input_ids: [batch, length], rows of the word embeddings.
        input_mask: [batch, length], 1 for tokens and 0 for padding.
        segment_ids: [batch, length], rows of the token type embeddings.
        activation: gelu, relu, tanh or linear.
        dtype: what to compute in: float32 as Google's code, or float64.

    Returns:
        The hidden states of every layer and the logits, of the given dtype, at all positions.
    """
    model = _Model(variables, dtype, ACTIVATIONS[activation.lower()])
    hidden = model.embed(network, input_ids, segment_ids)
    layers: list[Array] = []
    while f"{network.encoder}/encoder/layer_{len(layers)}/output/dense/kernel" in variables:
        hidden = model.layer(f"{network.encoder}/encoder/layer_{len(layers)}", hidden, input_mask, heads)
        layers.append(hidden)
    return Outputs(np.stack(layers), model.logits(network, hidden))


def task_answers(variables: Variables, task: str, kind: str, hidden: Array) -> dict[str, Array]:
    """What a fine-tuned head computes: get_prediction_module of the tasks in finetune/, without joint_prediction.

    Args:
        variables: the arrays by their TensorFlow names.
        task: the scope in task_specific.
        kind: classes, number, tags or ends.
        hidden: the encoder's last hidden states, [batch, length, hidden], in the dtype that is computed in.

    Returns:
        logits [batch, labels] of classes and of a number, [batch, length, labels] of tags; start_logits and
        end_logits [batch, length] of ends.
    """
    model = _Model(variables, hidden.dtype.type, gelu)
    if kind == "ends":
        layers = {"start_logits": "dense", "end_logits": "dense_1"}
        return {name: model.dense(f"task_specific/{task}/{layer}", hidden)[..., 0] for name, layer in layers.items()}
    return {"logits": model.dense(f"task_specific/{task}/dense", hidden if kind == "tags" else hidden[:, 0])}


def gelu(x: Array) -> Array:
    """Weigh each value with the normal distribution's probability up to it (modeling.gelu).

    Args:
        x: any shape.

    Returns:
        The same shape and dtype.
    """
    erf = np.vectorize(math.erf, otypes=[np.float64])(x / math.sqrt(2.0))
    return x * (0.5 * (1.0 + erf.astype(x.dtype)))


# modeling.get_activation.
ACTIVATIONS: Mapping[str, Callable[[Array], Array]] = {
    "gelu": gelu,
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "linear": lambda x: x,
}


@dataclass(frozen=True)
class _Model:
    """The variables of a checkpoint, the arithmetic, and the graph's pieces over them."""

    variables: Variables
    dtype: type[np.floating]
    activation: Callable[[Array], Array]

    def variable(self, name: str) -> Array:
        return self.variables[name].astype(self.dtype)

    def dense(self, scope: str, x: Array) -> Array:
        return x @ self.variable(f"{scope}/kernel") + self.variable(f"{scope}/bias")

    def layer_norm(self, scope: str, x: Array) -> Array:
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = np.square(centred).mean(axis=-1, keepdims=True)
        normed = centred / np.sqrt(variance + LAYER_NORM_EPSILON)
        return normed * self.variable(f"{scope}/LayerNorm/gamma") + self.variable(f"{scope}/LayerNorm/beta")

    def embed(self, network: Network, input_ids: Ids, segment_ids: Ids) -> Array:
        scope = f"{network.embeddings}/embeddings"
        words = self.variable(f"{scope}/word_embeddings")[input_ids]
        types = self.variable(f"{scope}/token_type_embeddings")[segment_ids]
        positions = self.variable(f"{scope}/position_embeddings")[: input_ids.shape[1]]
        embedded = self.layer_norm(scope, words + types + positions)
        # The graph projects by comparing widths; whether a projection happens to be stored does not count.
        hidden_width = self.variables[f"{network.encoder}/encoder/layer_0/attention/self/query/kernel"].shape[0]
        if embedded.shape[-1] == hidden_width:
            return embedded
        return self.dense(f"{network.encoder}/embeddings_project", embedded)

    def layer(self, scope: str, x: Array, input_mask: Ids, heads: int) -> Array:
        attended = self.dense(f"{scope}/attention/output/dense", self.attend(scope, x, input_mask, heads))
        attended = self.layer_norm(f"{scope}/attention/output", attended + x)
        intermediate = self.activation(self.dense(f"{scope}/intermediate/dense", attended))
        return self.layer_norm(f"{scope}/output", self.dense(f"{scope}/output/dense", intermediate) + attended)

    def attend(self, scope: str, x: Array, input_mask: Ids, heads: int) -> Array:
        batch, length, width = x.shape

        def project(name: str) -> Array:
            projected = self.dense(f"{scope}/attention/self/{name}", x)
            return projected.reshape(batch, length, heads, width // heads).swapaxes(1, 2)

        scores = project("query") @ project("key").swapaxes(2, 3) * (1.0 / math.sqrt(width // heads))
        scores += (1.0 - input_mask[:, None, None, :].astype(self.dtype)) * -10000.0
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        return (weights @ project("value")).swapaxes(1, 2).reshape(batch, length, width)

    def logits(self, network: Network, hidden: Array) -> Array | None:
        if network.head is None:
            return None
        dense = self.activation(self.dense(f"{network.head}/dense", hidden))
        if network.head == "discriminator_predictions":
            return self.dense(f"{network.head}/dense_1", dense)[..., 0]
        table = self.variable(f"{network.embeddings}/embeddings/word_embeddings")
        return self.layer_norm(network.head, dense) @ table.T + self.variable(f"{network.head}/output_bias")
