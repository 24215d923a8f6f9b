"""A number for a text, or for two texts, such as how similar they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from electra_convert.demo.running import Runner
from electra_convert.demo.tasks.sequence_classification import (
    PAIR,
    TEXT,
    compute,
    run_texts,
    text_fields,
    texts_line,
    unread_note,
)
from electra_convert.demo.tasks.task import Answers, Asked, Model, Page, Task, asked_of, shortened
from electra_convert.demo.terminal import marked
from electra_convert.schemes import heads


@dataclass(frozen=True, repr=False)
class Number:
    """What a model gives a text, or two.

    Attributes:
        text: the text as it was given.
        pair: the text that it was paired with, or None.
        value: the number, on the scale that it was fine-tuned on: of Google's sts 0 to 1.
        unread: how many tokens were left out, of a text longer than the model's input.
    """

    page: ClassVar[Page] = Page(
        "What number does it get?",
        "{model} was fine-tuned to give a text, or two, a number. It is on the scale of its training data, and not "
        "cut off at its ends.",
        "regression.html",
    )
    text: str
    pair: str | None
    value: float
    unread: int = 0

    @property
    def note(self) -> str | None:
        """That not all of it was read."""
        return unread_note(self.unread)

    def fields(self) -> dict[str, Any]:
        """What `demo --json` says of it."""
        return {**text_fields(self.text, self.pair, self.unread), "value": self.value}

    def __repr__(self) -> str:
        return f"<Number {shortened(self.text)}: {self.value:.3f}>"

    def headline(self, _: bool) -> str:
        """The texts."""
        return texts_line(self.text, self.pair)

    def brief(self, colour: bool) -> str:
        """The number before the texts."""
        return f"{marked(f'{self.value:.3f}', colour)}  {texts_line(self.text, self.pair, '  |  ')}"

    def rows(self, _: bool, __: int) -> list[str]:
        """The number."""
        return [f"  {self.value:.3f}"]


class Estimates:
    """The method of models that give numbers."""

    def estimate(
        self: Model, texts: str | Iterable[str], pairs: str | Iterable[str] | None = None
    ) -> Answers[Number]:
        """Give texts, or pairs of texts, a number each; of a model fine-tuned for regression. Raises as classify."""
        return self.answers(REGRESSION, asked_of(texts, pairs))


def estimate(runner: Runner, asked: Sequence[Asked]) -> list[Number]:
    """Give each its number: RegressionTask.get_prediction_module of Google's classification_tasks.py."""
    outputs = zip(asked, run_texts(runner, asked), strict=True)
    return [Number(one.text, one.other, float(logits[0]), unread) for one, (logits, unread) in outputs]


REGRESSION = Task(
    head=heads.REGRESSION,
    compute=compute,
    fine_tuned="fine-tuned to give texts a number",
    takes="a text, and another one to compare it with (--pair)",
    page=Number.page,
    field=TEXT,
    other=PAIR,
    ask=estimate,
)
