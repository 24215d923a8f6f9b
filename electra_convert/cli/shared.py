"""Options that several commands take, in the same words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])
# What may be done with a path is found out by doing it, and told as any other error.
PATH = click.Path(path_type=Path, readable=False)


def output_options(command: Command) -> Command:
    """--json and -q."""
    command = click.option("-q", "--quiet", is_flag=True, help="No progress, notes or warnings.")(command)
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")(command)


def config_options(command: Command) -> Command:
    """--hparams and --config."""
    command = click.option(
        "--config", type=PATH, metavar="FILE", help="A transformers config.json that settles heads and activation."
    )(command)
    return click.option(
        "--hparams",
        metavar="JSON|FILE",
        help="The hparams the run was started with, as run_pretraining.py takes them: JSON, or a file that holds it.",
    )(command)
