"""What ExampleBuilder holds to: lengths, segments, and no token lost but those that Google's code trims."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from electra_convert.pretraining.corpus.packing import Example, ExampleBuilder, Line

START, END = 2, 3
# A document is a list of sentences of token ids that are no special ones.
SENTENCES = st.lists(st.integers(10, 500), min_size=1, max_size=40)
DOCUMENTS = st.lists(st.lists(SENTENCES, max_size=12), max_size=8)


def builder(max_length: int = 32, seed: int = 0) -> ExampleBuilder:
    return ExampleBuilder(max_length, START, END, random.Random(seed))


def pack(made: ExampleBuilder, documents: list[list[list[int]]]) -> list[Example]:
    found = []
    for sentences in documents:
        found += [made.add(Line(sentence, 3 * len(sentence))) for sentence in sentences]
        found.append(made.finish())
    return [example for example in found if example is not None]


@given(documents=DOCUMENTS, max_length=st.integers(5, 64), seed=st.integers(0, 1000))
def test_every_sequence_is_well_formed(documents, max_length, seed):
    for example in pack(builder(max_length, seed), documents):
        first, second = example.ids[: example.first], example.ids[example.first :]
        assert len(example.ids) <= max_length
        assert first[0] == START
        assert first[-1] == END
        assert START not in first[1:]
        assert END not in first[:-1]
        assert not second or (len(second) > 1 and second[-1] == END and END not in second[:-1])


@given(documents=DOCUMENTS, max_length=st.integers(5, 64), seed=st.integers(0, 1000))
def test_no_token_is_lost_but_those_that_are_counted(documents, max_length, seed):
    made = builder(max_length, seed)
    examples = pack(made, documents)
    given_tokens = [token for document in documents for sentence in document for token in sentence]
    kept = [token for example in examples for token in example.ids if token not in (START, END)]
    assert len(kept) + made.losses.tokens == len(given_tokens)
    if not made.losses.tokens:
        # A later sentence may still fill up the first segment, in Google's code too.
        assert sorted(kept) == sorted(given_tokens)


def test_the_second_segment_begins_with_a_sentence():
    made = builder(40)
    sentences = [[100 + number] * 5 for number in range(600)]
    for example in pack(made, [sentences]):
        first = {token for token in example.ids[: example.first] if token >= 100}
        second = {token for token in example.ids[example.first :] if token >= 100}
        assert not first & second


def shares(count: int) -> tuple[float, float]:
    """The share of sequences with one segment, and of those shorter than the longest, over much text."""
    made = builder(64, seed=7)
    examples = pack(made, [[[50] * 4 for _ in range(count)]])
    alone = sum(example.first == len(example.ids) for example in examples)
    short = sum(len(example.ids) < 56 for example in examples)
    return alone / len(examples), short / len(examples)


def test_a_tenth_has_one_segment_and_a_twentieth_is_short():
    """Over 5,000 sequences, within five standard deviations."""
    alone, short = shares(80_000)
    # Random short targets of up to ten tokens give one segment too: 5% * 3/60 at most.
    assert alone == pytest.approx(0.1, abs=5 * (0.1 * 0.9 / 5000) ** 0.5 + 0.01)
    assert short == pytest.approx(0.05 * 47 / 60, abs=5 * (0.05 * 0.95 / 5000) ** 0.5)


def test_the_same_draws_give_the_same_sequences():
    documents = [[[number] * 7 for number in range(10, 90)]]
    assert pack(builder(seed=3), documents) == pack(builder(seed=3), documents)
    assert pack(builder(seed=3), documents) != pack(builder(seed=4), documents)


def test_an_empty_document_gives_nothing():
    made = builder()
    assert made.finish() is None
    assert made.add(Line([], 0)) is None
    assert made.finish() is None
