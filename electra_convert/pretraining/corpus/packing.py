"""Lines of ids packed into sequences of two segments, as build_pretraining_dataset.py packs them
(google-research/electra, 8a46635); reads no file."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

# The constants of ExampleBuilder (build_pretraining_dataset.py).
_ONE_SEGMENT = 0.1
_OVER_LENGTH = 0.5
_SHORT = 0.05
_SHORTEST = 5
_UNLIMITED = 100_000


@dataclass(frozen=True)
class Example:
    """One sequence without padding.

    Attributes:
        ids: [CLS], the first segment, [SEP], and where there is a second one, that and [SEP].
        first: how many of them belong to the first segment.
    """

    ids: list[int]
    first: int


class Line(NamedTuple):
    """A line of a document.

    Attributes:
        ids: its tokens, without special ones.
        letters: how many characters it has; 0 for the empty line that ends a document.
    """

    ids: list[int]
    letters: int


@dataclass
class Losses:
    """What is cut off the ends of sequences, and not trained on.

    Attributes:
        tokens: how many tokens.
        letters: how many characters they stand for: of a line, the same share as of its tokens.
        long_tokens: those of the tokens that no sequence has room for, since their line is longer than one.
        long_letters: the same in characters.
        overlong_words: how many characters stand in words that are longer than the tokenizer takes: not cut off, but
            [UNK].
    """

    tokens: int = 0
    letters: int = 0
    long_tokens: int = 0
    long_letters: int = 0
    overlong_words: int = 0

    def add(self, lines: Sequence[Line], lost: int, room: int) -> None:
        """Count tokens that are cut off the end of a segment.

        Args:
            lines: the segment's.
            lost: how many of its tokens, from the end.
            room: the most tokens of one line that fit into a sequence.
        """
        for ids, letters in reversed(lines):
            here = min(lost, len(ids))
            if not here:
                return
            beyond = min(here, max(0, len(ids) - room))
            self.tokens += here
            self.long_tokens += beyond
            self.letters += letters * here // len(ids)
            self.long_letters += letters * beyond // len(ids)
            lost -= here


@dataclass
class ExampleBuilder:
    """Collects lines until they fill a sequence (ExampleBuilder of build_pretraining_dataset.py).

    Attributes:
        max_length: tokens a sequence, special ones included.
        start: the id of [CLS].
        end: the id of [SEP].
        draws: decides on segments and on random lengths.
        letters: how many characters were added so far.
        losses: what of them was cut off, as Google's code cuts it.
    """

    max_length: int
    start: int
    end: int
    draws: random.Random
    letters: int = 0
    losses: Losses = field(default_factory=Losses)
    _lines: list[Line] = field(default_factory=list)
    _length: int = 0
    _target: int = 0

    def __post_init__(self) -> None:
        self._target = self.max_length

    def add(self, line: Line) -> Example | None:
        """Add a line; gives a sequence once the lines fill one."""
        self._collect(line)
        return self.finish() if self._length >= self._target else None

    def _collect(self, line: Line) -> None:
        self._lines.append(line)
        self._length += len(line.ids)
        self.letters += line.letters

    def finish(self) -> Example | None:
        """End a document; gives a sequence of what has been collected, None where that is nothing."""
        if not self._length:
            return None
        first, second = self._segments()
        kept_first = self._kept(first, self.max_length - 2)
        kept_second = self._kept(second, max(0, self.max_length - len(kept_first) - 3))
        self._lines, self._length = [], 0
        short = self.draws.random() < _SHORT
        self._target = self.draws.randint(_SHORTEST, self.max_length) if short else self.max_length
        ids = [self.start, *kept_first, self.end]
        return Example([*ids, *kept_second, self.end] if kept_second else ids, len(ids))

    def _kept(self, segment: Sequence[Line], room: int) -> list[int]:
        """The tokens of a segment that there is room for; the others are counted."""
        ids = list(chain.from_iterable(line.ids for line in segment))
        if len(ids) > room:
            self.losses.add(segment, len(ids) - room, self.max_length - 2)
        return ids[:room]

    def _segments(self) -> tuple[list[Line], list[Line]]:
        """Share the lines out: the first segment takes those that fit into half a sequence."""
        alone = self.draws.random() < _ONE_SEGMENT
        target = _UNLIMITED if alone else (self._target - 3) // 2
        first: list[Line] = []
        second: list[Line] = []
        length = 0
        for line in self._lines:
            fits = not first or length + len(line.ids) < target
            if fits or (not second and length < target and self.draws.random() < _OVER_LENGTH):
                first.append(line)
                length += len(line.ids)
            else:
                second.append(line)
        return first, second


class WholeLines(ExampleBuilder):
    """Begins another sequence where a line does not fit, so that nothing is cut off lines that fit into one."""

    @property
    def room(self) -> int:
        """The most tokens of a line that fits into a sequence, whichever segment it comes to stand in."""
        return self.max_length - 3

    def add(self, line: Line) -> Example | None:
        """Add a line of no more tokens than there is room for; gives the sequence that has no more room for it."""
        is_full = self._length >= self._target or self._length + len(line.ids) > self.room
        ready = self.finish() if is_full else None
        self._collect(line)
        return ready
