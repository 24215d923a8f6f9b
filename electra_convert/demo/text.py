"""A text cut into pieces that know their place in it, and into windows that fit a model; runs no model."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from electra_convert.errors import TextError, VocabularyError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# About 25,000 tokens: a long chapter. Each takes its share of a forward pass of every window it lies in.
LONGEST_TEXT = 100_000
# Marks on the character before them, and characters without a width: normalising may drop them after a piece.
TRAILING = frozenset({"Mn", "Me", "Mc", "Cf"})


@dataclass(frozen=True)
class Piece:
    """A WordPiece, and where in the text it stands.

    Attributes:
        text: as the vocabulary writes it, such as ##ing.
        id: its row of the word embedding.
        start: where it begins in the text, in characters (code points).
        end: where it ends, accents and the like included that normalising dropped behind it.
        word: the number of the word it is of; a sign of punctuation and an ideograph are words.
        special: whether it is a special token, spelt out in the text.
        replaced: whether something else stood there, where that is known; a model is not told.
        before: the piece that stood there, where the generator put this one in.
    """

    text: str
    id: int
    start: int
    end: int
    word: int
    special: bool
    replaced: bool | None = None
    before: str | None = None


@dataclass(frozen=True)
class EncodedText:
    """A text and its pieces, without the [CLS] and [SEP] around them."""

    text: str
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class Window:
    """A stretch of pieces that the model sees at once.

    Attributes:
        start: the first piece it holds.
        stop: the piece after its last.
        first: the first piece whose result is taken from it: from here on no other window shows more context.
        last: the piece after the last of these.
    """

    start: int
    stop: int
    first: int
    last: int


def encode(tokenizer: Tokenizer, special: frozenset[str], text: str) -> EncodedText:
    """Cut a text into pieces, with a tokenizer that does not truncate.

    Raises:
        TextError: nothing is left of the text, it is too long, holds half of a character, or is no str.
        VocabularyError: the tokenizer fails at it, such as one that lacks the piece it has for unknown words.
    """
    _check(text)
    try:
        encoding = tokenizer.encode(text, add_special_tokens=False)
    except Exception as error:  # tokenizers has no class of its own for its errors
        raise VocabularyError(
            f"the tokenizer of the model cannot read the text: {error}", "Give the model's vocabulary with --vocab."
        ) from error
    names = {tokenizer.token_to_id(token): token for token in special}
    # A word of unknown characters is [UNK] too, and no special token.
    spelt = [
        names.get(row) == text[slice(*offsets)].strip()
        for row, offsets in zip(encoding.ids, encoding.offsets, strict=True)
    ]
    words = _numbered(encoding.word_ids, spelt)
    places = [
        _stripped(text, *offsets) if whole else offsets
        for offsets, whole in zip(encoding.offsets, spelt, strict=True)
    ]
    pieces = []
    # Read once: the tokenizer makes each of these lists anew.
    for index, (token, row, (start, end)) in enumerate(zip(encoding.tokens, encoding.ids, places, strict=True)):
        until = places[index + 1][0] if index + 1 < len(places) else len(text)
        name = names[row] if spelt[index] else token
        pieces.append(Piece(name, row, start, _with_marks(text, end, until), words[index], spelt[index]))
    if not pieces:
        raise TextError(
            "the text has nothing in it that the model could be given: only white space or control characters",
            "Give it a word or two.",
        )
    return EncodedText(text, tuple(pieces))


@contextmanager
def naming_text(origin: str) -> Iterator[None]:
    """Say first, of what is wrong with a text, which it is; "" where there is only one.

    Raises:
        TextError: as it was raised within, with the origin.
    """
    try:
        yield
    except TextError as error:
        raise TextError(f"{origin}: {error.message}" if origin else error.message, error.hint) from error


def _check(text: str) -> None:
    if not isinstance(text, str):
        raise TextError(f"a text is of type {type(text).__name__}, expected str")
    if not text.strip():
        raise TextError("the text is empty", "Give it a word or two.")
    if len(text) > LONGEST_TEXT:
        raise TextError(
            f"the text has {len(text):,} characters, expected at most {LONGEST_TEXT:,}",
            "Give it in parts, such as line by line with --file.",
        )
    half = next((index for index, character in enumerate(text) if "\ud800" <= character <= "\udfff"), None)
    if half is not None:
        raise TextError(
            f"character {half + 1} of the text is half of one (U+{ord(text[half]):04X})", "Is the text UTF-8?"
        )


def _numbered(word_ids: Sequence[int | None], special: Sequence[bool]) -> list[int]:
    """The tokenizer counts words anew behind a special token; a text has one count."""
    numbers: list[int] = []
    for index, word in enumerate(word_ids):
        same = index > 0 and word == word_ids[index - 1] and not special[index] and not special[index - 1]
        numbers.append(numbers[-1] + (not same) if numbers else 0)
    return numbers


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    """A special token may be told to take the white space beside it (lstrip, rstrip); that is not part of it."""
    there = text[start:end]
    return start + len(there) - len(there.lstrip()), end - len(there) + len(there.rstrip())


def _with_marks(text: str, end: int, until: int) -> int:
    while end < until and unicodedata.category(text[end]) in TRAILING:
        end += 1
    return end


def windows(count: int, room: int) -> tuple[Window, ...]:
    """Lay windows over pieces so that each piece is seen with as much around it as there can be.

    They hold `room` pieces at most and overlap by half; every piece is owned by one.
    """
    if count <= room:
        return (Window(0, count, 0, count),)
    step = max(1, room // 2)
    starts = [*range(0, count - room, step), count - room]
    ends = [(start + room + after) // 2 for start, after in pairwise(starts)]
    owned = zip([0, *ends], [*ends, count], strict=True)
    return tuple(Window(start, start + room, first, last) for start, (first, last) in zip(starts, owned, strict=True))
