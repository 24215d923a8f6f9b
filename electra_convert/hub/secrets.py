"""The account's token: where it is found, and how it is kept out of everything that is said."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable
from urllib.parse import urlsplit, urlunsplit

from electra_convert.errors import HubError
from electra_convert.frameworks import import_huggingface_hub

_HIDDEN = "<hidden>"
# In the address that a large file is sent to: whoever has it can write there too, for a while.
_SIGNATURE = "X-Amz-Signature"
# A user's name and password within an address, however a library has written them: some letters are escaped there.
_USER = re.compile(r"(https?://)[^/\s]+@")


def find_token(given: str | None) -> str | None:
    """Find the token to use.

    Args:
        given: what --token says, or None.

    Returns:
        That, or HF_TOKEN, or what `hf auth login` stored; None where there is none.

    Raises:
        HubError: it holds what no token can hold; the message does not show it.
    """
    found = given if given is not None else import_huggingface_hub("to reach the Hub").get_token()
    token = found.strip() if isinstance(found, str) else None
    if given is not None and not token:
        raise HubError("the token that was given is empty", "Leave --token out to use HF_TOKEN or `hf auth login`.")
    # A header cannot hold anything else, and the library that finds out would show the token.
    if token and not re.fullmatch(r"[!-~]+", token):
        raise HubError(
            "the token holds a space, a line break or a letter that no token has", "Copy it again, on one line."
        )
    return token


def secrets_of(token: str | None, endpoint: str) -> tuple[str, ...]:
    """What must not be said: the token, and a password within the endpoint's address."""
    password = urlsplit(endpoint).password
    return tuple(secret for secret in (token, password) if secret)


def shown_endpoint(endpoint: str) -> str:
    """The Hub's address without a user's name and password."""
    parts = urlsplit(endpoint)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def hide(text: str, secrets: Iterable[str]) -> str:
    """Put something else in the place of each secret, and of who is named within an address of the web."""
    for secret in secrets:
        text = text.replace(secret, _HIDDEN)
    return _USER.sub(rf"\1{_HIDDEN}@", text)


def betrays(error: BaseException, secrets: Iterable[str]) -> bool:
    """Whether a traceback of an error, its causes included, would show a secret."""
    told = "".join(traceback.format_exception(error))
    return _SIGNATURE in told or hide(told, secrets) != told
