"""What displays are made of: stretches that make up the text, lines that nothing steers, pages that load nothing."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from electra_convert.cli.demo_printing import text_fields
from electra_convert.demo.evaluation import LEVELS, Evaluation, Mark, MarkedText, evaluate
from electra_convert.demo.html import scores_page
from electra_convert.demo.scoring import ScoredText, Token
from electra_convert.demo.terminal import evaluation_lines, outcome_line, sentence_line, table_lines, visible
from electra_convert.pages import page_file

# Written from right to left.
HEBREW = "\u05e9\u05dc\u05d5\u05dd"


def scored(
    text: str, *tokens: tuple[str, int, int, float, int], replaced: tuple[bool | None, ...] = ()
) -> ScoredText:
    """A text with tokens given as piece, start, end, probability and word."""
    known = replaced or (None,) * len(tokens)
    return ScoredText(
        text,
        tuple(
            Token(piece, text[a:b], a, b, value, word, new)
            for (piece, a, b, value, word), new in zip(tokens, known, strict=True)
        ),
    )


FOX = scored(
    "The fox,\tfaked",
    ("the", 0, 3, 0.1, 0),
    ("fox", 4, 7, 0.2, 1),
    (",", 7, 8, 0.5, 2),
    ("fake", 9, 13, 0.95, 3),
    ("##d", 13, 14, 0.4, 3),
    replaced=(False, True, False, True, True),
)


@given(st.integers(0, 30), st.lists(st.tuples(st.integers(0, 30), st.integers(0, 6)), max_size=12))
def test_segments_make_up_the_whole_text_and_hold_every_mark_once(length, places):
    text = "".join(chr(97 + index % 26) for index in range(length))
    spans = sorted((min(start, length), min(start + width, length)) for start, width in places)
    marked = scored(text, *(("x", a, b, 0.5, index) for index, (a, b) in enumerate(spans))).marked()
    assert "".join(segment.text for segment in marked.segments) == text
    assert [mark for segment in marked.segments for mark in segment.marks] == list(marked.marks)


def test_a_word_is_as_likely_replaced_as_the_most_suspicious_of_its_tokens():
    shown = FOX.marked("word").marks
    assert [(mark.name, mark.probability) for mark in shown] == [
        ("The", 0.1),
        ("fox", 0.2),
        (",", 0.5),
        ("faked", 0.95),
    ]
    assert [mark.outcome for mark in shown] == ["passed", "miss", "passed", "hit"]


def test_a_probability_at_the_threshold_is_not_above_it():
    assert [mark.called for mark in FOX.marked().marks] == [False, False, False, True, False]


@pytest.mark.parametrize(("value", "step"), [(0.0, 0), (0.1999, 0), (0.2, 1), (0.5, 2), (0.8, 4), (1.0, LEVELS - 1)])
def test_the_scale_has_equal_steps(value, step):
    assert Mark("a", 0, 1, value, False, None, None).level == step


@pytest.mark.parametrize(
    ("called", "replaced", "name"),
    [(True, True, "hit"), (False, True, "miss"), (True, False, "false alarm"), (False, False, "passed")],
)
def test_outcomes_have_their_names(called, replaced, name):
    assert Mark("a", 0, 1, 0.5, called, replaced, None).outcome == name


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), st.booleans()), max_size=12),
    st.sampled_from([0.0, 0.5, 0.6]),
)
def test_the_figures_are_what_their_definitions_say(pairs, threshold):
    marks = [Mark("a", 0, 1, p, p > threshold, r, None) for p, r in pairs]
    found = evaluate([MarkedText("a", "token", (mark,), 1) for mark in marks])
    hits = sum(p > threshold and r for p, r in pairs)
    called = sum(p > threshold for p, _ in pairs)
    positive = [p for p, r in pairs if r]
    negative = [p for p, r in pairs if not r]
    right = sum((p > threshold) == r for p, r in pairs)
    assert (found.tokens, found.replaced) == (len(pairs), len(positive))
    assert found.accuracy == (right / len(pairs) if pairs else None)
    assert found.precision == (hits / called if called else None)
    assert found.recall == (hits / len(positive) if positive else None)
    wins = [1.0 if p > n else 0.5 if p == n else 0.0 for p, n in product(positive, negative)]
    assert found.auc == (pytest.approx(sum(wins) / len(wins)) if wins else None)


# In a terminal


def test_without_colour_brackets_tell_what_was_called_and_what_was_missed():
    assert sentence_line(FOX.marked(), colour=False) == "The ((fox)), [[fake]]((d))"
    assert sentence_line(FOX.marked("word"), colour=False) == "The ((fox)), [[faked]]"


def test_colour_adds_nothing_but_colour():
    coloured = sentence_line(FOX.marked(), colour=True)
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == sentence_line(FOX.marked(), colour=False)
    assert coloured.count("\x1b[0m") == coloured.count("\x1b[38;5;16;48;5;") == 4


@pytest.mark.parametrize(("columns", "cells"), [(200, 20), (66, 20), (56, 10), (40, 4), (1, 4)])
@pytest.mark.parametrize("smooth", [False, True])
def test_the_columns_of_a_table_line_up_whatever_the_script_and_the_terminal(smooth, columns, cells):
    one = scored(
        f"日本{HEBREW}e\u0301a",
        ("日", 0, 1, 0.0, 0), ("本", 1, 2, 0.337, 1), (HEBREW, 2, 6, 0.5, 2), ("e", 6, 8, 0.51, 3),
        ("a", 8, 9, 1.0, 4), replaced=(True, False, False, True, False),
    )  # fmt: skip
    lines = table_lines(one.marked(), smooth, columns)
    row = rf"  (\d\.\d{{3}})  (.{{{cells}}})  (original|replaced)  (.{{11}})  (\S+)"
    fields = [re.fullmatch(row, line) for line in lines]
    assert [match[5] for match in fields if match] == ["日", "本", HEBREW, "e", "a"]
    assert [match[4].strip() for match in fields if match] == ["miss", "", "", "hit", "false alarm"]


def test_outcomes_are_counted():
    assert outcome_line(FOX.marked()) == (
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
    fields = text_fields(FOX, 0.5)
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
    one = scored(text, ("<script>", 0, 8, 0.9, 0), ("&", 26, 27, 0.1, 1))
    page = scores_page([one.marked(unit)], 0.5, "<model>")
    assert "&lt;model&gt;" in page
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "&amp;" in page
    assert not re.findall(r"(?:src|href)=|url\(|@import|https?:", page)
    assert "default-src 'none'" in page


def test_a_page_says_in_words_what_it_shows_in_colours():
    tokens = [replace(token, before="cat") if token.text == "fox" else token for token in FOX.tokens]
    page = scores_page([replace(FOX, tokens=tuple(tokens)).marked()], 0.5)
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
