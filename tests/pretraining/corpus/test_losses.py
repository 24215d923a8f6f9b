"""What is cut off is told by its causes, and refused where it is most of a corpus; split lines lose nothing."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from electra_convert.errors import CorpusError
from electra_convert.pretraining.corpus.long_lines import fitting, sentences
from electra_convert.pretraining.corpus.losses import require_kept, told
from electra_convert.pretraining.corpus.packing import ExampleBuilder, Line, Losses, WholeLines

LINES = st.lists(st.integers(1, 90), min_size=1, max_size=60)
TEXTS = st.lists(
    st.sampled_from(["Birds sing", ". ", "! ", "。", '." ', " and so on", "鳥", "x" * 50, "  "]), min_size=1
)


def encode(texts: list[str]) -> list[list[int]]:
    """A token for each character of a word."""
    return [[ord(letter) for letter in text if not letter.isspace()] for text in texts]


def pack(builder: ExampleBuilder, lengths: list[int]) -> list[int]:
    """Packs lines of so many tokens, of three letters each; gives the tokens that are left."""
    numbers = iter(range(10, 1_000_000))
    made = [builder.add(Line([next(numbers) for _ in range(length)], 3 * length)) for length in lengths]
    made += [builder.finish() for _ in range(2)]
    return [token for example in made if example for token in example.ids if token >= 10]


@given(lengths=LINES, max_length=st.integers(5, 64), seed=st.integers(0, 99))
def test_losses_add_up_and_no_cause_has_more_than_its_own(lengths, max_length, seed):
    builder = ExampleBuilder(max_length, 2, 3, random.Random(seed))
    kept = len(pack(builder, lengths))
    losses = builder.losses
    assert losses.tokens + kept == sum(lengths)
    assert losses.letters == 3 * losses.tokens
    assert losses.long_letters == 3 * losses.long_tokens
    assert losses.long_tokens <= losses.tokens
    assert losses.long_tokens <= sum(max(0, length - max_length + 2) for length in lengths)
    if losses.tokens and max(lengths) <= max_length - 2:
        assert losses.long_tokens == 0


@given(lengths=LINES, max_length=st.integers(5, 64), seed=st.integers(0, 99))
def test_nothing_is_lost_of_lines_that_fit_when_they_are_kept_whole(lengths, max_length, seed):
    builder = WholeLines(max_length, 2, 3, random.Random(seed))
    fit = [min(length, builder.room) for length in lengths]
    kept = pack(builder, fit)
    assert builder.losses == Losses()
    assert sorted(kept) == list(range(10, 10 + sum(fit)))


@given(parts=TEXTS, room=st.integers(1, 70))
def test_a_line_in_parts_has_all_its_tokens_in_their_order(parts, room):
    line = "".join(parts).strip()
    [ids] = encode([line])
    found = list(fitting(line, ids, encode, room))
    assert [token for part in found for token in part.ids] == ids
    assert all(len(part.ids) <= room for part in found)


@given(parts=TEXTS)
def test_sentences_have_all_of_a_line_but_white_space(parts):
    line = "".join(parts)
    assert "".join("".join(sentences(line)).split()) == "".join(line.split())


def test_a_line_is_split_at_sentences_before_words_and_at_words_before_letters():
    line = "The birds sing. A cat sleeps here on the old chair. Pneumonoultramicroscopic!"
    [ids] = encode([line])
    assert [len(part.ids) for part in fitting(line, ids, encode, 16)] == [13, 14, 14, 16, 9]


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        (
            Losses(20, 61),
            "20 of 100 tokens (20%), 61 letters, by packing, where the line that fills a sequence runs over",
        ),
        (Losses(20, 61, 20, 61), "20 of 100 tokens (20%), 61 letters, since lines are longer than a sequence"),
        (
            Losses(20, 61, 5, 16),
            "20 of 100 tokens (20%), 61 letters: 15% (15 tokens, 45 letters) by packing, where the line that fills a "
            "sequence runs over its end, and 5% (5 tokens, 16 letters) since lines are longer than a sequence",
        ),
    ],
)
def test_what_is_lost_is_told_by_its_causes(losses, said):
    assert told(losses, 80).startswith(said)


def test_a_corpus_of_which_half_would_be_lost_is_refused_with_the_option():
    require_kept(Losses(50, 150), 50)
    with pytest.raises(CorpusError, match="most of the corpus would be cut off: 51 of 100 tokens") as raised:
        require_kept(Losses(51, 150), 49)
    assert raised.value.hint.startswith("--split-long-lines uses all of it")
