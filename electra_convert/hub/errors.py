"""What errors of huggingface_hub and of the network mean, in a sentence and a hint; catches none."""

from __future__ import annotations

import errno
import json
import os
import re
import socket
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

# Worth another try: the server is busy or broken for a moment, or the branch has to be read again.
_TRANSIENT = frozenset({408, 412, 429, 500, 502, 503, 504})
_ACCESS = "Log in with `hf auth login`, or set HF_TOKEN to a token with write access to the repository."
_AGAIN = "then run the same command again; what is there is not sent again."
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
    429: ("too many requests", f"Wait, {_AGAIN}"),
}
_READ = "Log in with `hf auth login`, or set HF_TOKEN to a token that may read it."
_HINTS_TO_READ: dict[int, str] = {401: _READ, 403: _READ, 404: "Check its name. " + _READ}
_SERVER = ("the Hub is in trouble", "Run the same command again later; what is there is not sent again.")
_WITHOUT_XET = "Check the network, or set HF_HUB_DISABLE_XET=1, by which large files go another way."
_REFUSED_FILES = "LFS batch API returned errors:"
_WRONG_SIZE = "Consistency check failed"
_NO_HUB = "Check HF_ENDPOINT, and whether the network wants a login in the browser first."
# What comes of an answer that has not what it must have, or too much of it.
_MISREAD = (LookupError, TypeError, ValueError, AttributeError, AssertionError, RecursionError)
_LONGEST_SAID = 500
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(frozen=True)
class Failure:
    """Why a request failed.

    Attributes:
        message: why, without where and when.
        hint: what to do, or None.
        transient: whether the same request may well succeed in a moment.
        retry_after: for how long the server asks to wait, in seconds, or None.
    """

    message: str
    hint: str | None
    transient: bool = False
    retry_after: float | None = None


OFFLINE = Failure("HF_HUB_OFFLINE is set, so the Hub may not be reached", "Unset HF_HUB_OFFLINE.")


def diagnose(error: BaseException, reading: bool = False) -> Failure | None:
    """Find out what an error of huggingface_hub means; None where it is none of the Hub or the network.

    To read needs less of a token than to write.
    """
    chain = list(_causes(error))
    for cause in chain:
        response = getattr(cause, "response", None)
        if response is not None:
            return _of_response(cause, response, reading)
    for cause in chain:
        if failure := _of_connection(cause, chain):
            return failure
    return _of_disk(chain) or _of_xet(chain) or _of_answer(chain)


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _of_response(error: BaseException, response: object, reading: bool) -> Failure:
    status = int(getattr(response, "status_code", 0))
    message, hint = _meaning(type(error).__name__, status, reading)
    said = shortened(str(getattr(error, "server_message", None) or ""))
    words = f"{message} ({status}{f': {said}' if said else ''})"
    wait = _retry_after(getattr(response, "headers", {}))
    if status == 429 and wait is not None:
        hint = f"Wait {wait:g} s, {_AGAIN}"
    return Failure(words, hint, status in _TRANSIENT, wait)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """How long a server asks to wait, in the old header or in the one that the Hub sends when a limit is reached."""
    after = headers.get("Retry-After", "")
    if after.isdigit():
        return float(after)
    limit = re.search(r"\br *= *0 *; *t *= *(\d+)", headers.get("RateLimit", ""))
    return float(limit[1]) + 1 if limit else None  # rounded down there


def _meaning(name: str, status: int, reading: bool) -> tuple[str, str | None]:
    """A message and a hint for the library's error of this name."""
    if name == "GatedRepoError":
        return "access to it has to be asked for", "Accept its terms on its page on the Hub."
    if name == "RevisionNotFoundError":
        return "it has no such revision", "See its branches and tags on the Hub."
    known = 404 if name in {"RepositoryNotFoundError", "RemoteEntryNotFoundError"} else status
    message, hint = _STATUS.get(known, _SERVER if status >= 500 else ("the Hub answers with an error", None))
    return message, _HINTS_TO_READ.get(known, hint) if reading else hint


def _of_connection(error: BaseException, chain: list[BaseException]) -> Failure | None:
    names = {base.__name__ for base in type(error).__mro__}
    if "OfflineModeIsEnabled" in names:
        return OFFLINE
    if isinstance(error, socket.gaierror) or (
        "ConnectError" in names and any(isinstance(cause, socket.gaierror) for cause in chain)
    ):
        return Failure("the Hub's name cannot be resolved", "Check the network, the DNS and HF_ENDPOINT.")
    if "TimeoutException" in names:
        return Failure("the Hub does not answer in time", "Check the network, and run the same command again.", True)
    if names & {"TooManyRedirects", "InvalidURL"}:
        return Failure("the Hub sends its readers on without an end, or to no address", _NO_HUB)
    reason = shortened(str(error)) or type(error).__name__
    if type(error) is ConnectionError:
        return Failure(f"no connection: {reason}", _WITHOUT_XET)  # hf_xet, which has tried for minutes
    if "TransportError" in names or isinstance(error, ConnectionError):
        # What was connected once is worth another try; where nothing answers, all that can be resumed is.
        lost = "ConnectError" not in names
        return Failure(f"no connection: {reason}", "Check the network, and run the same command again.", lost)
    return None


def _of_disk(chain: list[BaseException]) -> Failure | None:
    for cause in chain:
        error = cause if isinstance(cause, OSError) else _system_error(cause)
        if error is not None and error.errno in _NO_SPACE:
            return Failure(
                f"the disk is full ({error.strerror})",
                "Make room, or set HF_HOME to a folder on a larger disk; what was received is kept.",
            )
    return None


def _system_error(error: BaseException) -> OSError | None:
    """What hf_xet has in its words alone."""
    told = re.search(r"\(os error (\d+)\)", str(error)) if type(error) is RuntimeError else None
    return OSError(int(told[1]), os.strerror(int(told[1]))) if told else None


def _of_xet(chain: list[BaseException]) -> Failure | None:
    """What hf_xet raises has no type of its own; it comes out of a function of huggingface_hub, with no cause."""
    for cause in chain:
        if type(cause) is RuntimeError and cause.__cause__ is None and cause.__traceback__ is not None:
            *_, (frame, _) = traceback.walk_tb(cause.__traceback__)
            if str(frame.f_globals.get("__name__")).startswith("huggingface_hub."):
                return Failure(f"the transfer failed: {' '.join(str(cause).split())}", _WITHOUT_XET)
    return None


def _of_answer(chain: list[BaseException]) -> Failure | None:
    """What the library finds in an answer that has no status of an error."""
    for cause in chain:
        if isinstance(cause, json.JSONDecodeError | UnicodeDecodeError):
            return Failure("what answers is no Hub: it sends no JSON", _NO_HUB)
        if isinstance(cause, ValueError) and str(cause).startswith(_REFUSED_FILES):
            said = shortened(str(cause).removeprefix(_REFUSED_FILES))
            return Failure(f"the Hub does not take a file: {said}", "Storage and its limits are on the billing page.")
        if type(cause).__name__ in {"FileMetadataError", "LocalEntryNotFoundError"}:
            return Failure("what answers is no Hub: it states no commit or no hash of a file", _NO_HUB)
        if isinstance(cause, OSError) and str(cause).startswith(_WRONG_SIZE):
            return Failure("a file is not as large as the Hub states", "Run the same command again.", transient=True)
        if isinstance(cause, _MISREAD) and _within_library(cause):
            reason = shortened(f"{type(cause).__name__}: {cause}")
            return Failure(f"the Hub's answer is not one that its client can read ({reason})", _NO_HUB)
    return None


def _within_library(error: BaseException) -> bool:
    """Whether an error came up in huggingface_hub, or in what it called."""
    names = (str(frame.f_globals.get("__name__")) for frame, _ in traceback.walk_tb(error.__traceback__))
    return any(name.startswith("huggingface_hub.") for name in names)


def shortened(text: str) -> str:
    """A text of somebody else's on one line, of a length to be read."""
    line = " ".join(text[: 2 * _LONGEST_SAID].split())
    return line if len(line) <= _LONGEST_SAID else f"{line[:_LONGEST_SAID]}..."
