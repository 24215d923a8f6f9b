"""The command line: click commands, and the only place that prints; no conversion logic."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import NoReturn

import click

from electra_convert.cli.guide import HELP
from electra_convert.cli.mistakes import DEBUG, Terminated, told
from electra_convert.cli.printing import print_message, print_traceback
from electra_convert.version import __version__

COMMANDS = ("convert", "inspect", "verify", "demo", "score", "card", "upload", "pretrain", "finetune")


class Commands(click.Group):
    """A group whose commands live in modules of their names, and whose errors are a line and a hint."""

    def list_commands(self, _: click.Context) -> list[str]:
        """The commands in the order of the help."""
        return list(COMMANDS)

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        """Import a command when it is asked for."""
        if name not in COMMANDS:
            return None
        command = import_module(f"electra_convert.cli.{name}").command
        assert isinstance(command, click.Command)
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read what stands before the command."""
        with _mistakes_told():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run a command."""
        # numpy starts a thread for each core to multiply matrices; none are multiplied here.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        # Python looks for garbage once more as it ends, which takes a second where PyTorch was imported.
        atexit.register(gc.freeze)
        with _mistakes_told(), _ended_in_order():
            return super().invoke(ctx)


@contextmanager
def _mistakes_told() -> Iterator[None]:
    """Say in a line and a hint why a command was not done, and end with its exit status."""
    try:
        yield
    except (click.exceptions.Exit, click.Abort, click.exceptions.NoArgsIsHelpError, BrokenPipeError):
        raise
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - every error is told
        if os.environ.get(DEBUG) == "1" and not isinstance(error, click.UsageError):
            print_traceback(error)
            sys.exit(1 if isinstance(error, Exception) else told(error)[2])
        message, hint, code = told(error)
        print_message("Error", message)
        if hint:
            print_message("Hint", hint)
        sys.exit(code)


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """Have SIGTERM end a command as Ctrl-C does: what was begun is removed, and processes it started are ended."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(*_: object) -> NoReturn:
    raise Terminated


@click.group(
    cls=Commands,
    context_settings={"help_option_names": HELP, "max_content_width": 100},
    epilog="electra-convert COMMAND --help shows what a command takes, with examples.",
)
@click.version_option(__version__, prog_name="electra-convert")
def main() -> None:
    """Convert ELECTRA checkpoints between TensorFlow, PyTorch and safetensors, exactly and in both directions.

    Results go to standard output; progress and messages go to standard error. The exit status is 0 on success, 1 on
    failure, 2 for wrong usage, and 130 after Ctrl-C.
    """
