"""A progress bar on a terminal, for what takes longer than a second; prints nothing anywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from electra_convert.cli.printing import on_terminal

_PATIENCE = 1.0  # seconds


@contextmanager
def progress_bar(label: str, quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """Show how far a transfer is.

    Args:
        label: what is being done.
        quiet: whether nothing may be shown.

    Yields:
        A function to be told how many bytes of how many are done, or None where nothing is to be shown.
    """
    if quiet or not on_terminal(sys.stderr):
        yield None
        return
    bar = _Bar(label)
    try:
        yield bar.update
    finally:
        bar.close()


class _Bar:
    """Starts rich's bar only once the patience is over, so that quick work neither imports nor shows it."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._start = time.monotonic()
        self._close: Callable[[], None] | None = None
        self._show: Callable[[int, int], None] | None = None

    def update(self, done: int, total: int) -> None:
        """Show that so many bytes of so many are done."""
        if self._show is None and time.monotonic() - self._start > _PATIENCE:
            self._open()
        if self._show is not None:
            self._show(done, total)

    def close(self) -> None:
        """Take the bar off the screen."""
        if self._close is not None:
            self._close()

    def _open(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        bar = Progress(*columns, console=Console(stderr=True), transient=True)
        task = bar.add_task(self._label)
        bar.start()
        self._show = lambda done, total: bar.update(task, completed=done, total=total)
        self._close = bar.stop
