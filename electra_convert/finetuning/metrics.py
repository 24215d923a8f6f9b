"""How good answers are: spans, accuracy, F1, correlations, exact match, each as its known implementation has it."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from math import sqrt

import numpy as np
from numpy.typing import NDArray

_SCHEME = re.compile(r"([BIESLU])[-_](.+)")
# SQuAD's evaluate-v2.0.py: articles go, of English alone, and the punctuation of ASCII.
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = frozenset(string.punctuation)


def is_of_spans(labels: Sequence[str]) -> bool:
    """Whether labels mark spans, as BIO and BIOES do, and are no names of their own.

    >>> is_of_spans(["O", "B-PER", "I-PER"]), is_of_spans(["NOUN", "VERB"])
    (True, False)
    """
    marks = [label for label in labels if label != "O"]
    return bool(marks) and "O" in labels and all(_SCHEME.fullmatch(label) for label in marks)


def spans(labels: Sequence[str]) -> set[tuple[str, int, int]]:
    """The spans that the labels of a sentence mark, as conlleval and seqeval (without a scheme) find them.

    An I- that nothing begins begins a span itself; so does one of another kind than the label before. L and U of
    BILOU count as E and S.

    Args:
        labels: of the words, in order.

    Returns:
        For each span its kind, its first word, and its last.

    >>> sorted(spans(["B-PER", "I-PER", "O", "I-LOC"]))
    [('LOC', 3, 3), ('PER', 0, 1)]
    """
    found: set[tuple[str, int, int]] = set()
    open_kind, start, ended = "", 0, True
    for place, label in enumerate([*labels, "O"]):
        mark, kind = _parted(label)
        goes_on = mark in "IE" and kind == open_kind and not ended
        if open_kind and not goes_on:
            found.add((open_kind, start, place - 1))
            open_kind = ""
        if mark != "O" and not goes_on:
            open_kind, start = kind, place
        ended = mark in "ESO"
    return found


def _parted(label: str) -> tuple[str, str]:
    match = _SCHEME.fullmatch(label)
    if match is None:
        return "O", ""
    return {"L": "E", "U": "S"}.get(match[1], match[1]), match[2]


def span_scores(gold: Sequence[Sequence[str]], found: Sequence[Sequence[str]]) -> dict[str, float]:
    """Precision, recall and F1 of spans over all sentences together, each 0 where there is nothing to divide by."""
    right = wanted = given = 0
    for one, other in zip(gold, found, strict=True):
        in_gold, in_found = spans(one), spans(other)
        right += len(in_gold & in_found)
        wanted += len(in_gold)
        given += len(in_found)
    precision, recall = _share(right, given), _share(right, wanted)
    return {"precision": precision, "recall": recall, "f1": _harmonic(precision, recall)}


def accuracy(gold: Sequence[object], found: Sequence[object]) -> float:
    """The share that is right."""
    return _share(sum(one == other for one, other in zip(gold, found, strict=True)), len(gold))


def majority_accuracy(gold: Sequence[object]) -> float:
    """What always saying the commonest would have."""
    return _share(max(Counter(gold).values(), default=0), len(gold))


def macro_f1(gold: Sequence[object], found: Sequence[object]) -> float:
    """The mean of the classes' F1, over all on either side, as scikit-learn's f1_score(average="macro")."""
    pairs, wanted, given = Counter(zip(gold, found, strict=True)), Counter(gold), Counter(found)
    classes = wanted.keys() | given.keys()
    scores = [2 * pairs[one, one] / (wanted[one] + given[one]) for one in classes]
    return sum(scores) / len(scores) if scores else 0.0


def matthews(gold: Sequence[object], found: Sequence[object]) -> float:
    """Matthews' correlation for any number of classes, as scikit-learn's matthews_corrcoef (Gorodkin, 2004)."""
    wanted, given, total = Counter(gold), Counter(found), len(gold)
    right = sum(one == other for one, other in zip(gold, found, strict=True))
    both = sum(wanted[one] * given[one] for one in wanted)
    spread = (total**2 - sum(n * n for n in given.values())) * (total**2 - sum(n * n for n in wanted.values()))
    return (right * total - both) / sqrt(spread) if spread else 0.0


def pearson(gold: NDArray[np.float64], found: NDArray[np.float64]) -> float:
    """Pearson's correlation of [n] and [n] numbers; 0 where one of them does not vary."""
    one, other = gold - gold.mean(), found - found.mean()
    spread = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum()) / spread if spread else 0.0


def spearman(gold: NDArray[np.float64], found: NDArray[np.float64]) -> float:
    """Spearman's: Pearson's of the ranks, those of equal numbers the mean of theirs."""
    return pearson(_ranks(gold), _ranks(found))


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: NDArray[np.float64] = ((last - counts + 1 + last) / 2)[places]
    return ranks


def normalised(answer: str) -> list[str]:
    """The words of an answer as SQuAD compares them: lower case, no punctuation, no articles.

    >>> normalised("The Eiffel-Tower, an icon")
    ['eiffeltower', 'icon']
    """
    bare = "".join(letter for letter in answer.lower() if letter not in _PUNCTUATION)
    return _ARTICLES.sub(" ", bare).split()


def exact_match(answers: Sequence[str], found: str) -> float:
    """Whether an answer is one of those that count as right; no answer at all is right where there is none."""
    return max(float(normalised(one) == normalised(found)) for one in answers or [""])


def overlap_f1(answers: Sequence[str], found: str) -> float:
    """The F1 of an answer's words against the nearest of the right ones (SQuAD's evaluate-v2.0.py, compute_f1)."""
    return max(_overlap(normalised(one), normalised(found)) for one in answers or [""])


def _overlap(gold: list[str], found: list[str]) -> float:
    if not gold or not found:
        return float(gold == found)
    same = sum((Counter(gold) & Counter(found)).values())
    return _harmonic(same / len(found), same / len(gold))


def median_and_range(values: Sequence[float]) -> tuple[float, float, float]:
    """The median of several runs, the least and the most."""
    return float(np.median(values)), min(values), max(values)


def flat(sentences: Sequence[Sequence[str]]) -> list[str]:
    """All labels of all sentences."""
    return [label for sentence in sentences for label in sentence]


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _harmonic(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
