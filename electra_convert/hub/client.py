"""The Hub, as every part of the tool speaks to it: patiently, in plain words, and never telling the token."""

from __future__ import annotations

import html
import json
import logging
import re
import time
import traceback
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar
from urllib.parse import quote, quote_plus, unquote, urlsplit, urlunsplit

from electra_convert.errors import ElectraConvertError, HubError
from electra_convert.frameworks import import_huggingface_hub
from electra_convert.hub.errors import Failure, diagnose
from electra_convert.hub.guard import Guard
from electra_convert.version import __version__

Answer = TypeVar("Answer")
Tell = Callable[[str], None]

_LIBRARY = "huggingface_hub"
_WAITS = (1.0, 2.0, 4.0, 8.0)  # seconds; what the server asks for counts instead, up to the longest
_LONGEST_WAIT = 120.0
_HIDDEN = "<hidden>"
# In the address that a large file is sent to: whoever has it can write there too, for a while.
_SIGNATURE = "X-Amz-Signature"
# A user's name and password within an address, however a library has written them: some letters are escaped there.
_USER = re.compile(r"(https?://)[^/\s]+@")


class Hub:
    """huggingface_hub's client, whose every request goes through ask(); it tells what is waited for."""

    def __init__(self, token: str | None, tell: Tell, reading: bool = False) -> None:
        library = import_huggingface_hub("to reach the Hub")
        self.has_token = (found := find_token(token)) is not None
        self.api: Any = library.HfApi(
            token=found or False, library_name="electra_convert", library_version=__version__
        )
        self.endpoint = shown_endpoint(self.api.endpoint)
        self.is_offline = bool(library.constants.is_offline_mode())
        if not self.is_offline:
            _require_settings(library)
        self._reading = reading
        self._library, self._guard = library, Guard()
        self._secrets = tuple(filter(None, (found, *spellings(self.api.endpoint))))
        self.tell: Tell = lambda text: tell(hide(text, self._secrets))

    def ask(self, doing: str, request: Callable[[], Answer]) -> Answer:
        """Make a request, and try again what fails for a moment; errors of this tool's own are raised as they are.

        Raises:
            HubError: it failed, and would again.
        """
        self._guard.install(self._library)
        for wait in (*_WAITS, None):
            self._guard.begin()
            try:
                with _warnings_told(self.tell):
                    return request()
            except Exception as error:  # noqa: BLE001 - told apart by what it was caused by
                failure = _transient(error)
                if failure is None or wait is None:
                    self.fail(doing, error)
                seconds = max(wait, failure.retry_after or 0)
                self.tell(f"{doing}: {failure.message}; trying again in {seconds:g} s")
                time.sleep(seconds)
        raise AssertionError("the last try returns or raises")

    def await_files(self, sizes: Iterable[int]) -> None:
        """Allow what is asked next to bring files of these sizes, in bytes."""
        self._guard.await_files(sizes)

    def stop(self) -> None:
        """Have every transfer end that is under way."""
        self._guard.stop()

    def fail(self, doing: str, error: Exception) -> NoReturn:
        """Raise an error in plain words; one that is no failure of the Hub or the network stays what it is.

        Raises:
            HubError: never from an error whose traceback would show a secret.
        """
        shows = _betrays(error, self._secrets)
        failure = diagnose(error, self._reading)
        if isinstance(error, ElectraConvertError) or (failure is None and not shows):
            raise error
        message = type(error).__name__ if failure is None else failure.message
        hint = " ".join(part for part in (failure and failure.hint, self._elsewhere()) if part)
        raise HubError(hide(f"{doing}: {message}", self._secrets), hint or None) from (None if shows else error)

    def _elsewhere(self) -> str | None:
        """Which Hub is meant, if it is not the one that everybody means."""
        if self.api.endpoint == "https://huggingface.co":
            return None
        told = f"HF_ENDPOINT is {self.endpoint}."
        if self.api.endpoint == self.endpoint:
            return told
        return f"{told} The name and password in it are sent in the place of the token."


def _transient(error: Exception) -> Failure | None:
    """Why a request failed, if it is worth another try; what this tool raised has been tried again already."""
    failure = None if isinstance(error, ElectraConvertError) else diagnose(error)
    return failure if failure and failure.transient and (failure.retry_after or 0) <= _LONGEST_WAIT else None


def _require_settings(library: Any) -> None:  # noqa: ANN401 - huggingface_hub
    """Refuse proxies and certificates that cannot be used, without the cause, which might show a proxy's password."""
    try:
        library.utils.get_session()
    except Exception as error:  # noqa: BLE001 - whatever its parts make of a setting
        reason = str(error) if isinstance(error, ImportError | OSError) else type(error).__name__
        raise HubError(
            f"the settings of the network cannot be used: {' '.join(reason.split())}",
            "Correct HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and SSL_CERT_FILE, or unset them.",
        ) from None


def find_token(given: str | None) -> str | None:
    """Find the token to use: what --token says, or HF_TOKEN, or what `hf auth login` stored.

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


def shown_endpoint(endpoint: str) -> str:
    """The Hub's address without a user's name and password."""
    parts = urlsplit(endpoint)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def spellings(endpoint: str) -> set[str]:
    """Every way in which a name and password in an address may come back: as they are, escaped, or as they are sent.

    A name alone is a token.
    """
    parts = urlsplit(endpoint)
    user, password = (unquote(part or "") for part in (parts.username, parts.password))
    if not user and not password:
        return set()
    secret, pair = password or user, f"{user}:{password}"
    escaped = {quote(secret), quote(secret, safe=""), quote_plus(secret)}
    plain = {secret, parts.password or parts.username or "", html.escape(secret), repr(secret)[1:-1]}
    json_texts = {json.dumps(secret, ensure_ascii=strict)[1:-1] for strict in (True, False)}
    sent = {
        encode(text.encode(encoding, "replace")).decode().rstrip("=")
        for encode in (b64encode, urlsafe_b64encode)
        for text in (pair, secret)
        for encoding in ("utf-8", "latin-1")
    }
    return (
        plain | escaped | {re.sub("%..", lambda found: found[0].lower(), one) for one in escaped} | json_texts | sent
    )


def hide(text: str, secrets: Iterable[str]) -> str:
    """Put something else in the place of each secret, and of who is named within an address of the web."""
    for secret in sorted(secrets, key=len, reverse=True):  # one may be the beginning of another
        text = text.replace(secret, _HIDDEN)
    return _USER.sub(rf"\1{_HIDDEN}@", text)


def _betrays(error: BaseException, secrets: Iterable[str]) -> bool:
    """Whether a traceback of an error, its causes included, would show a secret."""
    told = "".join(traceback.format_exception(error))
    return _SIGNATURE in told or hide(told, secrets) != told


class _Teller(logging.Handler):
    """Passes on what the library warns of, such as another try of its own, without the signatures in addresses."""

    def __init__(self, tell: Tell) -> None:
        super().__init__(logging.WARNING)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        """Tell it on one line."""
        self._tell(re.sub(r"\?\S+", "", " ".join(record.getMessage().split())))


@contextmanager
def _warnings_told(tell: Tell) -> Iterator[None]:
    """Tell what the library would print."""
    logger = logging.getLogger(_LIBRARY)
    handlers, propagate = logger.handlers, logger.propagate
    logger.handlers, logger.propagate = [_Teller(tell)], False
    try:
        yield
    finally:
        logger.handlers, logger.propagate = handlers, propagate
