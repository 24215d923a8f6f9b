"""What reaches the terminal: results to standard output, all else to standard error, no name breaking a line."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import click

from electra_convert.errors import OutputError


def one_line(text: str) -> str:
    """Escape what would break a line or steer a terminal; names come from files, and may hold anything.

    Args:
        text: a message, or one line of a result.

    Returns:
        The text with everything escaped that cannot be printed.
    """
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def on_terminal(stream: TextIO | None) -> bool:
    """Whether a standard stream is a terminal; Python has None for one that was closed before it started."""
    return stream is not None and stream.isatty()


def print_result(text: str, hint: str | None = None) -> None:
    """Print a result to standard output; what its encoding lacks is escaped.

    Args:
        text: all of its lines, each made by one_line.
        hint: what to say where it cannot be printed, such as what was done all the same.

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
    """Print one line to standard error.

    Args:
        kind: what it is, such as Error or Note.
        text: what is to be said.
    """
    click.echo(f"{kind}: {one_line(text)}", err=True)
