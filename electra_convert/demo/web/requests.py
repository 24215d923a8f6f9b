"""Requests of a page: its files, JSON asked and answered, what goes wrong as a sentence; knows no model."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from electra_convert.demo.web.batching import FullError
from electra_convert.errors import ElectraConvertError, TextError
from electra_convert.formats.json_objects import decode_json
from electra_convert.pages import page_file

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

# A page of text: it is scored anew at every pause in typing.
LONGEST_TYPED = 5_000  # characters
# Requests of one kind that may wait.
MOST_WAITING = 64
PATIENCE = 30.0  # seconds for a body
_LARGEST_BODY = 1 << 17  # bytes; six for each character, as JSON may write it, and some
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src data:; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
Fields = Mapping[str, Any]
Endpoint = Callable[[Fields], Coroutine[Any, Any, Fields]]
# The content of a file, and its kind.
File = tuple[str, str]
# What every page is made with, by path: the package and the name of each file, and its kind.
SHARED_FILES = {
    "/page.js": ("electra_convert.demo.web", "page.js", "text/javascript"),
    "/engine.js": ("electra_convert.demo.web", "engine.js", "text/javascript"),
    "/scores.css": ("electra_convert.demo", "scores.css", "text/css"),
    "/app.css": ("electra_convert.demo.web", "app.css", "text/css"),
    "/style.css": ("electra_convert.pages", "style.css", "text/css"),
}


class RefusedError(Exception):
    """A request that is answered with a sentence, under an HTTP status."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


def make_application(
    files: Mapping[str, Callable[[], File]], answers: Mapping[str, Endpoint], hosts: Sequence[str]
) -> Starlette:
    """Make the ASGI application of a page.

    It answers to the names of this machine and to others that were allowed: a page elsewhere whose name was made to
    point here (DNS rebinding) gets nothing.

    Args:
        files: what gives each of them, by path.
        answers: what answers a question, by its name below /api.
        hosts: names that it may be reached by, beside those of this machine; *.NAME for all below NAME.
    """
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.routing import Route

    allowed = ["127.0.0.1", "localhost", *hosts]
    routes = [Route(path, _file_endpoint(read)) for path, read in files.items()]
    routes += [
        Route(f"/api/{name}", _endpoint(answer, allowed), methods=["POST"]) for name, answer in answers.items()
    ]
    return Starlette(routes=routes, middleware=[Middleware(TrustedHostMiddleware, allowed, www_redirect=False)])


def served_file(package: str, name: str, kind: str) -> Callable[[], File]:
    """What gives a file of a package."""
    return lambda: (page_file(package, name), kind)


def _file_endpoint(read: Callable[[], File]) -> Callable[[Request], Awaitable[Response]]:
    from starlette.responses import Response

    async def endpoint(_: Request) -> Response:
        content, kind = read()
        return Response(content, media_type=kind, headers=_HEADERS)

    return endpoint


def _endpoint(answer: Endpoint, hosts: Sequence[str]) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint that takes and gives JSON; what goes wrong is a sentence for the page, not a traceback."""
    from starlette.responses import JSONResponse

    async def endpoint(request: Request) -> Response:
        fields: Fields
        try:
            _require_same_origin(request, hosts)
            given = await _body(request)
            fields = await _unless_gone(request, answer(given))
            return JSONResponse(dict(fields), headers=_HEADERS)
        except RefusedError as error:
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
            raise RefusedError(HTTPStatus.BAD_REQUEST, "The client has gone.")
        return answering.result()
    finally:
        answering.cancel()
        leaving.cancel()


def _require_same_origin(request: Request, hosts: Sequence[str]) -> None:
    """Refuse what a page elsewhere has a browser ask for: it says so itself, in headers that no page can write."""
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    # A proxy may have another name than the page knows of; what browsers that are not old say first needs none.
    is_own = site in {"same-origin", "none"} if site else origin is None or _is_of(origin, hosts)
    if not is_own:
        raise RefusedError(HTTPStatus.FORBIDDEN, "This is asked for by another page.")


def _is_of(origin: str, hosts: Sequence[str]) -> bool:
    try:
        host = urlsplit(origin).hostname
    except ValueError:
        return False
    return host is not None and any(
        host == name or (name.startswith("*.") and host.endswith(name[1:])) or name == "*" for name in hosts
    )


async def _body(request: Request) -> Fields:
    # A page of another origin may post plain text unasked, JSON only if it were allowed to; it is not.
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Only JSON is understood.")
    try:
        async with asyncio.timeout(PATIENCE):
            data = await _received(request)
    except TimeoutError as error:
        raise RefusedError(HTTPStatus.REQUEST_TIMEOUT, "The rest of the request did not come.") from error
    try:
        given = decode_json(data)
    except ValueError as error:
        raise RefusedError(HTTPStatus.BAD_REQUEST, "This is not JSON.") from error
    if not isinstance(given, dict):
        raise RefusedError(HTTPStatus.BAD_REQUEST, "This is not a JSON object.")
    return given


async def _received(request: Request) -> bytes:
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > _LARGEST_BODY:
            raise RefusedError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"The text is far longer than the {LONGEST_TYPED:,} characters this page takes.",
            )
    return bytes(data)


def typed(given: Fields, key: str = "text") -> str:
    """A text that was typed, or a refusal."""
    text = given.get(key)
    if not isinstance(text, str):
        raise RefusedError(HTTPStatus.BAD_REQUEST, "There is no text.")
    if len(text) > LONGEST_TYPED:
        raise TextError(
            f"the text has {len(text):,} characters, and this page takes at most {LONGEST_TYPED:,}",
            "The command line takes more: electra-convert demo MODEL --file FILE.",
        )
    return text


def number(given: Fields, key: str) -> int:
    """A whole number, or a refusal."""
    value = given.get(key)
    if type(value) is not int:
        raise RefusedError(HTTPStatus.BAD_REQUEST, f"{key} is not a number.")
    return value
