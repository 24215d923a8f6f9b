"""Words as their writer parts them, what a tag names, and how answers are shown; no model is run."""

from __future__ import annotations

import re
from functools import cache

import pytest
from conftest import FIXTURES
from hypothesis import given
from hypothesis import strategies as st
from test_demo_evaluation import contrast
from tokenizers import Tokenizer

from electra_convert.demo.tasks import TASKS, answers_page
from electra_convert.demo.tasks.question_answering import Found, Reading
from electra_convert.demo.tasks.regression import Number
from electra_convert.demo.tasks.sequence_classification import Class, Classification
from electra_convert.demo.tasks.token_classification import COLOURS, TaggedWord, Tagging, kind_of, words_of
from electra_convert.demo.text import encode
from electra_convert.pages import page_file
from electra_convert.schemes.heads import HEADS, PRETRAINING
from electra_convert.tokenizer import SPECIAL_TOKENS, TokenizerSettings, encode_tokenizer, read_vocabulary


@cache
def tokenizer() -> Tokenizer:
    made = encode_tokenizer(read_vocabulary(FIXTURES / "vocab.txt"), TokenizerSettings(True, True))
    return Tokenizer.from_buffer(made)


def words(text: str) -> list[str]:
    encoded = encode(tokenizer(), frozenset(SPECIAL_TOKENS), text)
    return [text[word.start : word.end] for word in words_of(encoded)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the value", ["the", "value"]),
        ("Paris-based, (in) the U.S. don't!", ["Paris-based", ",", "(", "in", ")", "the", "U.S", ".", "don't", "!"]),
        ("...", [".", ".", "."]),
        ("日本語 x", ["日", "本", "語", "x"]),
        ("the[MASK]value [SEP] café", ["the", "value", "café"]),
        ("a.[SEP].b", ["a", ".", ".", "b"]),
    ],
)
def test_signs_within_a_word_are_part_of_it_and_signs_around_it_are_not(text, expected):
    assert words(text) == expected


@given(st.text("ab.- (\u65e5", min_size=1).filter(str.strip))
def test_words_hold_all_that_is_not_white_space_in_its_order(text: str):
    assert "".join(words(text)) == "".join(text.split())
    assert all(len(word.split()) == 1 for word in words(text))


@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        ("O", None),
        ("B-PER", "PER"),
        ("S-LOC", "LOC"),
        ("I_ORG", "ORG"),
        ("NOUN", "NOUN"),
        ("B-B-1", "B-1"),
        ("B", "B"),
    ],
)
def test_a_tag_names_a_kind_wherever_a_word_stands_in_it(tag, kind):
    assert kind_of(tag) == kind


def test_every_fine_tuned_head_has_a_task_in_the_demo():
    assert TASKS.keys() == HEADS.keys() - {head.name for head in PRETRAINING.values()}


CLASSIFIED = Classification("a <b>", "the second", (Class("yes", 0.75), Class("no", 0.25)))
SEVERAL = Classification("a", None, (Class("x", 0.4), Class("y", 0.3)), several=True, unread=2)
NUMBER = Number("a", "b", 0.5)
TAGGED = Tagging(
    "Ada, of Paris",
    (
        TaggedWord("Ada", 0, 3, "S-PER", 0.9, "PER", 1),
        TaggedWord(",", 3, 4, "O", 0.8, None, None),
        TaggedWord("of", 5, 7, "O", 0.8, None, None),
        TaggedWord("Paris", 8, 13, "S-LOC", 0.7, "LOC", 0),
    ),
    windows=2,
)
READ = Reading("Who?", "It was Ada <i>.", (Found("Ada", 7, 10, 0.6), Found("It", 0, 2, 0.1)), 0.2, True)
UNREAD = Reading("Who?", "It was.", (Found("It", 0, 2, 0.1),), 0.9, False)


@pytest.mark.parametrize(
    ("answer", "headline", "brief", "rows"),
    [
        (
            CLASSIFIED, "a <b>\nthe second", "0.750  [[yes]]  a <b>  |  the second",
            ["  0.750  ######    yes", "  0.250  ##        no"],
        ),
        (SEVERAL, "a", "0.400  [[none]]  a", ["  0.400  ###       x", "  0.300  ##        y"]),
        (NUMBER, "a\nb", "[[0.500]]  a  |  b", ["  0.500"]),
        (
            TAGGED, "[[Ada S-PER]], of [[Paris S-LOC]]", "[[Ada S-PER]], of [[Paris S-LOC]]",
            [
                "  0.900  #######   S-PER  Ada", "  0.800  ######    O      ,", "  0.800  ######    O      of",
                "  0.700  ######    S-LOC  Paris",
            ],
        ),
        (
            READ, "Who?\nIt was [[Ada]] <i>.", "0.600  [[Ada]]",
            ["  0.600  #####     Ada", "  0.100  #         It", "  0.200  ##        (no answer in the passage)"],
        ),
        (
            UNREAD, "Who?\nIt was.", "0.900  no answer",
            ["  0.900  #######   (no answer in the passage)", "  0.100  #         It"],
        ),
    ],
)  # fmt: skip
def test_an_answer_is_shown_in_a_terminal(answer, headline, brief, rows):
    assert (answer.headline(False), answer.brief(False)) == (headline, brief)
    assert answer.rows(False, 8) == rows
    coloured = answer.headline(True) + answer.brief(True)
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == headline + brief
    assert "\x1b[38;5;16;48;5;" in coloured or answer is UNREAD


def test_what_steers_a_terminal_is_escaped_in_answers():
    evil = "a\x1b[2Jb"
    answers = [
        Classification(evil, evil, (Class(evil, 1.0),)),
        Number(evil, evil, 1.0),
        Tagging(evil, (TaggedWord(evil, 0, len(evil), evil, 1.0, evil, 0),)),
        Reading(evil, evil, (Found(evil, 0, len(evil), 1.0),), 0.0, True),
    ]
    for answer in answers:
        assert "\x1b" not in "".join([answer.headline(False), answer.brief(False), *answer.rows(False, 4)])


def test_only_the_surroundings_of_an_answer_are_shown_in_a_terminal():
    passage = "x" * 500 + "Ada" + "y" * 500
    shown = Reading("Who?", passage, (Found("Ada", 500, 503, 0.6),), 0.2, True).headline(False)
    assert shown == f"Who?\n…{'x' * 150}[[Ada]]{'y' * 150}…"


def test_pages_show_answers_and_escape_what_they_are_given():
    page = answers_page([CLASSIFIED, SEVERAL], "<m>")
    assert page.startswith("<!doctype html>")
    assert "a &lt;b&gt;" in page
    assert "<strong>&lt;m&gt;</strong>" in page
    assert 'rect width="75.0%"' in page
    assert "No class is likelier than not." in page
    assert "its last 2 tokens were not read" in page
    page = answers_page([TAGGED])
    assert '<li class="kind-0">LOC</li><li class="kind-1">PER</li>' in page
    assert '<mark class="kind-1">Ada' in page
    assert "Longer than the model&#39;s input: tagged in 2 windows" in page
    assert '<mark class="found">Ada</mark> &lt;i&gt;.' in answers_page([READ])
    assert "No answer in the passage." in answers_page([UNREAD])
    assert "<strong>0.500</strong>" in answers_page([NUMBER])


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_the_colours_of_tags_can_be_read_on(scheme):
    shared, own = (
        page_file(package, name).split("prefers-color-scheme: dark")[scheme]
        for package, name in (("electra_convert.pages", "style.css"), ("electra_convert.demo.tasks", "answers.css"))
    )
    ink = re.findall(r"--ink: (#\w+)", shared)[0]
    colours = dict(re.findall(r"(--kind-\d): (#\w+)", own))
    assert len(colours) == COLOURS
    for colour in colours.values():
        assert contrast(ink, colour) >= 4.5
