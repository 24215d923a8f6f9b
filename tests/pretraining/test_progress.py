"""Who is told how a run goes where nobody is named: a notebook, and nobody elsewhere."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from electra_convert.pretraining.progress import NotebookDisplay, Relay, Silent, default_reporter

LOSSES = {"masked_lm_loss": 5.25, "disc_loss": 0.5, "tokens_per_second": 12345.6}


class Cell:
    """What stands below a notebook's cell: the last content of a display."""

    def __init__(self) -> None:
        self.shown = ""

    def display(self, content, raw, display_id):
        assert raw
        assert display_id
        self.update(content, raw)
        return self

    def update(self, content, raw):
        assert raw
        self.shown = content["text/plain"]


def test_a_notebook_shows_a_few_lines_that_are_rewritten():
    cell = Cell()
    shown = NotebookDisplay(cell.display)
    shown.tokenised(500, 1000)
    assert cell.shown == "Tokenising: 50%"
    shown.noticed("The corpus has 12 tokens.")
    shown.stepped(20, 1000, LOSSES)
    shown.evaluated(20, {})
    assert cell.shown == (
        "Note: The corpus has 12 tokens.\nStep 20 of 1,000: masked_lm 5.250, disc 0.500, 12,346 tokens/s"
    )
    shown.evaluated(20, {"disc_auc": 0.75, "google/disc_auc": 0.625})
    shown.evaluating(1, 4)
    assert cell.shown.endswith("\nEvaluating: 25%")
    shown.stepped(40, 1000, {**LOSSES, "disc_loss": 0.25, "seconds_per_step": 0.125})
    assert cell.shown.splitlines()[1:] == [
        "Held out at step 20: disc_auc 0.750",
        "Step 40 of 1,000: masked_lm 5.250, disc 0.250, 12,346 tokens/s, 0.12 s/step, 2 min 00 s left",
    ]


@pytest.mark.parametrize(
    ("shell", "kind"), [(SimpleNamespace(kernel=1), NotebookDisplay), (SimpleNamespace(), Silent), (None, Silent)]
)
def test_only_a_notebook_shows_what_it_was_not_asked_to(monkeypatch, shell, kind):
    ipython = SimpleNamespace(get_ipython=lambda: shell, display=SimpleNamespace(display=Cell().display))
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    assert type(default_reporter()) is kind


def test_without_ipython_nothing_is_shown(monkeypatch):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert type(default_reporter()) is Silent


def test_a_relay_hands_on_all_it_is_told_and_keeps_notes_and_warnings():
    told = []

    class Listener:
        def __getattr__(self, name):
            return lambda *given: told.append((name, *given))

    relay = Relay(Listener())
    calls = [("tokenised", 1, 2), ("stepped", 1, 2, LOSSES), ("evaluating", 1, 2), ("evaluated", 1, {})]
    calls += [("noticed", "a"), ("warned", "b")]
    for name, *given in calls:
        getattr(relay, name)(*given)
    assert told == calls
    assert (relay.notes, relay.warnings) == (["a"], ["b"])
