"""What is learned from, one of each task's examples at a time; each knows where it stands."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TaggedSentence:
    """Words, and a label for each.

    Attributes:
        words: without white space in them.
        labels: as many.
        where: file and line.
    """

    words: tuple[str, ...]
    labels: tuple[str, ...]
    where: str


@dataclass(frozen=True)
class LabelledText:
    """A text, or two, and what is said of it.

    Attributes:
        text: the first or only one.
        pair: the second, or None.
        label: the name of a class, or a number as it is written.
        where: file and line.
    """

    text: str
    pair: str | None
    label: str
    where: str


@dataclass(frozen=True)
class Question:
    """A question about a passage.

    Attributes:
        id: what it is called in predictions.
        question: its text.
        passage: where the answer stands.
        answers: every answer that counts as right, and the character it begins at; none where there is no answer.
        where: file and place.
    """

    id: str
    question: str
    passage: str
    answers: tuple[tuple[str, int], ...]
    where: str


@dataclass(frozen=True)
class Chunk:
    """Tokens of running text, cut to a length, with their words.

    Attributes:
        ids: of the tokens.
        words: which word each is of, counted within the chunk.
        where: file.
    """

    ids: tuple[int, ...]
    words: tuple[int, ...]
    where: str
