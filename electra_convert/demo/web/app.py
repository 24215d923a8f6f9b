"""What the interactive page asks for: its files, scores, suggestions, and errors as sentences; opens no port."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from electra_convert.demo.evaluation import Unit
from electra_convert.demo.filling import Candidate
from electra_convert.demo.model import BATCH, LoadedModel
from electra_convert.demo.scoring import ScoredText
from electra_convert.demo.text import EncodedText
from electra_convert.demo.web.batching import Batcher, FullError
from electra_convert.errors import ElectraConvertError, TextError
from electra_convert.pages import page_file

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

# A page of text: it is scored anew at every pause in typing.
LONGEST_TYPED = 5_000  # characters
_LARGEST_BODY = 1 << 17  # bytes; six for each character, as JSON may write it, and some
_SUGGESTIONS = 8
_MOST_WAITING = 64  # requests of one kind
_HERE = "electra_convert.demo.web"
_FILES = {
    "/": (_HERE, "index.html", "text/html"),
    "/app.js": (_HERE, "app.js", "text/javascript"),
    "/page.js": (_HERE, "page.js", "text/javascript"),
    "/scores.css": ("electra_convert.demo", "scores.css", "text/css"),
    "/app.css": (_HERE, "app.css", "text/css"),
    "/style.css": ("electra_convert.pages", "style.css", "text/css"),
}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src data:; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
Fields = Mapping[str, Any]


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


class _RefusedError(Exception):
    """A request that is answered with a sentence, under an HTTP status."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


def make_app(
    discriminator: LoadedModel, generator: LoadedModel | None, settings: Settings, executor: ThreadPoolExecutor
) -> Starlette:
    """Make the ASGI application, whose models run in an executor of one thread.

    It answers to the names of this machine and those of the settings alone: a page elsewhere whose name was made to
    point here (DNS rebinding) gets nothing.
    """
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.routing import Route

    scorer: Batcher[EncodedText, ScoredText] = Batcher(discriminator.score_encoded, executor, BATCH, _MOST_WAITING)
    suggester: Batcher[tuple[str, int, int], tuple[Candidate, ...]] = Batcher(
        lambda places: [generator.suggest(*place, _SUGGESTIONS) for place in places] if generator else [],
        executor,
        1,
        _MOST_WAITING,
    )

    async def tell(_: Fields) -> Fields:
        told = asdict(settings)
        del told["hosts"]
        return {**told, "generator": generator is not None}

    async def score(given: Fields) -> Fields:
        return _scored_fields(await scorer.submit(discriminator.encode_to_score(_text(given))))

    async def propose(given: Fields) -> Fields:
        if generator is None:
            raise _RefusedError(
                HTTPStatus.NOT_FOUND, "There is no generator beside this discriminator to suggest words."
            )
        place = (_text(given), _number(given, "start"), _number(given, "end"))
        return {"words": [asdict(candidate) for candidate in await suggester.submit(place)]}

    routes = [Route(path, _file_endpoint(*place)) for path, place in _FILES.items()]
    for name, answer in (("settings", tell), ("score", score), ("suggest", propose)):
        routes.append(Route(f"/api/{name}", _endpoint(answer), methods=["POST"]))
    hosts = ["127.0.0.1", "localhost", *settings.hosts]
    return Starlette(routes=routes, middleware=[Middleware(TrustedHostMiddleware, hosts, www_redirect=False)])


def _file_endpoint(package: str, name: str, kind: str) -> Callable[[Request], Awaitable[Response]]:
    from starlette.responses import Response

    async def endpoint(_: Request) -> Response:
        return Response(page_file(package, name), media_type=kind, headers=_HEADERS)

    return endpoint


def _endpoint(answer: Callable[[Fields], Coroutine[Any, Any, Fields]]) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint that takes and gives JSON; what goes wrong is a sentence for the page, not a traceback."""
    from starlette.responses import JSONResponse

    async def endpoint(request: Request) -> Response:
        fields: Fields
        try:
            given = await _body(request)
            fields = await _unless_gone(request, answer(given))
            return JSONResponse(dict(fields), headers=_HEADERS)
        except _RefusedError as error:
            status, fields = error.status, {"error": str(error)}
        except FullError:
            status, fields = HTTPStatus.SERVICE_UNAVAILABLE, {"error": "Too many requests are waiting. Try again."}
        except ElectraConvertError as error:
            status, fields = HTTPStatus.UNPROCESSABLE_ENTITY, {"error": f"{error.message}.", "hint": error.hint}
        except Exception as error:  # noqa: BLE001 - the page says so, and the server goes on
            status, fields = HTTPStatus.INTERNAL_SERVER_ERROR, {"error": f"unexpected {type(error).__name__}."}
        return JSONResponse(dict(fields), status, headers=_HEADERS)

    return endpoint


async def _unless_gone(request: Request, work: Coroutine[Any, Any, Fields]) -> Fields:
    """Wait for an answer only as long as there is somebody to give it to."""
    answering = asyncio.create_task(work)
    # The body has been read: all that may come now is that the client leaves.
    leaving = asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "The client has gone.")
        return answering.result()
    finally:
        answering.cancel()
        leaving.cancel()


async def _body(request: Request) -> Fields:
    # A page of another origin may post plain text unasked, JSON only if it were allowed to; it is not.
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise _RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Only JSON is understood.")
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > _LARGEST_BODY:
            raise _RefusedError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"The text is far longer than the {LONGEST_TYPED:,} characters this page takes.",
            )
    try:
        given = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _RefusedError(HTTPStatus.BAD_REQUEST, "This is not JSON.") from error
    if not isinstance(given, dict):
        raise _RefusedError(HTTPStatus.BAD_REQUEST, "This is not a JSON object.")
    return given


def _text(given: Fields) -> str:
    text = given.get("text")
    if not isinstance(text, str):
        raise _RefusedError(HTTPStatus.BAD_REQUEST, "There is no text.")
    if len(text) > LONGEST_TYPED:
        raise TextError(
            f"the text has {len(text):,} characters, and this page takes at most {LONGEST_TYPED:,}",
            "The command line takes more: electra-convert demo MODEL --file FILE.",
        )
    return text


def _number(given: Fields, key: str) -> int:
    value = given.get(key)
    if type(value) is not int:
        raise _RefusedError(HTTPStatus.BAD_REQUEST, f"{key} is not a number.")
    return value


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
