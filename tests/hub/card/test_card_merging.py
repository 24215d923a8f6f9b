"""Sections between markers: written anew, whatever stands around them kept to the letter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from electra_convert.errors import CardError
from electra_convert.hub.card.writing import fill_sections, lost_lines, section_names

WORDS = st.text().filter(lambda text: "electra_convert:" not in text)
NAMES = ("model", "use", "limits")


def marked(name: str, content: str) -> str:
    return f"<!-- electra_convert:{name} -->\n{content}\n<!-- /electra_convert:{name} -->"


@given(st.lists(st.tuples(WORDS, WORDS), min_size=3, max_size=3), WORDS, st.lists(WORDS, min_size=3, max_size=3))
def test_what_stands_outside_the_sections_is_kept_to_the_letter(around, tail, contents):
    card = "".join(before + marked(name, old) for name, (before, old) in zip(NAMES, around, strict=True)) + tail
    sections = {name: marked(name, new) for name, new in zip(NAMES, contents, strict=True)}
    filled = fill_sections(card, sections, "README.md")
    pieces = [before for before, _ in around]
    expected = "".join(before + marked(name, new) for name, before, new in zip(NAMES, pieces, contents, strict=True))
    assert filled == expected + tail
    assert fill_sections(filled, sections, "README.md") == filled
    assert lost_lines(card, filled) == []


@given(WORDS)
def test_a_card_without_sections_stays_as_it_is(text):
    assert fill_sections(text, {"model": "x"}, "README.md") == text
    assert section_names(text, "README.md") == []


def test_a_section_of_another_name_stays_as_it_is():
    text = marked("mine", "my words")
    assert fill_sections(text, {"model": "x"}, "README.md") == text


def test_lines_outside_the_sections_that_another_card_lacks_are_told_as_often_as_they_are_lost():
    before = f"a\n{marked('model', 'nobody words')}\nb\n  b  \n\nc\n"
    assert lost_lines(before, "b\nc") == ["a", "b"]
    assert lost_lines(before, f"{before}d") == []


@pytest.mark.parametrize(
    "text",
    [
        "<!-- electra_convert:model -->",
        "<!-- /electra_convert:model -->",
        marked("model", "a") + marked("model", "b"),
        "<!-- electra_convert:model --><!-- electra_convert:use --><!-- /electra_convert:use -->",
        "<!-- electra_convert:model --><!-- /electra_convert:use -->",
        marked("model", "a") + "<!-- /electra_convert:model -->",
    ],
)
def test_markers_that_do_not_pair_are_refused(text):
    with pytest.raises(CardError, match=r"has no partner|does not end"):
        fill_sections(text, {"model": "x"}, "README.md")
