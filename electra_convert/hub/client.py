"""The Hub, as every part of the tool speaks to it: with one account, patiently, and with errors in plain words."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

from electra_convert.errors import ElectraConvertError, HubError
from electra_convert.frameworks import import_huggingface_hub
from electra_convert.hub.errors import Fault, diagnose
from electra_convert.hub.secrets import betrays, find_token, hide, secrets_of, shown_endpoint
from electra_convert.version import __version__

Answer = TypeVar("Answer")
Tell = Callable[[str], None]

_LIBRARY = "huggingface_hub"
WAITS = (1.0, 2.0, 4.0, 8.0)  # seconds; what the server asks for counts instead, up to the longest
_LONGEST_WAIT = 120.0


class _Teller(logging.Handler):
    """Passes on what the library warns of, such as another try of its own, without the signatures in addresses."""

    def __init__(self, tell: Tell) -> None:
        super().__init__(logging.WARNING)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        """Tell it on one line."""
        self._tell(re.sub(r"\?\S+", "", " ".join(record.getMessage().split())))


@contextmanager
def warnings_told(tell: Tell) -> Iterator[None]:
    """Tell what the library would print.

    Args:
        tell: told each warning, on one line.
    """
    logger = logging.getLogger(_LIBRARY)
    handlers, propagate = logger.handlers, logger.propagate
    logger.handlers, logger.propagate = [_Teller(tell)], False
    try:
        yield
    finally:
        logger.handlers, logger.propagate = handlers, propagate


class Hub:
    """huggingface_hub's client, whose every request goes through ask().

    Args:
        token: what --token says, or None to look where huggingface_hub does.
        tell: told what is waited for.
        reading: whether nothing is to be written.
    """

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
        self._secrets = secrets_of(found, self.api.endpoint)
        self.tell: Tell = lambda text: tell(hide(text, self._secrets))

    def ask(self, doing: str, request: Callable[[], Answer]) -> Answer:
        """Make a request that may be made again, and try again what fails for a moment.

        Args:
            doing: what is done, to begin a message with.
            request: makes it.

        Returns:
            The answer.

        Raises:
            HubError: it failed, and would again.
        """
        for wait in WAITS:
            try:
                with warnings_told(self.tell):
                    return request()
            except Exception as error:  # noqa: BLE001 - told apart by what it was caused by
                fault = self.passing_fault(error)
                if fault is None:
                    self.fail(doing, error)
                self.pause(doing, fault, wait)
        try:
            with warnings_told(self.tell):
                return request()
        except Exception as error:  # noqa: BLE001 - told apart by what it was caused by
            self.fail(doing, error)

    def passing_fault(self, error: Exception) -> Fault | None:
        """The fault behind an error, if it is worth another try."""
        fault = diagnose(error)
        return fault if fault and fault.passing and (fault.wait or 0) <= _LONGEST_WAIT else None

    def pause(self, doing: str, fault: Fault, wait: float) -> None:
        """Wait before another try, and say so."""
        seconds = max(wait, fault.wait or 0)
        self.tell(f"{doing}: {fault.message}; trying again in {seconds:g} s")
        time.sleep(seconds)

    def fail(self, doing: str, error: Exception) -> NoReturn:
        """Raise an error in plain words; one that is no fault of the Hub or the network stays what it is.

        Args:
            doing: what was done, to begin the message with.
            error: as huggingface_hub raised it.

        Raises:
            HubError: never from an error whose traceback would show a secret.
        """
        shows = betrays(error, self._secrets)
        fault = diagnose(error, self._reading)
        if isinstance(error, ElectraConvertError) or (fault is None and not shows):
            raise error
        message = type(error).__name__ if fault is None else fault.message
        hint = " ".join(part for part in (fault and fault.hint, self._elsewhere()) if part)
        raise HubError(hide(f"{doing}: {message}", self._secrets), hint or None) from (None if shows else error)

    def _elsewhere(self) -> str | None:
        """Which Hub is meant, if it is not the one that everybody means."""
        if self.api.endpoint == "https://huggingface.co":
            return None
        told = f"HF_ENDPOINT is {self.endpoint}."
        if self.api.endpoint == self.endpoint:
            return told
        return f"{told} The name and password in it are sent in the place of the token."


def _require_settings(library: Any) -> None:  # noqa: ANN401 - huggingface_hub
    """Refuse proxies and certificates that cannot be used, of which the library speaks in the words of its parts.

    Raises:
        HubError: without the cause where that might show the password of a proxy.
    """
    try:
        library.utils.get_session()
    except Exception as error:  # noqa: BLE001 - whatever its parts make of a setting
        reason = str(error) if isinstance(error, ImportError | OSError) else type(error).__name__
        raise HubError(
            f"the settings of the network cannot be used: {' '.join(reason.split())}",
            "Correct HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and SSL_CERT_FILE, or unset them.",
        ) from None
