"""The interactive page of a fine-tuned model: its form, and its answers as values; opens no port."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from electra_convert.demo.model import LoadedModel
from electra_convert.demo.running import BATCH
from electra_convert.demo.tasks import TASKS, Answer, Asked
from electra_convert.demo.web.batching import Batcher
from electra_convert.demo.web.requests import (
    MOST_WAITING,
    SHARED_FILES,
    Fields,
    File,
    make_application,
    served_file,
    typed,
)
from electra_convert.errors import TextError
from electra_convert.pages import render

if TYPE_CHECKING:
    from starlette.applications import Starlette

_HERE = "electra_convert.demo.web"
_FILES = {
    "/answers.js": (_HERE, "answers.js", "text/javascript"),
    "/drawing.js": (_HERE, "drawing.js", "text/javascript"),
    "/answers.css": ("electra_convert.demo.tasks", "answers.css", "text/css"),
    **SHARED_FILES,
}


@dataclass(frozen=True)
class FormSettings:
    """What the page shows when it opens.

    Attributes:
        model: the name of what was opened.
        text: what is in the field of the text at first.
        other: what is in the field of the second text, or of the question.
        hosts: as of make_application.
    """

    model: str
    text: str = ""
    other: str = ""
    hosts: tuple[str, ...] = ()


def make_answers_app(model: LoadedModel, settings: FormSettings, executor: ThreadPoolExecutor) -> Starlette:
    """Make the ASGI application, whose model runs in an executor of one thread."""
    answerer: Batcher[Asked, Answer | TextError] = Batcher(
        lambda asked: _answered(model, asked), executor, BATCH, MOST_WAITING
    )

    async def answer(given: Fields) -> Fields:
        other = typed(given, "other")
        found = await answerer.submit(Asked(typed(given), other if other.strip() else None))
        if isinstance(found, TextError):
            raise found
        return {"kind": model.head.name, "note": found.note, **asdict(found)}

    def page() -> File:
        task = TASKS[model.head.name]
        return render(_HERE, "answers.html", page=task.page, task=task, settings=settings, alone=None), "text/html"

    files = {path: served_file(*place) for path, place in _FILES.items()}
    return make_application({"/": page, **files}, {"answer": answer}, settings.hosts)


def _answered(model: LoadedModel, asked: Sequence[Asked]) -> list[Answer | TextError]:
    """An answer to each, or what is wrong with it: what others ask is answered all the same."""
    try:
        return list(model.ask(asked))
    except TextError as error:
        return [error] if len(asked) == 1 else [found for one in asked for found in _answered(model, [one])]
