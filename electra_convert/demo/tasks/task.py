"""What a fine-tuned head is for: what it is asked, what it answers, and how that is shown; knows none of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeVar

from electra_convert.demo.network import Network, Values
from electra_convert.demo.running import Runner, several
from electra_convert.errors import UsageError
from electra_convert.pages import framed, page_file, render
from electra_convert.schemes.heads import Head

_HERE = "electra_convert.demo.tasks"
_SHOWN = 40  # characters of a text in a repr


@dataclass(frozen=True)
class Asked:
    """What a model is asked.

    Attributes:
        text: a text, or the passage that is read.
        other: the text that it is paired with, or the question; None where there is none.
    """

    text: str
    other: str | None = None


@dataclass(frozen=True)
class Page:
    """The words of a page of answers.

    Attributes:
        title: its heading.
        lead: what is seen there, the name of the model standing for {model}.
        template: the file that shows answers.
    """

    title: str
    lead: str
    template: str


class Answer(Protocol):
    """What a model answers, as every display takes it."""

    page: ClassVar[Page]
    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def note(self) -> str | None:
        """What should be known of how it came about, such as that the text was long."""

    def fields(self) -> dict[str, Any]:
        """What `demo --json` says of it."""

    def headline(self, colour: bool) -> str:
        """The text with what was found, on a line of a terminal."""

    def brief(self, colour: bool) -> str:
        """All of it on one line."""

    def rows(self, smooth: bool, cells: int) -> list[str]:
        """Every number, a line each, with bars of so many cells."""


AnswerT = TypeVar("AnswerT", bound=Answer)
AnswerT_co = TypeVar("AnswerT_co", bound=Answer, covariant=True)


@dataclass(frozen=True)
class Field:
    """A text that a page asks for: what it is called there, and in how many lines."""

    label: str
    rows: int


@dataclass(frozen=True)
class Other:
    """The text that goes with another one.

    Attributes:
        option: how it is given on the command line, without dashes.
        does: what the models do that take it, for messages.
        noun: what it is.
        field: the place for it on a page.
        required: whether nothing can be answered without it.
    """

    option: Literal["pair", "question"]
    does: str
    noun: str
    field: Field
    required: bool


@dataclass(frozen=True)
class Task(Generic[AnswerT_co]):
    """A task.

    Attributes:
        head: what models have that do it.
        compute: the head's logits from the hidden states of the encoder.
        fine_tuned: what a model of it is, for messages.
        takes: what it is given, for messages.
        page: the words of its pages.
        field: the place for a text on a page.
        other: what goes with a text, or None where it takes one alone.
        ask: has a model answer, one answer for each; raises TextError for what it cannot be asked.
    """

    head: Head
    compute: Callable[[Network, Values], Values]
    fine_tuned: str
    takes: str
    page: Page
    field: Field
    other: Other | None
    ask: Callable[[Runner, Sequence[Asked]], Sequence[AnswerT_co]]

    @property
    def name(self) -> str:
        """What `demo --json` calls it."""
        return self.head.kind or self.head.name


class Model(Protocol):
    """A model as the methods of its task know it."""

    def answers(self, task: Task[AnswerT], asked: Sequence[Asked]) -> Answers[AnswerT]:
        """Answer, or refuse where the model was fine-tuned for another task."""


class Answers(list[AnswerT]):
    """Answers, in the order they were asked for; a notebook shows them as one page."""

    def _repr_html_(self) -> str | None:
        return framed(answers_page(self)) if self else None


def shortened(text: str) -> str:
    """A text as its answer's repr shows it."""
    return repr(text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…")


def asked_of(texts: str | Iterable[str], others: str | Iterable[str] | None = None) -> list[Asked]:
    """Texts as a Python caller gives them, and what each is paired with.

    Raises:
        UsageError: there are more of the ones than of the others.
    """
    first = several(texts)
    if others is None:
        return [Asked(text) for text in first]
    second = several(others)
    if len(first) != len(second):
        raise UsageError(f"{len(first)} texts are paired with {len(second)}", "Each text takes one of the others.")
    return [Asked(text, other) for text, other in zip(first, second, strict=True)]


def answers_page(answers: Sequence[Answer], model: str | None = None) -> str:
    """Make a page, which needs no network and no script, of answers of one kind, one at least."""
    return render(
        _HERE,
        "answers.html",
        styles=[page_file("electra_convert.demo", "scores.css"), page_file(_HERE, "answers.css")],
        page=answers[0].page,
        answers=answers,
        model=model or "the model",
    )
