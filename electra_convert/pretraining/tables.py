"""The gradient of a table of embeddings, summed in one tensor wherever the table is used; computes no loss.

A table that is looked up twice and projected to gets three gradients of its own size from torch, which adds them up,
and then to those of the parts of a batch before. Here each use adds to the parameter's gradient where it stands.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import nn


class Table(nn.Embedding):
    """An embedding whose lookups add to its parameter's gradient in place, and hand on none."""

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Look ids of any shape up: [..., width]."""
        return look_up(self.weight, ids, in_place=True)


def use_table(model: Any) -> None:  # noqa: ANN401 - a transformers model
    """Replace the word embeddings of a model by such a table of the same parameter, in place."""
    before = model.get_input_embeddings()
    if isinstance(before, Table):
        return
    with torch.device("meta"):
        table = Table(before.num_embeddings, before.embedding_dim)
    table.weight = before.weight
    model.set_input_embeddings(table)


def has_table(model: Any) -> bool:  # noqa: ANN401 - a transformers model
    """Whether gradients of a model's word embeddings are added up where they stand."""
    return isinstance(model.get_input_embeddings(), Table)


def look_up(weight: torch.Tensor, ids: torch.Tensor, in_place: bool) -> torch.Tensor:
    """Rows of a table.

    Args:
        weight: [vocabulary, width].
        ids: of any shape.
        in_place: whether the gradient is added to that of the weight, a leaf, where it stands.
    """
    if not in_place or not weight.requires_grad:
        return nn.functional.embedding(ids, weight)
    return cast(torch.Tensor, _LookUp.apply(weight, ids))  # type: ignore[no-untyped-call]


def gradient_of(weight: torch.Tensor) -> torch.Tensor:
    """The gradient of a leaf, to add to in place; zeros where there is none yet."""
    if weight.grad is None:
        weight.grad = torch.zeros_like(weight)
    return weight.grad


class _LookUp(torch.autograd.Function):
    """As torch.nn.functional.embedding; a gradient of None tells torch that there is nothing left to add."""

    @staticmethod
    def forward(ctx: Any, weight: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:  # noqa: ANN401
        ctx.save_for_backward(weight, ids)
        return nn.functional.embedding(ids, weight)

    @staticmethod
    def backward(ctx: Any, gradients: torch.Tensor) -> tuple[None, None]:  # noqa: ANN401
        weight, ids = ctx.saved_tensors
        distinct, summed = sum_by_id(ids.flatten(), gradients.flatten(0, -2))
        gradient_of(weight).index_add_(0, distinct, summed.to(weight.dtype))
        return None, None


def sum_by_id(ids: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Sum rows that have the same id, in the same order every time, and without asking a GPU how many there are.

    Args:
        ids: [rows].
        values: [rows, width].

    Returns:
        [rows] ids and [rows, width] sums: each id once, and then ids of any kind with sums of zeros.
    """
    ordered, order = ids.sort(stable=True)
    follows = torch.zeros_like(ids)
    follows[1:] = (ordered[1:] != ordered[:-1]).cumsum(0)
    places = torch.empty_like(ids).scatter_(0, order, follows)
    distinct = torch.zeros_like(ids).scatter_(0, places, ids)
    summed = torch.ops.aten.embedding_dense_backward(values, places, len(ids), -1, False)
    return distinct, summed
