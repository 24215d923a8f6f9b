"""What is fitted to a terminal and coloured there, and what is the same wherever it goes."""

from __future__ import annotations

import pytest

from electra_convert.cli import printing

SENTENCE = "The quick brown fox jumps over the lazy dog, and over its kennel too."


@pytest.fixture
def terminal(monkeypatch) -> None:
    monkeypatch.setattr(printing, "on_terminal", lambda _: True)
    monkeypatch.setenv("COLUMNS", "44")


def test_a_sentence_is_broken_between_words_to_fit_a_terminal(terminal):
    lines = printing.wrapped(SENTENCE, "  ")
    assert len(lines) == 2
    assert all(len(line) <= 44 and line.startswith("  ") for line in lines)
    assert " ".join(line.strip() for line in lines) == SENTENCE


def test_elsewhere_it_is_one_line():
    assert printing.wrapped(SENTENCE, "  ") == [f"  {SENTENCE}"]


def test_a_name_breaks_no_line(terminal):
    assert printing.wrapped("a\nb\x1b[2J") == [r"a\nb\x1b[2J"]
