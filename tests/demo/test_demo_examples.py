"""Sentences read, named and scored with what is known of them: words that an edit made new, tokens drawn anew."""

from __future__ import annotations

import pytest
from demo.test_demo_model import LONG
from demo.test_demo_text import ENGLISH, SPECIAL
from hypothesis import given
from hypothesis import strategies as st

from electra_convert.demo.evaluation import evaluate
from electra_convert.demo.examples import (
    Sentence,
    label_edited,
    numbered,
    read_lines,
    score_corrupted,
    score_sentences,
)
from electra_convert.demo.text import encode
from electra_convert.errors import NamesError, TextError

pytestmark = pytest.mark.slow


def test_lines_are_read_and_numbered_and_blank_ones_passed_over():
    assert read_lines("\ufeffa\r\n\n  \nb\u2028c".encode(), "x") == [
        Sentence("a", "x, line 1"),
        Sentence("b\u2028c", "x, line 4"),
    ]


@pytest.mark.parametrize(
    ("data", "said"), [(b"", "x holds no text"), (b"\n \n", "x holds no text"), (b"a\n\xff", "x, line 2: not UTF-8")]
)
def test_lines_that_are_none_are_refused(data, said):
    with pytest.raises(TextError, match=said):
        read_lines(data, "x")


def test_the_text_that_cannot_be_scored_is_named(opened_discriminator):
    with pytest.raises(TextError, match=r"^f, line 2: the text has nothing in it"):
        list(score_sentences(opened_discriminator, [Sentence("a", "f, line 1"), Sentence("\x00", "f, line 2")]))


# Edited by hand


def changed(original: str, edited: str) -> list[str]:
    after = encode(ENGLISH, SPECIAL, edited)
    labelled = label_edited(encode(ENGLISH, SPECIAL, original), after).pieces
    return [edited[piece.start : piece.end] for piece in labelled if piece.replaced and not piece.special]


@pytest.mark.parametrize(
    ("original", "edited", "expected"),
    [
        ("the value of it", "the value of it", []),
        ("the value of it", "The VALUE of it", []),
        ("the value of it", "the list of it", ["list"]),
        ("the value of it", "the value of the it", ["the"]),
        ("the value of it", "the of it", []),
        ("the value", "value the", ["value"]),
        ("a cafe", "a cafes", ["ca", "f", "es"]),
        ("日本 the", "日人 the", ["人"]),
        ("the [MASK] of", "the value of", ["value"]),
        ("the value of", "the [MASK] of", []),
        ("the value of the value of it", "the list of the value of it", ["list"]),
        ("a of the value of the list", "a of it value of the list", ["it"]),
        ("the value of the list of it", "the list of the value of it", ["list", "value"]),
        ("the the the of", "the the of", []),
        ("the of", "the the the of", ["the", "the"]),
    ],
)
def test_the_words_that_are_not_in_the_original_are_marked(original, edited, expected):
    assert changed(original, edited) == expected


WORDS = st.lists(st.sampled_from(["the", "value", "of", "it"]), min_size=1, max_size=12)


@given(words=WORDS, places=st.data())
def test_a_word_that_stands_nowhere_in_the_original_is_all_that_is_marked(words, places):
    new = places.draw(st.sets(st.integers(0, len(words) - 1)))
    edited = ["attribute" if index in new else word for index, word in enumerate(words)]
    assert changed(" ".join(words), " ".join(edited)) == ["attribute"] * len(new)


@given(words=WORDS, other=WORDS)
def test_no_more_is_marked_than_differs_place_by_place(words, other):
    edited = [*other, *words][: len(words)]
    differing = sum(one != two for one, two in zip(words, edited, strict=True))
    assert len(changed(" ".join(words), " ".join(edited))) <= differing


def test_long_texts_with_little_in_common_are_compared_in_time():
    before = ["the", "value"] * 5000
    assert changed(" ".join(before), " ".join(["of", *before[1:-1], "of"])) == ["of", "of"]
    assert changed(" ".join(before), " ".join(["of", "value", *before, "of"])) == ["of", "value", "of"]


# Corrupted by the generator


def test_the_same_line_is_not_corrupted_alike_each_time(opened_discriminator, opened_generator):
    scored = score_corrupted(opened_discriminator, opened_generator, numbered([LONG] * 3), 0.3, 0)
    assert len({one.text for one in scored}) == 3


def test_a_text_of_special_tokens_alone_can_no_more_be_corrupted_than_scored(opened_discriminator, opened_generator):
    lines = numbered(["the value", "[CLS] [SEP]"])
    with pytest.raises(TextError, match=r"^sentence 2: the text has nothing to score: special tokens alone"):
        list(score_corrupted(opened_discriminator, opened_generator, lines, 0.5, 0))


def test_a_generator_of_another_vocabulary_is_refused(opened_discriminator, written):
    from electra_convert import open_model

    other = open_model(written("masked_lm"), "generator")
    with pytest.raises(NamesError, match="have different vocabularies"):
        list(score_corrupted(opened_discriminator, other, numbered(["the"]), 0.5, 0))


def test_the_generator_fools_the_discriminator_less_than_chance(opened_discriminator, opened_generator):
    """Trained models: replaced tokens of their own kind of prose score higher than original ones."""
    prose = [
        "Return the value of the named attribute of object.",
        "If the string is the name of one of the object's attributes, the result is True.",
        "This function is the same as the one above, except that it returns a list of the names.",
    ] * 10
    texts = [Sentence(f"{text} {number}") for number, text in enumerate(prose)]
    scored = score_corrupted(opened_discriminator, opened_generator, texts, 0.2, 0)
    assert evaluate([one.marked() for one in scored]).auc > 0.55
