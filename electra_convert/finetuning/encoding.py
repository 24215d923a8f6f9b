"""Texts into rows of tokens that a model takes, cut into windows where they are longer; knows no task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from electra_convert.tokenizer.saved import SavedTokenizer

if TYPE_CHECKING:
    from tokenizers import Encoding

# What torch's losses pass over.
IGNORED = -100
Labels = int | float | tuple[int, ...]


@dataclass(frozen=True)
class Row:
    """What a model is given at once, and what it is to say.

    Attributes:
        ids: of the tokens, special ones included.
        types: the token type of each.
        labels: a class, a number, or a class for each token; IGNORED where nothing is asked.
        example: the number of the example it is of.
        asked: what the task reads answers off by.
    """

    ids: Sequence[int]
    types: Sequence[int]
    labels: Labels
    example: int
    asked: Any = None


class TextEncoder:
    """A model's tokenizer, which cuts what is longer than the model takes.

    Args:
        saved: the tokenizer.
        longest: the longest row, in tokens.
        segment: the token type of a text by itself.
    """

    def __init__(self, saved: SavedTokenizer, longest: int, segment: int = 0) -> None:
        from tokenizers import Tokenizer

        from electra_convert.formats.names import TOKENIZER_FILE

        self._tokenizer: Any = Tokenizer.from_str(saved.files[TOKENIZER_FILE].decode())
        self._tokenizer.no_padding()
        self.special: Mapping[str, int] = saved.special_ids
        self.longest = longest
        self._segment = segment

    def __len__(self) -> int:
        """How many ids there are, added tokens included."""
        return int(self._tokenizer.get_vocab_size(with_added_tokens=True))

    def cut(self, text: str, pair: str | None = None) -> Encoding:
        """One row of a text, or of two, of which the longer one is cut off first."""
        return self._encoded(text, pair, 0, "longest_first")[0]

    def is_cut(self, text: str, pair: str | None = None) -> bool:
        """Whether one row does not hold all of a text, or of two."""
        self._tokenizer.no_truncation()
        return len(self._tokenizer.encode(text, pair).ids) > self.longest

    def windows(self, text: str, pair: str | None, stride: int) -> list[Encoding]:
        """As many rows as a text takes, or the second of two, which overlap by a number of tokens."""
        # A window that only repeats has no end.
        stride = max(0, min(stride, self.longest - 8))
        return self._encoded(text, pair, stride, "longest_first" if pair is None else "only_second")

    def _encoded(self, text: str, pair: str | None, stride: int, strategy: str) -> list[Encoding]:
        self._tokenizer.enable_truncation(self.longest, stride=stride, strategy=strategy)
        encoded = self._tokenizer.encode(text, pair)
        return [encoded, *encoded.overflowing]

    def tokens(self, text: str) -> Encoding:
        """The tokens of a text without special ones, however many."""
        self._tokenizer.no_truncation()
        encoded: Encoding = self._tokenizer.encode(text, add_special_tokens=False)
        return encoded

    def around(self, ids: Sequence[int]) -> list[int]:
        """Tokens between [CLS] and [SEP]."""
        return [self.special["[CLS]"], *ids, self.special["[SEP]"]]

    def types(self, window: Encoding) -> list[int]:
        """The token type of each of its tokens."""
        return [self._segment or kind for kind in window.type_ids]


def collated(rows: Sequence[Row], padding: int) -> dict[str, NDArray[Any]]:
    """Rows as arrays [rows, length], padded to the longest: input_ids, attention_mask, token_type_ids, labels.

    Labels are [rows] where each row has one, [rows, length] where each token has, [rows, 3] where two places are
    asked for, in a row of a length.
    """
    length = max(len(row.ids) for row in rows)
    ids = np.full((len(rows), length), padding, np.int64)
    mask, types = np.zeros_like(ids), np.zeros_like(ids)
    for index, row in enumerate(rows):
        ids[index, : len(row.ids)] = row.ids
        mask[index, : len(row.ids)] = 1
        types[index, : len(row.types)] = row.types
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": types, "labels": _labels(rows, length)}


def _labels(rows: Sequence[Row], length: int) -> NDArray[Any]:
    first = rows[0].labels
    if not isinstance(first, tuple):
        return np.asarray([row.labels for row in rows], np.float32 if isinstance(first, float) else np.int64)
    wide = length if any(len(row.labels) == len(row.ids) for row in rows) else len(first)  # type: ignore[arg-type]
    labels = np.full((len(rows), wide), IGNORED, np.int64)
    for index, row in enumerate(rows):
        assert isinstance(row.labels, tuple)
        labels[index, : len(row.labels)] = row.labels
    return labels


def filler(row: Row) -> Row:
    """A row that asks nothing, to fill a batch up to a number that processes can share."""
    labels = row.labels
    nothing: Labels = (IGNORED,) * len(labels) if isinstance(labels, tuple) else type(labels)(IGNORED)
    return Row(row.ids, row.types, nothing, row.example)


def filled(rows: Sequence[Row], batch: int) -> list[Row]:
    """Rows with as many that ask nothing as make whole batches: each process then has a share of every one."""
    shortest = min(rows, key=lambda row: len(row.ids))
    return [*rows, *(filler(shortest) for _ in range(-len(rows) % batch))]


def batches(rows: Sequence[Row], size: int) -> Iterator[list[int]]:
    """The numbers of rows in batches, those of like length together."""
    order = sorted(range(len(rows)), key=lambda index: len(rows[index].ids))
    for start in range(0, len(order), size):
        yield order[start : start + size]
