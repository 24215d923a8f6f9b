"""electra-convert demo of fine-tuned models: what they may be asked, and their answers printed; opens none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from electra_convert.cli.demo_printing import Patience, columns, smooth_bars
from electra_convert.cli.printing import print_json, print_message, print_result, wants_colour
from electra_convert.errors import UsageError

if TYPE_CHECKING:
    from electra_convert.cli.demo_request import Request
    from electra_convert.demo.examples import Sentence
    from electra_convert.demo.model import LoadedModel
    from electra_convert.demo.tasks import Answer, Task

# What a discriminator and a generator are asked, by the names of the options' parameters.
_OF_PRETRAINING = ("original", "corrupt", "words", "threshold", "generator")


def refuse_others(name: str, model: LoadedModel) -> None:
    """Refuse options that give a pretrained model what only a fine-tuned one takes."""
    for option, does in _others().items():
        if _given(option):
            raise UsageError(f"--{option} is for a model fine-tuned {does}, and {name} is a {model.role}")


def _others() -> dict[str, str]:
    """What models do that take an option of their own, by the option."""
    from electra_convert.demo.tasks import TASKS

    return {task.other.option: task.other.does for task in TASKS.values() if task.other}


def check_asked(name: str, model: LoadedModel, pair: str | None, question: str | None) -> str | None:
    """Refuse options that a fine-tuned model has no use for, and give what goes with each text.

    Raises:
        UsageError: names the option, or says what is missing.
    """
    from electra_convert.demo.tasks import TASKS

    task = TASKS[model.head.name]
    hint = f"It takes {task.takes}."
    for option in _OF_PRETRAINING:
        if _given(option):
            raise UsageError(f"--{option} is for a pretrained model, and {name} is {task.fine_tuned}", hint)
    given = {"pair": pair, "question": question}
    wanted = task.other.option if task.other else None
    for option, text in given.items():
        if text is not None and option != wanted:
            told = f"--{option} is for a model fine-tuned {_others()[option]}, and {name} is {task.fine_tuned}"
            raise UsageError(told, hint)
    return None if wanted is None else given[wanted]


def require_other(name: str, task: Task[Any], other: str | None) -> None:
    """Refuse to go on without what nothing can be answered without."""
    if task.other and task.other.required and other is None:
        raise UsageError(
            f"{name} is {task.fine_tuned}, and there is no {task.other.noun}",
            f"It takes {task.takes}.",
        )


def show_answers(name: str, model: LoadedModel, sentences: Sequence[Sentence], request: Request) -> None:
    """Print what a fine-tuned model answers, and write its page."""
    from electra_convert.demo.examples import answer_sentences
    from electra_convert.demo.tasks import TASKS, answers_page
    from electra_convert.pages import save_page

    task = TASKS[model.head.name]
    other = check_asked(name, model, request.pair, request.question)
    require_other(name, task, other)
    silent = request.quiet or request.as_json
    printer = AnswerPrinter(table=request.table, quiet=silent, patient=request.html is not None)
    answers = []
    for answer in answer_sentences(model, sentences, other):
        answers.append(answer)
        if not request.as_json:
            printer.answer(answer)
    if request.as_json:
        fields = {"model": name, "task": task.name, "texts": [answer.fields() for answer in answers]}
        printer.print(lambda: print_json(fields))
    if request.html is not None:
        save_page(request.html, answers_page(answers, name), request.overwrite)
    printer.close()
    for note in () if silent else _notes(model, other, request.html):
        print_message("Note", note)


def _notes(model: LoadedModel, other: str | None, page: Path | None) -> Iterator[str]:
    from electra_convert.schemes.heads import PAIRED

    if page is not None:
        yield f"Wrote {page}"
    if model.task in PAIRED and other is None:
        yield f"{model.task} is about two texts: give the second with --pair."


def _given(name: str) -> bool:
    return click.get_current_context().get_parameter_source(name) is not click.core.ParameterSource.DEFAULT


class AnswerPrinter(Patience):
    """Prints answers.

    Args:
        table: whether every number is shown.
        quiet: whether no notes are.
        patient: as of Patience.
    """

    def __init__(self, *, table: bool, quiet: bool, patient: bool) -> None:
        super().__init__(patient)
        self._table = table
        self._quiet = quiet
        self._printed = 0

    def answer(self, answer: Answer) -> None:
        """Print one answer."""
        from electra_convert.demo.terminal import bar_cells

        colour = wants_colour()
        lines = [answer.brief(colour)]
        if self._table:
            rows = answer.rows(smooth_bars(colour), bar_cells(columns()))
            lines = [*([""] if self._printed else []), answer.headline(colour), "", *rows]
        self.print(lambda: print_result("\n".join(lines)))
        self._printed += 1
        if answer.note is not None and not self._quiet:
            print_message("Note", answer.note)
