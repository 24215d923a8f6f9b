"""The page without a server in a real browser: the tokens and probabilities of demo, and nothing asked elsewhere."""

from __future__ import annotations

import random
import re
from pathlib import Path

import numpy as np
import pytest
from support.browser import CHROMIUM, DESKTOP, DRIVER, PHONE, look, until
from support.command_line import run
from support.static_server import ISOLATED, static

from electra_convert import open_model
from electra_convert.errors import SourceError
from electra_convert.site.runtime import runtime_archive
from electra_convert.tokenizer.sentences import EXAMPLES

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium and chromedriver are not installed"),
]
# Latin, Cyrillic, Greek, Arabic, Hebrew, Devanagari, Han with kana, Hangul, Thai.
SCRIPTS = ("en de cs", "ru uk", "el", "ar fa", "he", "hi", "zh ja", "ko", "th")
EDGES = (
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
    except SourceError as error:
        pytest.skip(f"no network: {error.message}")


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


def ask(driver, name: str, **fields):
    """Ask the page's engine as the page does."""
    script = """
        const [name, fields, done] = arguments;
        import(new URL("engine.js", location)).then(({ ask }) => ask(name, fields)).then(done, (error) => done(`${error}`));"""
    return driver.execute_async_script(script, name, fields)


def cut(driver, texts: list[str]) -> list[list[list]]:
    """The pieces of texts, as the page's own tokenizer cuts them."""
    script = """
        const [texts, done] = arguments;
        const read = async (name) => (await fetch(`discriminator/${name}.json`)).json();
        const [{ WordPiece }, { Characters }, tokenizer, table] = await Promise.all([
          import(new URL("wordpiece.js", location)), import(new URL("characters.js", location)),
          read("tokenizer"), read("characters")]);
        const names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
        const wordpiece = new WordPiece(tokenizer, new Characters(table), names);
        done(texts.map((text) => wordpiece.encode(text).pieces.map(
          ({ text, id, start, end, word, special }) => [text, id, start, end, word, special])));"""
    return driver.execute_async_script(f"(async () => {{ {script.replace('arguments', '[...arguments]')} }})()", texts)


def test_two_hundred_texts_get_the_tokens_and_probabilities_of_demo(page, opened_discriminator):
    given = texts()
    expected = [opened_discriminator.encode(text) for text in given]
    names = ("text", "id", "start", "end", "word", "special")
    found = cut(page, given)
    for text, ours, theirs in zip(given, found, expected, strict=True):
        assert ours == [[getattr(piece, name) for name in names] for piece in theirs.pieces], text
    for text, scored in zip(given, opened_discriminator.score(given), strict=True):
        answer = ask(page, "score", text=text)
        for unit in ("token", "word"):
            marked = scored.marked(unit, 1.0)
            stretches = answer[f"{unit}s"]
            assert [one["text"] for one in stretches] == [one.text for one in marked.segments], text
            marks = [mark for one in stretches for mark in one["marks"]]
            places = [(mark["name"], mark["start"], mark["end"]) for mark in marks]
            assert places == [(mark.name, mark.start, mark.end) for mark in marked.marks], text
            probabilities = [[one["probability"] for one in marks], [one.probability for one in marked.marks]]
            np.testing.assert_allclose(*probabilities, rtol=0, atol=1e-4)
        assert answer["windows"] == scored.windows
