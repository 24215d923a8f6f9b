"""Sentences scored: as they come, or with it known which tokens were replaced, by hand or by the generator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import count, groupby, islice, takewhile

from electra_convert.demo.corruption import corrupt
from electra_convert.demo.model import LoadedModel
from electra_convert.demo.running import BATCH
from electra_convert.demo.scoring import ScoredText
from electra_convert.demo.tasks import Answer, Asked
from electra_convert.demo.text import EncodedText, naming_text
from electra_convert.errors import NamesError, TextError

_Word = tuple[str, ...]
# Matching takes the square of it: two texts of the longest kind, with nothing in common, would take minutes.
_LONGEST_MATCHED = 2_000  # words


@dataclass(frozen=True)
class Sentence:
    """A text, and where it came from, such as "line 3", for messages; "" where there is only one."""

    text: str
    origin: str = ""


def numbered(sentences: Sequence[str]) -> list[Sentence]:
    """Number sentences where there are several."""
    if len(sentences) == 1:
        return [Sentence(sentences[0])]
    return [Sentence(text, f"sentence {number}") for number, text in enumerate(sentences, start=1)]


def read_lines(data: bytes, name: str) -> list[Sentence]:
    """Take every line of a file that is not blank; lines end at a line feed only.

    Raises:
        TextError: it is not UTF-8, or has no text in it.
    """
    lines = read_text(data, name).text.split("\n")
    return [
        Sentence(line.removesuffix("\r"), f"{name}, line {number}")
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]


def read_text(data: bytes, name: str) -> Sentence:
    """Take a file as one text.

    Raises:
        TextError: it is not UTF-8, or has no text in it.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise TextError(f"{name}, line {line}: not UTF-8 ({error.reason})", "Save it as UTF-8.") from error
    if not text.strip():
        raise TextError(f"{name} holds no text", "Give a sentence, or a file with one on each line.")
    return Sentence(text, name)


def score_sentences(discriminator: LoadedModel, sentences: Iterable[Sentence]) -> Iterator[ScoredText]:
    """Score sentences of which nothing else is known, batch by batch.

    Raises:
        TextError: names the sentence that cannot be scored.
    """
    return _scored(discriminator, sentences, discriminator.encode_to_score)


def answer_sentences(model: LoadedModel, sentences: Iterable[Sentence], other: str | None) -> Iterator[Answer]:
    """Have a fine-tuned model answer, batch by batch, each sentence with the same other text where there is one.

    Raises:
        TextError: names the sentence that cannot be asked.
    """
    rest = iter(sentences)
    while batch := list(islice(rest, BATCH)):
        try:
            yield from model.ask([Asked(one.text, other) for one in batch])
        except TextError:
            for one in batch:
                with naming_text(one.origin):
                    yield from model.ask([Asked(one.text, other)])


def score_corrupted(
    discriminator: LoadedModel, generator: LoadedModel, sentences: Iterable[Sentence], share: float, seed: int
) -> Iterator[ScoredText]:
    """Let the generator replace a share of the tokens of each sentence, and score what comes out.

    Raises:
        NamesError: the two models have different vocabularies.
        TextError: names the sentence that cannot be scored.
    """
    if discriminator.tokenizer.get_vocab() != generator.tokenizer.get_vocab():
        raise NamesError(
            f"the generator of {generator.source} and the discriminator of {discriminator.source} have different "
            "vocabularies",
            "A pair was trained together, with one vocabulary.",
        )
    numbers = count()
    return _scored(discriminator, sentences, lambda text: corrupt(generator, text, share, seed, next(numbers)))


def score_edited(discriminator: LoadedModel, original: str, edited: str) -> ScoredText:
    """Score a text that was edited; the words that are not in the original count as replaced.

    Raises:
        TextError: one of them cannot be scored.
    """
    with naming_text("--original"):
        before = discriminator.encode(original)
    after = discriminator.encode_to_score(edited)
    return discriminator.score_encoded([label_edited(before, after)])[0]


def _scored(
    discriminator: LoadedModel, sentences: Iterable[Sentence], encode: Callable[[str], EncodedText]
) -> Iterator[ScoredText]:
    rest = iter(sentences)
    while batch := list(islice(rest, BATCH)):
        encoded = []
        for one in batch:
            with naming_text(one.origin):
                encoded.append(encode(one.text))
        yield from discriminator.score_encoded(encoded)


def label_edited(original: EncodedText, edited: EncodedText) -> EncodedText:
    """Say of each piece of an edited text whether its word is new; what is only missing marks nothing."""
    before, after = _words(original), _words(edited)
    first = _shared(before, after)
    last = _shared(before[first:][::-1], after[first:][::-1])
    kept = _kept(before[first : len(before) - last], after[first : len(after) - last])
    new = {first + word for word in range(len(after) - first - last) if word not in kept}
    return replace(edited, pieces=tuple(replace(piece, replaced=piece.word in new) for piece in edited.pieces))


def _shared(before: Sequence[_Word], after: Sequence[_Word]) -> int:
    """How many words two texts begin with alike."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, after, strict=False)))


def _kept(before: Sequence[_Word], after: Sequence[_Word]) -> set[int]:
    """Which words of what differs were there before: in their places, or in the longest runs that both share."""
    in_place = {index for index, pair in enumerate(zip(before, after, strict=False)) if pair[0] == pair[1]}
    if max(len(before), len(after)) > _LONGEST_MATCHED:
        return in_place if len(before) == len(after) else _in_stock(before, after)
    blocks = SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks()
    in_runs = {word for block in blocks for word in range(block.b, block.b + block.size)}
    return in_place if len(before) == len(after) and len(in_place) > len(in_runs) else in_runs


def _in_stock(before: Sequence[_Word], after: Sequence[_Word]) -> set[int]:
    """Which words occur before at least as often as up to there: in linear time, whatever their order."""
    stock = Counter(before)
    kept = set()
    for index, word in enumerate(after):
        if stock[word] > 0:
            stock[word] -= 1
            kept.add(index)
    return kept


def _words(text: EncodedText) -> list[_Word]:
    """Each word as its pieces; an unknown one as it is spelt, since two of these need not be equal."""
    words = []
    for _, group in groupby(text.pieces, key=lambda piece: piece.word):
        pieces = list(group)
        spelt = text.text[pieces[0].start : pieces[-1].end]
        words.append(tuple(spelt if piece.text == "[UNK]" else piece.text for piece in pieces))
    return words
