"""Dropout and attention for training on a processor, where torch's own spend their time drawing random numbers.

torch draws a float of 32 bits for every element, one after the other: a sixth of a step of ELECTRA-Small. Here one
draw of 64 bits makes four elements. On a GPU torch's own kernels are the fastest, and these modules are not used.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

ATTENTION = "electra_convert"
_LEVELS = 1 << 16
_PER_DRAW = 4


class Dropout(nn.Module):
    """As nn.Dropout, with the probability rounded to a multiple of 1/65536."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.p = probability

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Drop elements and divide the others by the share that is kept; nothing in evaluation."""
        if not self.training or not self.p:
            return values
        kept, scale = draw_kept(values.shape, self.p)
        return values * kept * scale


def draw_kept(shape: torch.Size, probability: float) -> tuple[torch.Tensor, float]:
    """Draw which elements are kept: an int8 mask, 1 where one is, and what to multiply those by.

    Args:
        shape: of the mask.
        probability: that an element is dropped, above 0 and below 1.
    """
    dropped = min(max(round(probability * _LEVELS), 1), _LEVELS - 1)
    count = shape.numel()
    draws = torch.empty(-(-count // _PER_DRAW), dtype=torch.int64).random_(-(1 << 63), None)
    kept = draws.view(torch.int16)[:count] >= dropped - _LEVELS // 2
    return kept.view(torch.int8).view(shape), _LEVELS / (_LEVELS - dropped)


def attend(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **_: Any,  # noqa: ANN401 - what transformers passes to any attention
) -> tuple[torch.Tensor, None]:
    """Attention as transformers calls it; torch's own wherever nothing is dropped.

    Args:
        module: the layer, unused.
        query: [batch, heads, length, width].
        key: the same shape.
        value: the same shape.
        attention_mask: bool, broadcast to [batch, heads, length, length]; None where every position is attended to.
        dropout: the probability that an attention weight is dropped.
        scaling: what scores are multiplied by; one over the square root of the width by default.

    Returns:
        [batch, length, heads, width], and None for the weights.
    """
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    if not dropout:
        mixed = nn.functional.scaled_dot_product_attention(query, key, value, attention_mask, scale=scaling)
        return mixed.transpose(1, 2), None
    scores = (query * scaling) @ key.transpose(2, 3)
    if attention_mask is not None:
        scores = scores.masked_fill(~attention_mask, torch.finfo(scores.dtype).min)
    kept, scale = draw_kept(scores.shape, dropout)
    weights = scores.softmax(dim=-1) * kept
    return (weights @ (value * scale)).transpose(1, 2), None


def use_fast_dropout(model: nn.Module) -> None:
    """Replace every nn.Dropout of a model, in place."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Dropout):
                setattr(parent, name, Dropout(child.p))
