"""The gradients of embeddings that are only looked up, measured token by token as TensorFlow measures them.

tf.nn.embedding_lookup has a gradient of slices, one for each token of the batch, and tf.clip_by_global_norm takes the
norm of these before they are summed. Where a matrix product has the table too, as the softmax of a generator that
shares it, TensorFlow makes a matrix of the sum. Google's code looks up words so on CPUs and GPUs, and multiplies by
one-hot vectors on TPUs; segments are always one-hot, and positions a slice of their table (embedding_lookup and
embedding_postprocessor in model/modeling.py of google-research/electra, 8a46635).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import nn


class TokenNorms(nn.Module):
    """Watches embeddings, from now on, while gradients are computed.

    What is to be measured is the gradient of a number beside the embeddings. So it adds up over the parts of a batch,
    is averaged over processes and passes through torch.compile as any other gradient does, and no gradient of single
    tokens is kept.

    Args:
        tables: the embeddings.
    """

    def __init__(self, tables: Iterable[nn.Embedding]) -> None:
        super().__init__()
        watched = list(tables)
        self.weights: tuple[nn.Parameter, ...] = tuple(cast(nn.Parameter, table.weight) for table in watched)
        self.squares = nn.Parameter(torch.zeros((), device=self.weights[0].device))
        for table in watched:
            table.register_forward_hook(self._watch)

    def _watch(self, _table: nn.Module, _ids: Any, embeddings: torch.Tensor) -> torch.Tensor:  # noqa: ANN401
        watched: torch.Tensor = _Watched.apply(embeddings, self.squares)  # type: ignore[no-untyped-call]
        return watched

    def take(self, processes: int) -> torch.Tensor:
        """The norm of all single gradients since the last time, a scalar.

        Args:
            processes: how many there are; each has multiplied its gradients by this before they were averaged.
        """
        squares = self.squares.grad
        self.squares.grad = None
        assert squares is not None  # there was a backward pass
        return (squares / processes).sqrt()


class _Watched(torch.autograd.Function):
    """Embeddings as they are; the gradient of the number beside them is the sum of the squares of their gradient."""

    @staticmethod
    def forward(_ctx: Any, embeddings: torch.Tensor, _squares: torch.Tensor) -> torch.Tensor:  # noqa: ANN401
        return embeddings.view_as(embeddings)

    @staticmethod
    def backward(_ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:  # noqa: ANN401
        return gradient, torch.linalg.vector_norm(gradient, dtype=torch.float32).square()


def only_looked_up(networks: Iterable[nn.Module]) -> list[nn.Embedding]:
    """The word embeddings of transformers models that are trained, and whose table no softmax of them has."""
    models: list[Any] = list(networks)
    heads = [head for model in models if (head := model.get_output_embeddings()) is not None]
    projected = {id(head.weight) for head in heads}
    tables = {id(table): table for table in (model.get_input_embeddings() for model in models)}
    return [table for table in tables.values() if table.weight.requires_grad and id(table.weight) not in projected]
