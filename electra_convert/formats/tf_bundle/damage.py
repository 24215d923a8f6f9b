"""What is said of a damaged checkpoint: how its parts are named and who is told; finds no damage itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from electra_convert.errors import CorruptFileError

AGAIN = "Copy or download the checkpoint again, all of its files from one save."
# Longer names exist only in hostile files.
_SHOWN_CHARACTERS = 200


class MalformedError(CorruptFileError):
    """Bytes break the rules of their encoding; whoever knows the file they come from names it with blame()."""


@contextmanager
def blame(where: object) -> Iterator[None]:
    """Turn a MalformedError of the block into a CorruptFileError that says where it was found.

    Args:
        where: the file, and the part of it if that is known.

    Raises:
        CorruptFileError: the block raised MalformedError.
    """
    try:
        yield
    except MalformedError as error:
        raise CorruptFileError(f"{where} is damaged: {error.message}", AGAIN) from error


def shown(name: str) -> str:
    """Make a name fit for one line of a message.

    Args:
        name: any string, of a hostile file too.

    Returns:
        The name, escaped where it cannot be printed, and shortened where it is too long.
    """
    short = name if len(name) <= _SHOWN_CHARACTERS else f"{name[:_SHOWN_CHARACTERS]}..."
    return short if short.isprintable() else ascii(short)[1:-1]
