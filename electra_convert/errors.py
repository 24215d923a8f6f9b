"""The situations in which the tool refuses, each with what to do; no printing and no exit codes."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from pathlib import Path


class ElectraConvertError(Exception):
    """What happened and where, in one line, and what to do about it.

    Args:
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


class ElectraConvertWarning(UserWarning):
    """What was guessed or put aside, or may not be as it was meant; issued to Python callers."""


def unwritable(path: Path, error: OSError) -> OutputError:
    """The error to raise where a file cannot be written.

    Args:
        path: the file or folder.
        error: what the system said.

    Returns:
        The error, with what to do about a full disk.
    """
    full = error.errno in {errno.ENOSPC, errno.EDQUOT}
    hint = "Free some space there, or choose a place on another disk." if full else None
    return OutputError(f"{path} cannot be written: {error.strerror or error}", hint)


def counted(count: int, noun: str) -> str:
    """A number of things, the noun in the plural where it must be."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def listing(names: Iterable[str], limit: int = 12) -> str:
    """Join names for a message, the rest beyond the limit counted and not listed.

    Args:
        names: what to list, in the order to show.
        limit: how many are written out.

    Returns:
        The names separated by commas.
    """
    shown = list(names)
    rest = len(shown) - limit
    return ", ".join(shown[:limit]) + (f" and {rest} more" if rest > 0 else "")
