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


def decode_name(key: bytes) -> str:
    """Decode a name; bytes that are not UTF-8 become lone surrogates, so that encode_name gives them back.

    Args:
        key: the name as a file holds it.

    Returns:
        The name.
    """
    return key.decode("utf-8", "surrogateescape")


def encode_name(name: str) -> bytes:
    """Encode a name that decode_name may have made.

    Args:
        name: the name.

    Returns:
        The bytes a file holds.

    Raises:
        UnicodeEncodeError: the name has surrogates that decode_name never makes.
    """
    return name.encode("utf-8", "surrogateescape")


def shown(name: str) -> str:
    """Make a name fit for one line of a message.

    Args:
        name: any string, of a hostile file too.

    Returns:
        The name, escaped where it cannot be printed, and shortened where it is too long.
    """
    short = name if len(name) <= _SHOWN_CHARACTERS else f"{name[:_SHOWN_CHARACTERS]}..."
    return short if short.isprintable() else ascii(short)[1:-1]
