"""The page without a server in a real browser: the tokens and probabilities of demo, and nothing asked elsewhere."""

from __future__ import annotations

import json
import random
import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from support.browser import CHROMIUM, DESKTOP, DRIVER, PHONE, look, until
from support.command_line import run
from support.static_server import ISOLATED, static
from tokenizers import AddedToken, Tokenizer, normalizers, pre_tokenizers

from electra_convert import open_model
from electra_convert.demo.evaluation import MarkedText
from electra_convert.demo.tasks import Asked
from electra_convert.demo.text import encode
from electra_convert.errors import SourceError
from electra_convert.site import characters
from electra_convert.site.runtime import runtime_archive
from electra_convert.tokenizer.encode import TokenizerSettings, encode_tokenizer
from electra_convert.tokenizer.sentences import EXAMPLES
from electra_convert.tokenizer.vocabulary import SPECIAL_TOKENS, Vocabulary

LOOKS = [*((size, scheme) for size in (DESKTOP, PHONE) for scheme in ("light", "dark")), ((320, 640), "light")]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium and chromedriver are not installed"),
]
# Latin, Cyrillic, Greek, Arabic, Hebrew, Devanagari, Han with kana, Hangul, Thai.
SCRIPTS = ("en de cs", "ru uk", "el", "ar fa", "he", "hi", "zh ja", "ko", "th")
NAMES = ("text", "id", "start", "end", "word", "special")
EDGES = (
    "\u03c3\u03a3 \u03c2\u03a3 \u03a3\u03c3 a\u0301\u03a3",
    "\u0391\u0394\u0395\u039b\u03a6\u039f\u03a3 \u039f\u0394\u039f\u03a3\u0301. \u03a3 A\u00ad\u03a3x \u03a3\u03a3",
    "Caf\u00e9 e\u0301a\u00ad \u65e5\u672c \U0001f469\u200d\U0001f467! \u0130I\u0307",
    "[MASK] the [SEP][unk] [MASK]ed of it",
    "a\x00b\tc\u2028d\u3000e\u0085f\ufffdg\u200bh",
    "x" * 200 + " " + "y" * 201,
    "\ud55c\uae00 \u1112\u1161\u11ab",
    "don't re-use $5.00 (or \u00ab7\u00bb) ",
    "value " * 150,
)


def texts() -> list[str]:
    """Two hundred: words of the sentences of each script, in any order, with signs and capitals."""
    drawn = random.Random(7)
    made = list(EDGES)
    words = {
        script: [word for code in script.split() for one in EXAMPLES[code] for word in one.text.split()]
        for script in SCRIPTS
    }
    while len(made) < 200:
        some = [drawn.choice(words[drawn.choice(SCRIPTS)]) for _ in range(3)]
        own = drawn.choices(words[SCRIPTS[len(made) % len(SCRIPTS)]], k=drawn.randint(1, 12))
        changed = [drawn.choice((str, str.upper, str.title))(word) for word in [*own, *some[: drawn.randint(0, 3)]]]
        made.append(drawn.choice((" ", "  ", ", ", "-")).join(changed))
    return made


@pytest.fixture(scope="session")
def runtime() -> Path:
    """What the page runs its models with; downloaded from npm where it is not kept yet."""
    try:
        return runtime_archive()
    except SourceError:
        pytest.skip("npm's registry is not reachable")


@pytest.fixture(scope="module")
def site(golden_pair, runtime, tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("site") / "page"
    ran = run("convert", golden_pair, place, "--to", "web")
    assert ran.code == 0, ran.err
    return place


@pytest.fixture(scope="module")
def address(site):
    with static(site) as (address, _):
        yield address


@pytest.fixture
def page(browser, address):
    look(browser)
    browser.get(address)
    until(browser, lambda: tokens(browser))
    yield browser
    assert browser.get_log("browser") == []


def find(driver, selector: str):
    return driver.find_element("css selector", selector)


def tokens(driver) -> list:
    return driver.find_elements("css selector", "#scored .token")


def evaluate(driver, body: str, *given: object):
    """Run the body of an asynchronous function in the page, whose modules `load` gives."""
    script = """
        const done = arguments[arguments.length - 1];
        const given = Array.from(arguments).slice(0, -1);
        const load = (name) => import(new URL(name, location));
        (async () => { %s })().then((found) => done([true, found]), (error) => done([false, `${error}`]));"""
    succeeded, found = driver.execute_async_script(script % body, *given)
    assert succeeded, found
    return found


def ask(driver, name: str, **fields):
    """Ask the page's engine, as the page does."""
    return evaluate(driver, "return (await load('engine.js')).ask(...given)", name, fields)


def cut(driver, texts: list[str], definition: dict | None = None, table: dict | None = None) -> list[list[list]]:
    """The pieces of texts, as the page's own tokenizer cuts them, or another."""
    body = """
        const read = async (name) => (await fetch(`discriminator/${name}.json`)).json();
        const [{ WordPiece }, { Characters }] = [await load("wordpiece.js"), await load("characters.js")];
        const [texts, definition, table] = given;
        const characters = new Characters(table || await read("characters"));
        const names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
        const wordpiece = new WordPiece(definition || await read("tokenizer"), characters, names);
        return texts.map((text) => wordpiece.encode(text).pieces.map(
          ({ text, id, start, end, word, special }) => [text, id, start, end, word, special]));"""
    return evaluate(driver, body, texts, definition, table)


def test_two_hundred_texts_get_the_tokens_and_probabilities_of_demo(page, opened_discriminator):
    given = texts()
    for text, pieces in zip(given, cut(page, given), strict=True):
        expected = opened_discriminator.encode(text).pieces
        assert pieces == [[getattr(piece, name) for name in NAMES] for piece in expected], text
    asking = """
        const { ask } = await load("engine.js");
        const answers = [];
        for (const text of given[0]) answers.push(await ask("score", { text }));
        return answers;"""
    answers = evaluate(page, asking, given)
    for answer, scored in zip(answers, opened_discriminator.score(given), strict=True):
        assert answer["windows"] == scored.windows
        for unit in ("token", "word"):
            same_marks(answer[f"{unit}s"], scored.marked(unit, 1.0))


def same_marks(stretches: list[dict], expected: MarkedText) -> None:
    assert [one["text"] for one in stretches] == [one.text for one in expected.segments]
    marks = [mark for one in stretches for mark in one["marks"]]
    places = [(mark["name"], mark["start"], mark["end"]) for mark in marks]
    assert places == [(mark.name, mark.start, mark.end) for mark in expected.marks]
    probabilities = [[one["probability"] for one in marks], [one.probability for one in expected.marks]]
    np.testing.assert_allclose(*probabilities, rtol=0, atol=1e-4)


def test_every_character_of_unicode_is_cut_as_the_tokenizers_package_cuts_it(page, opened_discriminator):
    """Whatever version of Unicode the browser has; of the long rows of ideographs and syllables every 97th."""
    rows = {*range(0x3401, 0x4DBF), *range(0x4E01, 0x9FFF), *range(0xAC01, 0xD7A3), *range(0x20001, 0x323AF)}
    every = [*range(0xD800), *range(0xE000, 0x40000), *range(0xE0000, 0xE1000), 0x40000, 0xDFFFF, 0xF0000, 0x10FFFF]
    points = [point for point in every if point not in rows or point % 97 == 0]
    given = [" ".join(f"re{chr(point)}turn" for point in points[at : at + 500]) for at in range(0, len(points), 500)]
    tokenizer = opened_discriminator.tokenizer
    for text, pieces in zip(given, cut(page, given), strict=True):
        expected = tokenizer.encode(text, add_special_tokens=False)
        assert [piece[1] for piece in pieces] == expected.ids, hex(ord(text[2]))


def made(lower_case: bool, strip_accents: bool, ideographs: bool, steps_of_bert: bool = False) -> Tokenizer:
    """A tokenizer as convert makes it, or with the steps that transformers saves, and with tokens added to either."""
    pieces = "a b c \u00e4 A ##b ##a ##\u00e9 \u4e00 ##\u4e01 \u03c3 ##\u03c2 . - ##-".split()
    vocabulary = Vocabulary((*SPECIAL_TOKENS, *pieces), b"", Path("vocab.txt"))
    settings = TokenizerSettings(lower_case, strip_accents, ideographs)
    tokenizer = Tokenizer.from_str(encode_tokenizer(vocabulary, settings).decode())
    if steps_of_bert:
        tokenizer.normalizer = normalizers.BertNormalizer(True, ideographs, None, lower_case)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_tokens([AddedToken("ab-c", normalized=True), AddedToken("ab", normalized=False), AddedToken("abc")])
    return tokenizer


@pytest.mark.parametrize("steps_of_bert", [False, True])
@pytest.mark.parametrize(
    "settings", [(True, True, True), (True, False, True), (False, False, True), (True, True, False)]
)
def test_any_wordpiece_is_cut_as_the_tokenizers_package_cuts_it(page, monkeypatch, settings, steps_of_bert):
    letters = "aAbB\u00e4\u00c4e\u0301\u00e9\u4e00\u4e01\u03a3\u03c3\u00ad\u200d\t .,-\u2014'\x00\u01c5\u0130\u1e9e"
    monkeypatch.setattr(characters, "_TRIED", [sorted({*range(0x250), *map(ord, letters)})])
    tokenizer = made(*settings, steps_of_bert)
    drawn = random.Random(3)
    parts = [*letters, "AB-c", "ab", "abc", "[MASK]", "ab-C"]
    given = ["a" + "".join(drawn.choices(parts, k=drawn.randint(1, 14))) for _ in range(300)]
    table, special = characters.written_out(tokenizer, "it"), frozenset(SPECIAL_TOKENS)
    found = cut(page, given, json.loads(tokenizer.to_str()), table)
    for text, pieces in zip(given, found, strict=True):
        expected = encode(tokenizer, special, text).pieces
        assert pieces == [[getattr(piece, name) for name in NAMES] for piece in expected], text


def type_anew(driver, text: str, field: str = "input") -> None:
    """Set a text as a paste would."""
    script = """
        const field = document.getElementById(arguments[1]);
        field.value = arguments[0];
        field.dispatchEvent(new Event("input", { bubbles: true }));"""
    driver.execute_script(script, text, field)


def test_a_word_is_replaced_by_the_generator_that_is_loaded_when_it_is_needed(page, opened_generator):
    loaded = "return performance.getEntriesByType('resource').map((one) => one.name).join(' ')"
    text = "\U0001f469 the value of it"
    type_anew(page, text)
    until(page, lambda: "value" in find(page, "#scored").text)
    assert "generator/" not in page.execute_script(loaded)
    tokens(page)[2].send_keys("\ue007")
    until(page, lambda: len(page.find_elements("css selector", "#suggestions button")) == 8)
    shown = [one.text for one in page.find_elements("css selector", "#suggestions bdi")]
    assert shown == [one.piece for one in opened_generator.suggest(text, 6, 11, 8)]
    page.find_elements("css selector", "#suggestions button")[1].send_keys("\ue007")
    until(page, lambda: page.switch_to.active_element == tokens(page)[2])
    assert find(page, "#input").get_attribute("value") == f"\U0001f469 the {shown[1]} of it"


def test_a_suggestion_may_be_called_as_what_every_object_has(page):
    """The generator's vocabulary of 4: [MASK], constructor, toString, a continuation."""
    suggested = """
        const { suggest } = await load("scoring.js");
        const pieces = ["[MASK]", "constructor", "toString", "##s"];
        const encoded = { pieces: [{ text: "[MASK]", special: true, start: 0 }] };
        const network = { logits: { data: Float32Array.from([4, 3, 2, 1]), dims: [1, 1, 4] } };
        return suggest({
          settings: { special: { "[MASK]": 0 } }, tokenizer: { prefix: "##", name: (id) => pieces[id] },
          encode: () => encoded, windows: () => [{ start: 1, stop: 1, first: 0, last: 1 }],
          row: () => [], run: () => network,
        }, { text: "x", start: 0, end: 1 });"""
    assert [one["piece"] for one in evaluate(page, suggested)["words"]] == ["constructor", "toString"]


def test_an_escape_of_an_input_method_leaves_the_panel_open(page):
    tokens(page)[0].click()
    pressed = """
        document.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", isComposing: arguments[0] }));
        return panel.hidden;"""
    assert [page.execute_script(pressed, composing) for composing in (True, False)] == [False, True]


def test_nothing_is_asked_of_another_origin_and_nothing_can_be(page, address):
    names = page.execute_script("return performance.getEntriesByType('resource').map((one) => one.name)")
    assert names
    assert all(name.startswith((address, f"blob:{address}", "data:")) for name in names)
    with static(Path(__file__).parent) as (elsewhere, asked):
        ways = """
            const found = await fetch(given[0]).then(() => "fetched", () => "refused");
            const worker = new Worker(URL.createObjectURL(new Blob([
              `fetch("${given[0]}").then(() => postMessage("fetched"), () => postMessage("refused"))`])));
            return [found, await new Promise((resolve) => { worker.onmessage = ({ data }) => resolve(data); })];"""
        assert evaluate(page, ways, elsewhere) == ["refused", "refused"]
        assert asked == []
    page.get_log("browser")  # the refusals


def test_an_isolated_page_computes_the_same_with_several_threads(browser, site, opened_discriminator):
    look(browser)
    with static(site, ISOLATED) as (address, _):
        browser.get(address)
        until(browser, lambda: tokens(browser))
        assert browser.execute_script("return crossOriginIsolated")
        assert browser.execute_script("return loading.hidden && loaded.value === loaded.max && loaded.max > 14e6")
        text = "Return the purple value"
        same_marks(
            ask(browser, "score", text=text)["tokens"], opened_discriminator.score(text)[0].marked("token", 1.0)
        )
    assert browser.get_log("browser") == []


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_the_page_fits_its_window_in_light_and_dark(page, size, scheme):
    look(page, size, scheme)
    type_anew(page, "Return the value " + "x" * 190 + " of the \u05e9\u05dc\u05d5\u05dd attribute")
    until(page, lambda: "attribute" in find(page, "#scored").text)
    tokens(page)[2].click()
    assert page.execute_script("return document.documentElement.scrollWidth") <= size[0]
    background = page.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (int(re.findall(r"\d+", background)[0]) < 64) == (scheme == "dark")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a" * 5_001, "The text has 5,001 characters, expected at most 5,000."),
        ("\x00", "The text has nothing in it that the model could be given"),
        ("[SEP]", "The text has nothing to score: special tokens alone"),
    ],
)
def test_what_cannot_be_scored_is_said_in_a_sentence(page, text, said):
    type_anew(page, text)
    until(page, lambda: said in find(page, "#error").text)
    type_anew(page, "the value")
    until(page, lambda: not find(page, "#error").is_displayed())


def test_a_page_that_cannot_start_says_why(browser, site, address):
    look(browser)
    browser.get((site / "index.html").as_uri())
    until(browser, lambda: "opened as a file" in find(browser, "#unstarted").text)
    without = browser.execute_cdp_cmd(
        "Page.addScriptToEvaluateOnNewDocument", {"source": "delete globalThis.WebAssembly"}
    )
    try:
        browser.get(address)
        until(browser, lambda: "has no WebAssembly" in find(browser, "#error").text)
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", without)
    browser.get_log("browser")


def test_a_file_that_is_not_there_is_told_of_and_asked_for_again(browser, site):
    look(browser)
    graph = site / "discriminator" / "onnx" / "model.onnx"
    hidden = graph.with_name("hidden")
    graph.rename(hidden)
    try:
        with static(site) as (address, _):
            browser.get(address)
            until(browser, lambda: "model.onnx cannot be loaded" in find(browser, "#error").text)
            hidden.rename(graph)
            until(browser, lambda: tokens(browser))
            assert not find(browser, "#error").is_displayed()
    finally:
        if hidden.exists():
            hidden.rename(graph)
    browser.get_log("browser")


def test_a_server_that_is_gone_is_told_of_by_the_file_that_is_missed(browser, site):
    look(browser)
    with static(site) as (address, _):
        browser.get(address)
        until(browser, lambda: tokens(browser))
    tokens(browser)[0].click()
    until(browser, lambda: "does not answer" in find(browser, "#about-suggestions").text)
    assert (
        "Generator/onnx/model.onnx cannot be loaded: the server does not answer."
        in find(browser, "#about-suggestions").text
    )
    browser.get_log("browser")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("settings.json", "{", "settings.json is damaged"),
        ("discriminator/characters.json", "{", "characters.json has another size"),
    ],
)
def test_a_damaged_copy_is_told_of_and_nothing_more_is_loaded(browser, site, name, content, said):
    look(browser)
    place = site / name
    whole = place.read_bytes()
    place.write_text(content)
    try:
        with static(site) as (address, _):
            browser.get(address)
            until(browser, lambda: said in find(browser, "#error").text)
            browser.execute_async_script("setTimeout(arguments[0], 500)")
            assert "Trying again" not in find(browser, "#error").text
            assert not find(browser, "#loading").is_displayed()
    finally:
        place.write_bytes(whole)
    browser.get_log("browser")


ASKED = (
    ("mnli", "The value of the list is returned. " * 9, "Nothing is\u00e9 returned"),
    ("sst", "a film with a heart", ""),
    ("chunk", "Paris-based Ada, don't\u2019t [MASK] Lovelace's 3.5% rise (here)" + " and more of it" * 30, ""),
    ("squadv1_independent", "write all variables to the group, and clear the items. " * 12, "where is it?"),
)


@pytest.mark.parametrize(("name", "text", "other"), ASKED)
def test_a_fine_tuned_model_answers_as_demo_has_it(browser, converted_tasks, runtime, tmp_path, name, text, other):
    model = open_model(converted_tasks[name])
    assert run("convert", converted_tasks[name], tmp_path / "page", "--to", "web").code == 0
    look(browser, PHONE)
    with static(tmp_path / "page") as (address, _):
        browser.get(address)
        type_anew(browser, text, "text")
        if other:
            type_anew(browser, other, "other")
        until(browser, lambda: browser.find_elements("css selector", "#answers section"))
        answer = ask(browser, "answer", text=text, other=other)
        shown = find(browser, "#answers").text
        assert browser.execute_script("return document.documentElement.scrollWidth") <= PHONE[0]
    expected = model.ask([Asked(text, other or None)])[0]
    values = {"kind": model.head.name, "note": expected.note, **asdict(expected)}
    assert answer == approximately({key: value for key, value in values.items() if key in answer})
    assert (expected.note or "").removeprefix("longer") in shown
    assert browser.get_log("browser") == []


def approximately(value):
    """The same with its numbers within 1e-4."""
    if isinstance(value, dict):
        return {key: approximately(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [approximately(one) for one in value]
    return pytest.approx(value, abs=1e-4) if isinstance(value, float) else value
