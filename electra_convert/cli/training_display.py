"""What is shown while something trains: a bar with its losses on a terminal, and lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from electra_convert.cli.printing import on_terminal, one_line, print_message


@contextmanager
def training_display(quiet: bool) -> Iterator[TrainingDisplay]:
    """Show a run, unless nothing may be shown; yields who is to be told how it goes."""
    with ExitStack() as stack:
        bars = None
        if not quiet and on_terminal(sys.stderr):
            bars = stack.enter_context(_bars())
        yield TrainingDisplay(bars, quiet)


def _bars() -> Any:  # noqa: ANN401 - rich.progress.Progress
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, TextColumn("{task.fields[losses]}"), console=Console(stderr=True))


class TrainingDisplay:
    """Plays the role of pretraining.progress.Reporter, and shows on standard error what it is told."""

    def __init__(self, bars: Any, quiet: bool) -> None:  # noqa: ANN401 - rich.progress.Progress
        self._bars, self._quiet = bars, quiet
        self._tasks: dict[str, Any] = {}

    def tokenised(self, done: int, total: int) -> None:
        """Move the bar of the corpus, in kilobytes."""
        self._move("Tokenising", done // 1000, total // 1000, "")

    def stepped(self, step: int, total: int, losses: Mapping[str, float]) -> None:
        """Move the bar of the steps."""
        from electra_convert.pretraining.progress import step_text

        text = step_text(step, total, losses)
        if self._bars is None:
            self._say("Step", f"{step} of {total}: {text}")
        self._move("Training", step, total, text)

    def evaluating(self, done: int, total: int) -> None:
        """Move the bar of the evaluation."""
        self._move("Evaluating", done, total, "")

    def evaluated(self, step: int, metrics: Mapping[str, float]) -> None:
        """Print the metrics of the held-out sequences."""
        from electra_convert.pretraining.progress import metrics_text

        if metrics:
            self._say("Held out", f"at step {step}: {metrics_text(metrics)}")

    def noticed(self, line: str) -> None:
        """Print a note."""
        self._say("Note", line)

    def warned(self, line: str) -> None:
        """Print a warning."""
        self._say("Warning", line)

    def _say(self, kind: str, text: str) -> None:
        """Print a line, above the bars where there are some: what goes past them lands in the middle of one."""
        if self._bars is not None:
            line = f"{kind}: {one_line(text)}"
            self._bars.console.print(line, markup=False, highlight=False, emoji=False, soft_wrap=True)
        elif not self._quiet:
            print_message(kind, text)

    def _move(self, name: str, done: int, total: int, losses: str) -> None:
        if self._bars is None:
            return
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=total, losses="")
        self._bars.update(self._tasks[name], completed=done, total=total, losses=losses)
