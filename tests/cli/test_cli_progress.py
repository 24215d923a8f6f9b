"""The progress bar: on a terminal, after a while, and nowhere else."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, suppress

import pytest

from electra_convert.cli import printing

ERASED = "\x1b[2K"


class Terminal(io.StringIO):
    """Text that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@contextmanager
def shown_on(screen: io.StringIO, quiet: bool = False) -> Iterator:
    with redirect_stderr(screen), printing.progress_bar("Converting", quiet) as update:
        yield update


@pytest.fixture
def impatient(monkeypatch) -> None:
    monkeypatch.setattr(printing, "_PATIENCE", 0)
    monkeypatch.setenv("TERM", "xterm")


def test_a_long_transfer_shows_a_bar_and_takes_it_off_the_screen(impatient):
    screen = Terminal()
    with shown_on(screen) as update:
        update(1, 2)
    assert "Converting" in screen.getvalue()
    assert screen.getvalue().endswith(ERASED)


def test_a_transfer_that_fails_takes_its_bar_off_the_screen_too(impatient):
    screen = Terminal()
    with suppress(ZeroDivisionError), shown_on(screen) as update:
        update(1, 2)
        raise ZeroDivisionError
    assert screen.getvalue().endswith(ERASED)


def test_a_short_transfer_shows_nothing():
    screen = Terminal()
    with shown_on(screen) as update:
        update(2, 2)
    assert screen.getvalue() == ""


def test_quiet_shows_nothing_even_on_a_terminal(impatient):
    with shown_on(Terminal(), quiet=True) as update:
        assert update is None


def test_nothing_is_shown_where_there_is_no_terminal(impatient):
    with shown_on(io.StringIO()) as update:
        assert update is None
