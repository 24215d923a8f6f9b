"""The situations in which the tool refuses, each with what to do; no printing and no exit codes."""

from __future__ import annotations

import errno
import re
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

# The command line's options that take no value.
SWITCHES = frozenset(
    """
    allow-nonfinite cased check compile create-pr csv dry-run evaluate-only google-head include-optimizer
    include-pickles keep-custom-code one-sentence-per-line optimizer overwrite overwrite-card pad-vocab private
    reset-optimizer resume save split-long-lines strip-accents tokenize-chinese-chars tokens uncased unverified verify
    weights-only zero-optimizer
    """.split()
)
# What may follow an option in a message and is its value: in quotes, a number, a name in capitals, a file, a choice.
_VALUE = r"""'[^']*'|"[^"]*"|\d+(?:\.\d+)?[A-Za-z]*|[A-Z]{4,}|[\w.-]+\.json|bfloat16|float16|float32|both""" + (
    r"|discriminator|generator|safetensors|torch|tf|onnx|int8|electra|bert|(?<=--text-column )(?!is |says )[\w-]+"
)
# Commands that are to be typed as they stand, and options of the command that was given.
_COMMAND = r"`[^`]*`|\b(?:electra-convert|hf) .*?(?=[,;]|\.$|\. |$)"
_OPTION = rf"(?<![\w/-])--(?P<no>no-|\[no-\])?(?P<name>[a-z][a-z-]*[a-z])(?!\w)(?: (?P<value>{_VALUE})(?!\w))?"

_NEAR = 0.7  # of difflib's ratio: two letters of seven may differ


class ElectraConvertError(Exception):
    """What happened and where, in one line, and what to do about it; every error of this package is one.

    Attributes:
        message: one sentence that names the file and the tensor, what was expected and what was found.
        hint: what the reader can do, or None where nothing better than the message can be said.
    """

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class SourceError(ElectraConvertError):
    """What was pointed at is not there, or is not a checkpoint this tool reads."""


class CorruptFileError(ElectraConvertError):
    """A file is damaged, cut short, or says something impossible about itself."""


class NamesError(ElectraConvertError):
    """The tensors are not those of an ELECTRA model: missing, unexpected, of another shape, or not equal."""


class NotElectraError(NamesError):
    """None of the tensors is one of an ELECTRA encoder."""


class ConfigError(ElectraConvertError):
    """A configuration value is unknown, impossible, or contradicted by another source."""


class VocabularyError(ElectraConvertError):
    """A vocabulary is unreadable or does not belong to the model."""


class TextError(ElectraConvertError):
    """A text is one that a model cannot be given."""


class OutputError(ElectraConvertError):
    """The output cannot be written where it should be, or not in the form asked for."""


class MissingPackageError(ElectraConvertError):
    """A package that only some of the tool needs is not installed."""


class ParityError(ElectraConvertError):
    """What was converted is not the same model as its source."""


class CardError(ElectraConvertError):
    """A model card is malformed, or says otherwise than it is asked to say."""


class HubError(ElectraConvertError):
    """The Hub cannot be reached, refuses, or holds something else than was sent."""


class CorpusError(ElectraConvertError):
    """A corpus is empty, too small, or not what can be trained on."""


class TrainingError(ElectraConvertError):
    """A training run cannot be started, continued or gone on with."""


class UsageError(ElectraConvertError):
    """Options that do not go together."""


class SavedRunInterrupt(KeyboardInterrupt):
    """A signal ended a run, which was saved first.

    Attributes:
        status: the exit status of a process that the signal ended, as shells have it.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.status = 128 + number


class ElectraWarning(UserWarning):
    """What may not be as it was meant, issued to Python callers."""


def warn_caller(line: str) -> None:
    """Issue a warning at the line that called this package, however deep in it this is known."""
    depth, frame = 1, sys._getframe()
    while frame.f_back and frame.f_globals["__name__"].startswith(("electra_convert.", "contextlib")):
        depth, frame = depth + 1, frame.f_back
    warnings.warn(with_arguments(line), ElectraWarning, stacklevel=depth)


@contextmanager
def arguments_for_options(**renamed: str) -> Iterator[None]:
    """Have what is raised within speak of a Python function's arguments, and show its hint below its traceback.

    Arguments that are called otherwise than their options are given as model="role".

    Raises:
        ElectraConvertError: the same error, with `vocab=` where it said `--vocab`.
    """
    try:
        yield
    except ElectraConvertError as error:
        error.message = with_arguments(error.message, **renamed)
        error.args = (error.message,)
        if error.hint is not None:
            error.hint = with_arguments(error.hint, **renamed)
            error.__notes__ = [f"Hint: {error.hint}"]
        raise


def with_arguments(text: str, **renamed: str) -> str:
    """A message with the arguments of Python's functions in place of the command line's options."""

    def argument(found: re.Match[str]) -> str:
        if found["name"] is None:
            return found[0]
        option, value = found["name"], found["value"]
        if value is None:
            off = found["no"] == "no-" or option == "public"
            value = "False" if off else "True" if option in SWITCHES and not found["no"] else ""
        elif re.match(r"[a-z]|\d.*[A-Za-z]$", value):
            value = f'"{value}"'
        name = "private" if option == "public" else option.replace("-", "_")
        return f"{renamed.get(name, name)}={value}"

    # The subject of a sentence, before a verb such as is or says, is the name alone.
    return re.sub(r"(\w)= (?=(?:(?:i|[a-z]{2,})s|cannot) )", r"\1 ", re.sub(f"{_COMMAND}|{_OPTION}", argument, text))


def reported(error: Exception) -> ElectraConvertError:
    """An error of this package as it is, and any other as one that should not be, where it must not stop others."""
    if isinstance(error, ElectraConvertError):
        return error
    return ElectraConvertError(f"unexpected {type(error).__name__}: {error}", "Please report it.")


def unwritable(path: Path, error: OSError) -> OutputError:
    """The error to raise where a file cannot be written, with what to do about a full disk."""
    full = error.errno in {errno.ENOSPC, errno.EDQUOT}
    hint = "Free some space there, or choose a place on another disk." if full else None
    return OutputError(f"{path} cannot be written: {error.strerror or error}", hint)


def counted(count: int, noun: str) -> str:
    """A number of things, the noun in the plural where it must be."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def listing(names: Iterable[str], limit: int = 12) -> str:
    """Join names with commas for a message, those beyond the limit counted and not listed."""
    shown = list(names)
    rest = len(shown) - limit
    return ", ".join(shown[:limit]) + (f" and {rest} more" if rest > 0 else "")


def told_once(lines: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """What is said of several things: of all of them once, of some after their names."""
    every = list(lines.values())
    said = {line: [name for name in lines if line in lines[name]] for one in every for line in one}
    return tuple(line if len(names) == len(every) else f"{listing(names)}: {line}" for line, names in said.items())


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The name that was probably meant by one that is not among them, or None where none is near."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(name, list(names), n=1, cutoff=_NEAR)), None)
