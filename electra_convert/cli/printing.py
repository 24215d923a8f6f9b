"""What reaches the terminal: results to standard output, all else to standard error, no name breaking a line."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import get_terminal_size
from textwrap import fill
from typing import Any, TextIO

import click

from electra_convert.errors import OutputError

_PATIENCE = 1.0  # seconds


def one_line(text: str) -> str:
    """Escape what would break a line or steer a terminal; names come from files, and may hold anything."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def as_text(lines: Iterable[str]) -> str:
    """Lines of a result, none of them broken by a name."""
    return "\n".join(one_line(line) for line in lines)


def table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows of cells as lines, indented, the columns table."""
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(len(rows[0]) if rows else 0)]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def on_terminal(stream: TextIO | None) -> bool:
    """Whether a standard stream is a terminal; Python has None for one that was closed before it started."""
    return stream is not None and stream.isatty()


def wants_colour() -> bool:
    """Whether standard output is a terminal that shows colours, and its reader wants them."""
    return on_terminal(sys.stdout) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def wrapped(line: str, indent: str = "") -> list[str]:
    """A sentence as lines that fit the terminal, none of them broken by a name; elsewhere it stays one."""
    text = one_line(line)
    if not on_terminal(sys.stdout):
        return [indent + text]
    width = max(40, get_terminal_size().columns)
    return fill(
        text, width, initial_indent=indent, subsequent_indent=f"{indent}  ", break_on_hyphens=False
    ).splitlines()


def source_line(container: str, layout: str | None, step: int | None) -> str:
    """What was read: its container, and where they are known its layout and step."""
    parts = [container, f"{layout} layout" if layout else None, None if step is None else f"step {step:,}"]
    return "Source: " + ", ".join(part for part in parts if part) + "."


def print_result(text: str, hint: str | None = None) -> None:
    """Print a result to standard output; what its encoding lacks is escaped.

    Raises:
        OutputError: it cannot be written there; a reader that has gone away is left to click.
    """
    try:
        _echo(text)
    except BrokenPipeError:
        raise
    except OSError as error:
        _give_up_output()
        raise OutputError(f"the result cannot be printed: {error.strerror}", hint) from error


def print_json(fields: Mapping[str, Any], hint: str | None = None) -> None:
    """Print one JSON object and nothing else; the hint is print_result's."""
    import json  # where it is needed: --help imports nothing that it can do without

    print_result(json.dumps({"schema": 1, **fields}, indent=2, ensure_ascii=True), hint)


def _give_up_output() -> None:
    """Let go of what is buffered: Python would print it again at its end, fail again, and exit with 120."""
    with suppress(OSError), Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def _echo(text: str) -> None:
    try:
        click.echo(text)
    except UnicodeEncodeError as error:
        click.echo(text.encode(error.encoding, "backslashreplace").decode(error.encoding))


def print_message(kind: str, text: str) -> None:
    """Print one line to standard error."""
    click.echo(f"{kind}: {one_line(text)}", err=True)


def print_traceback(error: BaseException) -> None:
    """Print a traceback to standard error as Python does, but each message in it on one line."""
    from traceback import TracebackException  # where it is needed

    told = TracebackException.from_exception(error)
    waiting: list[Any] = [told]
    while waiting:
        one = waiting.pop()
        # What a message is kept as; a text of a file would otherwise steer the terminal, or seem to be the program's.
        one._str = one_line(str(one._str))
        one.__notes__ = [one_line(str(note)) for note in one.__notes__ or ()]
        waiting += [cause for cause in (one.__cause__, one.__context__, *(one.exceptions or ())) if cause]
    click.echo("".join(told.format()), err=True, nl=False)


def print_messages(notices: Sequence[str], warnings: Sequence[str]) -> None:
    """Print what a reader should know beside the result."""
    for line in notices:
        print_message("Note", line)
    for line in warnings:
        print_message("Warning", line)


def show_log() -> None:
    """Have what the package logs, such as what is about to be downloaded, said on standard error."""
    import logging  # where it is needed: --help imports nothing that it can do without

    class Told(logging.Handler):
        """Says a record as a message."""

        def emit(self, record: logging.LogRecord) -> None:
            print_message("Note", record.getMessage())

    logger = logging.getLogger("electra_convert")
    logger.setLevel(logging.INFO)
    if not any(type(handler).__name__ == Told.__name__ for handler in logger.handlers):
        logger.addHandler(Told())


@contextmanager
def progress_bar(label: str, quiet: bool, unit: str = "bytes") -> Iterator[Callable[[int, int], None] | None]:
    """Show how far a work is: yields what is told how many bytes, or other things, of how many are done; None where
    nothing is shown."""
    if quiet or not on_terminal(sys.stderr):
        yield None
        return
    bar = _Bar(label, unit)
    try:
        yield bar.update
    finally:
        bar.close()


class _Bar:
    """Starts rich's bar only once the patience is over, so that quick work neither imports nor shows it."""

    def __init__(self, label: str, unit: str) -> None:
        self._label, self._unit = label, unit
        self._start = time.monotonic()
        self._close: Callable[[], None] | None = None
        self._show: Callable[[int, int], None] | None = None

    def update(self, done: int, total: int) -> None:
        """Show that so many of so many are done."""
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

        counted = TextColumn(f"{{task.completed}} of {{task.total}} {self._unit}")
        amount = DownloadColumn() if self._unit == "bytes" else counted
        columns = (TextColumn("{task.description}"), BarColumn(), amount, TimeRemainingColumn())
        bar = Progress(*columns, console=Console(stderr=True), transient=True)
        task = bar.add_task(self._label)
        bar.start()
        self._show = lambda done, total: bar.update(task, completed=done, total=total)
        self._close = bar.stop
