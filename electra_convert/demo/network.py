"""ELECTRA's forward pass in PyTorch, over weights under transformers' names; loads and trains nothing.

transformers has it too; importing its classes takes longer than all else that comes before a first result
(benchmarks/README.md). Written from model/modeling.py and run_pretraining.py of google-research/electra; tests hold
it to what Google's code computed, and to transformers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from electra_convert.config.activations import ACTIVATIONS as GOOGLE
from electra_convert.frameworks import import_torch
from electra_convert.schemes.mapping import Role

# A torch.Tensor; mypy does not see torch.
Values = Any
ACTIVATIONS = (*GOOGLE, "gelu_new")


@dataclass(frozen=True)
class Architecture:
    """What the weights do not say of a network.

    Attributes:
        role: which head it has.
        layers: how many there are.
        heads: attention heads.
        activation: of the feed-forward layers and the head, one of ACTIVATIONS.
        head_activation: of the head alone, which transformers computes with gelu for every generator.
        epsilon: what a layer normalisation adds to the variance.
    """

    role: Role
    layers: int
    heads: int
    activation: str
    head_activation: str
    epsilon: float


class Network:
    """One model, ready to run.

    Args:
        architecture: its settings.
        weights: float32 arrays by transformers' names, in transformers' orientation; they are kept, not copied.

    Raises:
        MissingPackageError: PyTorch is not installed.
    """

    def __init__(self, architecture: Architecture, weights: Mapping[str, NDArray[np.float32]]) -> None:
        self._torch = import_torch(f"to run the {architecture.role}")
        self._architecture = architecture
        self._weights = {name: self._torch.from_numpy(array) for name, array in weights.items()}

    def run(
        self, input_ids: NDArray[np.int64], attention_mask: NDArray[np.int64], token_type_ids: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Compute the logits.

        Args:
            input_ids: [batch, length].
            attention_mask: 1 where there is a token, 0 where there is padding, [batch, length].
            token_type_ids: 0 for a first sentence, 1 for a second, [batch, length].

        Returns:
            [batch, length] of a discriminator, [batch, length, vocabulary] of a generator.
        """
        ids, mask, types = map(self._torch.from_numpy, (input_ids, attention_mask, token_type_ids))
        with self._torch.inference_mode():
            hidden = self._embed(ids, types)
            for number in range(self._architecture.layers):
                hidden = self._layer(f"electra.encoder.layer.{number}", hidden, mask[:, None, None, :] > 0)
            logits = self._discriminate(hidden) if self._architecture.role == "discriminator" else self._fill(hidden)
        return np.asarray(logits.numpy())

    def _embed(self, ids: Values, types: Values) -> Values:
        scope = "electra.embeddings"
        words = self._weights[f"{scope}.word_embeddings.weight"][ids]
        positions = self._weights[f"{scope}.position_embeddings.weight"][: ids.shape[1]]
        summed = words + positions + self._weights[f"{scope}.token_type_embeddings.weight"][types]
        normed = self._norm(f"{scope}.LayerNorm", summed)
        project = "electra.embeddings_project"
        return self._dense(project, normed) if f"{project}.weight" in self._weights else normed

    def _layer(self, scope: str, hidden: Values, mask: Values) -> Values:
        attended = self._dense(
            f"{scope}.attention.output.dense", self._attend(f"{scope}.attention.self", hidden, mask)
        )
        hidden = self._norm(f"{scope}.attention.output.LayerNorm", hidden + attended)
        wide = self._activate(self._architecture.activation, self._dense(f"{scope}.intermediate.dense", hidden))
        return self._norm(f"{scope}.output.LayerNorm", hidden + self._dense(f"{scope}.output.dense", wide))

    def _attend(self, scope: str, hidden: Values, mask: Values) -> Values:
        parts = (
            self._dense(f"{scope}.{name}", hidden).unflatten(-1, (self._architecture.heads, -1)).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        attend = self._torch.nn.functional.scaled_dot_product_attention
        return attend(*parts, attn_mask=mask).transpose(1, 2).flatten(-2)

    def _discriminate(self, hidden: Values) -> Values:
        scope = "discriminator_predictions"
        wide = self._activate(self._architecture.head_activation, self._dense(f"{scope}.dense", hidden))
        return self._dense(f"{scope}.dense_prediction", wide).squeeze(-1)

    def _fill(self, hidden: Values) -> Values:
        scope = "generator_predictions"
        wide = self._activate(self._architecture.head_activation, self._dense(f"{scope}.dense", hidden))
        words = self._weights["electra.embeddings.word_embeddings.weight"]
        bias = self._weights["generator_lm_head.bias"]
        return self._torch.nn.functional.linear(self._norm(f"{scope}.LayerNorm", wide), words, bias)

    def _dense(self, scope: str, values: Values) -> Values:
        return self._torch.nn.functional.linear(
            values, self._weights[f"{scope}.weight"], self._weights[f"{scope}.bias"]
        )

    def _norm(self, scope: str, values: Values) -> Values:
        weight, bias = self._weights[f"{scope}.weight"], self._weights[f"{scope}.bias"]
        normalise = self._torch.nn.functional.layer_norm
        return normalise(values, weight.shape, weight, bias, self._architecture.epsilon)

    def _activate(self, name: str, values: Values) -> Values:
        functions = self._torch.nn.functional
        if name == "linear":
            return values
        if name == "gelu_new":
            return functions.gelu(values, approximate="tanh")
        return {"gelu": functions.gelu, "relu": functions.relu, "tanh": self._torch.tanh}[name](values)
