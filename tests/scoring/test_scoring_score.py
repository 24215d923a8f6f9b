"""Rows scored: those that ask the same are asked once, and each comes out with what is said of it."""

from __future__ import annotations

import json

from electra_convert.scoring.asking import Said
from electra_convert.scoring.rows import Columns, opened_rows
from electra_convert.scoring.score import score_rows

TEXTS = ["a", "b", "a", "", "a", "b"]


class Lengths:
    """Says of each text which of those asked so far it was."""

    names = ("number",)

    def __init__(self):
        self.asked = []

    def scores(self, asked):
        self.asked += asked
        return [Said({"number": len(self.asked) - len(asked) + place}, False) for place in range(len(asked))]


class Kept:
    def __init__(self):
        self.text = ""

    def has(self, _):
        return False

    def write(self, text):
        self.text += text

    def faulty(self, _):
        raise AssertionError

    done = faulty


def test_lines_that_are_the_same_are_scored_once(tmp_path):
    (tmp_path / "lines.txt").write_text("".join(f"{text}\n" for text in TEXTS))
    scorer, kept = Lengths(), Kept()
    kept.done = lambda _: None
    with opened_rows(tmp_path / "lines.txt", Columns(None, None), scorer.names) as rows:
        assert score_rows(rows, scorer, kept, kept).rows == len(TEXTS)
    assert [one.text for one in scorer.asked] == ["a", "b"]
    told = [json.loads(line) for line in kept.text.splitlines()]
    assert [(one["text"], one["number"]) for one in told] == list(zip(TEXTS, [0, 1, 0, None, 0, 1], strict=True))
