"""Whether the pieces of a vocabulary are sorted by how often a corpus has them; changes neither."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def order_of_frequency(counts: NDArray[np.int64]) -> float:
    """How far ids follow the frequency of their pieces: Spearman's rank correlation over those that occur.

    Args:
        counts: how often each id occurs.

    Returns:
        1 where the most frequent come first or nothing is to be sorted, 0 where ids say nothing, -1 where they come
        last.

    >>> order_of_frequency(np.array([0, 50, 20, 20, 7]))
    0.949
    """
    occurring = counts[counts > 0]
    ranks = _ranks(-occurring)
    if len(np.unique(ranks)) < 2:
        return 1.0
    return round(float(np.corrcoef(np.arange(len(ranks)), ranks)[0, 1]), 3)


def _ranks(values: NDArray[np.int64]) -> NDArray[np.float64]:
    """The rank of each value, and the mean rank of equal ones."""
    _, places, sizes = np.unique(values, return_inverse=True, return_counts=True)
    lasts = np.cumsum(sizes)
    means: NDArray[np.float64] = (lasts - (sizes - 1) / 2)[places]
    return means
