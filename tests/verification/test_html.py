"""The report's page in a real browser and in a notebook's cell: verdict and pictures, and no network."""

from __future__ import annotations

import re
from contextlib import nullcontext
from dataclasses import replace
from math import inf, nan

import pytest
from conftest import FIXTURES
from support.browser import CHROMIUM, DESKTOP, DRIVER, PHONE, look

from electra_convert import verify
from electra_convert.errors import OutputError
from electra_convert.pages import page_file
from electra_convert.verification.html import report_page
from electra_convert.verification.metrics import Figures
from electra_convert.verification.report import ParityReport, SideReport

pytestmark = pytest.mark.slow
needs_chromium = pytest.mark.skipif(CHROMIUM is None or DRIVER is None, reason="Chromium or its driver is missing")
# The labels of the pictures that do not lie within their picture.
CUT_OFF = """
return [...document.querySelectorAll("svg text")].filter(text => {
  const label = text.getBoundingClientRect(), picture = text.closest("svg").getBoundingClientRect();
  return label.left < picture.left || label.right > picture.right || label.top < picture.top
    || label.bottom > picture.bottom;
}).map(text => text.textContent);
"""


# The smallest of their letters, in pixels; and the elements that are wider than the page.
SMALLEST = """
return Math.min(...[...document.querySelectorAll("svg text")].map(text =>
  parseFloat(getComputedStyle(text).fontSize) * text.closest("svg").getScreenCTM().a));
"""
TOO_WIDE = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def report(reference_session, pairs) -> ParityReport:
    """The default checkpoint and its conversion, compared once."""
    with pytest.MonkeyPatch.context() as patch:
        session = "electra_convert.verification.verify.ReferenceSession"
        patch.setattr(session, lambda: nullcontext(reference_session))
        return verify(FIXTURES / "default", pairs["default"])


def with_outputs(report: ParityReport, **changes) -> ParityReport:
    """The report with something else about what its generator computes."""
    generator = report.models["generator"]
    outputs = replace(generator.outputs, **changes)
    return replace(report, models={**report.models, "generator": replace(generator, outputs=outputs)})


@needs_chromium
def test_a_browser_shows_the_verdict_the_tables_and_the_pictures(browser, report, tmp_path):
    report.to_html(tmp_path / "report.html")
    for size in (PHONE, DESKTOP, (1280, 900)):
        look(browser, size)
        browser.get((tmp_path / "report.html").as_uri())
        shown = browser.execute_script("return document.body.innerText")
        assert "Same model\nThe same discriminator and generator. All 85 weights are equal bit for bit" in shown
        assert shown.count("within the limit") == 8
        assert browser.title == "Same model: default"
        assert browser.execute_script("return document.querySelectorAll('figure svg').length") == 4
        assert browser.execute_script("return document.querySelectorAll('svg text').length") > 20
        assert browser.execute_script(CUT_OFF) == []
        assert browser.execute_script(SMALLEST) >= 11
        assert browser.execute_script(TOO_WIDE) == 0


@needs_chromium
def test_a_notebook_s_cell_shows_the_whole_page_and_keeps_its_own_styles(browser, report, tmp_path):
    notebook = f"<!doctype html><main><p>A notebook.</p>{report._repr_html_()}</main>"
    (tmp_path / "notebook.html").write_text(notebook, encoding="utf-8")
    browser.get((tmp_path / "notebook.html").as_uri())
    assert browser.execute_script("return getComputedStyle(document.querySelector('main')).maxWidth") == "none"
    browser.switch_to.frame(0)
    assert browser.execute_script("return document.querySelector('#verdict strong').innerText") == "Same model"
    browser.switch_to.default_content()


def test_a_report_is_short_to_print(report):
    told = "<ParityReport: same model, discriminator and generator of default against default>"
    assert repr(report) == told


def test_a_page_replaces_no_file_unless_it_is_told_to(report, tmp_path):
    (tmp_path / "report.html").write_text("mine")
    with pytest.raises(OutputError, match=r"report\.html already exists") as refused:
        report.to_html(tmp_path / "report.html")
    assert refused.value.hint == "Choose another name, or overwrite=True to replace it."
    assert (tmp_path / "report.html").read_text() == "mine"
    report.to_html(str(tmp_path / "report.html"), overwrite=True)
    assert (tmp_path / "report.html").read_text() == report_page(report)


def test_the_page_says_why_models_differ(report):
    stage = replace(report.models["generator"].outputs.stages[2], limit=0.0)
    text = report_page(with_outputs(report, stages=(stage,)))
    assert '<section class="verdict different" id="verdict"><strong>Not the same model</strong>' in text
    assert "<li>generator: the outputs part at layer 2: " in text
    assert '<td class="bad">beyond the limit</td>' in text
    assert '<td class="">layer 2 <b>the first beyond the limit</b></td>' in text
    assert ">layer 2 is the first beyond the limit</text>" in text


def test_only_the_first_stage_beyond_the_limit_is_marked_and_none_where_all_are_within(report):
    stages = report.models["generator"].outputs.stages
    faulty = tuple(replace(stage, limit=0.0) if number else stage for number, stage in enumerate(stages))
    text = report_page(with_outputs(report, stages=faulty))
    assert re.findall(r"([\w ]+) is the first beyond", text) == ["layer 1"]
    assert text.count('<tr class="first">') == 1
    assert "first beyond" not in report_page(report)


def test_the_page_has_a_title_above_its_verdict_and_both_paths(report):
    text = report_page(replace(report, candidate=SideReport("runs/7/candidate", "candidate", "safetensors")))
    assert text.index("</span> candidate against default</h1>") < text.index('id="verdict"')
    for path in (report.reference.path, "runs/7/candidate"):
        assert f'<span class="path">{path}</span>' in text


def test_the_page_loads_nothing_and_runs_nothing(report):
    text = report_page(report)
    assert "default-src 'none'" in text
    assert not re.search(r"<script|<link|<img|@import|url\(|https?://", text)


def test_the_page_says_what_the_rounding_itself_does(report):
    text = report_page(with_outputs(report, rounding={"logits": Figures(0.0123, 0.0, 0.0, 1.0)}))
    assert "<p>The rounding itself moves the logits by up to 0.012 (not part of the verdict).</p>" in text


def test_what_looks_like_markup_is_shown_as_it_is(report):
    batch = replace(report.batches[0], name="<script>alert(1)</script>", rows=("<img>",))
    marked = replace(report, candidate=SideReport("p", "<b>bold&", "torch"), batches=(batch,), notes=("<i>note</i>",))
    text = report_page(marked)
    for shown in ("&lt;b&gt;bold&amp;", "&lt;script&gt;alert(1)", "&lt;img&gt;", "&lt;i&gt;note&lt;/i&gt;"):
        assert shown in text
    assert not re.search("<script|<img|<i>note|<b>bold", text)


def test_numbers_that_are_none_do_not_break_the_pictures(report):
    outputs = report.models["generator"].outputs
    stages = tuple(
        replace(stage, figures=Figures(nan, nan, nan, nan), reference_error=inf) for stage in outputs.stages
    )
    nothing = tuple(nan for _ in outputs.sample.labels)
    text = report_page(with_outputs(report, stages=stages, sample=replace(outputs.sample, candidate=nothing)))
    assert "Not the same model" in text
    assert text.count("<svg") == 4
    assert not re.search(r'(cx|cy|y1|y2|points)="[^"]*(nan|inf)', text)


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
