"""Options that several commands take, in the same words."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from electra_convert.cli.printing import on_terminal, show_log
from electra_convert.cli.values import PATH, TEXT_OR_FILE
from electra_convert.schemes.heads import kinds

Command = TypeVar("Command", bound=Callable[..., Any])
# What SOURCE may be, wherever a checkpoint is read.
SOURCE_IS = (
    "A checkpoint: a TensorFlow folder, prefix (model.ckpt-1000) or any of its files, a SavedModel, a transformers "
    "folder or a folder of two (discriminator/ and generator/), a .safetensors, .bin, .pt, .pth, .h5 or .msgpack "
    "file, or any of these on the Hugging Face Hub: hf://OWNER/REPO[@REVISION][/PATH]."
)


# What every run calls its folder of the finished models.
_SAYS_NOTHING = frozenset({"model", "models"})


def model_name(source: str | Path) -> str:
    """What a model is called on pages and in JSON."""
    if isinstance(source, str):
        return source
    path = source.resolve()
    while path.name in _SAYS_NOTHING and path.parent.name:
        path = path.parent
    # A name of a file may be no UTF-8.
    return os.fsencode(path.name).decode("utf-8", "replace")


def output_options(command: Command) -> Command:
    """--json and -q."""
    command = click.option(
        "-q", "--quiet", is_flag=True, help="Print the result alone: no progress, notes or warnings."
    )(command)
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")(command)


def config_options(command: Command) -> Command:
    """--hparams and --config."""
    command = click.option(
        "--config",
        type=PATH,
        metavar="FILE",
        help="A transformers config.json, to settle the head count and the activation.",
    )(command)
    return click.option(
        "--hparams",
        type=TEXT_OR_FILE,
        metavar="JSON|FILE",
        help="The hparams that run_pretraining.py was given: JSON, or a file that holds it.",
    )(command)


def tokenizer_options(command: Command) -> Command:
    """How a tokenizer makes text ready: --cased, --strip-accents, --tokenize-chinese-chars and --added-tokens."""
    command = click.option(
        "--added-tokens",
        type=PATH,
        metavar="FILE",
        help="Pieces of the vocabulary, one on each line, that are matched whole before a text is split.",
    )(command)
    command = click.option(
        "--tokenize-chinese-chars/--no-tokenize-chinese-chars",
        default=None,
        help="Whether each ideograph is a word of its own. By default it is, as in Google's code.",
    )(command)
    command = click.option(
        "--strip-accents/--no-strip-accents",
        default=None,
        help="Whether the tokenizer strips accents. By default, as in Google's code: whenever it lower-cases.",
    )(command)
    return click.option(
        "--cased/--uncased",
        "cased",
        default=None,
        help="Whether the tokenizer keeps upper case. By default, the hparams decide, or else the vocabulary.",
    )(command)


def task_options(command: Command) -> Command:
    """--task and --labels: what a fine-tuned checkpoint of Google's code does not tell."""
    command = click.option(
        "--labels",
        type=TEXT_OR_FILE,
        metavar="FILE|A,B,...",
        help="What the classes of a fine-tuned head are called. By default, as in Google's code for its tasks.",
    )(command)
    names = list(kinds())
    return click.option(
        "--task",
        metavar="NAME[=KIND]",
        help="Of a fine-tuned TensorFlow checkpoint: the task whose head is wanted. KIND says what it is where its "
        f"name does not: {' or '.join((', '.join(names[:-1]), names[-1]))}. By default, convert takes every task "
        "whose name tells.",
    )(command)


def exclude_option(command: Command) -> Command:
    """--exclude."""
    return click.option(
        "--exclude",
        multiple=True,
        metavar="GLOB",
        help="Leave out tensors of these names, such as 'my_scope/*', which are no part of the model. May be given "
        "several times.",
    )(command)


def metadata_options(command: Command) -> Command:
    """--license, --language and --base-model: what a card says that a model's files do not."""
    command = click.option(
        "--base-model", metavar="OWNER/NAME", help="The model on the Hub that this one was made from, for the card."
    )(command)
    command = click.option(
        "--language",
        multiple=True,
        metavar="CODE",
        help="A language the model is for, such as en, for the card. May be given several times.",
    )(command)
    return click.option("--license", metavar="ID", help="The licence, such as apache-2.0, for the card.")(command)


def prepare_hub(quiet: bool) -> None:
    """Keep what is said of downloads, and huggingface_hub's bars, for a terminal; it reads this as it is imported."""
    if quiet or not on_terminal(sys.stderr):
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    else:
        show_log()
