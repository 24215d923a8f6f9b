"""Rows cut into batches: all of them in their order, with little padding, and not too many at once."""

from __future__ import annotations

import random

import pytest

from electra_convert.demo.running import TOKENS, Row, Runner, by_length

LENGTHS = {
    "short lines of mixed length": random.Random(1).choices(range(4, 63), k=400),
    "one length": [20] * 300,
    "a long one among short ones": [3] * 200 + [512],
    "longer than a batch": [TOKENS + 1] * 3,
    "one": [7],
    "none": [],
}


def batches(lengths):
    runner = Runner(source="", network=None, tokenizer=None, special={"[PAD]": 9}, spelt={}, positions=512)
    given = [Row([place] * length, [1] * length) for place, length in enumerate(lengths)]
    made = []

    def run(rows):
        made.extend(runner.batches(rows))
        return (ids[row][mask[row] > 0].tolist() for ids, mask, _ in made for row in range(len(ids)))

    assert list(by_length(given, run)) == [row.ids for row in given]
    return made


@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
def test_every_row_is_in_a_batch_with_others_of_its_length(lengths):
    for ids, mask, types in batches(lengths):
        assert ids.size <= TOKENS or len(ids) == 1
        assert (ids[mask == 0] == 9).all()
        assert (types == mask).all()


def test_of_many_short_lines_hardly_anything_is_padding():
    made = batches(LENGTHS["short lines of mixed length"])
    assert sum((mask == 0).sum() for _, mask, _ in made) < 0.05 * sum(mask.size for _, mask, _ in made)
