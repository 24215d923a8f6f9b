"""Lines of ids packed into sequences of two segments, as build_pretraining_dataset.py packs them
(google-research/electra, 8a46635); reads no file."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

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


@dataclass
class ExampleBuilder:
    """Collects sentences until they fill a sequence (ExampleBuilder of build_pretraining_dataset.py).

    Attributes:
        max_length: tokens a sequence, special ones included.
        start: the id of [CLS].
        end: the id of [SEP].
        draws: decides on segments and on random lengths.
        trimmed: tokens so far that were cut off the end of a sequence, as Google's code cuts them.
    """

    max_length: int
    start: int
    end: int
    draws: random.Random
    trimmed: int = 0
    _sentences: list[list[int]] = field(default_factory=list)
    _length: int = 0
    _target: int = 0

    def __post_init__(self) -> None:
        self._target = self.max_length

    def add(self, sentence: list[int]) -> Example | None:
        """Add the ids of a line, without special tokens; gives a sequence once the lines fill one."""
        self._sentences.append(sentence)
        self._length += len(sentence)
        return self.finish() if self._length >= self._target else None

    def finish(self) -> Example | None:
        """End a document; gives a sequence of what has been collected, None where that is nothing."""
        if not self._length:
            return None
        first, second = self._segments()
        kept_first = first[: self.max_length - 2]
        kept_second = second[: max(0, self.max_length - len(kept_first) - 3)]
        self.trimmed += len(first) - len(kept_first) + len(second) - len(kept_second)
        self._sentences, self._length = [], 0
        short = self.draws.random() < _SHORT
        self._target = self.draws.randint(_SHORTEST, self.max_length) if short else self.max_length
        ids = [self.start, *kept_first, self.end]
        return Example([*ids, *kept_second, self.end] if kept_second else ids, len(ids))

    def _segments(self) -> tuple[list[int], list[int]]:
        """Share the sentences out: the first segment takes those that fit into half a sequence."""
        alone = self.draws.random() < _ONE_SEGMENT
        target = _UNLIMITED if alone else (self._target - 3) // 2
        first: list[int] = []
        second: list[int] = []
        for sentence in self._sentences:
            fits = not first or len(first) + len(sentence) < target
            if fits or (not second and len(first) < target and self.draws.random() < _OVER_LENGTH):
                first += sentence
            else:
                second += sentence
        return first, second
