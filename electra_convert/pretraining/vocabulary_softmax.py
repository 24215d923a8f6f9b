"""The softmax over a vocabulary in blocks of rows and columns: losses, samples, what is likeliest; never held whole.

Of every row the logarithm of the sum of each block is kept, nothing else; blocks are computed again for the gradient.
A sample needs but one block of its row again: which one, the kept sums tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import isqrt
from typing import Any, NamedTuple

import torch

from electra_convert.errors import UsageError
from electra_convert.pretraining.sampling import Drawing, draw, within
from electra_convert.pretraining.tables import gradient_of

# What a block of logits takes. On a processor it stays in the cache; on a GPU a kernel must have enough to do.
_BLOCK_BYTES = 1 << 23
_BLOCK_BYTES_GPU = 1 << 28


class Block(NamedTuple):
    """Some rows, as a slice or as their numbers, and some columns with their number among the blocks of a row."""

    rows: slice | torch.Tensor
    columns: slice
    number: int


@dataclass(frozen=True)
class Projection:
    """The last layer of a generator, applied to what it is given.

    Attributes:
        hidden: [rows, width].
        weight: [vocabulary, width].
        bias: [vocabulary], or None.
        dtype: what matrix products are computed in; sums are float32 in any case.
    """

    hidden: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor | None
    dtype: torch.dtype

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a block."""
        elements = (_BLOCK_BYTES if self.hidden.device.type == "cpu" else _BLOCK_BYTES_GPU) // 4
        rows = max(1, min(len(self.hidden), isqrt(elements)))
        return rows, min(len(self.weight), elements // rows)

    @property
    def row_blocks(self) -> list[slice]:
        """The rows of all blocks."""
        return _cut(len(self.hidden), self.shape[0])

    @property
    def columns(self) -> list[slice]:
        """The columns of all blocks."""
        return _cut(len(self.weight), self.shape[1])

    def blocks(self) -> Iterator[tuple[Block, torch.Tensor]]:
        """All blocks, each with its logits, which may be changed and are good until the next block."""
        rows, columns = self.shape
        scratch = self.hidden.new_empty(rows * columns, dtype=torch.float32)
        for part in self.row_blocks:
            for number, stretch in enumerate(self.columns):
                block = Block(part, stretch, number)
                yield block, self.logits(block, scratch)

    def logits(self, block: Block, scratch: torch.Tensor | None = None) -> torch.Tensor:
        """[rows, columns] float32 of a block, in scratch space where there is some."""
        hidden, weight = self.hidden[block.rows].to(self.dtype), self.weight[block.columns].to(self.dtype)
        size = (len(hidden), len(weight))
        target = hidden.new_empty(size, dtype=torch.float32) if scratch is None else scratch[: size[0] * size[1]]
        logits = target.view(size)
        if self.dtype == torch.float32:
            torch.mm(hidden, weight.t(), out=logits)
        else:
            logits.copy_(hidden @ weight.t())
        return logits if self.bias is None else logits.add_(self.bias[block.columns])


def _cut(size: int, most: int) -> list[slice]:
    return [slice(start, min(start + most, size)) for start in range(0, size, most)]


class Sums(NamedTuple):
    """What is kept of a softmax.

    Attributes:
        losses: [rows], the cross entropy with the targets, in nats.
        log_sums: [rows], the logarithm of the sum over all columns.
        maxima: [rows, blocks], the highest logit of each block.
        drawn: [rows, blocks], the logarithm of the sum of what is sampled from in each block.
    """

    losses: torch.Tensor
    log_sums: torch.Tensor
    maxima: torch.Tensor
    drawn: torch.Tensor


class VocabularySoftmax:
    """What a generator says of some rows: its losses, with gradients, and what it would put in their place.

    In autocast, matrix products are computed in its dtype.

    Args:
        hidden: [rows, width].
        weight: [vocabulary, width].
        bias: [vocabulary], or None.
        targets: [rows], the tokens that were there.
        drawing: how replacements are sampled.
        in_place: whether the weight's gradient is added to that of the weight, a leaf, where it stands.

    Attributes:
        losses: [rows] float32, the cross entropy with the targets, in nats.
    """

    def __init__(
        self,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        targets: torch.Tensor,
        drawing: Drawing,
        in_place: bool = False,
    ) -> None:
        device = hidden.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weight.dtype
        self._targets, self._drawing = targets, drawing
        self._projection = Projection(
            hidden.detach(), weight.detach(), None if bias is None else bias.detach(), dtype
        )
        found = Sums(*_Softmax.apply(hidden, weight, bias, targets, drawing, dtype, in_place))  # type: ignore[no-untyped-call]
        self.losses, self._maxima, self._drawn = found.losses, found.maxima, found.drawn

    @torch.no_grad()
    def sampled(self, uniforms: torch.Tensor) -> torch.Tensor:
        """Draw a column of each row: [rows] int64.

        Args:
            uniforms: [rows] float32 in [0, 1), what is drawn by.
        """
        chosen, rest = draw(self._drawn, uniforms)

        def drawn(logits: torch.Tensor, block: Block) -> torch.Tensor:
            changed = self._drawing.applied(logits, self._targets[block.rows], block.columns.start)
            return draw(changed, rest[block.rows])[0]

        return self._found(chosen, drawn)

    @torch.no_grad()
    def likeliest(self) -> torch.Tensor:
        """The column of each row with the highest logit: [rows] int64."""
        return self._found(self._maxima.argmax(1), lambda logits, _block: logits.argmax(1))

    def _found(self, chosen: torch.Tensor, find: Callable[[torch.Tensor, Block], torch.Tensor]) -> torch.Tensor:
        """What is found within the chosen block of each row: [rows], the number of a column.

        Args:
            chosen: [rows], the number of a block.
            find: from the logits of a block to a column within it, row by row.
        """
        found = torch.zeros_like(chosen)
        with torch.autocast(chosen.device.type, enabled=False):
            for part in self._projection.row_blocks:
                for number, columns in enumerate(self._projection.columns):
                    rows = _rows_to_look_at(chosen, part, number)
                    if len(rows):
                        block = Block(rows, columns, number)
                        there = columns.start + find(self._projection.logits(block), block)
                        found[rows] = torch.where(chosen[rows] == number, there, found[rows])
        return found


def _rows_to_look_at(chosen: torch.Tensor, part: slice, number: int) -> torch.Tensor:
    """Numbers of rows, among them all whose chosen block it is: on a GPU, which would be waited for, all of them."""
    if chosen.device.type != "cpu":
        return torch.arange(part.start, part.stop, device=chosen.device)
    within_part: torch.Tensor = (chosen[part] == number).nonzero().squeeze(1)
    return within_part + int(part.start)


class _Softmax(torch.autograd.Function):
    """From the inputs of a projection to Sums, of which the losses have gradients."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        hidden: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        targets: torch.Tensor,
        drawing: Drawing,
        dtype: torch.dtype,
        in_place: bool,
    ) -> Sums:
        with torch.autocast(hidden.device.type, enabled=False):
            sums = _sums(Projection(hidden, weight, bias, dtype), targets, drawing)
        ctx.save_for_backward(hidden, weight, bias, targets, sums.log_sums)
        ctx.dtype, ctx.in_place = dtype, in_place
        ctx.mark_non_differentiable(*sums[1:])
        ctx.set_materialize_grads(False)
        return sums

    @staticmethod
    def backward(ctx: Any, losses: torch.Tensor | None, *_: None) -> tuple[torch.Tensor | None, ...]:  # noqa: ANN401
        if losses is None:
            return (None,) * 7
        if torch.is_grad_enabled():
            # log_sums is a constant here, so that it would be a wrong one.
            raise UsageError(
                "the generator's loss has no second derivative (create_graph)",
                "Wrap the generator in a module of your own: its logits are then torch's own, and so is their loss.",
            )
        hidden, weight, bias, targets, log_sums = ctx.saved_tensors
        in_place = ctx.in_place and weight.requires_grad
        with torch.autocast(hidden.device.type, enabled=False):
            gradients = Gradients(
                hidden=torch.zeros_like(hidden, dtype=torch.float32) if ctx.needs_input_grad[0] else None,
                weight=gradient_of(weight)
                if in_place
                else torch.zeros_like(weight)
                if ctx.needs_input_grad[1]
                else None,
                bias=torch.zeros_like(bias) if bias is not None and ctx.needs_input_grad[2] else None,
            )
            _differentiate(Projection(hidden, weight, bias, ctx.dtype), targets, log_sums, losses, gradients)
        of_hidden = None if gradients.hidden is None else gradients.hidden.to(hidden.dtype)
        return of_hidden, None if in_place else gradients.weight, gradients.bias, None, None, None, None


class Gradients(NamedTuple):
    """What gradients are added to, float32; None where none is wanted."""

    hidden: torch.Tensor | None
    weight: torch.Tensor | None
    bias: torch.Tensor | None


def _sums(projection: Projection, targets: torch.Tensor, drawing: Drawing) -> Sums:
    rows = len(projection.hidden)
    maxima = projection.hidden.new_empty((rows, len(projection.columns)), dtype=torch.float32)
    log_sums = torch.empty_like(maxima)
    drawn = log_sums if drawing.plain else torch.empty_like(maxima)
    of_targets = torch.zeros_like(maxima[:, :1])
    for block, logits in projection.blocks():
        places, inside = within(targets[block.rows], logits, block.columns.start)
        of_targets[block.rows] += logits.gather(1, places).where(inside, 0.0)
        if not drawing.plain:
            changed = drawing.applied(logits, targets[block.rows], block.columns.start)
            drawn[block.rows, block.number] = changed.logsumexp(dim=1)
        # Of a block that is all minus infinity, as where a vocabulary is padded, exp would be of NaN.
        highest = logits.amax(dim=1, keepdim=True).clamp(min=torch.finfo(torch.float32).min)
        maxima[block.rows, block.number] = highest.squeeze(1)
        summed = logits.sub_(highest).exp_().sum(dim=1)
        log_sums[block.rows, block.number] = highest.squeeze(1) + summed.log_()
    whole = log_sums.logsumexp(dim=1)
    return Sums(whole - of_targets.squeeze(1), whole, maxima, drawn)


def _differentiate(
    projection: Projection,
    targets: torch.Tensor,
    log_sums: torch.Tensor,
    losses: torch.Tensor,
    gradients: Gradients,
) -> None:
    """Add the gradients of losses, whose own are [rows], to others."""
    for block, logits in projection.blocks():
        weights = losses[block.rows].unsqueeze(1)
        of_logits = logits.sub_(log_sums[block.rows].unsqueeze(1)).exp_().mul_(weights)
        places, inside = within(targets[block.rows], logits, block.columns.start)
        of_logits.scatter_add_(1, places, -weights * inside)
        if gradients.bias is not None:
            gradients.bias[block.columns] += of_logits.sum(dim=0)
        multiplied = of_logits.to(projection.dtype)
        if gradients.hidden is not None:
            weight = projection.weight[block.columns].to(projection.dtype)
            _add_product(gradients.hidden[block.rows], multiplied, weight)
        if gradients.weight is not None:
            hidden = projection.hidden[block.rows].to(projection.dtype)
            _add_product(gradients.weight[block.columns], multiplied.t(), hidden)


def _add_product(target: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> None:
    if first.dtype == target.dtype:
        target.addmm_(first, second)
    else:
        target += first @ second
