"""What the interactive page asks for: its files, scores, suggestions, and errors as sentences; opens no port."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from electra_convert.demo.evaluation import Unit
from electra_convert.demo.filling import Candidate
from electra_convert.demo.model import LoadedModel
from electra_convert.demo.running import BATCH
from electra_convert.demo.scoring import ScoredText
from electra_convert.demo.text import EncodedText
from electra_convert.demo.web.batching import Batcher
from electra_convert.demo.web.requests import (
    MOST_WAITING,
    SHARED_FILES,
    Fields,
    File,
    RefusedError,
    make_application,
    number,
    served_file,
    typed,
)
from electra_convert.pages import render

if TYPE_CHECKING:
    from starlette.applications import Starlette


_SUGGESTIONS = 8
_HERE = "electra_convert.demo.web"
_FILES = {
    "/app.js": (_HERE, "app.js", "text/javascript"),
    **SHARED_FILES,
}


@dataclass(frozen=True)
class Settings:
    """What the page is told when it opens.

    Attributes:
        model: the name of what was opened.
        threshold: a token is called replaced where its probability is higher.
        words: whether words are shown at first, and not tokens.
        text: what is in the text field at first.
        examples: texts to click; of the model's own language, or none.
        hosts: names that the page may be reached by, beside those of this machine; *.NAME for all below NAME.
    """

    model: str
    threshold: float
    words: bool
    text: str = ""
    examples: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()


def make_app(
    discriminator: LoadedModel, generator: LoadedModel | None, settings: Settings, executor: ThreadPoolExecutor
) -> Starlette:
    """Make the ASGI application, whose models run in an executor of one thread."""
    scorer: Batcher[EncodedText, ScoredText] = Batcher(discriminator.score_encoded, executor, BATCH, MOST_WAITING)
    suggester: Batcher[tuple[str, int, int], tuple[Candidate, ...]] = Batcher(
        lambda places: [generator.suggest(*place, _SUGGESTIONS) for place in places] if generator else [],
        executor,
        1,
        MOST_WAITING,
    )

    async def tell(_: Fields) -> Fields:
        told = asdict(settings)
        del told["hosts"]
        return {**told, "generator": generator is not None}

    async def score(given: Fields) -> Fields:
        return _scored_fields(await scorer.submit(discriminator.encode_to_score(typed(given))))

    async def propose(given: Fields) -> Fields:
        if generator is None:
            raise RefusedError(
                HTTPStatus.NOT_FOUND, "There is no generator beside this discriminator to suggest words."
            )
        place = (typed(given), number(given, "start"), number(given, "end"))
        return {"words": [asdict(candidate) for candidate in await suggester.submit(place)]}

    def page() -> File:
        return render(_HERE, "index.html", alone=None), "text/html"

    files = {path: served_file(*place) for path, place in _FILES.items()}
    return make_application(
        {"/": page, **files}, {"settings": tell, "score": score, "suggest": propose}, settings.hosts
    )


def _scored_fields(scored: ScoredText) -> Fields:
    units: tuple[Unit, Unit] = ("token", "word")
    return {"windows": scored.windows, **{f"{unit}s": _stretches(scored, unit) for unit in units}}


def _stretches(scored: ScoredText, unit: Unit) -> list[Fields]:
    # The threshold is the page's own, so what is called replaced is decided there.
    return [
        {
            "text": segment.text,
            "marks": [
                {"name": mark.name, "start": mark.start, "end": mark.end, "probability": mark.probability}
                for mark in segment.marks
            ],
        }
        for segment in scored.marked(unit, 1.0).segments
    ]
