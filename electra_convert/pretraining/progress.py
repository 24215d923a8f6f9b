"""Who is told how a run goes, and in which words; the display of the command line is its own."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Protocol

_LOSSES = ("masked_lm_loss", "disc_loss", "loss")


class Reporter(Protocol):
    """Is told what happens, each of it many times."""

    def tokenised(self, done: int, total: int) -> None:
        """So many bytes of the corpus are tokenised."""

    def stepped(self, step: int, total: int, losses: Mapping[str, float]) -> None:
        """A step is done; losses has the run's losses, tokens_per_second where it is known, and seconds_per_step."""

    def evaluating(self, done: int, total: int) -> None:
        """So many batches of the held-out sequences have been looked at."""

    def evaluated(self, step: int, metrics: Mapping[str, float]) -> None:
        """The held-out sequences have been looked at; no metrics where there are none."""

    def noticed(self, line: str) -> None:
        """Something that a reader may want to know."""

    def warned(self, line: str) -> None:
        """Something that may not be as it is meant."""


class Silent:
    """Takes note of nothing."""

    def tokenised(self, done: int, total: int) -> None:
        """Pass over it."""

    def stepped(self, step: int, total: int, losses: Mapping[str, float]) -> None:
        """Pass over it."""

    def evaluating(self, done: int, total: int) -> None:
        """Pass over it."""

    def evaluated(self, step: int, metrics: Mapping[str, float]) -> None:
        """Pass over it."""

    def noticed(self, line: str) -> None:
        """Pass over it."""

    def warned(self, line: str) -> None:
        """Pass over it."""


class Relay:
    """Hands on what it is told, and keeps the notes and warnings."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self.notes: list[str] = []
        self.warnings: list[str] = []

    def tokenised(self, done: int, total: int) -> None:
        """Hand it on."""
        self._reporter.tokenised(done, total)

    def stepped(self, step: int, total: int, losses: Mapping[str, float]) -> None:
        """Hand it on."""
        self._reporter.stepped(step, total, losses)

    def evaluating(self, done: int, total: int) -> None:
        """Hand it on."""
        self._reporter.evaluating(done, total)

    def evaluated(self, step: int, metrics: Mapping[str, float]) -> None:
        """Hand it on."""
        self._reporter.evaluated(step, metrics)

    def noticed(self, line: str) -> None:
        """Hand it on, and keep it."""
        self.notes.append(line)
        self._reporter.noticed(line)

    def warned(self, line: str) -> None:
        """Hand it on, and keep it."""
        self.warnings.append(line)
        self._reporter.warned(line)


class NotebookDisplay(Silent):
    """Shows a run below a notebook's cell, in lines of text that are rewritten as it goes on."""

    def __init__(self, show: Any) -> None:  # noqa: ANN401 - IPython.display.display, which is not among what we need
        self._lines: list[str] = []
        self._last = {"evaluated": "", "stepped": ""}
        self._handle = show(self._content(), raw=True, display_id=True)

    def tokenised(self, done: int, total: int) -> None:
        """Rewrite how far it is."""
        self._show("stepped", f"Tokenising: {done / max(total, 1):.0%}")

    def stepped(self, step: int, total: int, losses: Mapping[str, float]) -> None:
        """Rewrite how far it is."""
        self._show("stepped", f"Step {step:,} of {total:,}: {step_text(step, total, losses)}")

    def evaluating(self, done: int, total: int) -> None:
        """Rewrite how far it is."""
        self._show("stepped", f"Evaluating: {done / max(total, 1):.0%}")

    def evaluated(self, step: int, metrics: Mapping[str, float]) -> None:
        """Rewrite how good the models are."""
        if metrics:
            self._show("evaluated", f"Held out at step {step:,}: {metrics_text(metrics)}")

    def noticed(self, line: str) -> None:
        """Add a line that stays."""
        self._lines.append(f"Note: {line}")
        self._handle.update(self._content(), raw=True)

    def _show(self, kind: str, text: str) -> None:
        self._last[kind] = text
        self._handle.update(self._content(), raw=True)

    def _content(self) -> dict[str, str]:
        return {"text/plain": "\n".join([*self._lines, *filter(None, self._last.values())])}


def default_reporter() -> Reporter:
    """The display of the notebook that Python runs in; elsewhere nobody."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    # The shell of a terminal has no kernel, and cannot rewrite what it has shown.
    return NotebookDisplay(ipython.display.display) if ipython and hasattr(shell, "kernel") else Silent()


def losses_text(losses: Mapping[str, float]) -> str:
    """The losses of a step, and how fast it went."""
    shown = [f"{name.removesuffix('_loss')} {losses[name]:.3f}" for name in _LOSSES if name in losses]
    if "tokens_per_second" in losses:
        shown.append(f"{losses['tokens_per_second']:,.0f} tokens/s")
    return ", ".join(shown)


def step_text(step: int, total: int, losses: Mapping[str, float]) -> str:
    """The same, and how long a step and the rest of the run take at the pace of the last steps."""
    seconds = losses.get("seconds_per_step")
    if seconds is None:
        return losses_text(losses)
    return f"{losses_text(losses)}, {seconds:.2g} s/step, {duration_text((total - step) * seconds)} left"


def duration_text(seconds: float) -> str:
    """A time as people read it, in its two largest units.

    >>> [duration_text(one) for one in (4.2, 125, 7260, 200_000)]
    ['4 s', '2 min 05 s', '2 h 01 min', '2 d 07 h']
    """
    whole = round(seconds)
    for size, name, part, least in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            return f"{whole // size} {name} {whole % size // part:02d} {least}"
    return f"{whole} s"


def metrics_text(metrics: Mapping[str, float]) -> str:
    """The metrics of the held-out sequences, each only as it is counted here."""
    return ", ".join(f"{name} {value:.3f}" for name, value in metrics.items() if "/" not in name)
