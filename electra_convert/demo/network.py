"""ELECTRA's forward pass in PyTorch, over weights under transformers' names; loads and trains nothing.

transformers has it too; importing its classes takes longer than all else that comes before a first result
(benchmarks/README.md). Written from model/modeling.py and run_pretraining.py of google-research/electra; tests hold
it to what Google's code computed, and to transformers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from electra_convert.config.activations import ACTIVATIONS as GOOGLE
from electra_convert.errors import UsageError
from electra_convert.frameworks import import_torch
from electra_convert.processor import cores_at_once
from electra_convert.schemes.mapping import Role

if TYPE_CHECKING:
    import torch

Values: TypeAlias = "torch.Tensor"
Operation: TypeAlias = "Callable[..., Values]"
Result = TypeVar("Result")
# Sequences one after the other that have the same length: that length, and how many they are.
Stretches: TypeAlias = Sequence[tuple[int, int]]
ACTIVATIONS = (*GOOGLE, "gelu_new")
# Before the names of layers that transformers has no place for, and that are kept beside a model.
BESIDE = "beside"


@dataclass(frozen=True)
class Architecture:
    """What the weights do not say of a network.

    Attributes:
        role: which model it is, for messages.
        head: what computes the logits of a fine-tuned model from the hidden states of its encoder, [batch, length,
            hidden]; None of one that is as pretraining left it.
        layers: how many there are.
        heads: attention heads.
        activation: of the feed-forward layers and the head, one of ACTIVATIONS.
        head_activation: of the head alone, which transformers computes with gelu for every generator.
        epsilon: what a layer normalisation adds to the variance.
    """

    role: Role
    head: Callable[[Network, Values], Values] | None
    layers: int
    heads: int
    activation: str
    head_activation: str
    epsilon: float


def usable_device(name: str | torch.device, role: Role) -> torch.device:
    """A device that PyTorch has here.

    Raises:
        UsageError: it has none of that name.
        MissingPackageError: PyTorch is not installed.
    """
    pytorch = import_torch(f"to run the {role}")
    try:
        device: torch.device = pytorch.device(name)
        pytorch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # as each of its backends has it
        reason = str(error).partition("\n")[0].partition(". ")[0]
        raise UsageError(
            f"PyTorch cannot compute on {str(name)!r} here: {reason}", "Leave it out for the CPU."
        ) from error
    return device


def use_threads(count: int | None) -> None:
    """Compute with so many threads; by default with as many as PyTorch would, but not more than may run at once.

    Raises:
        MissingPackageError: PyTorch is not installed.
    """
    pytorch = import_torch("to run a model")
    pytorch.set_num_threads(count or min(pytorch.get_num_threads(), cores_at_once()))


class Network:
    """One model, ready to run.

    Args:
        architecture: its settings.
        weights: float32 arrays by transformers' names, in transformers' orientation, those of layers that are kept
            beside a model under BESIDE; on a CPU they are kept, not
            copied.
        device: where it computes.

    Raises:
        MissingPackageError: PyTorch is not installed.
    """

    def __init__(
        self, architecture: Architecture, weights: Mapping[str, NDArray[np.float32]], device: torch.device
    ) -> None:
        self._torch = import_torch(f"to run the {architecture.role}")
        self._architecture = architecture
        self.role = architecture.role
        self.device = device
        functions = self._torch.nn.functional
        self._linear: Operation = functions.linear
        self._normalise: Operation = functions.layer_norm
        self._weigh: Operation = functions.scaled_dot_product_attention
        activations: dict[str, Operation] = {
            "gelu": functions.gelu,
            "gelu_new": partial(functions.gelu, approximate="tanh"),
            "relu": functions.relu,
            "tanh": self._torch.tanh,
            "linear": lambda values: values,
        }
        self._activate = activations[architecture.activation]
        self._activate_head = activations[architecture.head_activation]
        self.gelu: Operation = functions.gelu
        pretraining: dict[Role, Operation] = {"discriminator": self._discriminate, "generator": self._fill}
        self._head = pretraining[self.role] if architecture.head is None else partial(architecture.head, self)
        self._weights = {name: self._torch.from_numpy(array).to(device) for name, array in weights.items()}

    def arrays(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Its weights by transformers' names, in their order."""
        for name in sorted(self._weights):
            yield name, np.asarray(self._weights[name].cpu().numpy())

    def run(
        self, input_ids: NDArray[np.int64], attention_mask: NDArray[np.int64], token_type_ids: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Compute the logits.

        Args:
            input_ids: [batch, length].
            attention_mask: 1 where there is a token, 0 where there is padding, [batch, length].
            token_type_ids: 0 for a first sentence, 1 for a second, [batch, length].

        Returns:
            [batch, length] of a discriminator, [batch, length, vocabulary] of a generator; of a fine-tuned model
            what its head computes. Those at padding say nothing.
        """
        with self._torch.inference_mode():
            hidden, _, _ = self._encode(input_ids, attention_mask, token_type_ids)
            logits = self._head(hidden)
        return np.asarray(logits.cpu().numpy())

    def at(
        self,
        places: Sequence[int],
        input_ids: NDArray[np.int64],
        attention_mask: NDArray[np.int64],
        token_type_ids: NDArray[np.int64],
    ) -> Iterator[NDArray[np.float32]]:
        """Compute the logits at some places of one sequence, one after the other: the head sees nothing else.

        Args:
            places: which of the sequence's tokens.
            input_ids: as of run with a batch of one, and so are the others.

        Yields:
            What run gives at each of the places; [vocabulary] of a generator.
        """
        with self._torch.inference_mode():
            hidden, _, _ = self._encode(input_ids, attention_mask, token_type_ids)
        for place in places:
            with self._torch.inference_mode():
                logits = self._head(hidden[:, place])
            yield np.asarray(logits[0].cpu().numpy())

    def compute(
        self,
        function: Callable[[Network, Values, Values], Result],
        input_ids: NDArray[np.int64],
        attention_mask: NDArray[np.int64],
        token_type_ids: NDArray[np.int64],
    ) -> Result:
        """Compute what a fine-tuned head answers with beside logits.

        Args:
            function: given the network, the hidden states [batch, length, hidden], and 1 at every token of the
                second text, 0 elsewhere [batch, length].
            input_ids: as of run, and so are the others.

        Returns:
            What the function does.
        """
        with self._torch.inference_mode():
            hidden, mask, types = self._encode(input_ids, attention_mask, token_type_ids)
            return function(self, hidden, mask * types)

    def dense(self, scope: str, values: Values) -> Values:
        """A layer of that name, over the last axis."""
        return self._linear(values, self._weights[f"{scope}.weight"], self._weights[f"{scope}.bias"])

    def __contains__(self, layer: str) -> bool:
        return f"{layer}.weight" in self._weights

    def _encode(self, *arrays: NDArray[np.int64]) -> tuple[Values, Values, Values]:
        """The hidden states of the last layer, [batch, length, hidden], 0 at padding; mask and types as given.

        Nothing is computed of padding: the tokens of all sequences go through the layers as one list, and attention,
        which alone looks at several, through those of one length at a time.
        """
        ids, mask, types = (self._torch.from_numpy(array).to(self.device) for array in arrays)
        there = mask > 0
        stretches = [(length, len(list(same))) for length, same in groupby((arrays[1] > 0).sum(1).tolist())]
        hidden = self._embed(ids[there], types[there], there.nonzero()[:, 1])
        for number in range(self._architecture.layers):
            hidden = self._layer(f"electra.encoder.layer.{number}", hidden, stretches)
        padded = hidden.new_zeros((*ids.shape, hidden.shape[-1]))
        padded[there] = hidden
        return padded, mask, types

    def _embed(self, ids: Values, types: Values, places: Values) -> Values:
        scope = "electra.embeddings"
        words = self._weights[f"{scope}.word_embeddings.weight"][ids]
        positions = self._weights[f"{scope}.position_embeddings.weight"][places]
        summed = words + positions + self._weights[f"{scope}.token_type_embeddings.weight"][types]
        normed = self._norm(f"{scope}.LayerNorm", summed)
        project = "electra.embeddings_project"
        return self.dense(project, normed) if project in self else normed

    def _layer(self, scope: str, hidden: Values, stretches: Stretches) -> Values:
        attended = self.dense(
            f"{scope}.attention.output.dense", self._attend(f"{scope}.attention.self", hidden, stretches)
        )
        hidden = self._norm(f"{scope}.attention.output.LayerNorm", hidden + attended)
        wide = self._activate(self.dense(f"{scope}.intermediate.dense", hidden))
        return self._norm(f"{scope}.output.LayerNorm", hidden + self.dense(f"{scope}.output.dense", wide))

    def _attend(self, scope: str, hidden: Values, stretches: Stretches) -> Values:
        sizes = [length * count for length, count in stretches]
        whole = (self.dense(f"{scope}.{name}", hidden) for name in ("query", "key", "value"))
        parts = (self._torch.split_with_sizes(values, sizes) for values in whole)
        seen = []
        for (length, count), *apart in zip(stretches, *parts, strict=True):
            shape = (count, length, self._architecture.heads, -1)
            query, key, value = (part.reshape(shape).transpose(1, 2) for part in apart)
            seen.append(self._weigh(query, key, value).transpose(1, 2).reshape(count * length, -1))
        together: Values = self._torch.cat(seen)
        return together

    def _discriminate(self, hidden: Values) -> Values:
        scope = "discriminator_predictions"
        wide = self._activate_head(self.dense(f"{scope}.dense", hidden))
        return self.dense(f"{scope}.dense_prediction", wide).squeeze(-1)

    def _fill(self, hidden: Values) -> Values:
        scope = "generator_predictions"
        wide = self._activate_head(self.dense(f"{scope}.dense", hidden))
        words = self._weights["electra.embeddings.word_embeddings.weight"]
        table = self._weights.get("generator_lm_head.weight", words)
        bias = self._weights["generator_lm_head.bias"]
        return self._linear(self._norm(f"{scope}.LayerNorm", wide), table, bias)

    def _norm(self, scope: str, values: Values) -> Values:
        weight, bias = self._weights[f"{scope}.weight"], self._weights[f"{scope}.bias"]
        return self._normalise(values, weight.shape, weight, bias, self._architecture.epsilon)
