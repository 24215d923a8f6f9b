"""Classes of a text, or of two texts: how likely each of them is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from electra_convert.demo.filling import softmax
from electra_convert.demo.network import Network, Values
from electra_convert.demo.running import Row, Runner
from electra_convert.demo.scoring import sigmoid
from electra_convert.demo.tasks.task import Answers, Asked, Field, Model, Other, Page, Task, asked_of, shortened
from electra_convert.demo.terminal import bar, marked, visible
from electra_convert.demo.text import Piece, naming_text
from electra_convert.schemes import heads

_IN_REPR = 3  # classes
_SHOWN = 10  # classes in a terminal; JSON and pages have all
PAIR = Other(
    "pair",
    "to classify texts, or to give them a number",
    "second text",
    Field("Second text, if the model compares two", 2),
    required=False,
)
TEXT = Field("Your text", 3)


@dataclass(frozen=True)
class Class:
    """A class, and how likely it is."""

    label: str
    probability: float


@dataclass(frozen=True, repr=False)
class Classification:
    """What a model says of a text, or of two.

    Attributes:
        text: the text as it was given.
        pair: the text that it was paired with, or None.
        classes: the likeliest first.
        several: whether each class is likely or not by itself, so that several may be true, or none.
        unread: how many tokens were left out, of a text longer than the model's input.
    """

    page: ClassVar[Page] = Page(
        "Which class is it?",
        "{model} was fine-tuned to tell the class of a text. Here is how likely it takes each of its classes to be.",
        "sequence_classification.html",
    )
    text: str
    pair: str | None
    classes: tuple[Class, ...]
    several: bool = False
    unread: int = 0

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """What it is: the likeliest class, or where several may be true each that is above one half."""
        if not self.several:
            return (self.classes[0].label,)
        return tuple(one.label for one in self.classes if one.probability > 0.5)

    @property
    def note(self) -> str | None:
        """That not all of it was read."""
        return unread_note(self.unread)

    def fields(self) -> dict[str, Any]:
        """What `demo --json` says of it."""
        classes = [{"label": one.label, "probability": one.probability} for one in self.classes]
        said: dict[str, Any] = {"labels": list(self.labels)} if self.several else classes[0]
        return {**text_fields(self.text, self.pair, self.unread), **said, "classes": classes}

    def __repr__(self) -> str:
        shown = [f"{one.label} {one.probability:.1%}" for one in self.classes[:_IN_REPR]]
        rest = ["…"] if len(self.classes) > _IN_REPR else []
        return f"<Classification {shortened(self.text)}: {', '.join(shown + rest)}>"

    def headline(self, _: bool) -> str:
        """The texts."""
        return texts_line(self.text, self.pair)

    def brief(self, colour: bool) -> str:
        """The class before the texts."""
        said = marked(visible(", ".join(self.labels) or "none"), colour)
        return f"{self.classes[0].probability:.3f}  {said}  {texts_line(self.text, self.pair, '  |  ')}"

    def rows(self, smooth: bool, cells: int) -> list[str]:
        """The likeliest classes."""
        lines = [
            f"  {one.probability:.3f}  {bar(one.probability, smooth, cells)}  {visible(one.label)}"
            for one in self.classes[:_SHOWN]
        ]
        rest = len(self.classes) - _SHOWN
        return [*lines, *([f"  and {rest} less likely"] if rest > 0 else [])]


class Classifies:
    """The method of models that tell classes."""

    def classify(
        self: Model, texts: str | Iterable[str], pairs: str | Iterable[str] | None = None
    ) -> Answers[Classification]:
        """Say how likely each class of texts is, or of pairs of texts; of a model fine-tuned to classify.

        Raises:
            NamesError: it is of another kind.
            TextError: a text is empty, too long, or no text.
        """
        return self.answers(SEQUENCE_CLASSIFICATION, asked_of(texts, pairs))


def compute(network: Network, hidden: Values) -> Values:
    """ElectraClassificationHead of transformers, [batch, labels]; its activation is gelu whatever the others are."""
    return network.dense("classifier.out_proj", network.gelu(network.dense("classifier.dense", hidden[:, 0])))


def classify(runner: Runner, asked: Sequence[Asked]) -> list[Classification]:
    """Say how likely each class is.

    finetune/classification/classification_tasks.py, ClassificationTask.get_prediction_module: the softmax of the
    logits. Where config.json says multi_label_classification, transformers takes the sigmoid of each.
    """
    several = runner.problem_type == "multi_label_classification"
    made = []
    for one, (logits, unread) in zip(asked, run_texts(runner, asked), strict=True):
        probabilities: NDArray[np.float64] = sigmoid(logits) if several else softmax(logits)
        ranked = np.argsort(-probabilities, kind="stable")
        classes = tuple(Class(runner.labels[index], float(probabilities[index])) for index in ranked)
        made.append(Classification(one.text, one.other, classes, several, unread))
    return made


def run_texts(runner: Runner, asked: Sequence[Asked]) -> list[tuple[NDArray[np.float32], int]]:
    """Give the logits, [labels], of each text or two texts, and how many of its tokens were left out."""
    rows = [_row(runner, one) for one in asked]
    logits = runner.logits([row for row, _ in rows])
    return [(runner.checked(next(logits)), unread) for _, unread in rows]


def _row(runner: Runner, asked: Asked) -> tuple[Row, int]:
    first = list(runner.encode(asked.text).pieces)
    second = None if asked.other is None else _second(runner, asked.other)
    unread = _shorten(first, second or [], runner.positions - (2 if second is None else 3))
    return runner.row(first, second), unread


def _second(runner: Runner, text: str) -> list[Piece]:
    with naming_text("the second text"):
        return list(runner.encode(text).pieces)


def _shorten(first: list[Piece], second: list[Piece], room: int) -> int:
    """Take tokens off the end of the longer text until both fit (_truncate_seq_pair of Google's code)."""
    before = len(first) + len(second)
    while len(first) + len(second) > room:
        (first if len(first) > len(second) else second).pop()
    return before - len(first) - len(second)


def unread_note(unread: int) -> str | None:
    """That a text was too long to be read wholly."""
    return f"longer than the model's input: its last {unread:,} tokens were not read." if unread else None


def text_fields(text: str, pair: str | None, unread: int) -> dict[str, Any]:
    """What JSON says of what was asked."""
    return {"text": text, **({} if pair is None else {"pair": pair}), **({"unread_tokens": unread} if unread else {})}


def texts_line(text: str, pair: str | None, between: str = "\n") -> str:
    """A text, or two."""
    return between.join(visible(one) for one in (text, pair) if one is not None)


SEQUENCE_CLASSIFICATION = Task(
    head=heads.SEQUENCE_CLASSIFICATION,
    compute=compute,
    fine_tuned="fine-tuned to classify texts",
    takes="a text, and another one to compare it with (--pair)",
    page=Classification.page,
    field=TEXT,
    other=PAIR,
    ask=classify,
)
