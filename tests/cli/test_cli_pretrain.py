"""A run on a terminal: bars, and lines that stand above them."""

from __future__ import annotations

import io
from contextlib import redirect_stderr

import pytest

from electra_convert.cli.training_display import training_display

LOSSES = {"masked_lm_loss": 5.25, "disc_loss": 0.5, "tokens_per_second": 12345.6}
ERASED = "\x1b[2K"


class Terminal(io.TextIOWrapper):
    """A stream over bytes, as Python's own are, that says it is a terminal."""

    def isatty(self) -> bool:
        return True

    def shown(self) -> str:
        self.flush()
        return self.buffer.getvalue().decode()


@pytest.fixture
def terminal(monkeypatch) -> Terminal:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    return Terminal(io.BytesIO(), encoding="utf-8")


def test_every_line_begins_where_a_bar_was_erased(terminal):
    with redirect_stderr(terminal), training_display(quiet=False) as display:
        display.stepped(1, 9, LOSSES)
        display.noticed("Look [here]: :smile:")
        display.evaluated(1, {"disc_auc": 0.75})
    shown = terminal.shown()
    assert "masked_lm 5.250, disc 0.500, 12,346 tokens/s" in shown
    for line in ("Note: Look [here]: :smile:\n", "Held out: at step 1: disc_auc 0.750\n"):
        assert f"{ERASED}{line}" in shown


def test_quiet_shows_neither_bars_nor_lines(terminal):
    with redirect_stderr(terminal), training_display(quiet=True) as display:
        display.stepped(1, 9, LOSSES)
        display.noticed("Look here")
        display.evaluated(1, {"disc_auc": 0.75})
    assert terminal.shown() == ""
