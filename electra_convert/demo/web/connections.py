"""Connections to the interactive page: how many there may be, how long one may keep silent, what is logged of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

# One browser takes six; a port that is passed on to others, all that come through it.
MOST = 128
# Connections that may wait to be taken; each takes a file before it can be turned away.
WAITING = 16
PATIENCE = 10.0  # seconds for the head of a request
_SPARE = 24  # files that the program may open while it answers
_MOST_SAID = 100


def most_connections() -> int:
    """How many connections there may be, with what the system lets a process open."""
    try:
        import resource

        allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        opened = len(list(Path("/proc/self/fd").iterdir()))
    except (ImportError, OSError):
        return MOST
    if allowed == resource.RLIM_INFINITY:
        return MOST
    return max(1, min(MOST, allowed - opened - WAITING - _SPARE))


def protocol_class(most: int, patience: float = PATIENCE) -> type:
    """uvicorn's protocol, which ends connections that send no head of a request, the oldest where there are too many.

    uvicorn itself has no limit of time for the first head, and answers what is too much without ending it.
    """
    from uvicorn.protocols.http.h11_impl import H11Protocol

    waiting: dict[asyncio.Protocol, Callable[[], None]] = {}

    class Limited(H11Protocol):
        """A connection with a limit of time."""

        _deadline: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if len(self.connections) > most:
                next(iter(waiting.values()), transport.abort)()
            self._wait()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._wait()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._wait()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            super().connection_lost(exc)

        def _wait(self) -> None:
            """Have an end set while no request is being answered; what drips in does not put it off."""
            if self.cycle is not None and not self.cycle.response_complete:
                self._stop_waiting()
            elif self._deadline is None:
                self._deadline = self.loop.call_later(patience, self.transport.abort)
                waiting[self] = self.transport.abort

        def _stop_waiting(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None
                waiting.pop(self, None)

    return Limited


class OneLine(logging.Filter):
    """Makes one line of a message and its traceback, and lets each through once."""

    def __init__(self) -> None:
        super().__init__()
        self._said: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is new, and of a server that is still there."""
        error = record.exc_info[1] if record.exc_info else None
        said = record.getMessage().partition("\n")[0]
        text = f"{said}: {type(error).__name__}: {error}" if error else said
        text = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
        record.msg, record.args, record.exc_info, record.exc_text = text, (), None, None
        # A second after it had no descriptor, asyncio listens again, to a server that may have been closed meanwhile.
        if isinstance(error, ValueError) and "_start_serving" in said:
            return False
        is_new = text not in self._said and len(self._said) < _MOST_SAID
        self._said.add(text)
        return is_new
