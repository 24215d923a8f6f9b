"""Every answer that huggingface_hub's client gets, looked at before the library makes anything of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from electra_convert.errors import HubError
from electra_convert.hub.answers import ADVICE, require_commit, require_etag, require_xet_hash

# All pages of a listing of a hundred thousand files have a third of it.
_ANSWERS = 1 << 26
# A file whose transfer breaks off may come from its beginning again, where a server goes on from no other place.
_TIMES = 4
_COMMIT, _LINKED_ETAG, _ETAG, _XET_HASH = "X-Repo-Commit", "X-Linked-Etag", "ETag", "X-Xet-Hash"


class Guard:
    """Refuses answers that would have the library write outside its cache, or without an end.

    huggingface_hub 2.4 joins commits and ETags to the paths of its cache as they are (file_download.py), and receives
    as much as a server sends.
    """

    def __init__(self) -> None:
        self._largest = self._budget = self._left = _ANSWERS

    def await_files(self, sizes: Iterable[int]) -> None:
        """Allow for files of these sizes, in bytes."""
        stated = list(sizes)
        self._largest = max(_ANSWERS, *stated, 0)
        self._budget = _ANSWERS + _TIMES * sum(stated)

    def begin(self) -> None:
        """Allow a request, with all that it is made of, as many bytes as any."""
        self._left = self._budget

    def stop(self) -> None:
        """Allow nothing more of the request."""
        self._left = -1

    def install(self, library: Any) -> None:  # noqa: ANN401 - huggingface_hub
        """Have the library's clients watched, also those that it makes after an error."""
        # Nothing public tells which factory a program has set, and it is to stay in use.
        factory = library.utils._http._GLOBAL_CLIENT_FACTORY
        if not isinstance(factory, _Watched) or factory.guard is not self:
            inner = factory.inner if isinstance(factory, _Watched) else factory
            library.set_client_factory(_Watched(inner, self))

    def ask_plainly(self, request: Any) -> None:  # noqa: ANN401 - httpx2's
        """Ask for bodies as they are: a packed one may be a thousand times as large as what is received."""
        request.headers["Accept-Encoding"] = "identity"

    def look_at(self, response: Any) -> None:  # noqa: ANN401 - httpx2's
        """Look at an answer's headers, and have its body bounded.

        Raises:
            HubError: it states a commit, an ETag or a Xet hash that is none.
        """
        headers = response.headers
        commit = headers.get(_COMMIT)
        if commit is not None:
            require_commit(commit)
        etag = headers.get(_LINKED_ETAG) or headers.get(_ETAG)
        # What the library takes for a file's ETag; an answer with an error, or of other servers, has one of its page.
        if commit is not None and etag and response.status_code < 400 and response.request.method == "HEAD":
            require_etag(etag)
        if headers.get(_XET_HASH) is not None:
            require_xet_hash(headers[_XET_HASH])
        if headers.get("Content-Encoding", "identity") == "identity":
            response.stream = _counted(response.stream, self._count)
        else:
            self._unpack(response)

    def _unpack(self, response: Any) -> None:  # noqa: ANN401 - httpx2's
        """Read a body that came packed though it was asked for as it is; no more of it than is allowed."""
        body = bytearray()
        for part in response.iter_bytes():
            body += part
            self._count(len(part), len(body))
        response._content = bytes(body)  # what read() keeps; the client has no other way to put it there

    def _count(self, more: int, received: int) -> None:
        self._left -= more
        if received > self._largest or self._left < 0:
            raise HubError("the Hub sends more bytes than it stated, or than any listing has", ADVICE)


@dataclass(frozen=True)
class _Watched:
    """Makes clients as another factory does, with a guard that sees every answer."""

    inner: Callable[[], Any]
    guard: Guard

    def __call__(self) -> Any:  # noqa: ANN401 - httpx2's Client
        client = self.inner()
        hooks = {
            event: [hook for hook in there if not isinstance(getattr(hook, "__self__", None), Guard)]
            for event, there in client.event_hooks.items()
        }
        hooks.setdefault("request", []).append(self.guard.ask_plainly)
        hooks.setdefault("response", []).append(self.guard.look_at)
        client.event_hooks = hooks
        return client


def _counted(stream: Any, count: Callable[[int, int], None]) -> Any:  # noqa: ANN401 - httpx2's
    from httpx2 import SyncByteStream  # comes with huggingface_hub

    class Counted(SyncByteStream):
        """A body whose bytes are counted as they come."""

        def __iter__(self) -> Iterator[bytes]:
            received = 0
            for part in stream:
                received += len(part)
                count(len(part), received)
                yield part

        def close(self) -> None:
            stream.close()

    return Counted()
