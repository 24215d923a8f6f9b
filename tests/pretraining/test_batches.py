"""Batches follow from the seed alone; masking against its probabilities, and never what must not be masked."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import FIXTURES
from hypothesis import given
from hypothesis import strategies as st

from electra_convert.config.hparams import Hparams
from electra_convert.pretraining.batches import Batches, draw, mask
from electra_convert.pretraining.corpus.cache import Inputs, open_corpus
from electra_convert.pretraining.corpus.files import corpus_files
from electra_convert.pretraining.corpus.sequences import Tokenisation
from electra_convert.pretraining.corpus.vocabulary import read_word_pieces
from electra_convert.pretraining.options import training_settings
from electra_convert.tokenizer.of_checkpoint import TokenizerOptions

IDS = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4}
NEVER = [0, 2, 3, 4]
# One chance in some millions to be further away than this many standard deviations.
SIGMAS = 5


def settings(**given):
    return training_settings(Hparams(given, "test"))


def inputs(lengths, width=128, vocabulary=1500, seed=0):
    random = np.random.default_rng(seed)
    ids = random.integers(5, vocabulary, (len(lengths), width))
    ids[:, 0] = IDS["[CLS]"]
    present = np.arange(width) < np.asarray(lengths)[:, None]
    ids[np.arange(len(lengths)), np.asarray(lengths) - 1] = IDS["[SEP]"]
    return Inputs(np.where(present, ids, 0), present, np.zeros_like(ids))


def masked(given_inputs, seed=0, **hparams):
    chosen = settings(**hparams)
    random = np.random.default_rng(seed)
    return mask(given_inputs, draw(random, len(given_inputs.input_ids), chosen), IDS, chosen)


@given(
    lengths=st.lists(st.integers(2, 128), min_size=1, max_size=6),
    seed=st.integers(0, 500),
    share=st.floats(0.01, 0.9),
)
def test_what_is_chosen_is_distinct_and_never_special_or_padding(lengths, seed, share):
    given_inputs = inputs(lengths, seed=seed)
    batch = masked(given_inputs, seed, mask_prob=share)
    for row in range(len(lengths)):
        positions = batch.positions[row][batch.weights[row] > 0]
        assert len(set(positions)) == len(positions)
        assert given_inputs.input_mask[row, positions].all()
        assert not np.isin(given_inputs.input_ids[row, positions], NEVER).any()
        elsewhere = np.setdiff1d(np.arange(128), positions)
        np.testing.assert_array_equal(batch.masked_ids[row, elsewhere], given_inputs.input_ids[row, elsewhere])
        assert np.isin(
            batch.masked_ids[row, positions], [IDS["[MASK]"], *given_inputs.input_ids[row, positions]]
        ).all()


@pytest.mark.parametrize(
    ("length", "expected"), [(128, 19), (60, 9), (10, 2), (30, 4), (50, 8), (4, 1), (3, 1), (2, 0)]
)
def test_as_many_are_chosen_as_google_chooses(length, expected):
    """round(length * 0.15), half to even, at least 1 and at most 19; none where there is nothing to choose."""
    assert masked(inputs([length])).weights.sum() == expected


def test_of_the_chosen_85_percent_become_masks():
    batch = masked(inputs([128] * 4000), seed=1)
    replaced = np.take_along_axis(batch.masked_ids, batch.positions, 1) == IDS["[MASK]"]
    count = batch.weights.size
    deviation = (0.85 * 0.15 / count) ** 0.5
    assert replaced.mean() == pytest.approx(0.85, abs=SIGMAS * deviation)


def test_every_position_is_chosen_as_often_as_any_other():
    rows = 6000
    batch = masked(inputs([128] * rows), seed=2)
    counts = np.bincount(batch.positions.ravel(), minlength=128)[1:127]
    share = 19 / 126
    deviation = (rows * share * (1 - share)) ** 0.5
    assert counts.mean() == pytest.approx(rows * share)
    assert np.abs(counts - rows * share).max() < SIGMAS * deviation


def test_two_positions_are_chosen_independently_of_each_other():
    rows = 20000
    batch = masked(inputs([128] * rows), seed=3)
    hit = np.zeros((rows, 128), bool)
    np.put_along_axis(hit, batch.positions, True, 1)
    # Drawn without replacement, two places are both chosen with probability 19/126 * 18/125.
    share = 19 / 126 * 18 / 125
    for first, second in [(1, 2), (1, 126), (40, 90)]:
        both = (hit[:, first] & hit[:, second]).mean()
        assert both == pytest.approx(share, abs=SIGMAS * (share / rows) ** 0.5)


def test_a_part_of_a_batch_is_masked_as_it_is_within_the_whole():
    chosen = settings()
    given_inputs = inputs([128, 70, 33, 128, 5, 90])
    draws = draw(np.random.default_rng(5), 6, chosen)
    whole = mask(given_inputs, draws, IDS, chosen)
    part = slice(2, 5)
    some = Inputs(given_inputs.input_ids[part], given_inputs.input_mask[part], given_inputs.segment_ids[part])
    alone = mask(some, draws.rows(part), IDS, chosen)
    np.testing.assert_array_equal(alone.masked_ids, whole.masked_ids[part])
    np.testing.assert_array_equal(alone.positions, whole.positions[part])
    np.testing.assert_array_equal(alone.sample, whole.sample[part])


def test_a_sequence_of_special_tokens_alone_is_left_as_it_is():
    ids = np.array([[2, 3, 0, 0]])
    batch = masked(Inputs(ids, ids > 0, np.zeros_like(ids)), max_seq_length=8)
    assert batch.weights.sum() == 0
    np.testing.assert_array_equal(batch.masked_ids, ids)


@pytest.fixture(scope="module")
def pieces():
    return read_word_pieces(TokenizerOptions(vocab=FIXTURES / "vocab.txt"), None)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, pieces):
    """The corpus of the fixtures in sequences of 32 tokens."""
    how = Tokenisation(pieces, 32, True)
    return open_corpus(corpus_files([FIXTURES / "corpus"]), how, tmp_path_factory.mktemp("cache"), None)


def batches(corpus, pieces, seed=0, held_out=0.1, **hparams):
    settings = training_settings(Hparams({"max_seq_length": 32, "train_batch_size": 16, **hparams}, "test"))
    return Batches(corpus, pieces.vocabulary.ids, settings, seed, held_out)


def rows_of(batch):
    return [tuple(row) for row in batch.inputs.input_ids.tolist()]


def test_an_epoch_has_every_sequence_once_and_never_one_that_is_held_out(corpus, pieces):
    made = batches(corpus, pieces, train_batch_size=8, eval_batch_size=4)
    trained, held_out = made.sequences
    assert trained + held_out == len(corpus)
    assert held_out == round(0.1 * len(corpus))
    seen = [one for step in range(-(-2 * trained // 8)) for one in rows_of(made.training(step, slice(None)))]
    everything = sorted(tuple(row) for row in corpus.read(np.arange(len(corpus))).input_ids.tolist())
    kept = [one for batch in made.evaluation() for one in rows_of(batch)]
    assert sorted(seen[:trained] + kept) == everything
    assert sorted(seen[trained : 2 * trained] + kept) == everything
    assert seen[:trained] != seen[trained : 2 * trained]


def test_a_seed_gives_the_same_batches_and_another_gives_others(corpus, pieces):
    one, same, other = (batches(corpus, pieces, seed).training(7, slice(None)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.masked_ids, same.masked_ids)
    np.testing.assert_array_equal(one.sample, same.sample)
    assert rows_of(one) != rows_of(other)


def test_the_parts_of_a_batch_are_the_batch(corpus, pieces):
    made = batches(corpus, pieces)
    whole = made.training(3, slice(None))
    parts = [made.training(3, slice(first, first + 4)) for first in range(0, 16, 4)]
    for name in ("masked_ids", "positions", "weights", "sample"):
        np.testing.assert_array_equal(np.concatenate([getattr(part, name) for part in parts]), getattr(whole, name))


def test_a_batch_may_be_larger_than_the_corpus(corpus, pieces):
    made = batches(corpus, pieces, train_batch_size=3 * len(corpus))
    assert len(made.training(1, slice(None)).masked_ids) == 3 * len(corpus)
