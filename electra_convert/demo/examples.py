"""Texts scored with what is known of each: edited by hand, corrupted by the generator, or nothing; shows nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, islice

from electra_convert.demo.corruption import Corrupted, corrupt
from electra_convert.demo.evaluation import compare
from electra_convert.demo.model import LoadedModel
from electra_convert.demo.results import Judged
from electra_convert.demo.scoring import BATCH, encode_text, encode_to_score, score_encoded
from electra_convert.errors import NamesError, TextError


@dataclass(frozen=True)
class Labelled:
    """A text, and where it came from, such as "line 3", for messages; "" where there is only one."""

    text: str
    label: str = ""


def labelled(sentences: Sequence[str]) -> list[Labelled]:
    """Number sentences where there are several."""
    if len(sentences) == 1:
        return [Labelled(sentences[0])]
    return [Labelled(text, f"sentence {number}") for number, text in enumerate(sentences, start=1)]


def read_lines(data: bytes, name: str) -> list[Labelled]:
    """Take every line of a file that is not blank as a text.

    Args:
        data: the bytes of the file.
        name: of the file, for messages.

    Returns:
        The texts; lines end at a line feed only.

    Raises:
        TextError: it is not UTF-8, or has no text in it.
    """
    try:
        lines = data.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise TextError(f"{name}, line {line}: not UTF-8 ({error.reason})", "Save it as UTF-8.") from error
    texts = [
        Labelled(line.removesuffix("\r"), f"{name}, line {number}")
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]
    if not texts:
        raise TextError(f"{name} holds no text", "Give a sentence, or a file with one on each line.")
    return texts


def judge(discriminator: LoadedModel, texts: Iterable[Labelled]) -> Iterator[Judged]:
    """Score texts of which nothing else is known.

    Args:
        discriminator: the discriminator.
        texts: any texts.

    Yields:
        Each scored, in their order.

    Raises:
        TextError: names the text that cannot be scored.
    """
    for batch in _batches(texts):
        encoded = []
        for one in batch:
            with _naming(one):
                encoded.append(encode_to_score(discriminator, one.text))
        yield from map(Judged, score_encoded(discriminator, encoded))


def judge_edited(discriminator: LoadedModel, original: str, edited: str) -> Judged:
    """Score a text that was edited, and mark the words that are not in the original.

    Args:
        discriminator: the discriminator.
        original: the text as it was.
        edited: the text to be scored.

    Returns:
        The scored text, with what was changed.

    Raises:
        TextError: one of them cannot be scored.
    """
    with _naming(Labelled(original, "--original")):
        before = encode_text(discriminator, original)
    after = encode_to_score(discriminator, edited)
    return Judged(score_encoded(discriminator, [after])[0], compare(before, after))


def judge_corrupted(
    discriminator: LoadedModel, generator: LoadedModel, texts: Iterable[Labelled], share: float, seed: int
) -> Iterator[Judged]:
    """Let the generator replace tokens of texts, and score what comes out.

    Args:
        discriminator: the discriminator.
        generator: the generator, with the same vocabulary.
        texts: any texts.
        share: of the tokens of each text, how many are masked.
        seed: the same seed changes a text in the same way.

    Yields:
        Each scored, with what was replaced.

    Raises:
        NamesError: the two models have different vocabularies.
        TextError: names the text that cannot be scored.
    """
    require_one_vocabulary(discriminator, generator)
    numbers = count()
    for batch in _batches(texts):
        corrupted = []
        for one in batch:
            with _naming(one):
                corrupted.append(corrupt(generator, one.text, share, seed, next(numbers)))
        scored = score_encoded(discriminator, [one.encoded for one in corrupted])
        for text, made in zip(scored, corrupted, strict=True):
            yield Judged(text, made.truth, _before(made))


def require_one_vocabulary(discriminator: LoadedModel, generator: LoadedModel) -> None:
    """Refuse two models whose token ids mean different pieces.

    Args:
        discriminator: one model.
        generator: the other.

    Raises:
        NamesError: their vocabularies are not equal.
    """
    if discriminator.tokenizer.get_vocab() != generator.tokenizer.get_vocab():
        raise NamesError(
            f"the generator of {generator.source} and the discriminator of {discriminator.source} have different "
            "vocabularies",
            "A pair was trained together, with one vocabulary.",
        )


def _before(corrupted: Corrupted) -> dict[int, str]:
    """What stood there, by the number of the token among those that are scored."""
    plain = [index for index, piece in enumerate(corrupted.encoded.pieces) if not piece.special]
    numbers = {place: number for number, place in enumerate(plain)}
    return {numbers[one.piece]: one.before for one in corrupted.replacements}


def _batches(texts: Iterable[Labelled]) -> Iterator[list[Labelled]]:
    rest = iter(texts)
    while batch := list(islice(rest, BATCH)):
        yield batch


@contextmanager
def _naming(one: Labelled) -> Iterator[None]:
    try:
        yield
    except TextError as error:
        raise TextError(f"{one.label}: {error.message}" if one.label else error.message, error.hint) from error
