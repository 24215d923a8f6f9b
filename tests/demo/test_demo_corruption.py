"""Texts corrupted as training does: what is replaced, by what, and how it is written."""

from __future__ import annotations

from itertools import pairwise

import pytest
from demo.test_demo_model import LONG, TEXT

from electra_convert import fill
from electra_convert.demo.corruption import _run_together, corrupt

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("share", [0.01, 0.15, 0.5, 1.0])
@pytest.mark.parametrize("text", [TEXT, "the", "the [MASK] of", LONG])
def test_corruption_replaces_what_it_says_and_nothing_else(opened_generator, text, share):
    found = corrupt(opened_generator, text, share, seed=3)
    before, after = opened_generator.encode(text).pieces, found.pieces
    plain = [index for index, piece in enumerate(before) if not piece.special]
    changed = {index for index in range(len(before)) if before[index].id != after[index].id}
    assert len(before) == len(after)
    assert {index for index, piece in enumerate(after) if piece.replaced} == changed
    assert changed <= set(plain)
    assert len(changed) <= max(1, round(share * len(plain)))
    for index in changed:
        piece = after[index]
        assert piece.before == before[index].text
        assert piece.text not in opened_generator.special
        assert found.text[piece.start : piece.end] == piece.text.removeprefix("##")
    for index in set(range(len(before))) - changed:
        old, new = before[index], after[index]
        assert text[old.start : old.end] == found.text[new.start : new.end]


def test_a_substitute_that_begins_a_word_does_not_run_into_its_neighbours(opened_generator):
    texts = [corrupt(opened_generator, "cafe,the (of)purple", 1.0, seed) for seed in range(15)]
    for encoded in texts:
        for before, after in pairwise(encoded.pieces):
            letters = encoded.text[before.end - 1].isalnum() and encoded.text[after.start].isalnum()
            if before.end == after.start and letters:
                assert after.text.startswith("##")
                assert before.word == after.word


@pytest.mark.parametrize(
    ("before", "after", "together"),
    [
        ("e", "a", True),
        ("e\u0301", "a", True),
        ("\u0915\u093e", "a", True),
        (",\u0301", "a", False),
        ("e", ",", False),
    ],
)
def test_a_combining_mark_is_part_of_its_letter(before, after, together):
    assert _run_together(before, after) == together


def test_corruption_is_decided_by_the_seed_and_the_text(opened_generator):
    texts = {corrupt(opened_generator, LONG, 0.3, seed).text for seed in (1, 1, 2)}
    assert len(texts) == 2


def test_substitutes_are_drawn_from_the_generators_distribution(opened_generator):
    seconds = [corrupt(opened_generator, "the value of", 0.3, seed).pieces[1] for seed in range(240)]
    drawn = [piece.text for piece in seconds if piece.replaced]
    expected = {
        one.piece: one.probability for one in fill(opened_generator, ["the [MASK] of"], 1500)[0][0].candidates
    }
    # About 80 of the seeds mask this place; five standard deviations of what they draw are allowed.
    assert len(drawn) == pytest.approx(80 * (1 - expected["value"]), abs=40)
    likeliest = max(expected, key=expected.__getitem__)
    share = expected[likeliest]
    assert drawn.count(likeliest) == pytest.approx(80 * share, abs=5 * (80 * share) ** 0.5)
