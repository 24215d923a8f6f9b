"""A text corrupted as ELECTRA's training does: some tokens masked, and the generator's own put in; judges nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from unicodedata import category

import numpy as np

from electra_convert.demo.evaluation import Truth
from electra_convert.demo.filling import generator_logits, softmax
from electra_convert.demo.model import LoadedModel
from electra_convert.demo.scoring import encode_to_score
from electra_convert.demo.text import EncodedText, Piece


@dataclass(frozen=True)
class Replacement:
    """One token that the generator put in.

    Attributes:
        piece: the number of the piece in the text.
        before: the piece that stood there.
        after: the piece that stands there now; not the same.
    """

    piece: int
    before: str
    after: str


@dataclass(frozen=True)
class Corrupted:
    """A corrupted text.

    Attributes:
        original: the text as it was.
        encoded: the corrupted text; its pieces are the generator's own, not a new reading of it.
        replacements: what was changed.
        masked: how many tokens were masked; where the generator put the same in again, nothing was changed.
        truth: which of the scored tokens were replaced.
    """

    original: str
    encoded: EncodedText
    replacements: tuple[Replacement, ...]
    masked: int
    truth: Truth


def corrupt(generator: LoadedModel, text: str, share: float, seed: int, number: int = 0) -> Corrupted:
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
        The corrupted text, and what was changed.

    Raises:
        TextError: the text has nothing to score, is too long, or is no text.
    """
    encoded = encode_to_score(generator, text)
    random = np.random.default_rng([seed, number, *text.encode()])
    plain = [index for index, piece in enumerate(encoded.pieces) if not piece.special]
    count = max(1, round(share * len(plain)))
    places = sorted(int(place) for place in random.choice(plain, count, replace=False))
    drawn = _drawn(generator, encoded, places, random)
    changed = {place: row for place, row in drawn.items() if row != encoded.pieces[place].id}
    names = {place: str(generator.tokenizer.id_to_token(row)) for place, row in changed.items()}
    return Corrupted(
        original=text,
        encoded=_rewritten(encoded, changed, names),
        replacements=tuple(
            Replacement(place, encoded.pieces[place].text, name) for place, name in sorted(names.items())
        ),
        masked=count,
        truth=Truth(tuple(index in changed for index in plain)),
    )


def _drawn(
    generator: LoadedModel, encoded: EncodedText, places: list[int], random: np.random.Generator
) -> dict[int, int]:
    mask = generator.special["[MASK]"]
    pieces = list(encoded.pieces)
    for place in places:
        pieces[place] = replace(pieces[place], text="[MASK]", id=mask)
    # Special tokens, and rows without a piece, would be no words to show.
    known = set(generator.tokenizer.get_vocab(with_added_tokens=True).values())
    usable = np.array(sorted(known - set(generator.special.values())))
    rows = generator_logits(generator, EncodedText(encoded.text, tuple(pieces)), places)
    return {
        place: int(random.choice(usable, p=softmax(row[usable]))) for place, row in zip(places, rows, strict=True)
    }


def _rewritten(encoded: EncodedText, changed: dict[int, int], names: dict[int, str]) -> EncodedText:
    """Write the text anew with the substitutes in it, and move what follows them.

    A piece that begins a word is set apart from letters that it would otherwise run into: as the model reads it.
    """
    parts: list[str] = []
    pieces: list[Piece] = []
    read = written = word = 0
    for index, piece in enumerate(encoded.pieces):
        # Two pieces may come of one character; the second then has no room of its own.
        start, end = max(read, piece.start), max(read, piece.end)
        between = encoded.text[read:start]
        shown = names[index].removeprefix("##") if index in changed else encoded.text[start:end]
        begins = index > 0 and _begins_word(encoded.pieces[index - 1], piece, names.get(index))
        touched = index in changed or index - 1 in changed
        between = between or (" " if begins and touched and _run_together(parts[-1], shown) else "")
        word += begins
        parts += [between, shown]
        begin = written + len(between)
        written = begin + len(shown)
        read = end
        moved = replace(piece, start=begin, end=written, word=word)
        pieces.append(replace(moved, text=names[index], id=changed[index]) if index in changed else moved)
    return EncodedText("".join([*parts, encoded.text[read:]]), tuple(pieces))


def _begins_word(before: Piece, piece: Piece, name: str | None) -> bool:
    return piece.word != before.word or (name is not None and not name.startswith("##"))


def _run_together(before: str, after: str) -> bool:
    # A combining mark is part of the letter before it.
    letters = "".join(character for character in before if not category(character).startswith("M"))
    return letters[-1:].isalnum() and after[:1].isalnum()
