"""What displays are made of: stretches that make up the text, lines that nothing steers, pages that load nothing."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from electra_convert.demo.evaluation import Evaluation, Truth
from electra_convert.demo.html import report_page
from electra_convert.demo.results import LEVELS, Judged, Report, level, marks, report_fields, segments
from electra_convert.demo.scoring import ScoredText, Token
from electra_convert.demo.terminal import evaluation_lines, outcome_line, sentence_line, table_lines, visible
from electra_convert.pages import page_file

# Written from right to left.
HEBREW = "\u05e9\u05dc\u05d5\u05dd"


def judged(text: str, *tokens: tuple[str, int, int, float, int], replaced: tuple[bool, ...] | None = None) -> Judged:
    """A text with tokens given as piece, start, end, probability and word."""
    made = tuple(Token(piece, text[a:b], a, b, value, word) for piece, a, b, value, word in tokens)
    return Judged(ScoredText(text, made, (), 1), None if replaced is None else Truth(replaced))


FOX = judged(
    "The fox,\tfaked",
    ("the", 0, 3, 0.1, 0),
    ("fox", 4, 7, 0.2, 1),
    (",", 7, 8, 0.5, 2),
    ("fake", 9, 13, 0.95, 3),
    ("##d", 13, 14, 0.4, 3),
    replaced=(False, True, False, True, True),
)


def report(one: Judged, unit="token", threshold=0.5) -> Report:
    return Report("model", threshold, unit, (one,), None)


@given(st.integers(0, 30), st.lists(st.tuples(st.integers(0, 30), st.integers(0, 6)), max_size=12))
def test_segments_make_up_the_whole_text_and_hold_every_mark_once(length, places):
    text = "".join(chr(97 + index % 26) for index in range(length))
    spans = sorted((min(start, length), min(start + width, length)) for start, width in places)
    one = judged(text, *(("x", a, b, 0.5, index) for index, (a, b) in enumerate(spans)))
    shown = marks(one, "token", 0.5)
    found = segments(text, shown)
    assert "".join(segment.text for segment in found) == text
    assert [mark for segment in found for mark in segment.marks] == list(shown)


def test_a_word_is_as_likely_replaced_as_the_most_suspicious_of_its_tokens():
    shown = marks(FOX, "word", 0.5)
    assert [(mark.name, mark.probability) for mark in shown] == [
        ("The", 0.1),
        ("fox", 0.2),
        (",", 0.5),
        ("faked", 0.95),
    ]
    assert [mark.outcome for mark in shown] == ["passed", "miss", "passed", "hit"]


def test_a_probability_at_the_threshold_is_not_above_it():
    assert [mark.called for mark in marks(FOX, "token", 0.5)] == [False, False, False, True, False]


@pytest.mark.parametrize(("value", "step"), [(0.0, 0), (0.1999, 0), (0.2, 1), (0.5, 2), (0.8, 4), (1.0, LEVELS - 1)])
def test_the_scale_has_equal_steps(value, step):
    assert level(value) == step


# In a terminal


def test_without_colour_brackets_tell_what_was_called_and_what_was_missed():
    assert sentence_line(FOX, report(FOX), colour=False) == "The ((fox)), [[fake]]((d))"
    assert sentence_line(FOX, report(FOX, "word"), colour=False) == "The ((fox)), [[faked]]"


def test_colour_adds_nothing_but_colour():
    coloured = sentence_line(FOX, report(FOX), colour=True)
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == sentence_line(FOX, report(FOX), colour=False)
    assert coloured.count("\x1b[0m") == coloured.count("\x1b[38;5;16;48;5;") == 4


@pytest.mark.parametrize(("columns", "cells"), [(200, 20), (66, 20), (56, 10), (40, 4), (1, 4)])
@pytest.mark.parametrize("smooth", [False, True])
def test_the_columns_of_a_table_line_up_whatever_the_script_and_the_terminal(smooth, columns, cells):
    one = judged(
        f"日本{HEBREW}e\u0301a",
        ("日", 0, 1, 0.0, 0), ("本", 1, 2, 0.337, 1), (HEBREW, 2, 6, 0.5, 2), ("e", 6, 8, 0.51, 3),
        ("a", 8, 9, 1.0, 4), replaced=(True, False, False, True, False),
    )  # fmt: skip
    lines = table_lines(one, report(one), smooth, columns)
    row = rf"  (\d\.\d{{3}})  (.{{{cells}}})  (original|replaced)  (.{{11}})  (\S+)"
    fields = [re.fullmatch(row, line) for line in lines]
    assert [match[5] for match in fields if match] == ["日", "本", HEBREW, "e", "a"]
    assert [match[4].strip() for match in fields if match] == ["miss", "", "", "hit", "false alarm"]


def test_outcomes_are_counted():
    assert outcome_line(FOX, report(FOX)) == (
        "  Replaced: 3 of 5 tokens. Noticed: 1; missed, in (( )): 2; false alarms: 0."
    )


def test_a_figure_without_a_meaning_is_no_number():
    lines = evaluation_lines(Evaluation(4, 0, 0.75, 0.0, None, None), 0.5)
    assert lines == [
        "0 of 4 tokens replaced, threshold 0.5",
        "  accuracy   0.750",
        "  precision  0.000",
        "  recall     -",
        "  auc        -",
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\tc\u2028d", "a b c d"),
        ("a\x1b[31mb\x07", r"a\x1b[31mb\x07"),
        ("a\u202eb\u2066", r"a\u202eb\u2066"),
        ("👩\u200d👧 می\u200cخو", "👩\u200d👧 می\u200cخو"),
        ("\ud800", r"\ud800"),
    ],
)
def test_nothing_in_a_text_steers_the_terminal(text, shown):
    assert visible(text) == shown


def test_json_says_everything_of_tokens_and_words():
    fields = report_fields(report(FOX, "word"))["texts"][0]
    assert fields["text"] == "The fox,\tfaked"
    assert fields["tokens"][3] == {
        "piece": "fake", "text": "fake", "start": 9, "end": 13, "probability": 0.95, "replaced": True,
        "outcome": "hit",
    }  # fmt: skip
    assert fields["words"][3]["text"] == "faked"


# As a page


@pytest.mark.parametrize("unit", ["token", "word"])
def test_a_page_holds_the_text_escaped_and_loads_nothing(unit):
    text = "<script>alert(1)</script> & \"'"
    one = judged(text, ("<script>", 0, 8, 0.9, 0), ("&", 26, 27, 0.1, 1))
    page = report_page(report(one, unit))
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "&amp;" in page
    assert not re.findall(r"(?:src|href)=|url\(|@import|https?:", page)
    assert "default-src 'none'" in page


def test_a_page_says_in_words_what_it_shows_in_colours():
    page = report_page(report(replace(FOX, before={1: "cat"})))
    assert page.count('tabindex="0"') == 5
    assert "(replaced, hit)" in page
    assert "(original, miss, was cat)" in page
    assert "0.200, miss\nwas cat</span>" in page
    assert "<summary>All 5 tokens</summary>" in page


def luminance(colour: str) -> float:
    channels = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_on_every_colour(scheme):
    light, dark = page_file("electra_convert.pages", "style.css").split("@media (prefers-color-scheme: dark)")
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", light))
    if scheme == "dark":
        colours |= dict(re.findall(r"--([\w-]+): (#\w{6})", dark.partition("* {")[0]))
    pairs = [("ink", f"level-{step}") for step in range(1, LEVELS)]
    pairs += [(ink, ground) for ink in ("ink", "ink-soft", "bad", "good", "accent") for ground in ("page", "surface")]
    for ink, ground in [*pairs, ("on-accent", "accent")]:
        assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
