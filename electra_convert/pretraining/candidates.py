"""The candidates of a sampled softmax, drawn as TensorFlow's log-uniform sampler draws them; numpy only, no model.

The formulas are those of LogUniformSampler and RangeSampler in tensorflow/core/kernels/range_sampler.cc (v2.16.1), as
tf.nn.sampled_softmax_loss uses them by default: without repetition.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Draws at once, as a multiple of what is wanted; what is left over is thrown away.
_AT_ONCE = 4


@dataclass(frozen=True)
class Candidates:
    """The candidates of one step, which its whole batch shares.

    Attributes:
        ids: [candidates] int64, each once.
        tries: how many draws it took until there were so many different ones.
        vocabulary: how many ids there are.
    """

    ids: NDArray[np.int64]
    tries: int
    vocabulary: int


def draw_candidates(random: np.random.Generator, count: int, vocabulary: int) -> Candidates:
    """Draw different ids, the low ones more often.

    The probability of an id is log((id + 2) / (id + 1)) / log(vocabulary + 1), draw by draw.

    Args:
        random: what is drawn from.
        count: how many, at most the vocabulary.
        vocabulary: how many ids there are; they should be sorted by frequency, the most frequent first.

    >>> drawn = draw_candidates(np.random.default_rng(0), 4, 100)
    >>> drawn.ids, drawn.tries
    (array([17,  2,  0, 41]), 5)
    """
    found = np.empty(0, np.int64)
    before = 0
    while True:
        uniforms = random.random(_AT_ONCE * count)
        drawn = (np.exp(uniforms * np.log(vocabulary + 1)).astype(np.int64) - 1) % vocabulary
        joined = np.concatenate([found, drawn])
        firsts = np.sort(np.unique(joined, return_index=True)[1])
        if len(firsts) >= count:
            # The first ones stand for the draws before, which were many more.
            tries = before + int(firsts[count - 1]) + 1 - len(found)
            return Candidates(joined[firsts[:count]], tries, vocabulary)
        found, before = joined[firsts], before + _AT_ONCE * count
