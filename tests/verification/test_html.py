"""The report's page in a real browser: it opens without a network, shows the verdict and the pictures."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import FIXTURES
from support.browser import CHROMIUM, DESKTOP, DRIVER, PHONE, chromium, look
from support.pairs import change_weights

from electra_convert import convert, verify
from electra_convert.pages import page_file

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("shared_reference")]
# The labels of the pictures that do not lie within their picture.
CUT_OFF = """
return [...document.querySelectorAll("svg text")].filter(text => {
  const label = text.getBoundingClientRect(), picture = text.closest("svg").getBoundingClientRect();
  return label.left < picture.left || label.right > picture.right || label.top < picture.top
    || label.bottom > picture.bottom;
}).map(text => text.textContent);
"""
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def browser() -> str:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium is installed")
    return found


def opened(browser: str, page: Path, *options: str) -> str:
    """The document as the browser has it once it has been loaded."""
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={page.parent / 'profile'}"]
    command += [*options, "--dump-dom", page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


@pytest.fixture
def page(tmp_path):
    def write(report) -> Path:
        report.to_html(tmp_path / "report.html", overwrite=True)
        return tmp_path / "report.html"

    return write


def test_a_browser_shows_the_verdict_the_tables_and_the_pictures(browser, pairs, page):
    document = opened(browser, page(verify(FIXTURES / "default", pairs["default"])))
    verdict = re.search(r'<section class="verdict same" id="verdict"><strong>(.*?)</strong>(.*?)</section>', document)
    assert verdict[1] == "Same model"
    assert "All 85 weights are equal bit for bit" in verdict[2]
    assert document.count("<svg") == 4
    assert document.count("within the limit") == 8
    assert "<title>Same model: default</title>" in document


def test_a_browser_shows_why_models_differ(browser, pair_copy, page):
    pair = pair_copy()
    name = "electra.encoder.layer.1.output.dense.weight"
    change_weights(pair / "generator", lambda weights: weights.update({name: weights[name] * 1.5}))
    document = opened(browser, page(verify(FIXTURES / "default", pair)))
    assert '<section class="verdict different" id="verdict"><strong>Not the same model</strong>' in document
    assert f"<li>generator: 1 of 42 weights is not equal: {name} (" in document
    assert "<li>generator: the outputs part at layer 2" in document


def test_the_page_loads_nothing_and_runs_nothing(pairs, page):
    text = page(verify(FIXTURES / "default", pairs["default"])).read_text()
    assert "default-src 'none'" in text
    assert not re.search(r"<script|<link|<img|@import|url\(|https?://", text)


def test_the_page_says_what_the_rounding_itself_does(page, tmp_path):
    convert(FIXTURES / "default", tmp_path / "rounded", model="generator", dtype="bfloat16")
    text = page(verify(FIXTURES / "default", tmp_path / "rounded")).read_text()
    assert re.search(r"The rounding itself moves the logits by up to [\d.]+ \(not part of the verdict\)", text)


@pytest.mark.skipif(CHROMIUM is None or DRIVER is None, reason="Chromium or its driver is missing")
@pytest.mark.parametrize("size", [PHONE, DESKTOP])
def test_all_that_is_written_in_the_pictures_can_be_read(pairs, page, size):
    written = page(verify(FIXTURES / "default", pairs["default"]))
    with chromium() as driver:
        look(driver, size)
        driver.get(written.as_uri())
        cut = driver.execute_script(CUT_OFF)
        assert driver.execute_script("return document.querySelectorAll('svg text').length") > 20
    assert cut == []


def test_names_that_look_like_markup_are_shown_as_they_are(pairs, page, tmp_path):
    folder = tmp_path / "<b>bold&"
    shutil.copytree(pairs["default"], folder)
    text = page(verify(pairs["default"], folder, text="<script>alert(1)</script>")).read_text()
    assert "&lt;b&gt;bold&amp;" in text
    assert "<script" not in text


def test_numbers_that_are_none_do_not_break_the_pictures(pair_copy, page):
    pair = pair_copy()
    name = "discriminator_predictions.dense.bias"
    change_weights(pair / "discriminator", lambda weights: weights[name].fill(float("nan")))
    report = verify(FIXTURES / "default", pair / "discriminator")
    assert report.models["discriminator"].outputs.first_differing.name == "logits"
    assert "Not the same model" in page(report).read_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_ink_and_ground_stand_apart_in_either_scheme(scheme):
    styles = page_file("electra_convert.pages", "style.css") + page_file("electra_convert.verification", "report.css")
    roots = re.findall(r":root \{(.*?)\}", styles, re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", "".join(roots[scheme == "dark" :: 2])))
    for ink, ground in (
        ("ink", "page"),
        ("ink-soft", "page"),
        ("ink-soft", "surface"),
        ("good", "same-ground"),
        ("bad", "different-ground"),
        ("ink", "same-ground"),
        ("ink", "different-ground"),
        ("good", "page"),
        ("bad", "page"),
    ):
        assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
    for mark in ("first", "second", "third", "limit"):
        assert contrast(colours[mark], colours["surface"]) >= 3.0, mark


def contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
