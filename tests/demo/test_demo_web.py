"""The server as a browser meets it, and as what is no browser does: limits, refusals, sixteen at once, Ctrl-C."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import statistics
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.client import HTTPConnection

import pytest
from support.browser import served

from electra_convert import score
from electra_convert.demo.model import LoadedModel
from electra_convert.demo.network import Network
from electra_convert.demo.sample import examples_for
from electra_convert.demo.scoring import ScoredText, Token
from electra_convert.demo.web.app import Settings, make_app
from electra_convert.demo.web.batching import Batcher, FullError
from electra_convert.demo.web.server import listen
from electra_convert.errors import OutputError

pytestmark = pytest.mark.slow
TEXT = "Return the value of the purple attribute, caf\u00e9 👩\u200d👧."


@pytest.fixture
def client(opened_discriminator, opened_generator):
    from starlette.testclient import TestClient

    with ThreadPoolExecutor(1) as executor:
        app = make_app(opened_discriminator, opened_generator, Settings("model", 0.4, True), executor)
        with TestClient(app, base_url="http://127.0.0.1") as opened:
            yield opened


def test_the_page_is_told_what_it_shows(client):
    told = client.post("/api/settings", json={}).json()
    assert told == {
        "model": "model", "threshold": 0.4, "words": True, "generator": True,
        "text": "", "examples": [],
    }  # fmt: skip


def test_a_bundled_model_is_shown_with_sentences_in_which_it_finds_what_is_wrong(opened_discriminator):
    found = examples_for(opened_discriminator)
    assert len(found) == 2
    for scored in score(opened_discriminator, found):
        assert [word.text for word in scored.words if word.probability > 0.5] == ["elephant"]


def test_a_sentence_in_which_another_word_is_likelier_is_not_offered(opened_discriminator):
    """As of a discriminator that finds a fox worse than what it ate."""
    suspected = {"ox": 0.9, "at": 0.8, "ph": 0.7}  # of fox, ate and elephant

    def suspect(token: Token) -> Token:
        return replace(token, probability=suspected.get(token.text, 0.1))

    class Suspicious:
        tokenizer = opened_discriminator.tokenizer

        def score(self, texts: list[str]) -> list[ScoredText]:
            return [replace(one, tokens=tuple(map(suspect, one.tokens))) for one in opened_discriminator.score(texts)]

    found = examples_for(Suspicious())
    assert len(found) == 2
    assert all("elephant" in text for text in found)


@pytest.mark.parametrize("unit", ["tokens", "words"])
def test_scores_are_those_of_the_api_with_the_text_around_them(client, opened_discriminator, unit):
    answer = client.post("/api/score", json={"text": TEXT}).json()
    assert "".join(stretch["text"] for stretch in answer[unit]) == TEXT
    found = [mark["probability"] for stretch in answer[unit] for mark in stretch["marks"]]
    assert found == pytest.approx(
        [one.probability for one in getattr(score(opened_discriminator, [TEXT])[0], unit)], abs=1e-6
    )


def test_a_word_gets_suggestions(client):
    words = client.post("/api/suggest", json={"text": TEXT, "start": 7, "end": 10}).json()["words"]
    assert len(words) == 8
    assert words[0].keys() == {"piece", "probability"}


def test_without_a_generator_the_page_says_so(opened_discriminator):
    from starlette.testclient import TestClient

    with ThreadPoolExecutor(1) as executor:
        app = make_app(opened_discriminator, None, Settings("model", 0.5, False), executor)
        answer = TestClient(app, base_url="http://localhost").post(
            "/api/suggest", json={"text": "a b", "start": 0, "end": 1}
        )
    assert answer.status_code == 404
    assert "no generator" in answer.json()["error"]


@pytest.mark.parametrize("path", ["/", "/app.js", "/engine.js", "/page.js", "/app.css", "/scores.css", "/style.css"])
def test_files_are_served_under_a_strict_policy(client, path):
    answer = client.get(path)
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "10.0.0.1"])
@pytest.mark.parametrize("path", ["/", "/api/score"])
def test_another_hosts_name_gets_nothing(client, host, path):
    assert client.get(path, headers={"Host": host}).status_code == 400


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("hub.example.org", 200), ("hub.example.org:8443", 200), ("a.lab.example", 200), ("127.0.0.1:80", 200),
        ("example.org", 400), ("lab.example", 400), ("evil.example", 400),
    ],
)  # fmt: skip
def test_a_host_that_was_allowed_is_answered_and_no_other(opened_discriminator, host, status):
    from starlette.testclient import TestClient

    settings = Settings("model", 0.5, False, hosts=("hub.example.org", "*.lab.example"))
    with ThreadPoolExecutor(1) as executor:
        client = TestClient(make_app(opened_discriminator, None, settings, executor))
        assert client.get("/", headers={"Host": host}, follow_redirects=False).status_code == status
        assert "hosts" not in client.post("/api/settings", json={}, headers={"Host": "127.0.0.1"}).json()


def test_the_page_works_below_a_path_of_a_proxy(client):
    for path in ("/", "/app.js", "/engine.js", "/page.js"):
        assert not re.search(r"""["'`(=]/(?!/)""", client.get(path).text), path


@pytest.mark.parametrize(
    ("path", "body", "kind", "status", "said"),
    [
        ("score", b'{"text": "a"}', "text/plain", 415, "Only JSON"),
        ("score", b'{"text": "a"}', "application/x-www-form-urlencoded", 415, "Only JSON"),
        ("score", b"{", "application/json", 400, "not JSON"),
        ("score", b"[" * 60_000, "application/json", 400, "not JSON"),
        ("score", b"\xff", "application/json", 400, "not JSON"),
        ("score", b"[]", "application/json", 400, "not a JSON object"),
        ("score", b"{}", "application/json", 400, "no text"),
        ("score", b'{"text": 3}', "application/json", 400, "no text"),
        ("score", b'{"text": "  "}', "application/json", 422, "the text is empty"),
        ("score", b'{"text": "\\u0001"}', "application/json", 422, "only white space or control"),
        ("score", b'{"text": "\\ud800"}', "application/json", 422, "half of one"),
        ("score", json.dumps({"text": "x" * 5001}).encode(), "application/json", 422, "5,001 characters"),
        ("score", json.dumps({"text": "x" * 1_000_000}).encode(), "application/json", 413, "far longer"),
        ("suggest", b'{"text": "a", "start": 0, "end": 2}', "application/json", 422, "no characters 0 to 2"),
        ("suggest", b'{"text": "a", "start": true, "end": 1}', "application/json", 400, "start is not a number"),
        ("suggest", b'{"text": "a", "start": 0}', "application/json", 400, "end is not a number"),
    ],
)
def test_what_cannot_be_answered_is_said_in_a_sentence(client, path, body, kind, status, said):
    answer = client.post(f"/api/{path}", content=body, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert said in answer.json()["error"]


def test_a_kind_of_content_is_the_same_in_capitals(client):
    kind = {"Content-Type": "Application/JSON; Charset=UTF-8"}
    assert client.post("/api/score", content=b'{"text": "a"}', headers=kind).status_code == 200


def test_a_bug_is_no_traceback_and_no_end(client, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(Network, "run", lambda *_: 1 / 0)
        answer = client.post("/api/score", json={"text": "a"})
    assert (answer.status_code, answer.json()) == (500, {"error": "unexpected ZeroDivisionError."})
    assert client.post("/api/score", json={"text": "a"}).status_code == 200


def test_an_answer_that_is_no_json_is_said_too(client, monkeypatch):
    monkeypatch.setattr("electra_convert.demo.web.app._scored_fields", lambda _: {"words": float("nan")})
    answer = client.post("/api/score", json={"text": "a"})
    assert (answer.status_code, answer.json()) == (500, {"error": "unexpected ValueError."})


def test_a_request_too_many_is_told_to_come_again(client, monkeypatch):
    async def full(*_):
        raise FullError

    monkeypatch.setattr(Batcher, "submit", full)
    answer = client.post("/api/score", json={"text": "a"})
    assert (answer.status_code, answer.json()) == (503, {"error": "Too many requests are waiting. Try again."})


def test_what_nobody_waits_for_any_more_is_not_computed(opened_discriminator, monkeypatch):
    seen: list[str] = []

    score_encoded = LoadedModel.score_encoded

    def compute(model, texts):
        seen.extend(text.text for text in texts)
        time.sleep(0.2)
        return score_encoded(model, texts)

    monkeypatch.setattr(LoadedModel, "score_encoded", compute)

    async def ask(app, text: str, stays: bool) -> None:
        body = [{"type": "http.request", "body": json.dumps({"text": text}).encode()}]

        async def receive():
            if body:
                return body.pop()
            await asyncio.sleep(60 if stays else 0.05)
            return {"type": "http.disconnect"}

        async def send(_):
            pass

        headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
        scope = {"type": "http", "method": "POST", "path": "/api/score", "headers": headers, "query_string": b""}
        await app(scope, receive, send)

    async def all_of_them(app):
        await asyncio.gather(ask(app, "first", True), ask(app, "second", False), ask(app, "third", True))

    monkeypatch.setattr("electra_convert.demo.web.app.BATCH", 1)
    with ThreadPoolExecutor(1) as executor:
        asyncio.run(all_of_them(make_app(opened_discriminator, None, Settings("model", 0.5, True), executor)))
    assert seen == ["first", "third"]


def test_no_more_wait_than_may():
    async def submit() -> list[object]:
        batcher = Batcher(list, executor, 1, 2)
        return await asyncio.gather(*(batcher.submit(item) for item in range(4)), return_exceptions=True)

    with ThreadPoolExecutor(1) as executor:
        first, second, third, fourth = asyncio.run(submit())
    assert (first, second) == (0, 1)
    assert isinstance(third, FullError)
    assert isinstance(fourth, FullError)


@pytest.mark.parametrize("path", ["/nothing", "/../server.py", "/app.py", "/server.py"])
def test_nothing_else_is_served(client, path):
    assert client.get(path).status_code == 404


# Batches


def test_what_waits_is_computed_together_and_each_gets_its_own():
    batches: list[list[int]] = []

    def compute(items):
        batches.append(list(items))
        time.sleep(0.02)
        return [item * 2 for item in items]

    async def submit() -> list[int]:
        batcher = Batcher(compute, executor, 4)
        return await asyncio.gather(*(batcher.submit(item) for item in range(10)))

    with ThreadPoolExecutor(1) as executor:
        assert asyncio.run(submit()) == [2 * item for item in range(10)]
    assert [item for batch in batches for item in batch] == list(range(10))
    assert max(map(len, batches)) == 4


def test_what_was_given_up_is_not_computed_and_an_error_reaches_its_batch_alone():
    seen: list[int] = []

    def compute(items):
        seen.extend(items)
        time.sleep(0.02)
        if 1 in items:
            raise ValueError("one")
        return items

    async def submit() -> list[object]:
        batcher = Batcher(compute, executor, 1)
        tasks = [asyncio.create_task(batcher.submit(item)) for item in range(4)]
        await asyncio.sleep(0.01)
        tasks[2].cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    with ThreadPoolExecutor(1) as executor:
        first, second, third, fourth = asyncio.run(submit())
    assert (first, fourth, seen) == (0, 3, [0, 1, 3])
    assert isinstance(second, ValueError)
    assert isinstance(third, asyncio.CancelledError)


def stop(_):
    raise StopIteration


@pytest.mark.parametrize(
    ("broken", "expected"),
    [(stop, RuntimeError), (lambda _: [], ValueError), (lambda items: [*items, 5], ValueError)],
    ids=["StopIteration", "too_few", "too_many"],
)
def test_a_computation_that_goes_wrong_in_any_way_is_told_and_the_next_one_is_made(broken, expected):
    computations = [broken, list]

    async def submit() -> tuple[object, int]:
        batcher = Batcher(lambda items: computations.pop(0)(items), executor, 4)
        first = await asyncio.gather(batcher.submit(1), return_exceptions=True)
        return first[0], await batcher.submit(2)

    with ThreadPoolExecutor(1) as executor:
        told, later = asyncio.run(asyncio.wait_for(submit(), 5))
    assert isinstance(told, expected)
    assert later == 2


def test_work_that_is_cut_off_is_taken_up_by_the_next_request():
    async def submit() -> list[int]:
        batcher = Batcher(list, executor, 1)
        waiting = [asyncio.create_task(batcher.submit(item)) for item in range(3)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # the first is being computed
        batcher._work.cancel()
        # The one that was being computed is lost, and those behind it are not.
        answered = [*waiting[1:], asyncio.create_task(batcher.submit(3))]
        return [await asyncio.wait_for(one, 5) for one in answered]

    with ThreadPoolExecutor(1) as executor:
        assert asyncio.run(submit()) == [1, 2, 3]


# The process


def test_a_port_in_use_is_said():
    with (
        listen(0) as first,
        pytest.raises(OutputError, match=r"port \d+ of 127.0.0.1 is in use"),
        listen(first.getsockname()[1]),
    ):
        pass


def post(address: str, text: str) -> float:
    body = json.dumps({"text": text}).encode()
    request = urllib.request.Request(f"{address}api/score", body, {"Content-Type": "application/json"})
    start = time.perf_counter()
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert json.load(answer)["words"]
    return time.perf_counter() - start


def test_sixteen_clients_typing_at_once_are_all_answered(golden_pair):
    def type_along(address: str, client: int) -> list[float]:
        text = f"Return the value of the named attribute {client} of the object, which"
        return [post(address, text[:end]) for end in range(8, len(text), 4)]

    with served(golden_pair) as (address, _), ThreadPoolExecutor(16) as pool:
        times = [taken for one in pool.map(lambda client: type_along(address, client), range(16)) for taken in one]
    assert len(times) == 16 * 14
    assert statistics.quantiles(times, n=20)[-1] < 2.0


def test_the_server_listens_to_this_machine_alone_is_quiet_when_told_and_ends_with_ctrl_c(golden_pair):
    with served(golden_pair, "--port", "0", "-q") as (address, process):
        port = int(address.rsplit(":", 1)[1].strip("/"))
        assert address == f"http://127.0.0.1:{port}/"
        idle = HTTPConnection("127.0.0.1", port)
        idle.request("GET", "/")
        assert idle.getresponse().status == 200
        with socket.socket() as elsewhere:
            # Linux routes all of 127.0.0.0/8 here: another address of this machine, on which nothing listens.
            assert elsewhere.connect_ex(("127.0.0.2", port)) != 0
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == ""
    assert process.returncode == 0
    idle.close()
