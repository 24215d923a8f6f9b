"""What the generator would put in a text's masked places; draws nothing, replaces nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from electra_convert.demo.model import LoadedModel
from electra_convert.demo.scoring import (
    checked,
    encode_text,
    in_batches,
    require,
    require_several,
    row_of,
    windows_of,
)
from electra_convert.demo.text import EncodedText
from electra_convert.errors import TextError

_MASK = "[MASK]"


@dataclass(frozen=True)
class Candidate:
    """What the generator would put in a place: a piece of the vocabulary, and its probability."""

    piece: str
    probability: float


@dataclass(frozen=True)
class Filling:
    """What the generator would put where a [MASK] is.

    Attributes:
        start: where the mask begins in the text, in characters (code points).
        end: where it ends.
        candidates: the likeliest first.
    """

    start: int
    end: int
    candidates: tuple[Candidate, ...]


def fill(model: LoadedModel, texts: Sequence[str], count: int = 5) -> list[tuple[Filling, ...]]:
    """Say what the generator would put at each [MASK] of some texts.

    Args:
        model: a generator.
        texts: texts with [MASK] in them.
        count: how many candidates a mask gets.

    Returns:
        For each text its masks, in their order.

    Raises:
        TextError: a text has no [MASK], is too long, or is no text.
        NamesError: the model is a discriminator.
        CorruptFileError: its logits are not finite.
    """
    require_several(texts)
    found = []
    for text in texts:
        encoded = encode_text(model, text)
        masks = [index for index, piece in enumerate(encoded.pieces) if piece.id == model.special[_MASK]]
        if not masks:
            raise TextError("the text has no [MASK] for the generator to fill", "Write [MASK] in place of a word.")
        rows = generator_logits(model, encoded, masks)
        found.append(
            tuple(
                Filling(encoded.pieces[index].start, encoded.pieces[index].end, _likeliest(model, row, count))
                for index, row in zip(masks, rows, strict=True)
            )
        )
    return found


def suggest(model: LoadedModel, text: str, start: int, end: int, count: int) -> tuple[Candidate, ...]:
    """Say which words the generator would put in place of a stretch of a text.

    Args:
        model: a generator.
        text: any text.
        start: where the stretch begins, in characters (code points).
        end: where it ends.
        count: how many words are wanted.

    Returns:
        The likeliest first; special tokens and pieces that only continue a word are passed over.

    Raises:
        TextError: there is no such stretch, or the text is too long.
        NamesError: the model is a discriminator.
        CorruptFileError: its logits are not finite.
    """
    if not 0 <= start < end <= len(text):
        raise TextError(f"the text has no characters {start} to {end}: it has {len(text)}")
    encoded = encode_text(model, f"{text[:start]}{_MASK}{text[end:]}")
    masks = (index for index, piece in enumerate(encoded.pieces) if piece.id == model.special[_MASK])
    place = next((index for index in masks if encoded.pieces[index].start == start), None)
    if place is None:
        raise TextError(f"a [MASK] in place of characters {start} to {end} of the text is not read as one")
    logits = next(generator_logits(model, encoded, [place]))
    candidates = _likeliest(model, logits, model.tokenizer.get_vocab_size())
    words = (one for one in candidates if one.piece not in model.special and not one.piece.startswith("##"))
    return tuple(word for word, _ in zip(words, range(count), strict=False))


def generator_logits(model: LoadedModel, text: EncodedText, places: Sequence[int]) -> Iterator[NDArray[np.float32]]:
    """Run the generator on a text, window by window: of a long text with many masks, all logits at once fill memory.

    Args:
        model: a generator.
        text: the text, with [MASK] at the places asked for.
        places: numbers of pieces, in their order.

    Yields:
        Its logits at each place, [vocabulary].

    Raises:
        NamesError: the model is a discriminator.
        CorruptFileError: its logits are not finite.
    """
    require(model, "generator")
    for window in windows_of(model, text):
        # [CLS] stands before the first piece.
        inside = [place - window.start + 1 for place in places if window.first <= place < window.last]
        if inside:
            yield from checked(model, next(in_batches(model, [row_of(model, text, window)]))[inside])


def softmax(logits: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Turn the logits of one place into probabilities, in float64."""
    powers = np.exp(logits.astype(np.float64) - logits.max())
    return np.asarray(powers / powers.sum())


def _likeliest(model: LoadedModel, logits: NDArray[np.float32], count: int) -> tuple[Candidate, ...]:
    probabilities = softmax(logits)
    # Rows that pad the vocabulary have no piece.
    order = (int(index) for index in np.argsort(-probabilities, kind="stable"))
    pieces = ((model.tokenizer.id_to_token(index), float(probabilities[index])) for index in order)
    named = (Candidate(piece, probability) for piece, probability in pieces if piece is not None)
    return tuple(candidate for candidate, _ in zip(named, range(count), strict=False))
