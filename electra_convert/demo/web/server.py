"""The server of the interactive page, on 127.0.0.1 alone, until Ctrl-C; answers nothing itself."""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from electra_convert.demo.web.connections import WAITING, OneLine, most_connections, protocol_class
from electra_convert.errors import MissingPackageError, OutputError

if TYPE_CHECKING:
    from starlette.applications import Starlette

HOST = "127.0.0.1"


@contextmanager
def listen(port: int) -> Iterator[socket.socket]:
    """Take a port of this machine, which nothing outside it can reach, before anything else is done; 0 is any.

    Raises:
        OutputError: the port is in use, or may not be used.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as opened:
        # A port that a server was just stopped on can be taken again at once.
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            opened.bind((HOST, port))
            opened.listen(WAITING)
        except OSError as error:
            reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used: {error.strerror}"
            raise OutputError(f"port {port} of {HOST} {reason}", "Leave --port out for one that is free.") from error
        yield opened


def serve(opened: socket.socket, make: Callable[[ThreadPoolExecutor], Starlette]) -> None:
    """Serve a page until Ctrl-C, which comes out as the KeyboardInterrupt that it is.

    Args:
        opened: the port.
        make: makes the application, whose models run in the executor.

    Raises:
        MissingPackageError: the packages for it are not installed.
    """
    uvicorn = require_server()
    with ThreadPoolExecutor(1) as executor, _lines_alone("asyncio", "uvicorn.error"):
        config = uvicorn.Config(
            make(executor),
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            loop="asyncio",
            http=protocol_class(most_connections()),
            backlog=WAITING,
            server_header=False,
            timeout_graceful_shutdown=2,
        )
        uvicorn.Server(config).run(sockets=[opened])


@contextmanager
def _lines_alone(*names: str) -> Iterator[None]:
    """Have loggers say in a line what goes wrong, once each: under load they would write tracebacks without end."""
    loggers = [logging.getLogger(name) for name in names]
    lines = OneLine()
    for logger in loggers:
        logger.addFilter(lines)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(lines)


def require_server() -> ModuleType:
    """Import uvicorn, and what else serves the page; asked for first, so that nobody waits for a model in vain.

    Raises:
        MissingPackageError: the packages for it are not installed.
    """
    try:
        import_module("starlette")
        return import_module("uvicorn")
    except ImportError as error:
        raise MissingPackageError(
            f"starlette and uvicorn are needed to serve the page, and cannot be imported: {error}",
            "pip install 'electra-convert[demo]'",
        ) from error
