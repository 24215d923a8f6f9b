"""A network with its tokenizer: texts cut into pieces, laid in rows and windows, run in batches; gives logits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from electra_convert.demo.text import EncodedText, Piece, Window, encode, windows
from electra_convert.errors import CorruptFileError
from electra_convert.schemes.mapping import Role

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

# Windows that go through the model together; more are no faster on a few cores.
BATCH = 16
Batch = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


@dataclass(frozen=True)
class Row:
    """What the model sees at once: the ids of its tokens, [CLS] and [SEP] among them, and the type of each."""

    ids: Sequence[int]
    types: Sequence[int]


class Runs(Protocol):
    """What computes a model's logits: network.Network says of what."""

    role: Role

    @property
    def device(self) -> torch.device:
        """Where it computes."""

    def run(
        self, input_ids: NDArray[np.int64], attention_mask: NDArray[np.int64], token_type_ids: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Compute them."""

    def at(
        self,
        places: Sequence[int],
        input_ids: NDArray[np.int64],
        attention_mask: NDArray[np.int64],
        token_type_ids: NDArray[np.int64],
    ) -> Iterator[NDArray[np.float32]]:
        """Compute them at some places of one sequence, one after the other."""


@dataclass(frozen=True, repr=False)
class Runner:
    """A model that can be run.

    Attributes:
        source: what was pointed at.
        network: runs it, in PyTorch.
        tokenizer: its tokenizer, without truncation and padding.
        special: the id of each special token: [PAD], [UNK], [CLS], [SEP], [MASK].
        spelt: what the tokenizer calls each of them: <mask>, for instance.
        positions: the longest input, [CLS] and [SEP] included.
        segment: the token type that its tokenizer gives a text, and the first of two.
        labels: what its classes are called, by id; empty where it has none.
        problem_type: what its config.json states as such, or None.
    """

    source: str | Path
    network: Runs
    tokenizer: Tokenizer
    special: Mapping[str, int]
    spelt: Mapping[str, str]
    positions: int
    segment: int = 0
    labels: tuple[str, ...] = ()
    problem_type: str | None = None

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.network.device

    def encode(self, text: str) -> EncodedText:
        """Cut a text into pieces.

        Raises:
            TextError: nothing is left of the text, it is too long, or is no text.
        """
        return encode(self.tokenizer, frozenset(self.spelt.values()), text)

    def windows(self, text: EncodedText, taken: int = 0) -> tuple[Window, ...]:
        """Lay windows over a text, of which something else takes places beside [CLS] and one [SEP]."""
        return windows(len(text.pieces), self.positions - 2 - taken)

    def row(self, first: Sequence[Piece], second: Sequence[Piece] | None = None) -> Row:
        """Put one text between [CLS] and [SEP], or two, with a [SEP] after each."""
        ids = [self.special["[CLS]"], *(piece.id for piece in first), self.special["[SEP]"]]
        types = [self.segment] * len(ids)
        if second is not None:
            ids += [*(piece.id for piece in second), self.special["[SEP]"]]
            types += [1] * (len(ids) - len(types))
        return Row(ids, types)

    def batches(self, rows: Sequence[Row]) -> Iterator[Batch]:
        """Pad rows, and give some at a time: ids, mask and types, each [rows, length]."""
        for start in range(0, len(rows), BATCH):
            batch = rows[start : start + BATCH]
            ids = np.full((len(batch), max(len(row.ids) for row in batch)), self.special["[PAD]"], np.int64)
            mask, types = np.zeros_like(ids), np.zeros_like(ids)
            for index, row in enumerate(batch):
                ids[index, : len(row.ids)] = row.ids
                mask[index, : len(row.ids)] = 1
                types[index, : len(row.types)] = row.types
            yield ids, mask, types

    def logits(self, rows: Sequence[Row]) -> Iterator[NDArray[np.float32]]:
        """Run rows, and give the logits of each, those at its padding included."""
        for batch in self.batches(rows):
            yield from self.network.run(*batch)

    def warm_up(self) -> None:
        """Run something: the first time takes longer than any later one."""
        next(self.logits([self.row(self.encode("a").pieces)]))

    def checked(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Refuse logits that are no numbers, of which no probability can be made."""
        if not np.isfinite(logits).all():
            raise CorruptFileError(
                f"{self.source}: what the {self.network.role} computes is not finite: its weights are, but so large "
                "that they overflow float32",
                "The model is damaged, or its training diverged: take an earlier checkpoint.",
            )
        return logits

    def by_pieces(self, texts: Sequence[EncodedText]) -> Iterator[tuple[NDArray[np.float32], int]]:
        """Run texts in windows, and give the logits at each one's pieces, and in how many windows it was run."""
        laid = [self.windows(text) for text in texts]
        outputs = self.logits(
            [
                self.row(text.pieces[window.start : window.stop])
                for text, parts in zip(texts, laid, strict=True)
                for window in parts
            ]
        )
        for parts in laid:
            owned = [_owned(next(outputs), window) for window in parts]
            yield self.checked(np.concatenate(owned)), len(parts)


def several(texts: str | Iterable[str]) -> list[str]:
    """One text, or any number of them, as a list."""
    return [texts] if isinstance(texts, str) else list(texts)


def _owned(logits: NDArray[np.float32], window: Window) -> NDArray[np.float32]:
    # [CLS] stands before the first piece.
    return logits[1 + window.first - window.start : 1 + window.last - window.start]
