"""Names as a file holds them: UTF-8, or whatever bytes stand in its place; knows no file."""

from __future__ import annotations


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
