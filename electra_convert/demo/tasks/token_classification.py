"""Tags of the words of a text, each read off the first piece of its word."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from electra_convert.demo.filling import softmax
from electra_convert.demo.network import Network, Values
from electra_convert.demo.running import Runner
from electra_convert.demo.tasks.task import Answers, Asked, Field, Model, Page, Task, asked_of, shortened
from electra_convert.demo.terminal import bar, coloured, visible
from electra_convert.demo.text import EncodedText
from electra_convert.errors import TextError, listing
from electra_convert.schemes import heads

# Of more kinds than that some look alike; each word has its tag beside it.
COLOURS = 8
_OUTSIDE = "O"
# Where a word stands in what is named: it begins it, is inside, ends it, is alone (BIOES, BILOU).
_PLACE = re.compile(r"[BIESLU][-_](?=.)")


@dataclass(frozen=True)
class TaggedWord:
    """A word and its tag.

    Attributes:
        text: what stands there in the original text.
        start: where it begins, in characters (code points).
        end: where it ends.
        tag: the likeliest, such as B-PER.
        probability: how likely it is.
        kind: what the tag names, such as PER; None where it names nothing.
        colour: the number of the kind's colour, None where it has none.
    """

    text: str
    start: int
    end: int
    tag: str
    probability: float
    kind: str | None
    colour: int | None


@dataclass(frozen=True, repr=False)
class Tagging:
    """What a model says of the words of a text.

    Attributes:
        text: the text as it was given.
        words: in their order.
        windows: in how many overlapping parts the model was given it; 1 where it fits.
    """

    page: ClassVar[Page] = Page(
        "What are the words?",
        "{model} was fine-tuned to give every word of a text a tag.",
        "token_classification.html",
    )
    text: str
    words: tuple[TaggedWord, ...]
    windows: int = 1

    @property
    def note(self) -> str | None:
        """That it was tagged in parts."""
        return windows_note(self.windows, "tagged")

    @property
    def stretches(self) -> tuple[tuple[str, TaggedWord | None], ...]:
        """The whole text, in words and what is between them."""
        return tuple(self._stretches())

    def _stretches(self) -> Iterator[tuple[str, TaggedWord | None]]:
        done = 0
        for word in self.words:
            if word.start > done:
                yield self.text[done : word.start], None
            yield word.text, word
            done = word.end
        if done < len(self.text):
            yield self.text[done:], None

    def fields(self) -> dict[str, Any]:
        """What `demo --json` says of it."""
        keys = ("text", "start", "end", "tag", "probability")
        words = [{key: getattr(word, key) for key in keys} for word in self.words]
        return {"text": self.text, "windows": self.windows, "words": words}

    def __repr__(self) -> str:
        named = [f"{word.text} {word.tag}" for word in self.words if word.kind is not None]
        return f"<Tagging {shortened(self.text)}: {listing(named, 5) or 'no word named'}>"

    def headline(self, colour: bool) -> str:
        """The text with the tags of what is named in [[ ]]."""
        parts = (
            visible(text) if word is None or word.kind is None else _shown(text, word, colour)
            for text, word in self.stretches
        )
        return "".join(parts)

    def brief(self, colour: bool) -> str:
        """The same: it is on one line."""
        return self.headline(colour)

    def rows(self, smooth: bool, cells: int) -> list[str]:
        """Every word."""
        width = max(len(visible(word.tag)) for word in self.words)
        return [
            f"  {word.probability:.3f}  {bar(word.probability, smooth, cells)}  {visible(word.tag):<{width}}  "
            f"{visible(word.text)}"
            for word in self.words
        ]


def _shown(text: str, word: TaggedWord, colour: bool) -> str:
    return coloured(f"[[{visible(text)} {visible(word.tag)}]]", word.colour if colour else None)


def windows_note(windows: int, done: str) -> str | None:
    """That a text was too long to be seen at once."""
    return f"longer than the model's input: {done} in {windows} windows that overlap." if windows > 1 else None


def kind_of(tag: str) -> str | None:
    """What a tag names, wherever in it a word stands; None for O."""
    return None if tag == _OUTSIDE else _PLACE.sub("", tag, count=1)


class Tags:
    """The method of models that tag words."""

    def tag(self: Model, texts: str | Iterable[str]) -> Answers[Tagging]:
        """Tag the words of texts; of a model fine-tuned for tokens. Raises as classify."""
        return self.answers(TOKEN_CLASSIFICATION, asked_of(texts))


def compute(network: Network, hidden: Values) -> Values:
    """ElectraForTokenClassification of transformers, [batch, length, labels]."""
    return network.dense("classifier", hidden)


def tag(runner: Runner, asked: Sequence[Asked]) -> list[Tagging]:
    """Tag the words of texts, each by its first piece (finetune/tagging/tagging_tasks.py, TaggingTask).

    Raises:
        TextError: a text has no word.
    """
    texts = [runner.encode(one.text) for one in asked]
    places = [words_of(text) for text in texts]
    if not all(places):
        raise TextError("the text has nothing to tag: special tokens alone", "Give it a word or two.")
    kinds = list(dict.fromkeys(kind for label in runner.labels if (kind := kind_of(label))))
    return [
        Tagging(text.text, tuple(_tagged(runner, kinds, text, word, logits) for word in words), windows)
        for text, words, (logits, windows) in zip(texts, places, runner.by_pieces(texts), strict=True)
    ]


def _tagged(
    runner: Runner, kinds: Sequence[str], text: EncodedText, word: Span, logits: NDArray[np.float32]
) -> TaggedWord:
    probabilities = softmax(logits[word.piece])
    best = int(probabilities.argmax())
    label = runner.labels[best]
    kind = kind_of(label)
    return TaggedWord(
        text.text[word.start : word.end],
        word.start,
        word.end,
        label,
        float(probabilities[best]),
        kind,
        None if kind is None else kinds.index(kind) % COLOURS,
    )


@dataclass(frozen=True)
class Span:
    """A word of a text: the number of its first piece, and where it begins and ends in characters."""

    piece: int
    start: int
    end: int


def words_of(text: EncodedText) -> list[Span]:
    """Find the words as their writer parts them.

    The tokenizer splits at every sign of punctuation; taggers were trained on words that have such signs within
    them, and none around them. So "Paris-based," is two words, of which the second is the comma. Ideographs, which
    nothing parts, are words as the tokenizer has them.
    """
    words: list[Span] = []
    numbered = [(index, piece) for index, piece in enumerate(text.pieces) if not piece.special]
    parts = [
        Span(group[0][0], min(piece.start for _, piece in group), max(piece.end for _, piece in group))
        for group in (list(group) for _, group in groupby(numbered, key=lambda pair: pair[1].word))
    ]
    for run in _runs(text, parts):
        words += _joined(text.text, run)
    return words


def _runs(text: EncodedText, parts: Sequence[Span]) -> Iterator[list[Span]]:
    """Parts with neither white space nor a special token between them."""
    run = [*parts[:1]]
    for before, part in pairwise(parts):
        between = text.text[before.end : part.start]
        if any(character.isspace() for character in between) or "[" in between:
            yield run
            run = []
        run.append(part)
    yield run


def _joined(text: str, run: Sequence[Span]) -> Iterator[Span]:
    sign = [not any(character.isalnum() for character in text[part.start : part.end]) for part in run]
    inner = [index for index, is_sign in enumerate(sign) if not is_sign]
    word: Span | None = None
    for index, part in enumerate(run):
        within = bool(inner) and inner[0] < index <= inner[-1]
        if word is not None and within and (sign[index] or sign[index - 1]):
            word = Span(word.piece, word.start, part.end)
            continue
        if word is not None:
            yield word
        word = part
    if word is not None:
        yield word


TOKEN_CLASSIFICATION = Task(
    head=heads.TOKEN_CLASSIFICATION,
    compute=compute,
    fine_tuned="fine-tuned to tag words",
    takes="a text",
    page=Tagging.page,
    field=Field("Your text", 3),
    other=None,
    ask=tag,
)
