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

import click

from electra_convert.cli.printing import print_message
from electra_convert.errors import ElectraConvertError, UsageError
from electra_convert.version import __version__

COMMANDS = ("convert", "inspect", "verify", "demo", "card", "upload", "pretrain")
DEBUG = "ELECTRA_CONVERT_DEBUG"


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

    def invoke(self, context: click.Context) -> object:
        """Run a command, and report what it refuses."""
        # numpy starts a thread for each core to multiply matrices; none are multiplied here.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        # Python looks for garbage once more as it ends, which takes a second where PyTorch was imported.
        atexit.register(gc.freeze)
        try:
            with _ended_in_order():
                return super().invoke(context)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except (Exception, KeyboardInterrupt) as error:
            if os.environ.get(DEBUG) == "1":
                raise
            message, hint, code = _told(error)
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
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _told(error: BaseException) -> tuple[str, str | None, int]:
    if isinstance(error, ElectraConvertError):
        return error.message, error.hint, 2 if isinstance(error, UsageError) else 1
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", " ".join(getattr(error, "__notes__", ())) or None, 1
    if isinstance(error, MemoryError):
        return "out of memory", None, 1
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}", None, 1
    return f"unexpected {type(error).__name__}: {error}", f"Please report it, with what {DEBUG}=1 prints.", 1


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="electra-convert")
def main() -> None:
    """Convert ELECTRA checkpoints between TensorFlow, PyTorch and safetensors, exactly and in both directions.

    SOURCE may be a TensorFlow checkpoint (its folder, its prefix such as model.ckpt-1000, or any one of its files), a
    SavedModel, a transformers model or a folder of two (discriminator/ and generator/), a .safetensors or .bin file,
    or any of these on the Hugging Face Hub, as hf://OWNER/REPO[@REVISION][/PATH].

    Results go to standard output; progress and messages go to standard error. The exit status is 0 on success, 1 on
    failure, and 2 for wrong usage.
    """
