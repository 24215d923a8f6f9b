"""The template: whatever a record or a name holds stands on the card as it is, and breaks nothing of it."""

from __future__ import annotations

import html
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from support.parity_records import write_parity, write_training

from electra_convert import write_card
from electra_convert.hub.card.template import as_cell, as_code, as_name, escaped, verbatim
from electra_convert.hub.card.writing import section_names

pytestmark = pytest.mark.slow

EVIL = "`x` | <script>alert(1)</script> <!-- /electra_convert:conversion --> \n\n# Evil [a](javascript:b) *c* ```"
FENCE = "\n```\n# Evil\n"
TEXTS = st.text(st.sampled_from("ab_*`|<>[]()#!\\-/ \n") | st.characters(codec="utf-8", exclude_categories=("C",)))


def shown(text: str) -> str:
    """A text on one line, as HTML has it."""
    return html.escape(" ".join(text.split()), quote=False)


def in_table(cell: str) -> str:
    """What a cell shows."""
    page = MarkdownIt("commonmark").enable("table").render(f"| {cell} | x |\n| --- | --- |\n")
    return page.partition("<th>")[2].partition("</th>")[0]


@pytest.mark.parametrize("text", ["a|b", "``a`", "`", "<b>", "a\nb", "# a", "[a](b)", "*a*", "\\", "_a_", "a_b"])
def test_cells_and_code_are_one_line_and_stay_themselves(text):
    assert in_table(escaped(text)) == shown(text)
    assert in_table(as_cell(as_code(text))) == f"<code>{shown(text)}</code>"


@given(st.from_regex(r"[A-Za-z0-9_.-]{1,8}(/[A-Za-z0-9_.-]{1,8})?", fullmatch=True))
def test_a_name_stays_itself_whether_it_had_to_be_escaped_or_not(name):
    assert in_table(as_name(name)) == name


def test_names_that_markdown_leaves_alone_are_not_escaped():
    assert as_name("alice/my_small-electra.v1") == "alice/my_small-electra.v1"


@given(TEXTS)
def test_what_is_markdown_already_is_not_escaped_again(text):
    assert escaped(escaped(text)) == escaped(text)


@given(TEXTS)
def test_nothing_opens_a_comment_or_a_line_of_its_own(text):
    for written in (escaped(text), as_name(text), as_code(text), verbatim(text)):
        assert "<!--" not in written
        assert len(written.splitlines()) <= 1


@given(st.text())
def test_nothing_steers_a_terminal_or_turns_the_direction_of_writing(text):
    for written in (escaped(text), as_name(text), as_code(text), verbatim(text)):
        assert all(letter.isprintable() or letter in "\u200c\u200d" for letter in written)
        assert len(written.splitlines()) <= 1


@pytest.mark.parametrize("text", ["~~a~~", "&lt;b&gt;", "@alice", "https://evil.example/a", "www.evil.example"])
def test_what_only_the_hub_makes_something_of_is_escaped_too(text):
    assert "\\" in escaped(text)
    assert in_table(escaped(text)) == shown(text)


MARKERS = st.lists(
    st.sampled_from(
        ["<!-- ", "<!--", "-->", "electra_convert:", "conversion", "a", "/", "<", "!", "--", " ", "\n", "`"]
    )
).map("".join)


@given(MARKERS)
def test_markers_within_a_text_are_none(text):
    for written in (escaped(text), as_name(text), as_code(text), verbatim(text)):
        assert section_names(f"<!-- electra_convert:x -->{written}<!-- /electra_convert:x -->", "README.md") == ["x"]


def test_a_marker_inside_a_marker_does_not_keep_a_card_from_being_written(generator):
    record = json.loads((generator / "conversion.json").read_text())
    record["source"]["name"] = "<!-- /electra_<!-- electra_convert:a -->convert:conversion -->"
    (generator / "conversion.json").write_text(json.dumps(record))
    text = write_card(generator)[0].text
    assert section_names(text, "README.md").count("conversion") == 1
    assert write_card(generator)[0].changed is False


@pytest.mark.parametrize(
    "name",
    ["x<img src=x onerror=alert(1)>[a](javascript:x)", "a\n---\nlicense: mit\n---\n# Evil", "\x1b[31ma\x1b]0;b\x07"],
)
def test_the_name_of_a_folder_is_plain_text_in_the_heading(generator, name):
    text = write_card(generator.rename(generator.with_name(name)))[0].text
    front, _, body = text.removeprefix("---\n").partition("\n---\n")
    assert "mit" not in front
    heading = MarkdownIt("commonmark", {"html": True}).render(body).partition("</h1>")[0].removeprefix("<h1>")
    assert "<" not in heading
    assert heading.isprintable()


def evil_conversion(folder) -> None:
    record = json.loads((folder / "conversion.json").read_text())
    evil = {
        "repository": EVIL,
        "commit": EVIL,
        "path": FENCE,
        "files": [{"name": EVIL, "size": EVIL, "sha256": EVIL}],
    }
    record |= {
        "source": {"format": EVIL, "name": EVIL},
        "provenance": evil,
        "tool": {"name": EVIL, "version": EVIL},
        "notices": [EVIL],
    }
    (folder / "conversion.json").write_text(json.dumps(record))
    write_parity(folder, summary=EVIL, notes=[EVIL], reference={"name": FENCE + EVIL, "format": EVIL})


def evil_training(folder) -> None:
    write_training(folder, **{EVIL: EVIL, "a": {FENCE: FENCE}})


@pytest.mark.parametrize("evil", [evil_conversion, evil_training])
def test_hostile_records_cannot_break_the_card(generator, evil):
    evil(generator)
    folder = generator.rename(generator.with_name("# Evil <script> *x*"))
    text = write_card(folder)[0].text
    page = MarkdownIt("commonmark", {"html": True}).enable("table").render(text.partition("---\n# ")[2])
    assert "<script" not in page
    assert "<h1>Evil" not in page
    assert 'javascript:b"' not in page
    assert "<em>" not in page
    assert "verification" in section_names(text, "README.md")
