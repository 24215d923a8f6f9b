"""The pages in a real browser: typing, replacing a word, a text too long, a server that goes away, phone and dark."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from support.browser import CHROMIUM, DESKTOP, DRIVER, PHONE, look, served, until
from support.command_line import run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium and chromedriver are not installed"),
]
LOOKS = [(size, scheme) for size in (DESKTOP, PHONE) for scheme in ("light", "dark")]


@pytest.fixture(scope="module")
def address(golden_pair):
    with served(golden_pair, "--threshold", "0.1234") as (address, _):
        yield address


@pytest.fixture
def page(browser, address):
    look(browser)
    browser.get(address)
    until(browser, lambda: tokens(browser))
    yield browser
    assert [entry for entry in browser.get_log("browser") if "/api/" not in entry["message"]] == []


def find(driver, selector: str):
    return driver.find_element("css selector", selector)


def tokens(driver) -> list:
    return driver.find_elements("css selector", "#scored .token")


def scored(driver) -> str:
    """The text on the page, without what only screen readers and pointers are told."""
    script = """
        const copy = document.getElementById("scored").cloneNode(true);
        copy.querySelectorAll(".tip, .unseen").forEach((part) => part.remove());
        return copy.textContent;"""
    return driver.execute_script(script)


def type_anew(driver, text: str) -> None:
    """Set a text as a paste would; selenium cannot type what lies beyond the first 65,536 characters of Unicode."""
    script = """
        const input = document.getElementById("input");
        input.value = arguments[0];
        input.dispatchEvent(new Event("input", { bubbles: true }));"""
    driver.execute_script(script, text)


def test_a_sentence_is_scored_while_it_is_typed(page):
    field = find(page, "#input")
    field.clear()
    field.send_keys("Return the value")
    until(page, lambda: scored(page) == "Return the value")
    field.send_keys(" of the purple attribute")
    until(page, lambda: scored(page) == "Return the value of the purple attribute")
    assert re.fullmatch(r"\d+ of 9 tokens called replaced\..*", find(page, "#status").text)


def test_an_example_is_scored_when_it_is_clicked(page):
    example = page.find_elements("css selector", "#examples button")[1]
    example.click()
    until(page, lambda: scored(page) == example.text)


def test_where_nothing_is_called_replaced_the_most_suspicious_word_is_named(page):
    type_anew(page, "Return the purple value")
    until(page, lambda: scored(page) == "Return the purple value")
    page.execute_script(
        "const range = document.getElementById('threshold');range.value = 1; range.dispatchEvent(new Event('input'));"
    )
    told = find(page, "#status").text.replace("\u2068", "").replace("\u2069", "")
    assert re.fullmatch(
        r"0 of \d+ tokens called replaced\. The most suspicious word is “purple”, at 0\.\d{3}\.", told
    )


def test_an_empty_field_is_no_error(page):
    type_anew(page, "  ")
    until(page, lambda: find(page, "#status").text == "Type a sentence.")
    assert not find(page, "#error").is_displayed()


@pytest.mark.parametrize(
    "text",
    [
        "Caf\u00e9 e\u0301a\u00ad \u65e5\u672c \U0001f469\u200d\U0001f467!",
        "\u05e9\u05dc\u05d5\u05dd the \u0645\u0631",
        "<b>&amp;</b>",
        "a\n\n b",
    ],
)
def test_any_text_is_shown_as_it_is(page, text):
    type_anew(page, text)
    until(page, lambda: scored(page) == text)


def test_words_are_shown_instead_of_tokens_and_the_threshold_moves(page):
    type_anew(page, "purple")
    until(page, lambda: scored(page) == "purple")
    assert len(tokens(page)) == 3
    find(page, "input[value=words]").click()
    assert len(tokens(page)) == 1
    page.execute_script(
        "const range = document.getElementById('threshold');range.value = 0; range.dispatchEvent(new Event('input'));"
    )
    assert find(page, "#status").text == "1 of 1 words called replaced."
    assert "called" in tokens(page)[0].get_attribute("class")


def test_a_word_is_replaced_by_a_suggestion_and_by_ones_own_and_back(page):
    text = "\U0001f469 the value of it"
    type_anew(page, text)
    until(page, lambda: scored(page) == text)
    tokens(page)[2].click()
    assert find(page, "#panel-title").text == "Replace “value”"
    until(page, lambda: len(page.find_elements("css selector", "#suggestions button")) == 8)
    suggestion = find(page, "#suggestions button")
    word = suggestion.find_element("css selector", "bdi").text
    suggestion.click()
    until(page, lambda: scored(page) == f"\U0001f469 the {word} of it")
    # The discriminator's reaction is what is to be seen: the new word has the focus, and so shows its number.
    until(page, lambda: page.switch_to.active_element == tokens(page)[2])
    assert tokens(page)[2].find_element("css selector", ".tip").is_displayed()
    tokens(page)[2].send_keys("\ue007")
    find(page, "#own-word").send_keys("banana\ue007")
    until(page, lambda: scored(page) == "\U0001f469 the banana of it")
    find(page, "#undo").click()
    find(page, "#undo").click()
    until(page, lambda: scored(page) == text)
    assert not find(page, "#undo").is_enabled()


def test_what_was_typed_after_a_replacement_is_not_undone_with_it(page):
    type_anew(page, "the value of it")
    until(page, lambda: scored(page) == "the value of it")
    tokens(page)[1].click()
    find(page, "#own-word").send_keys("banana\ue007")
    until(page, lambda: scored(page) == "the banana of it")
    assert find(page, "#undo").is_displayed()
    find(page, "#input").send_keys(" and more")
    until(page, lambda: scored(page) == "the banana of it and more")
    assert not find(page, "#undo").is_displayed()


def test_all_pieces_of_the_word_to_be_replaced_are_marked_until_it_is_left(page):
    type_anew(page, "the purple of it")
    until(page, lambda: scored(page) == "the purple of it")

    def chosen() -> list[str]:
        return [part.text for part in page.find_elements("css selector", "#scored .chosen")]

    tokens(page)[2].click()
    assert find(page, "#panel-title").text == "Replace “purple”"
    assert "".join(part.split("\n")[0] for part in chosen()).startswith("pur")
    assert len(chosen()) == 3
    find(page, "input[value=words]").click()
    assert len(chosen()) == 1
    find(page, "#close").click()
    assert chosen() == []


def test_the_panel_is_left_with_escape_and_the_word_has_the_focus_again(page):
    tokens(page)[1].send_keys(" ")
    assert page.switch_to.active_element == find(page, "#panel-title")
    page.switch_to.active_element.send_keys("\ue00c")
    assert not find(page, "#panel").is_displayed()
    assert page.switch_to.active_element == tokens(page)[1]


def test_suggestions_for_a_word_that_was_left_come_too_late(page):
    type_anew(page, "the value of it")
    until(page, lambda: scored(page) == "the value of it")
    page.execute_script("""
        const real = window.fetch;
        let first = true;
        window.fetch = async (url, options) => {
          const answer = await real(url, options);
          if (!url.endsWith("suggest") || !first) return answer;
          first = false;
          await new Promise((resolve) => setTimeout(resolve, 600));
          return new Response(JSON.stringify({ words: [{ piece: "late", probability: 1 }] }));
        };""")
    tokens(page)[0].click()
    tokens(page)[1].click()
    until(page, lambda: len(page.find_elements("css selector", "#suggestions button")) == 8)
    time.sleep(0.8)
    assert find(page, "#panel-title").text == "Replace “value”"
    assert len(page.find_elements("css selector", "#suggestions button")) == 8


def test_the_number_is_shown_on_focus(page):
    first = tokens(page)[0]
    assert not first.find_element("css selector", ".tip").is_displayed()
    page.execute_script("arguments[0].focus()", first)
    assert re.fullmatch(r"[01]\.\d{3}", first.find_element("css selector", ".tip").text)


@pytest.mark.parametrize("length", [5_001, 200_000])
def test_a_text_that_is_too_long_is_told_of_and_a_shorter_one_is_scored_again(page, length):
    type_anew(page, "a" * length)
    until(page, lambda: "characters" in find(page, "#error").text)
    assert "Traceback" not in find(page, "body").text
    type_anew(page, "the value")
    until(page, lambda: scored(page) == "the value")
    assert not find(page, "#error").is_displayed()


def test_a_text_longer_than_the_model_says_that_it_was_scored_in_windows(page):
    type_anew(page, "value " * 400)
    until(page, lambda: "overlapping windows" in find(page, "#status").text)


def test_only_what_was_typed_last_is_shown(page):
    for number in range(40):
        type_anew(page, f"value {number}")
        time.sleep(0.01)
    until(page, lambda: scored(page) == "value 39")


def test_a_server_that_goes_away_is_told_of_and_found_again(browser, golden_pair):
    look(browser)
    with served(golden_pair) as (address, _):
        browser.get(address)
        until(browser, lambda: tokens(browser))
        port = address.rsplit(":", 1)[1].strip("/")
    type_anew(browser, "the value of")
    until(browser, lambda: "does not answer" in find(browser, "#error").text)
    other = golden_pair / "discriminator"
    with served(other, "--port", port):
        until(browser, lambda: scored(browser) == "the value of")
        assert not find(browser, "#error").is_displayed()
        # The model may be another one by then, and without a generator.
        assert find(browser, "#model").text == "discriminator"
        tokens(browser)[1].click()
        assert "There is no generator" in find(browser, "#about-suggestions").text
    browser.get_log("browser")


def test_a_server_that_has_too_much_to_do_is_asked_again(page):
    page.execute_script("""
        const real = window.fetch;
        let refused = false;
        window.fetch = async (url, options) => {
          if (refused || !url.endsWith("score")) return real(url, options);
          refused = true;
          return new Response('{"error": "Too many requests are waiting."}', { status: 503 });
        };""")
    type_anew(page, "the value of it")
    until(page, lambda: "too much to do. Trying again" in find(page, "#error").text)
    until(page, lambda: scored(page) == "the value of it")
    assert not find(page, "#error").is_displayed()


def test_a_threshold_finer_than_the_slider_is_kept(page):
    assert find(page, "#threshold-value").text == "0.1234"


def overflowing(driver) -> int:
    return driver.execute_script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_the_page_fits_its_window_in_light_and_dark(page, size, scheme):
    look(page, size, scheme)
    type_anew(page, "Return the value " + "x" * 190 + " of the \u65e5\u672c attribute")
    until(page, lambda: "attribute" in scored(page))
    tokens(page)[2].click()
    page.execute_script("document.querySelector('details').open = true")
    assert overflowing(page) == 0
    background = page.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (int(re.findall(r"\d+", background)[0]) < 64) == (scheme == "dark")


@pytest.fixture(scope="module")
def saved(golden_pair, tmp_path_factory) -> Path:
    """A page of demo --html."""
    page = tmp_path_factory.mktemp("saved") / "page.html"
    text = "Return the value of " + "y" * 180 + " \u05e9\u05dc\u05d5\u05dd attribute"
    assert run("demo", golden_pair, text, "--corrupt", "50%", "--html", page, "-q").code == 0
    return page


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_a_saved_page_fits_its_window_and_asks_for_nothing(browser, saved, size, scheme):
    look(browser, size, scheme)
    browser.get(saved.as_uri())
    browser.execute_script("document.querySelector('details').open = true")
    assert overflowing(browser) == 0
    first = find(browser, ".token")
    browser.execute_script("arguments[0].focus()", first)
    assert first.find_element("css selector", ".tip").is_displayed()
    assert browser.get_log("browser") == []
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0


def test_a_notebook_shows_a_scored_text_in_a_frame_of_its_own(browser, opened_discriminator, tmp_path):
    notebook = tmp_path / "notebook.html"
    frame = opened_discriminator.score('a "purple" <b>value</b>')._repr_html_()
    notebook.write_text(f"<!doctype html><meta charset=utf-8><style>p {{ color: rgb(1, 2, 3) }}</style>{frame}")
    look(browser)
    browser.get(notebook.as_uri())
    browser.switch_to.frame(find(browser, "iframe"))
    shown = find(browser, "p.text")
    assert browser.execute_script(
        "arguments[0].querySelectorAll('.tip, .unseen').forEach((part) => part.remove());"
        "return arguments[0].textContent", shown
    ) == 'a "purple" <b>value</b>'  # fmt: skip
    assert shown.value_of_css_property("color") != "rgba(1, 2, 3, 1)"
    browser.switch_to.default_content()
    assert browser.get_log("browser") == []


def test_numbers_are_made_when_somebody_looks_and_a_threshold_draws_nothing_anew(page):
    type_anew(page, "Return the value")
    until(page, lambda: "value" in scored(page))
    rows = "return document.querySelectorAll('#numbers tr').length"
    assert page.execute_script(rows) == 0
    page.execute_script("document.querySelector('details').open = true")
    until(page, lambda: page.execute_script(rows) == 3)
    first = tokens(page)[0]
    for value, called in (("0", 3), ("1", 0)):
        page.execute_script(
            "const t = document.getElementById('threshold'); t.value = arguments[0];"
            "t.dispatchEvent(new Event('input'))",
            value,
        )
        assert len(page.find_elements("css selector", "#scored .called")) == called
        assert len(page.find_elements("css selector", "#numbers strong")) == called
    assert first == tokens(page)[0]
