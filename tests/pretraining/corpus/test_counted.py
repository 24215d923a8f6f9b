"""Vocabularies of whole tokens that are counted in a corpus."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from electra_convert.errors import VocabularyError
from electra_convert.pretraining.corpus.counted import borrowed, count_tokens
from electra_convert.pretraining.corpus.vocabulary import encoder
from electra_convert.tokenizer import SPECIAL_TOKENS
from electra_convert.tokenizer.vocabulary import decode_vocabulary

SESSIONS = ["item_1 click:buy item_2", "item_2 item_1 view:home", "item_1 [MASK] click:buy rare"]


def counted(lines, unit="whitespace", size=100, lower_case=False, **options):
    return count_tokens(lambda: lines, unit, size, lower_case, **options)


def test_the_commonest_words_come_first_and_single_ones_are_left_out():
    made = counted(SESSIONS)
    assert made.vocabulary.pieces == (*SPECIAL_TOKENS, "item_1", "click:buy", "item_2")
    assert made.notices == ("The vocabulary has the 3 commonest words of the 5 that the corpus has.",)
    assert counted(SESSIONS, size=6).vocabulary.pieces[5:] == ("item_1",)


def test_characters_are_all_there():
    made = counted(["MKV A", "kx"], "characters")
    assert set(made.vocabulary.pieces[5:]) == set("MKVAkx")
    assert set(counted(["MKV A", "kx"], "characters", lower_case=True).vocabulary.pieces[5:]) == set("mkvax")


@given(lines=st.lists(st.text(st.sampled_from("abAB [MASK]"), max_size=12), min_size=1), lower=st.booleans())
@pytest.mark.parametrize("unit", ["whitespace", "characters"])
def test_the_tokens_that_are_counted_are_those_that_the_tokenizer_gives(unit, lines, lower):
    twice = [*lines, *lines, "z z"]
    made = counted(twice, unit, 1000, lower)
    unknown = [ids.count(1) for ids in encoder(made.definition)(twice)]
    named = sum(line.split().count("[MASK]") for line in twice) if unit == "whitespace" and not lower else 0
    assert sum(unknown) == named


def test_what_is_kept_in_memory_is_bounded_and_the_commonest_stay():
    draw = random.Random(0)
    words = [f"w{min(999, int(draw.paretovariate(0.7)))}" for _ in range(6000)]
    lines = [" ".join(words[start : start + 20]) for start in range(0, 6000, 20)]
    common = [word for word, _ in Counter(words).most_common(10)]
    made = counted(lines, size=15, most=200)
    assert set(made.vocabulary.pieces[5:]) == set(common)
    assert made.files == counted(lines, size=15, most=200).files


@pytest.mark.parametrize(
    ("lines", "size", "told"),
    [
        (SESSIONS, 5, "5 are special ones"),
        (["a b c"], 100, "no words that occur more than once"),
        ([""], 100, "no text that a vocabulary could be made of"),
    ],
)
def test_a_vocabulary_of_nothing_is_refused(lines, size, told):
    with pytest.raises(VocabularyError, match=told):
        counted(lines, size=size)


def test_a_borrowed_vocabulary_keeps_its_ids_and_says_what_it_cannot_give():
    raw = "".join(f"{piece}\n" for piece in ("item_1", *SPECIAL_TOKENS, "two words")).encode()
    made = borrowed(decode_vocabulary(raw, Path("ids/vocab.txt")), "whitespace", False)
    assert encoder(made.definition)(["item_1 two words"]) == [[0, 2, 2]]
    assert made.special_ids["[MASK]"] == 5
    assert "1 of 7 tokens of vocab.txt can never be produced" in made.notices[0]
