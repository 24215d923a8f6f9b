"""What is no browser: connections that keep silent or are too many, pages elsewhere, and what is logged of them."""

from __future__ import annotations

import asyncio
import logging
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import ExitStack

import pytest

from electra_convert.demo.web import connections, requests
from electra_convert.demo.web.connections import OneLine, protocol_class
from electra_convert.demo.web.requests import make_application

pytestmark = pytest.mark.slow

SERVER = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))
from electra_convert.demo.web.requests import make_application
from electra_convert.demo.web.server import listen, serve
async def answer(given):
    return {"told": 1}
with listen(0) as opened:
    print(opened.getsockname()[1], flush=True)
    try:
        serve(opened, lambda _: make_application({"/": lambda: ("page", "text/html")}, {"ask": answer}, ()))
    except KeyboardInterrupt:
        pass
"""


@pytest.fixture
def port():
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            number = int(process.stdout.readline())
            yield number
        finally:
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=30)
            assert len(err.splitlines()) <= 1, err[:2000]


def page(port: int) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{port}/", timeout=10) as answer:
        return answer.read().decode()


def test_a_page_is_served_while_hundreds_of_connections_keep_silent_and_little_is_logged(port):
    with ExitStack() as held:
        for _ in range(300):
            silent = held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            silent.sendall(b"GET / HTTP/1.1\r\n")
        for _ in range(3):
            assert page(port) == "page"


@pytest.fixture
def served_impatiently():
    """A server with half a second for the head of a request, and two connections at most."""
    import uvicorn

    app = make_application({"/": lambda: ("page", "text/html")}, {}, ())
    config = uvicorn.Config(
        app, http=protocol_class(2, patience=0.5), log_config=None, lifespan="off", ws="none", loop="asyncio"
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as opened:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [opened]})
        thread.start()
        yield opened.getsockname()[1]
        server.should_exit = True
        thread.join()


def require_answer(connection: socket.socket) -> None:
    connection.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    received = b""
    while not received.endswith(b"page"):
        part = connection.recv(4096)
        assert part
        received += part


def is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("sent", [b"", b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Y: "])
def test_a_connection_that_sends_no_whole_head_is_ended(served_impatiently, sent):
    with socket.create_connection(("127.0.0.1", served_impatiently), timeout=10) as silent:
        silent.sendall(sent)
        begun = time.monotonic()
        assert is_closed(silent)
        assert time.monotonic() - begun < 5


def drip(connection: socket.socket, times: int) -> None:
    for _ in range(times):
        connection.sendall(b"G")
        time.sleep(0.1)


def test_dripping_does_not_put_the_end_off(served_impatiently):
    with socket.create_connection(("127.0.0.1", served_impatiently), timeout=10) as dripping:
        begun = time.monotonic()
        with pytest.raises(OSError, match=r"reset|Broken pipe"):
            drip(dripping, 100)
        assert time.monotonic() - begun < 5


def test_a_connection_that_was_answered_and_keeps_silent_is_ended(served_impatiently):
    with socket.create_connection(("127.0.0.1", served_impatiently), timeout=10) as kept:
        require_answer(kept)
        begun = time.monotonic()
        assert is_closed(kept)
        assert time.monotonic() - begun < 5


def test_where_there_are_too_many_the_one_that_waits_longest_goes(served_impatiently):
    places = [("127.0.0.1", served_impatiently)] * 3
    with ExitStack() as held:
        first, second, third = (held.enter_context(socket.create_connection(place, timeout=10)) for place in places)
        require_answer(third)
        assert is_closed(first)
        assert second is not first


@pytest.mark.parametrize(
    ("allowed", "most"), [(resource.RLIM_INFINITY, connections.MOST), (1 << 20, connections.MOST), (16, 1)]
)
def test_there_may_be_as_many_connections_as_the_system_lets_be_opened(monkeypatch, allowed, most):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (allowed, allowed))
    assert connections.most_connections() == most


def ask(headers: dict[str, str], hosts=(), **more):
    from starlette.testclient import TestClient

    async def answer(_):
        return {"told": 1}

    client = TestClient(make_application({}, {"ask": answer}, hosts), base_url="http://127.0.0.1:8000")
    return client.post("/api/ask", **({"json": {}} | more), headers=headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1.evil.example"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:8000"},
    ],
)
def test_what_a_page_elsewhere_asks_for_is_refused(headers):
    answer = ask(headers)
    assert (answer.status_code, answer.json()) == (403, {"error": "This is asked for by another page."})


@pytest.mark.parametrize(
    ("headers", "hosts"),
    [
        ({}, ()),
        ({"Origin": "http://127.0.0.1:8000", "Sec-Fetch-Site": "same-origin"}, ()),
        ({"Origin": "http://localhost:8000"}, ()),
        ({"Sec-Fetch-Site": "none"}, ()),
        ({"Origin": "https://a.proxy.example", "Sec-Fetch-Site": "same-origin"}, ()),
        ({"Origin": "https://8000-abc.proxy.example"}, ("*.proxy.example",)),
    ],
)
def test_what_the_page_itself_asks_for_is_answered(headers, hosts):
    assert ask(headers, hosts).json() == {"told": 1}


def test_a_body_that_does_not_come_is_given_up(monkeypatch):
    import anyio
    from starlette.requests import Request

    monkeypatch.setattr(requests, "PATIENCE", 0.05)

    async def silence() -> dict:
        await anyio.sleep(60)
        return {}

    async def ended() -> None:
        scope = {"type": "http", "method": "POST", "headers": [(b"content-type", b"application/json")]}
        await requests._body(Request(scope, silence))

    with pytest.raises(requests.RefusedError, match="did not come"):
        anyio.run(ended)


def test_what_goes_wrong_is_a_line_and_said_once(caplog):
    logger = logging.getLogger("asyncio")
    lines = OneLine()
    logger.addFilter(lines)
    try:
        for _ in range(1000):
            try:
                raise OSError(24, "Too many open \x1b[31mfiles\nand more")
            except OSError:
                logger.exception("socket.accept() out of system resource\nsocket: %s", "x")
        for number in range(1000):
            logger.error("another %s", number)
    finally:
        logger.removeFilter(lines)
    said = caplog.text.splitlines()
    assert len(said) < 102
    assert re.search(r"system resource: OSError: \[Errno 24\] Too many open \\x1b\[31mfiles\\nand more$", said[0])


def test_a_server_that_was_closed_while_it_waited_for_a_descriptor_says_no_more_of_it(caplog):
    """asyncio asks it for connections once more, a second later; the message and the error are asyncio's own."""

    async def close_while_asyncio_waits():
        loop = asyncio.get_running_loop()
        closed = socket.create_server(("127.0.0.1", 0))
        closed.close()
        loop.call_soon(loop._start_serving, asyncio.Protocol, closed)
        await asyncio.sleep(0.05)

    logger, lines = logging.getLogger("asyncio"), OneLine()
    logger.addFilter(lines)
    try:
        asyncio.run(close_while_asyncio_waits())
    finally:
        logger.removeFilter(lines)
    assert not caplog.messages
