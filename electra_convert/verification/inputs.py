"""What models are run on: built-in inputs that exercise what goes wrong, and the user's own ids and sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from electra_convert.errors import SourceError, UsageError, listing
from electra_convert.schemes.mapping import Sizes
from electra_convert.verification.arrays import read_arrays

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Ids = NDArray[np.int32]
_SHORT = 48
_NAME_LENGTH = 40
_SHOWN_ROWS = 8
# Names of rows, and what models answer for each, take many times what the ids do.
_MOST_ROWS = 1 << 15
_MASK_NAMES = ("input_mask", "attention_mask")
_SEGMENT_NAMES = ("segment_ids", "token_type_ids")


@dataclass(frozen=True)
class Limits:
    """What a model can take: the rows of its word, position and token type embeddings."""

    vocabulary: int
    positions: int
    types: int

    @classmethod
    def of(cls, sizes: Sizes) -> Limits:
        """Those of a model of these sizes."""
        return cls(sizes.vocabulary, sizes.positions, sizes.types)


@dataclass(frozen=True)
class Specials:
    """Ids of the tokens with a meaning of their own; those of BERT's vocabularies where none is known."""

    pad: int = 0
    cls: int = 101
    sep: int = 102
    mask: int = 103


@dataclass(frozen=True)
class Batch:
    """Inputs of one length.

    Attributes:
        name: what it is, for the report.
        rows: what each row is.
        input_ids: [rows, length], rows of the word embeddings.
        input_mask: [rows, length], 1 for tokens and 0 for padding.
        segment_ids: [rows, length], rows of the token type embeddings.
    """

    name: str
    rows: tuple[str, ...]
    input_ids: Ids
    input_mask: Ids
    segment_ids: Ids

    @property
    def length(self) -> int:
        """The number of positions of a row."""
        return int(self.input_ids.shape[1])

    @property
    def tokens(self) -> int:
        """The number of positions that are not padding."""
        return int(self.input_mask.sum())

    @property
    def arrays(self) -> tuple[Ids, Ids, Ids]:
        """What a model takes: ids, mask and segments, each [rows, length]."""
        return self.input_ids, self.input_mask, self.segment_ids

    @property
    def cells(self) -> tuple[str, str]:
        """What a table shows: its name, and its rows in words."""
        rest = len(self.rows) - _SHOWN_ROWS
        shown = ", ".join(self.rows[:_SHOWN_ROWS]) + (f" and {rest} more" if rest > 0 else "")
        return self.name, f"{len(self.rows)} x {self.length} positions: {shown}"


def builtin_batches(limits: Limits, specials: Specials, segment: int = 0) -> tuple[Batch, ...]:
    """Short rows, and one of the full length, so that every position is used; the same for the same arguments.

    Where Google's code gives every token of a task another segment than 0, there is a row of that kind too.
    """
    random = np.random.default_rng(1)
    short = min(_SHORT, limits.positions)
    rows = [
        ("single", _tokens(random, limits, specials, short)),
        ("paired", _tokens(random, limits, specials, short)),
        ("padded", _tokens(random, limits, specials, max(1, short // 3))),
        ("one token", _clipped(np.array([specials.cls]), limits)),
        ("masked", _masked(random, _tokens(random, limits, specials, short), limits, specials)),
        ("random ids", random.integers(0, limits.vocabulary, short)),
    ]
    if segment:
        rows.append((f"all of segment {segment}", _tokens(random, limits, specials, max(1, short // 2))))
    batch = rows_batch("built-in, short", rows, specials, limits)
    batch.segment_ids[1, short // 2 :] = limits.types - 1
    if segment:
        batch.segment_ids[-1] = batch.input_mask[-1] * min(segment, limits.types - 1)
    whole = rows_batch(
        "built-in, full length",
        [("every position", _tokens(random, limits, specials, limits.positions))],
        specials,
        limits,
    )
    whole.segment_ids[:] = np.arange(limits.positions) * min(limits.types, limits.positions) // limits.positions
    return batch, whole


def rows_batch(
    name: str, rows: Sequence[tuple[str, NDArray[np.integer]]], specials: Specials, limits: Limits
) -> Batch:
    """Pad rows, each with what it is and its ids [length], to one length; all of one segment."""
    length = max(len(ids) for _, ids in rows)
    padding = min(specials.pad, limits.vocabulary - 1)
    input_ids = np.full((len(rows), length), padding, np.int32)
    mask = np.zeros((len(rows), length), np.int32)
    for row, (_, ids) in enumerate(rows):
        input_ids[row, : len(ids)] = ids
        mask[row, : len(ids)] = 1
    return Batch(name, tuple(what for what, _ in rows), input_ids, mask, np.zeros_like(input_ids))


def _tokens(random: np.random.Generator, limits: Limits, specials: Specials, length: int) -> NDArray[np.integer]:
    """[CLS], random ids, [SEP]."""
    ids = random.integers(0, limits.vocabulary, length)
    ids[0], ids[-1] = specials.cls, specials.sep
    return _clipped(ids, limits)


def _masked(
    random: np.random.Generator, ids: NDArray[np.integer], limits: Limits, specials: Specials
) -> NDArray[np.integer]:
    masked = np.where(random.random(len(ids)) < 0.15, specials.mask, ids)
    masked[len(ids) // 2] = specials.mask
    return _clipped(masked, limits)


def _clipped(ids: NDArray[np.integer], limits: Limits) -> NDArray[np.integer]:
    clipped: NDArray[np.integer] = np.minimum(ids, limits.vocabulary - 1)
    return clipped


def text_batch(
    texts: Sequence[str], tokenizer: Tokenizer, specials: Specials, limits: Limits, segment: int = 0
) -> tuple[Batch, tuple[str, ...]]:
    """Make one row of each sentence, all of one segment, and say which of them were cut off.

    Raises:
        UsageError: a sentence is no text, or the tokenizer is of a larger vocabulary than the models.
    """
    rows: list[tuple[str, NDArray[np.integer]]] = []
    notes = []
    for text in texts:
        ids = np.array(_encode(tokenizer, text))
        name = text if len(text) <= _NAME_LENGTH else f"{text[: _NAME_LENGTH - 1]}…"
        if len(ids) > limits.positions:
            notes.append(f"“{name}” has {len(ids)} tokens; the first {limits.positions} were used.")
        if ids.max(initial=0) >= limits.vocabulary:
            raise UsageError(
                f"the tokenizer makes ids up to {ids.max()}, the model has {limits.vocabulary} embeddings"
            )
        rows.append((name, ids[: limits.positions]))
    batch = rows_batch("your own text", rows, specials, limits)
    batch.segment_ids[:] = batch.input_mask * min(segment, limits.types - 1)
    return batch, tuple(notes)


def _encode(tokenizer: Tokenizer, text: str) -> list[int]:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"--text {ascii(text)[:60]} is no text: it holds half of a character") from error
    ids: list[int] = tokenizer.encode(text).ids
    return ids


def read_inputs(path: Path, limits: Limits) -> Batch:
    """Read ids from a file.

    Args:
        path: an .npz with input_ids [rows, length] or [length], and where wanted input_mask (or attention_mask) and
            segment_ids (or token_type_ids) of the same shape.
        limits: what the models can take.

    Raises:
        SourceError: the file cannot be read, or lacks input_ids.
        UsageError: the arrays do not fit the models.
    """
    arrays = read_arrays(path)
    if "input_ids" not in arrays:
        raise SourceError(f"{path} holds no input_ids", "Save integer arrays with numpy.savez(path, input_ids=...).")
    known = {"input_ids", *_MASK_NAMES, *_SEGMENT_NAMES}
    twice = [pair for pair in (_MASK_NAMES, _SEGMENT_NAMES) if set(pair) <= arrays.keys()]
    if unknown := [name for name in arrays if name not in known] + [" and ".join(pair) for pair in twice]:
        raise UsageError(f"{path} holds {listing(unknown)}; expected input_ids, one mask and one array of segments")
    ids = np.atleast_2d(arrays["input_ids"])
    mask = np.atleast_2d(_first(arrays, _MASK_NAMES, np.ones_like(ids)))
    segments = np.atleast_2d(_first(arrays, _SEGMENT_NAMES, np.zeros_like(ids)))
    return checked(Batch(path.name, numbered_rows(ids), ids, mask, segments), limits)


def numbered_rows(ids: NDArray[Any]) -> tuple[str, ...]:
    """What the rows of an array are called; none where it is not of rows, or of more than models are run on."""
    named = ids.ndim == 2 and ids.size and len(ids) <= _MOST_ROWS
    return tuple(f"row {row}" for row in range(len(ids))) if named else ()


def _first(arrays: dict[str, NDArray[Any]], names: Sequence[str], default: NDArray[Any]) -> NDArray[Any]:
    return next((arrays[name] for name in names if name in arrays), default)


def checked(batch: Batch, limits: Limits, name_of_ids: str = "input_ids") -> Batch:
    """Refuse inputs that a model would fail on, or silently read wrongly; the others are returned as int32.

    Raises:
        UsageError: says which array, and what is wrong with it.
    """
    arrays = {name_of_ids: batch.input_ids, "input_mask": batch.input_mask, "segment_ids": batch.segment_ids}
    highest = {name_of_ids: limits.vocabulary, "input_mask": 2, "segment_ids": limits.types}
    for name, array in arrays.items():
        if array.dtype.kind not in "iub" or array.ndim != 2 or array.shape != batch.input_ids.shape or not array.size:
            raise UsageError(
                f"{batch.name}: {name} is {array.dtype} of shape {list(array.shape)}, expected whole numbers "
                f"of shape [rows, length], as {name_of_ids}"
            )
        if not 0 <= int(array.min()) <= int(array.max()) < highest[name]:
            raise UsageError(
                f"{batch.name}: {name} holds {int(array.min())} to {int(array.max())}, "
                f"the model takes 0 to {highest[name] - 1}"
            )
    if len(batch.input_ids) > _MOST_ROWS:
        raise UsageError(
            f"{batch.name}: {len(batch.input_ids)} rows, a comparison takes at most {_MOST_ROWS}",
            "Thousands of rows show no more than dozens do.",
        )
    if batch.length > limits.positions:
        raise UsageError(f"{batch.name}: rows of {batch.length} tokens, the model has {limits.positions} positions")
    if not batch.input_mask.any(axis=1).all():
        raise UsageError(f"{batch.name}: a row of nothing but padding has no defined output")
    return Batch(batch.name, batch.rows, *(array.astype(np.int32) for array in arrays.values()))
