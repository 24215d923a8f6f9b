"""What went wrong, in an Error: line and a Hint: line: mistypings with what was probably meant, and refusals."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import click

from electra_convert.cli.guide import GuidedCommand
from electra_convert.errors import ElectraConvertError, UsageError, nearest

DEBUG = "ELECTRA_CONVERT_DEBUG"
# What others call the values of options.
_OTHER_NAMES = {
    "fp32": "float32",
    "fp16": "float16",
    "half": "float16",
    "bf16": "bfloat16",
    "tensorflow": "tf",
    "pt": "torch",
    "pytorch": "torch",
    "disc": "discriminator",
    "gen": "generator",
}
_INTERRUPTED = 130  # 128 and the number of SIGINT, as shells have it


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a command as Ctrl-C does but for its exit status."""


def told(error: BaseException) -> tuple[str, str | None, int]:
    """What is said of an error, what to do about it, and the exit status."""
    if isinstance(error, click.UsageError):
        # click's own suggestions stand behind the message of a name that does not exist.
        unknown = isinstance(error, click.NoSuchOption | click.exceptions.NoSuchCommand)
        return error.message if unknown else error.format_message(), _about_usage(error), error.exit_code
    if isinstance(error, ElectraConvertError):
        return error.message, _with_similar(error), 2 if isinstance(error, UsageError) else 1
    if isinstance(error, KeyboardInterrupt):
        code = 1 if isinstance(error, Terminated) else getattr(error, "status", _INTERRUPTED)
        return "interrupted", " ".join(getattr(error, "__notes__", ())) or None, code
    if isinstance(error, MemoryError):
        return "out of memory", None, 1
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}", _did_you_mean(_similar_path(error)), 1
    return f"unexpected {type(error).__name__}: {error}", f"Please report it, with what {DEBUG}=1 prints.", 1


def _about_usage(error: click.UsageError) -> str | None:
    context = error.ctx
    if context is None:
        return None
    if isinstance(error, click.NoSuchOption):
        return _about_option(error.option_name, context)
    if isinstance(error, click.exceptions.NoSuchCommand):
        return _about_command(error.command_name, context)
    if isinstance(error, click.BadOptionUsage):
        return _explained(error.option_name, context)
    if isinstance(error, click.BadParameter) and not isinstance(error, click.MissingParameter):
        return _about_value(error, context)
    return f"It goes like this: {_example(context)}"


def _about_option(given: str, context: click.Context) -> str:
    if context.parent is None:
        return f"Options follow their command, as in {context.command_path} inspect SOURCE --json."
    names = [name for one in context.command.get_params(context) for name in (*one.opts, *one.secondary_opts)]
    long = {name.lstrip("-"): name for name in names if name.startswith("--")}
    if near := nearest(given.lstrip("-").lower().replace("_", "-"), long):
        return f"Did you mean {long[near]}?"
    if not given.startswith("--"):
        return f"Names of options have two dashes; {context.command_path} --help shows them."
    return f"{context.command_path} --help-all shows every option. What begins with a dash and is none follows --."


def _about_command(given: str, context: click.Context) -> str:
    assert isinstance(context.command, click.Group)
    commands = context.command.list_commands(context)
    if given == "help":
        return f"{context.command_path} --help, or {context.command_path} COMMAND --help."
    if near := nearest(given.lower(), commands):
        return f"Did you mean {context.command_path} {near}?"
    if os.path.exists(given) or given.startswith("hf:"):  # noqa: PTH110 - Path.exists fails on a name too long
        return f"A command comes first: {context.command_path} inspect {given}"
    return f"The commands are {', '.join(commands)}."


def _about_value(error: click.BadParameter, context: click.Context) -> str | None:
    """The choice that was probably meant; for other options, what they are for."""
    kind = None if error.param is None else error.param.type
    if isinstance(kind, click.Choice):
        given = error.message.partition("'")[2].partition("'")[0].lower()
        return _did_you_mean(nearest(_OTHER_NAMES.get(given, given), kind.choices))
    return None if error.param is None else _explained(error.param.opts[0], context)


def _explained(option: str, context: click.Context) -> str | None:
    """What the help says of an option."""
    for one in context.command.get_params(context):
        if isinstance(one, click.Option) and option in one.opts and (record := one.get_help_record(context)):
            return f"{record[0]}: {record[1]}"
    return None


def _example(context: click.Context) -> str:
    command = context.command
    if isinstance(command, GuidedCommand):
        return command.guide.examples[0]
    return " ".join([context.command_path, *command.collect_usage_pieces(context)])


def _did_you_mean(name: str | None) -> str | None:
    return None if name is None else f"Did you mean {name}?"


def _with_similar(error: ElectraConvertError) -> str | None:
    """The hint, or, where it came of a file that is not there, the name that was probably meant."""
    missing = next((one for one in _causes(error) if isinstance(one, FileNotFoundError)), None)
    meant = None if missing is None else _similar_path(missing)
    return _did_you_mean(meant) or error.hint


def _causes(error: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__


def _similar_path(error: OSError) -> str | None:
    from electra_convert.formats.locate import similar

    if not isinstance(error, FileNotFoundError) or not isinstance(error.filename, str):
        return None
    meant = similar(Path(error.filename))
    return None if meant is None else str(meant)
