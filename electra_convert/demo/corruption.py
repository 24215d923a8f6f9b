"""A text corrupted as ELECTRA's training does: some tokens masked, and the generator's own put in; scores nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from unicodedata import category

import numpy as np

from electra_convert.demo.filling import softmax
from electra_convert.demo.model import LoadedModel
from electra_convert.demo.text import EncodedText, Piece


def corrupt(generator: LoadedModel, text: str, share: float, seed: int, number: int = 0) -> EncodedText:
    """Let the generator replace tokens of a text, as google-research/electra's pretraining does.

    Tokens are chosen without replacement, one at least (pretrain_helpers.mask); each is masked, and its substitute
    drawn from the generator's distribution (run_pretraining._get_fake_data). Unlike there, every chosen token is
    masked, where training leaves 15 in 100 of them as they are.

    Args:
        generator: the generator.
        text: any text.
        share: of the tokens, how many are masked, above 0 and at most 1.
        seed: the same seed changes a text in the same way.
        number: of the text among others, so that the same text is not changed alike each time it comes.

    Returns:
        The corrupted text, of which every piece says whether it was replaced; the pieces are the generator's own, not
        a new reading of the text. Where it put the same in again, nothing was replaced.

    Raises:
        TextError: the text has nothing to score, is too long, or is no text.
    """
    encoded = generator.encode_to_score(text)
    random = np.random.default_rng([seed, number, *text.encode()])
    plain = [index for index, piece in enumerate(encoded.pieces) if not piece.special]
    count = max(1, round(share * len(plain)))
    places = sorted(int(place) for place in random.choice(plain, count, replace=False))
    drawn = _drawn(generator, encoded, places, random)
    return _rewritten(
        encoded,
        {
            place: replace(
                piece, text=str(generator.tokenizer.id_to_token(row)), id=row, replaced=True, before=piece.text
            )
            for place, row in drawn.items()
            if row != (piece := encoded.pieces[place]).id
        },
    )


def _drawn(
    generator: LoadedModel, encoded: EncodedText, places: Sequence[int], random: np.random.Generator
) -> dict[int, int]:
    mask = generator.special["[MASK]"]
    pieces = list(encoded.pieces)
    for place in places:
        pieces[place] = replace(pieces[place], text="[MASK]", id=mask)
    # Special tokens, and rows without a piece, would be no words to show.
    known = set(generator.tokenizer.get_vocab(with_added_tokens=True).values())
    usable = np.array(sorted(known - set(generator.special.values())))
    rows = generator.logits_at(EncodedText(encoded.text, tuple(pieces)), places)
    return {
        place: int(random.choice(usable, p=softmax(row[usable]))) for place, row in zip(places, rows, strict=True)
    }


def _rewritten(encoded: EncodedText, substitutes: Mapping[int, Piece]) -> EncodedText:
    """Write the text anew with the substitutes in it, and move what follows them.

    A piece that begins a word is set apart from letters that it would otherwise run into: as the model reads it.
    """
    parts: list[str] = []
    pieces: list[Piece] = []
    read = written = word = 0
    for index, piece in enumerate(encoded.pieces):
        # Two pieces may come of one character; the second then has no room of its own.
        start, end = max(read, piece.start), max(read, piece.end)
        new = substitutes.get(index)
        between = encoded.text[read:start]
        shown = new.text.removeprefix("##") if new else encoded.text[start:end]
        begins = index > 0 and _begins_word(encoded.pieces[index - 1], piece, new)
        touched = index in substitutes or index - 1 in substitutes
        between = between or (" " if begins and touched and _run_together(parts[-1], shown) else "")
        word += begins
        parts += [between, shown]
        begin = written + len(between)
        written = begin + len(shown)
        read = end
        pieces.append(replace(new or replace(piece, replaced=False), start=begin, end=written, word=word))
    return EncodedText("".join([*parts, encoded.text[read:]]), tuple(pieces))


def _begins_word(before: Piece, piece: Piece, new: Piece | None) -> bool:
    return piece.word != before.word or (new is not None and not new.text.startswith("##"))


def _run_together(before: str, after: str) -> bool:
    # A combining mark is part of the letter before it.
    letters = "".join(character for character in before if not category(character).startswith("M"))
    return letters[-1:].isalnum() and after[:1].isalnum()
