"""A server of files and nothing else, as a static site has one, for the tests of pages that need no more."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

# What a page must have to use several threads.
ISOLATED = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, *given, headers: Mapping[str, str], asked: list[str], **named):
        self.more, self.asked = headers, asked
        super().__init__(*given, **named)

    def do_GET(self) -> None:
        self.asked.append(self.path)
        super().do_GET()

    def end_headers(self) -> None:
        for name, value in self.more.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def static(folder: Path, headers: Mapping[str, str] | None = None) -> Iterator[tuple[str, list[str]]]:
    """Serve a folder; gives its address, and a list of what is asked for."""
    asked: list[str] = []
    handler = partial(_Handler, directory=str(folder), headers=headers or {}, asked=asked)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/", asked
        finally:
            server.shutdown()
