"""The interactive page of fine-tuned models: its form, its answers, and mistakes as sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.browser import CHROMIUM, DESKTOP, DRIVER, PHONE, look, served, until

from electra_convert import open_model
from electra_convert.demo.model import LoadedModel
from electra_convert.demo.web.answers import FormSettings, make_answers_app

pytestmark = pytest.mark.slow


@pytest.fixture
def client_of(converted_tasks) -> Iterator[Callable]:
    from starlette.testclient import TestClient

    with ThreadPoolExecutor(1) as executor:

        def client(name: str):
            settings = FormSettings("<model>", "a <b>", "c")
            app = make_answers_app(open_model(converted_tasks[name]), settings, executor)
            return TestClient(app, base_url="http://127.0.0.1")

        yield client


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("mnli", ["Your text", "Second text, if the model compares two"]),
        ("chunk", ["Your text"]),
        ("squad_answerable", ["Question", "Passage"]),
    ],
)
def test_the_page_has_the_form_of_the_models_kind(client_of, name, labels):
    page = client_of(name).get("/")
    places = [page.text.index(f">{label}</label>") for label in labels]
    assert places == sorted(places)
    assert page.text.count("<textarea") == len(labels)
    assert "&lt;model&gt;" in page.text
    assert "a &lt;b&gt;</textarea>" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_files_are_served_and_no_other(client_of):
    client = client_of("chunk")
    for path in (
        "/answers.js",
        "/drawing.js",
        "/engine.js",
        "/page.js",
        "/answers.css",
        "/scores.css",
        "/app.css",
        "/style.css",
    ):
        assert client.get(path).status_code == 200, path
    for path in ("/app.js", "/answers.html", "/answers.py"):
        assert client.get(path).status_code == 404, path
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 400


@pytest.mark.parametrize(
    ("name", "given", "kind", "shown"),
    [
        ("mnli", {"text": "range <i>", "other": "group"}, "sequence_classification", {"text", "pair", "classes"}),
        ("chunk", {"text": "supp <i>", "other": ""}, "token_classification", {"text", "words", "windows"}),
        ("squad_answerable", {"text": "passage", "other": "<i>?"}, "question_answering", {"question", "answers"}),
    ],
)
def test_an_answer_comes_as_the_values_that_the_page_draws(client_of, name, given, kind, shown):
    answer = client_of(name).post("/api/answer", json=given).json()
    assert answer["kind"] == kind
    assert shown | {"note"} <= answer.keys()


@pytest.mark.parametrize(
    ("name", "given", "status", "said"),
    [
        ("mnli", {"text": " ", "other": ""}, 422, "the text is empty"),
        ("mnli", {"other": ""}, 400, "no text"),
        ("squad_answerable", {"text": "a", "other": " "}, 422, "there is no question"),
        ("squad_answerable", {"text": "a", "other": "value " * 99}, 422, "the question has 99 tokens"),
        ("chunk", {"text": "x" * 5_001, "other": ""}, 422, "5,001 characters"),
    ],
)
def test_what_cannot_be_answered_is_said_in_a_sentence(client_of, name, given, status, said):
    answer = client_of(name).post("/api/answer", json=given)
    assert answer.status_code == status
    assert said in answer.json()["error"]


def test_a_text_that_cannot_be_asked_leaves_the_others_of_its_batch_their_answers(client_of, monkeypatch):
    from electra_convert.demo.tasks import Asked
    from electra_convert.demo.web import answers
    from electra_convert.errors import TextError

    def ask(_, asked):
        if any(not one.text for one in asked):
            raise TextError("empty")
        return [one.text for one in asked]

    monkeypatch.setattr(LoadedModel, "ask", ask)
    first, second, third = answers._answered(object.__new__(LoadedModel), [Asked("a"), Asked(""), Asked("b")])
    assert (first, third) == ("a", "b")
    assert isinstance(second, TextError)


@pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium and chromedriver are not installed")
def test_what_is_typed_is_answered_in_a_browser_of_any_width_in_light_and_dark(browser, converted_tasks):
    def find(selector: str):
        return browser.find_element("css selector", selector)

    def paste(text: str) -> None:
        change = "input.value = arguments[0]; input.dispatchEvent(new Event('input', { bubbles: true }))"
        browser.execute_script(f"const input = document.getElementById('text'); {change}", text)

    look(browser)
    with served(converted_tasks["squadv1_independent"], "the value of it", "--question", "what") as (address, _):
        browser.get(address)
        until(browser, lambda: browser.find_elements("css selector", "#answers mark"))
        assert find("#text").get_attribute("value") == "the value of it"
        bars = "return document.querySelector('#answers rect').getBoundingClientRect().width"
        assert browser.execute_script(bars) > 0
        find("#other").clear()
        find("#other").send_keys("where is <i>purple</i>")
        assert find("#status").get_attribute("textContent")
        paste(" ")
        until(browser, lambda: not find("#answers").text)
        paste("x" * 5_001)
        until(browser, lambda: "5,001 characters" in find("#error").text)
        paste(f"value {'y' * 180} of it")
        until(browser, lambda: browser.find_elements("css selector", "#answers mark"))
        assert not find("#error").is_displayed()
        for size in (DESKTOP, PHONE):
            for scheme in ("light", "dark"):
                look(browser, size, scheme)
                root = "document.documentElement"
                assert browser.execute_script(f"return {root}.scrollWidth - {root}.clientWidth") == 0
    assert [entry for entry in browser.get_log("browser") if "/api/" not in entry["message"]] == []
