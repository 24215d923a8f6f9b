"""What was replaced against what is called so: words compared, outcomes named, figures as their definitions say."""

from __future__ import annotations

from itertools import product

import pytest
from demo.test_demo_text import ENGLISH, SPECIAL
from hypothesis import given
from hypothesis import strategies as st

from electra_convert.demo.evaluation import Truth, compare, evaluate, outcome
from electra_convert.demo.scoring import ScoredText, Token
from electra_convert.demo.text import encode


def changed(original: str, edited: str) -> list[str]:
    after = encode(ENGLISH, SPECIAL, edited)
    truth = compare(encode(ENGLISH, SPECIAL, original), after)
    plain = [piece for piece in after.pieces if not piece.special]
    return [edited[piece.start : piece.end] for piece, new in zip(plain, truth.replaced, strict=True) if new]


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


@pytest.mark.parametrize(
    ("called", "replaced", "name"),
    [(True, True, "hit"), (False, True, "miss"), (True, False, "false alarm"), (False, False, "passed")],
)
def test_outcomes_have_their_names(called, replaced, name):
    assert outcome(called, replaced) == name


def scored(probabilities: list[float]) -> ScoredText:
    tokens = tuple(Token("a", "a", index, index + 1, value, index) for index, value in enumerate(probabilities))
    return ScoredText("a" * len(probabilities), tokens, (), 1)


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), st.booleans()), max_size=12),
    st.sampled_from([0.0, 0.5, 0.6]),
)
def test_the_figures_are_what_their_definitions_say(pairs, threshold):
    found = evaluate([(scored([p]), Truth((r,))) for p, r in pairs], threshold)
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
