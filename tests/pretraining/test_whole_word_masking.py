"""Whole words are masked, and no parts of words; as many tokens as before at most, in every place as often."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from electra_convert.config.hparams import Hparams
from electra_convert.pretraining.batches import draw, mask
from electra_convert.pretraining.corpus.cache import Inputs
from electra_convert.pretraining.options import training_settings

IDS = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4}
SIGMAS = 5


def inputs(lengths, continuing=0.4, width=128, seed=0):
    """Sequences of two segments, in which a token continues a word with the same probability everywhere."""
    random = np.random.default_rng(seed)
    lengths = np.asarray(lengths)
    ids = random.integers(5, 1000, (len(lengths), width))
    rows = np.arange(len(lengths))
    ids[:, 0], ids[rows, lengths // 2], ids[rows, lengths - 1] = 2, 3, 3
    present = np.arange(width) < lengths[:, None]
    return Inputs(np.where(present, ids, 0), present, np.zeros_like(ids), random.random(ids.shape) < continuing)


def masked(given_inputs, seed=0, **hparams):
    settings = training_settings(Hparams({"whole_word_masking": True, **hparams}, "test"))
    return mask(given_inputs, draw(np.random.default_rng(seed), len(given_inputs.input_ids), settings), IDS, settings)


def words_of(given_inputs, row):
    """The words of a sequence, each the places of its tokens."""
    words, before = [], False
    for place, one in enumerate(given_inputs.input_ids[row].tolist()):
        plain = one not in {0, 2, 3, 4}
        if plain and before and given_inputs.continues[row, place]:
            words[-1].append(place)
        elif plain:
            words.append([place])
        before = plain
    return words


@given(
    lengths=st.lists(st.integers(3, 128), min_size=1, max_size=5),
    seed=st.integers(0, 300),
    share=st.floats(0.02, 0.6),
    continuing=st.floats(0, 0.95),
)
def test_words_are_masked_whole_within_what_there_is_room_for(lengths, seed, share, continuing):
    given_inputs = inputs(lengths, continuing, seed=seed)
    batch = masked(given_inputs, seed, mask_prob=share)
    most = max(1, int((share + 0.005) * 128))
    for row, length in enumerate(lengths):
        places = set(batch.positions[row][batch.weights[row] > 0].tolist())
        wanted = min(most, max(1, int(np.rint(np.float32(length) * np.float32(share)))))
        assert len(places) == batch.weights[row].sum() <= wanted
        chosen = [word for word in words_of(given_inputs, row) if places & {*word}]
        assert {place for word in chosen for place in word} == places
        left = [word for word in words_of(given_inputs, row) if not places & {*word}]
        assert all(len(word) > wanted - len(places) for word in left)


def test_words_of_one_token_each_are_masked_as_tokens_are():
    given_inputs = inputs([128, 60, 5, 33], continuing=0)
    one, other = masked(given_inputs), masked(given_inputs, whole_word_masking=False)
    for name in ("positions", "weights", "masked_ids", "sample"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_nearly_as_many_tokens_are_masked():
    batch = masked(inputs([128] * 2000))
    assert batch.weights.sum(1).max() == 19
    assert batch.weights.mean() > 0.97


def test_every_word_is_chosen_as_often_as_any_other_of_its_length():
    """Words of three tokens, then of one, in turns: places of the same kind are chosen alike."""
    rows = 4000
    given_inputs = inputs([128] * rows, 0)
    ids = np.full_like(given_inputs.input_ids, 7)
    ids[:, 0], ids[:, 127] = 2, 3
    continues = np.zeros((rows, 128), bool)
    for start in range(1, 127, 4):
        continues[:, start + 1 : start + 3] = True
    batch = masked(Inputs(ids, given_inputs.input_mask, given_inputs.segment_ids, continues), seed=3)
    counts = np.bincount(batch.positions[batch.weights > 0], minlength=128)[1:125].reshape(31, 4)
    assert (counts[:, 0] == counts[:, 1]).all()
    assert (counts[:, 1] == counts[:, 2]).all()
    for kind in (counts[:, 0], counts[:, 3]):
        share = kind.mean() / rows
        assert np.abs(kind - kind.mean()).max() < SIGMAS * (rows * share * (1 - share)) ** 0.5


def test_of_the_chosen_85_percent_become_masks_token_by_token():
    batch = masked(inputs([128] * 3000), seed=1)
    chosen = batch.weights > 0
    replaced = (np.take_along_axis(batch.masked_ids, batch.positions, 1) == 4)[chosen]
    assert replaced.mean() == pytest.approx(0.85, abs=SIGMAS * (0.85 * 0.15 / chosen.sum()) ** 0.5)


def test_a_part_of_a_batch_is_masked_as_it_is_within_the_whole():
    given_inputs = inputs([128, 70, 33, 128, 5, 90])
    settings = training_settings(Hparams({"whole_word_masking": True}, "test"))
    draws = draw(np.random.default_rng(5), 6, settings)
    whole, part = mask(given_inputs, draws, IDS, settings), slice(2, 5)
    some = Inputs(
        *(getattr(given_inputs, name)[part] for name in ("input_ids", "input_mask", "segment_ids", "continues"))
    )
    alone = mask(some, draws.rows(part), IDS, settings)
    np.testing.assert_array_equal(alone.masked_ids, whole.masked_ids[part])
    np.testing.assert_array_equal(alone.positions, whole.positions[part])
