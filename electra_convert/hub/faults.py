"""What the errors of the Hub and of the network mean, in a sentence and a hint; it catches nothing."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from dataclasses import dataclass

# Worth another try: the server is busy or broken for a moment, or the connection was lost.
_PASSING = frozenset({408, 429, 500, 502, 503, 504})
_ACCESS = "Log in with `hf auth login`, or set HF_TOKEN to a token with write access to the repository."
_STATUS = {
    400: ("the Hub does not accept it", None),
    401: ("the Hub does not accept the token", _ACCESS),
    402: ("the Hub wants payment for it", "See the account's billing page, or choose a public repository."),
    403: (
        "the token may not do it",
        "Use a token with write access to the repository, or propose the change with --create-pr.",
    ),
    404: ("there is no such repository or revision, or the token may not see it", "Check its name. " + _ACCESS),
    409: ("it is there already, or something else changes it at this moment", "Run the same command again."),
    412: ("the branch changed meanwhile", "Run the same command again."),
    413: ("it is larger than the Hub accepts", "Convert with --max-shard-size 5GB, so that each file is smaller."),
    429: ("too many requests", "Wait, then run the same command again; what is there is not sent again."),
}
_SERVER = ("the Hub is in trouble", "Run the same command again later; what is there is not sent again.")
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(frozen=True)
class Fault:
    """What went wrong.

    Attributes:
        message: it, without where and when.
        hint: what to do, or None.
        passing: whether the same request may well succeed in a moment.
        wait: for how long the server asks to wait, in seconds, or None.
    """

    message: str
    hint: str | None
    passing: bool = False
    wait: float | None = None


def diagnose(error: BaseException) -> Fault | None:
    """Find out what an error of huggingface_hub means.

    Args:
        error: as it was raised; the library wraps some in others.

    Returns:
        The fault, or None for what is no fault of the Hub or the network.
    """
    chain = list(_causes(error))
    for cause in chain:
        response = getattr(cause, "response", None)
        if response is not None:
            return _of_response(cause, response)
    for cause in chain:
        if fault := _of_connection(cause, chain):
            return fault
    return _of_disk(chain)


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _of_response(error: BaseException, response: object) -> Fault:
    status = int(getattr(response, "status_code", 0))
    headers = getattr(response, "headers", {})
    name = type(error).__name__
    hint: str | None
    if name == "GatedRepoError":
        message, hint = "access to it has to be asked for", "Accept its terms on its page on the Hub."
    elif name == "RevisionNotFoundError":
        message, hint = "it has no such revision", "See its branches and tags on the Hub."
    elif name in {"RepositoryNotFoundError", "RemoteEntryNotFoundError"}:
        message, hint = _STATUS[404]
    else:
        message, hint = _STATUS.get(status, _SERVER if status >= 500 else (f"status {status}", None))
    said = " ".join(str(getattr(error, "server_message", None) or "").split())
    words = f"{message} ({status}{f': {said}' if said else ''})"
    wait = headers.get("Retry-After", "")
    return Fault(words, hint, status in _PASSING, float(wait) if wait.isdigit() else None)


def _of_connection(error: BaseException, chain: list[BaseException]) -> Fault | None:
    names = {base.__name__ for base in type(error).__mro__}
    if "OfflineModeIsEnabled" in names:
        return Fault("HF_HUB_OFFLINE is set, so the Hub may not be reached", "Unset HF_HUB_OFFLINE.")
    if isinstance(error, socket.gaierror) or (
        "ConnectError" in names and any(isinstance(cause, socket.gaierror) for cause in chain)
    ):
        return Fault("the Hub's name cannot be resolved", "Check the network, the DNS and HF_ENDPOINT.")
    if "TimeoutException" in names:
        return Fault("the Hub does not answer in time", "Check the network, and run the same command again.", True)
    if "TransportError" in names or isinstance(error, ConnectionError):
        reason = " ".join(str(error).split()) or type(error).__name__
        # What was connected once is worth another try; where nothing answers, all that can be resumed is.
        lost = "ConnectError" not in names
        return Fault(f"no connection: {reason}", "Check the network, and run the same command again.", lost)
    return None


def _of_disk(chain: list[BaseException]) -> Fault | None:
    for cause in chain:
        if isinstance(cause, OSError) and cause.errno in _NO_SPACE:
            return Fault(
                f"the disk is full ({cause.strerror})",
                "Make room, or set HF_HOME to a folder on a larger disk; what was received is kept.",
            )
    return None
