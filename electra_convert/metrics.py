"""How well scores tell positives from negatives: accuracy, precision, recall, area under the curve; no tensors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class BinaryMetrics:
    """Each from 0 to 1; None where it has no meaning, such as the recall of nothing.

    Attributes:
        accuracy: the share that was called rightly.
        precision: of those called positive, the share that is.
        recall: of the positives, the share called so.
        auc: the chance that a positive scores higher than a negative, ties counted half.
    """

    accuracy: float | None
    precision: float | None
    recall: float | None
    auc: float | None


def binary_metrics(
    scores: NDArray[np.float64], positive: NDArray[np.bool_], called: NDArray[np.bool_]
) -> BinaryMetrics:
    """Compare what is called positive with what is; scores [n] are any floats, the others say it for each."""
    hits = int((called & positive).sum())
    return BinaryMetrics(
        accuracy=_share(int((called == positive).sum()), len(scores)),
        precision=_share(hits, int(called.sum())),
        recall=_share(hits, int(positive.sum())),
        auc=area_under_curve(scores, positive),
    )


def area_under_curve(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float | None:
    """The exact area under the ROC curve, which is Mann and Whitney's U over the number of pairs.

    Args:
        scores: [n] of any floats.
        positive: [n] which of them are positives.

    Returns:
        From 0 to 1; None where there are no positives, or no negatives.
    """
    ordered, places = np.unique(scores, return_inverse=True)
    positives = np.bincount(places[positive], minlength=len(ordered))
    negatives = np.bincount(places[~positive], minlength=len(ordered))
    below = np.cumsum(negatives) - negatives / 2
    # Wins and halves are counted exactly, and divided once.
    pairs = int(positives.sum()) * int(negatives.sum())
    return float((positives * below).sum() / pairs) if pairs else None


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
