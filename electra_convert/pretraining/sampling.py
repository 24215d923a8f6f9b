"""How replacements are drawn from logits: one column a row, by one uniform number each; projects nothing."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Drawing:
    """What is changed about a generator's distribution before replacements are drawn from it.

    Attributes:
        temperature: divides the logits, above 0.
        disallow_correct: whether the token that was there may not be drawn.
    """

    temperature: float = 1.0
    disallow_correct: bool = False

    @property
    def plain(self) -> bool:
        """Whether nothing is changed."""
        return self.temperature == 1.0 and not self.disallow_correct

    def applied(self, logits: torch.Tensor, targets: torch.Tensor, first: int = 0) -> torch.Tensor:
        """What is drawn from in place of logits; these themselves where nothing is changed.

        Args:
            logits: [rows, columns].
            targets: [rows], the tokens that were there.
            first: the token of the first column.
        """
        if self.plain:
            return logits
        changed = logits / self.temperature
        if self.disallow_correct:
            # Before the softmax: where the generator is sure, all that is left after it may be zeros.
            places, inside = within(targets, logits, first)
            changed.scatter_(1, places, torch.where(inside, -torch.inf, changed.gather(1, places)))
        return changed


def within(targets: torch.Tensor, logits: torch.Tensor, first: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The columns of tokens among those of logits, any column for one without; and whether it has one: [rows, 1]."""
    places, width = (targets - first).unsqueeze(1), logits.shape[1]
    return places.clamp(0, width - 1), (places >= 0) & (places < width)


def draw(logits: torch.Tensor, uniforms: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw one column of each row, as likely as its softmax.

    One uniform number and a cumulative sum a row; Google's code draws noise for every column instead.

    Args:
        logits: [rows, columns] float32; each row has one above minus infinity.
        uniforms: [rows] float32 in [0, 1).

    Returns:
        [rows] int64, never a column of minus infinity; and [rows] float32 in [0, 1), where the number lies within the
        share of that column, as uniform as the number itself.
    """
    weights = logits.softmax(dim=1)
    # Metal has no float64.
    heights = weights.cumsum(dim=1, dtype=torch.float32 if logits.device.type == "mps" else torch.float64)
    total = heights[:, -1]
    # The product may round up to the total, beyond which there is no column.
    reached = torch.minimum(uniforms * total, torch.nextafter(total, torch.zeros_like(total))).unsqueeze(1)
    # Of a model that has diverged every height is NaN; the loss tells of it, not an index out of range.
    drawn = torch.searchsorted(heights, reached, right=True).clamp(max=weights.shape[1] - 1)
    top, weight = heights.gather(1, drawn), weights.gather(1, drawn)
    rest = ((reached - top + weight) / weight).float().clamp(0, 1 - 2**-24)
    return drawn.squeeze(1), rest.squeeze(1)


def draw_evenly(columns: int, targets: torch.Tensor, uniforms: torch.Tensor, drawing: Drawing) -> torch.Tensor:
    """Draw one of some columns for each row, all of them equally likely: [rows] int64.

    Args:
        columns: how many there are.
        targets: [rows], the tokens that were there.
        uniforms: [rows] float32 in [0, 1).
        drawing: whether these may be drawn; a temperature changes nothing.
    """
    choices = columns - drawing.disallow_correct
    drawn = (uniforms * choices).long().clamp(max=choices - 1)
    return drawn + (drawn >= targets) if drawing.disallow_correct else drawn


class LogitsSoftmax:
    """What a generator says of some rows whose logits are all there: losses, replacements, what is likeliest.

    Args:
        logits: [rows, vocabulary].
        targets: [rows], the tokens that were there.
        drawing: how replacements are drawn.

    Attributes:
        losses: [rows] float32, the cross entropy with the targets, in nats.
    """

    def __init__(self, logits: torch.Tensor, targets: torch.Tensor, drawing: Drawing) -> None:
        self._logits, self._targets, self._drawing = logits.float(), targets, drawing
        self.losses = torch.nn.functional.cross_entropy(self._logits, targets, reduction="none")

    @torch.no_grad()
    def sampled(self, uniforms: torch.Tensor) -> torch.Tensor:
        """Draw a column of each row by [rows] float32 numbers in [0, 1): [rows] int64."""
        return draw(self._drawing.applied(self._logits, self._targets), uniforms)[0]

    @torch.no_grad()
    def likeliest(self) -> torch.Tensor:
        """The column of each row with the highest logit: [rows] int64."""
        return self._logits.argmax(dim=1)
