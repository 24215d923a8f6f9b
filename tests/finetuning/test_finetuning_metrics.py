"""Metrics give what the known implementations give; their results are recorded, and their rules are held to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from electra_convert.finetuning.metrics import (
    accuracy,
    exact_match,
    is_of_spans,
    macro_f1,
    matthews,
    median_and_range,
    overlap_f1,
    pearson,
    span_scores,
    spans,
    spearman,
)


def entities(labels: list[str]) -> set[tuple[str, int, int]]:
    """What the rules of conlleval.pl say, in their own words: where a chunk starts, and where one ends."""

    def ends(before: str, kind_before: str, mark: str, kind: str) -> bool:
        if before in "ES":
            return True
        if before in "BI" and mark in "BSO":
            return True
        return before != "O" and kind_before != kind

    def starts(before: str, kind_before: str, mark: str, kind: str) -> bool:
        if mark in "BS":
            return True
        if before in "ESO" and mark in "EI":
            return True
        return mark != "O" and kind_before != kind

    found, start = set(), 0
    before, kind_before = "O", ""
    for place, label in enumerate([*labels, "O"]):
        mark, _, kind = label.partition("-")
        if before != "O" and ends(before, kind_before, mark, kind):
            found.add((kind_before, start, place - 1))
        if starts(before, kind_before, mark, kind):
            start = place
        before, kind_before = mark, kind
    return found


@given(st.lists(st.sampled_from(["O", *(f"{mark}-{kind}" for mark in "BIES" for kind in ("A", "B"))]), max_size=9))
def test_spans_are_those_of_conlleval_whatever_the_labels(labels):
    assert spans(labels) == entities(labels)


# seqeval cd01b52: precision_score, recall_score, f1_score of y_true and y_pred, without a scheme. The last was drawn.
SEQEVAL = [
    # The example of its README.
    (
        [["O", "O", "O", "B-MISC", "I-MISC", "I-MISC", "O"], ["B-PER", "I-PER", "O"]],
        [["O", "O", "B-MISC", "I-MISC", "I-MISC", "I-MISC", "O"], ["B-PER", "I-PER", "O"]],
        (0.5, 0.5, 0.5),
    ),
    # The three that its documentation calls lenient: an I- begins a span where none is open.
    ([["B-NP", "I-NP", "O"]], [["I-NP", "I-NP", "O"]], (1.0, 1.0, 1.0)),
    ([["O", "O"]], [["O", "O"]], (0.0, 0.0, 0.0)),
    (
        [one.split() for one in ("B-A B-B E-B I-A O I-A I-A", "O E-B B-A B-A B-B B-A B-A", "E-B E-B E-A O E-B")],
        [one.split() for one in ("I-B B-B E-B E-A O O I-A", "O E-B B-A E-A B-B B-A O", "O E-B B-A O E-B")],
        (0.7272727272727273, 0.5714285714285714, 0.64),
    ),
]


@pytest.mark.parametrize(("gold", "found", "expected"), SEQEVAL)
def test_spans_are_scored_as_seqeval_scores_them(gold, found, expected):
    assert tuple(span_scores(gold, found).values()) == pytest.approx(expected)


def test_bilou_counts_as_bioes():
    assert spans(["B-A", "I-A", "L-A", "U-B"]) == spans(["B-A", "I-A", "E-A", "S-B"])


@pytest.mark.parametrize(
    ("labels", "of_spans"),
    [(["O", "B-A"], True), (["NOUN", "VERB"], False), (["B-A", "I-A"], False), (["O"], False), (["O", "X"], False)],
)
def test_labels_are_of_spans_where_all_of_them_say_a_place(labels, of_spans):
    assert is_of_spans(labels) is of_spans


GOLD = ["cat", "ant", "cat", "cat", "ant", "bird"]
FOUND = ["ant", "ant", "cat", "cat", "ant", "cat"]


def test_classes_are_scored_as_scikit_learn_scores_them():
    # scikit-learn 1.9.1: accuracy_score, f1_score(average="macro"), matthews_corrcoef of the arrays above.
    assert accuracy(GOLD, FOUND) == pytest.approx(0.6666666667)
    assert macro_f1(GOLD, FOUND) == pytest.approx(0.4888888889)
    assert matthews(GOLD, FOUND) == pytest.approx(0.4522670169)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1))
def test_matthews_of_two_classes_is_the_correlation_of_what_is_said_with_what_is(pairs):
    gold, found = (np.asarray(side, np.float64) for side in zip(*pairs, strict=True))
    assert matthews(list(gold), list(found)) == pytest.approx(pearson(gold, found), abs=1e-9)


@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), min_size=2, max_size=20))
def test_pearson_is_what_numpy_has_and_spearman_stays_when_numbers_are_stretched(pairs):
    one, other = (np.round(np.asarray(side), 2) for side in zip(*pairs, strict=True))
    if one.std() > 1e-3 and other.std() > 1e-3:
        assert pearson(one, other) == pytest.approx(np.corrcoef(one, other)[0, 1], abs=1e-6)
    assert spearman(one, other) == pytest.approx(spearman(np.exp(one), other**3), abs=1e-9)


def test_ranks_of_equal_numbers_are_shared():
    # scipy 1.17.1: spearmanr([1, 2, 2, 4], [4, 1, 3, 2]).
    assert spearman(np.asarray([1.0, 2, 2, 4]), np.asarray([4.0, 1, 3, 2])) == pytest.approx(-0.6324555320)


@pytest.mark.parametrize(
    ("answers", "found", "exact", "f1"),
    [
        # Those of evaluate-v2.0.py's rules: articles, case, punctuation, several answers, none.
        (["Denver Broncos"], "The Denver  broncos.", 1.0, 1.0),
        (["in the 10th century", "10th century"], "the 10th", 0.0, 2 / 3),
        (["a b c d"], "b c e", 0.0, 4 / 6),
        ([], "", 1.0, 1.0),
        ([], "something", 0.0, 0.0),
        (["something"], "", 0.0, 0.0),
        (["the"], "a", 1.0, 1.0),
    ],
)
def test_answers_are_scored_as_squads_script_scores_them(answers, found, exact, f1):
    assert exact_match(answers, found) == exact
    assert overlap_f1(answers, found) == pytest.approx(f1)


def test_several_seeds_are_told_by_their_median_and_range():
    assert median_and_range([0.5, 0.9, 0.6]) == (0.6, 0.5, 0.9)
