"""A network with its tokenizer: texts cut into pieces, laid in rows and windows, run in batches; gives logits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from crc32c import crc32c
from numpy.typing import NDArray

from electra_convert.demo.text import EncodedText, Piece, Window, encode, windows
from electra_convert.errors import CorruptFileError
from electra_convert.schemes.mapping import Role

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

# Texts that are taken together where somebody waits for them.
BATCH = 16
# Tokens that go through the model together, padding included; more are no faster on a few cores. Those that are
# enough for it may go without others, where one part in so many would be padding with them.
TOKENS, _ENOUGH, _PART = 2048, 256, 20
Result = TypeVar("Result")
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
    def device(self) -> torch.device | str:
        """Where it computes."""

    def arrays(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Its weights, in an order that is always the same."""

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
        network: runs it.
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
    def device(self) -> torch.device | str:
        """Where it computes."""
        return self.network.device

    def fingerprint(self) -> str:
        """What tells it from any model that would compute something else: a hash of weights, tokenizer and labels."""
        digest = sha256(self.tokenizer.to_str().encode())
        digest.update(repr((self.special, self.positions, self.segment, self.labels, self.problem_type)).encode())
        for name, array in self.network.arrays():
            checksum = crc32c(np.ascontiguousarray(array).data.cast("B"))
            digest.update(f"{name} {array.shape} {checksum:08x}".encode())
        return digest.hexdigest()

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
        """Pad rows, and give some at a time, as many as have TOKENS: ids, mask and types, each [rows, length]."""
        for batch in _cut(rows):
            ids = np.full((len(batch), max(len(row.ids) for row in batch)), self.special["[PAD]"], np.int64)
            mask, types = np.zeros_like(ids), np.zeros_like(ids)
            for index, row in enumerate(batch):
                ids[index, : len(row.ids)] = row.ids
                mask[index, : len(row.ids)] = 1
                types[index, : len(row.types)] = row.types
            yield ids, mask, types

    def logits(self, rows: Sequence[Row]) -> Iterator[NDArray[np.float32]]:
        """Run rows, and give the logits of each, those at its padding included."""
        return by_length(rows, lambda some: chain.from_iterable(self.network.run(*one) for one in self.batches(some)))

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


def by_length(rows: Sequence[Row], run: Callable[[Sequence[Row]], Iterator[Result]]) -> Iterator[Result]:
    """Have rows run with others of their length, so that little is padded, and give what comes out in their order."""
    order = sorted(range(len(rows)), key=lambda place: len(rows[place].ids))
    found = dict(zip(order, run([rows[place] for place in order]), strict=True))
    return map(found.__getitem__, range(len(rows)))


def _cut(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Cut rows, the shortest first, into batches."""
    start = longest = tokens = 0
    for place, row in enumerate(rows):
        longest = max(longest, len(row.ids))
        padded = longest * (place + 1 - start)
        much_padding = _PART * (padded - tokens - len(row.ids)) > padded
        if place > start and (padded > TOKENS or (tokens >= _ENOUGH and much_padding)):
            yield rows[start:place]
            start, longest, tokens = place, len(row.ids), 0
        tokens += len(row.ids)
    if rows:
        yield rows[start:]


def several(texts: str | Iterable[str]) -> list[str]:
    """One text, or any number of them, as a list."""
    return [texts] if isinstance(texts, str) else list(texts)


def _owned(logits: NDArray[np.float32], window: Window) -> NDArray[np.float32]:
    # [CLS] stands before the first piece.
    return logits[1 + window.first - window.start : 1 + window.last - window.start]
