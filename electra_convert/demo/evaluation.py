"""A scored text at a threshold: what is called replaced, what became of each call, and figures over many texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from electra_convert.metrics import binary_metrics

Unit = Literal["token", "word"]
Outcome = Literal["hit", "miss", "false alarm", "passed"]
# Steps of the colour scale, whatever a display makes of them.
LEVELS = 5


@dataclass(frozen=True)
class Mark:
    """A token or a word, as it is shown.

    Attributes:
        name: the piece as the vocabulary writes it, with what stands there if it is [UNK]; or the word.
        start: where it begins in the text, in characters (code points).
        end: where it ends.
        probability: that it was replaced.
        called: whether the discriminator calls it replaced.
        replaced: whether it was, where that is known.
        before: what stood there, where the generator put something else in.
    """

    name: str
    start: int
    end: int
    probability: float
    called: bool
    replaced: bool | None
    before: str | None

    @property
    def outcome(self) -> Outcome | None:
        """What became of it, where that is known; "passed" is an original that was let through."""
        if self.replaced is None:
            return None
        if self.replaced:
            return "hit" if self.called else "miss"
        return "false alarm" if self.called else "passed"

    @property
    def level(self) -> int:
        """The step of the colour scale: 0 for the least likely, LEVELS - 1 for the likeliest replaced."""
        return min(int(self.probability * LEVELS), LEVELS - 1)


@dataclass(frozen=True)
class Segment:
    """A stretch of a text: several marks where they come of one character, none between words."""

    text: str
    marks: tuple[Mark, ...]

    @property
    def strongest(self) -> Mark:
        """The mark that the stretch is coloured by."""
        return max(self.marks, key=lambda mark: mark.probability)

    @property
    def called(self) -> bool:
        """Whether any of it is called replaced."""
        return any(mark.called for mark in self.marks)

    @property
    def missed(self) -> bool:
        """Whether any of it was replaced, and not called so."""
        return any(mark.outcome == "miss" for mark in self.marks)


@dataclass(frozen=True)
class MarkedText:
    """What every display is made of.

    Attributes:
        text: the text that was scored.
        unit: of what the marks are.
        marks: in the order of the text.
        windows: in how many overlapping parts the model was given it.
    """

    text: str
    unit: Unit
    marks: tuple[Mark, ...]
    windows: int

    @property
    def labelled(self) -> bool:
        """Whether it is known what was replaced."""
        return any(mark.replaced is not None for mark in self.marks)

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Stretches that make up the whole text."""
        return tuple(_cut(self.text, self.marks))


def _cut(text: str, marks: Sequence[Mark]) -> Iterator[Segment]:
    done = begin = 0
    pending: list[Mark] = []
    for mark in marks:
        if pending and mark.start >= done:
            yield Segment(text[begin:done], tuple(pending))
            pending = []
        if not pending:
            if mark.start > done:
                yield Segment(text[done : mark.start], ())
            begin = mark.start
        pending.append(mark)
        done = max(done, mark.end)
    if pending:
        yield Segment(text[begin:done], tuple(pending))
    if done < len(text):
        yield Segment(text[done:], ())


@dataclass(frozen=True)
class Evaluation:
    """How well the discriminator tells replaced tokens from original ones; None where a figure has no meaning.

    Attributes:
        tokens: how many were scored.
        replaced: how many of them really were replaced.
        accuracy: the share told rightly.
        precision: of those called replaced, the share that was.
        recall: of those replaced, the share called so.
        auc: the probability that a replaced token scores higher than an original one, ties counted half.
    """

    tokens: int
    replaced: int
    accuracy: float | None
    precision: float | None
    recall: float | None
    auc: float | None


def evaluate(texts: Sequence[MarkedText]) -> Evaluation:
    """Compare what is called replaced, over all marks of some texts, with what was replaced."""
    marks = [mark for text in texts for mark in text.marks if mark.replaced is not None]
    probabilities = np.array([mark.probability for mark in marks], np.float64)
    replaced = np.array([mark.replaced for mark in marks], bool)
    called = np.array([mark.called for mark in marks], bool)
    found = binary_metrics(probabilities, replaced, called)
    return Evaluation(
        tokens=len(marks),
        replaced=int(replaced.sum()),
        accuracy=found.accuracy,
        precision=found.precision,
        recall=found.recall,
        auc=found.auc,
    )
