"""What the client's errors mean: every status, every way to lose a connection, and what the library wraps them in."""

from __future__ import annotations

import errno
import json
import socket

import httpx2
import pytest
from huggingface_hub import errors

from electra_convert.errors import HubError
from electra_convert.hub.client import Hub
from electra_convert.hub.errors import diagnose

pytestmark = pytest.mark.slow


def answered(status: int, kind: type = errors.HfHubHTTPError, **headers: str) -> Exception:
    request = httpx2.Request("GET", "https://hub.example/api/models/a/b")
    response = httpx2.Response(status, headers=headers, request=request)
    return kind("long text", response=response, server_message="said\nso")


def caused(outer: Exception, inner: Exception) -> Exception:
    outer.__cause__ = inner
    return outer


def from_library(error: Exception) -> Exception:
    """Raised within huggingface_hub, as what comes out of its parts in other languages seems to be."""
    try:
        exec("raise error", {"__name__": "huggingface_hub.somewhere", "error": error})
    except RuntimeError as raised:
        return raised
    raise AssertionError


@pytest.mark.parametrize("status", [401, 403, 404])
def test_who_only_reads_is_not_told_to_get_write_access(status):
    to_write, to_read = (diagnose(answered(status), reading) for reading in (False, True))
    assert "write access" in to_write.hint
    assert "may read it" in to_read.hint
    assert to_write.message == to_read.message


@pytest.mark.parametrize(
    ("status", "transient"),
    [
        *((status, False) for status in (400, 401, 402, 403, 404, 409, 413, 418, 501)),
        *((status, True) for status in (408, 412, 429, 500, 502, 503, 504)),
    ],
)
def test_every_status_is_told_with_what_the_server_said(status, transient):
    failure = diagnose(answered(status))
    assert failure is not None
    assert f"({status}: said so)" in failure.message
    assert failure.transient is transient
    assert failure.hint or status in {400, 408, 418}


@pytest.mark.parametrize(
    ("error", "said", "transient"),
    [
        (answered(403, errors.GatedRepoError), "has to be asked for", False),
        (answered(404, errors.RevisionNotFoundError), "no such revision", False),
        (answered(401, errors.RepositoryNotFoundError), "no such repository", False),
        (answered(404, errors.RemoteEntryNotFoundError), "no such repository", False),
        (httpx2.ReadError("broken"), "no connection: broken", True),
        (httpx2.RemoteProtocolError(""), "no connection: RemoteProtocolError", True),
        (httpx2.ReadTimeout("slow"), "does not answer in time", True),
        (httpx2.ConnectError("refused"), "no connection: refused", False),
        (caused(httpx2.ConnectError("x"), socket.gaierror(-2, "unknown")), "name cannot be resolved", False),
        (ConnectionError("xet"), "no connection: xet", False),  # hf_xet has tried again for minutes by then
        (BrokenPipeError("x"), "no connection: x", True),
        (from_library(RuntimeError("Task error: no storage")), "the transfer failed: Task error: no storage", False),
        (RuntimeError("IO Error: File too large (os error 27)"), "the disk is full (File too large)", False),
        (json.JSONDecodeError("Expecting value", "<html>", 0), "what answers is no Hub", False),
        (ValueError("LFS batch API returned errors:\nquota"), "the Hub does not take a file: quota", False),
        (errors.OfflineModeIsEnabled("x"), "HF_HUB_OFFLINE is set", False),
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full (No space", False),
        (OSError(errno.EDQUOT, "Quota exceeded"), "the disk is full (Quota", False),
        (caused(RuntimeError("while uploading"), answered(503)), "in trouble (503", True),
        (caused(RuntimeError("while uploading"), httpx2.WriteError("reset")), "no connection: reset", True),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_every_kind_of_error_is_told_apart(error, said, transient):
    failure = diagnose(error)
    assert failure is not None
    assert said in failure.message
    assert failure.transient is transient


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"),
        OSError(errno.ENOENT, "gone"),
        ZeroDivisionError(),
        RuntimeError("ours (os error 2)"),
        caused(RuntimeError("while uploading"), PermissionError(errno.EACCES, "denied")),
    ],
)
def test_what_is_no_failure_of_the_hub_is_not_called_one(error):
    assert diagnose(error) is None
    hub = Hub("hf_secret", lambda _: None)
    with pytest.raises(type(error)):
        hub.fail("doing", error)


@pytest.mark.parametrize(("header", "wait"), [("3", 3.0), ("", None), ("soon", None), ("Fri, 01 Jan 2027", None)])
def test_how_long_the_server_asks_to_wait_is_known(header, wait):
    failure = diagnose(answered(429, **{"Retry-After": header}))
    assert failure is not None
    assert failure.retry_after == wait


@pytest.mark.parametrize(
    ("header", "wait"),
    [('"api";r=0;t=55', 56.0), ('"api"; r = 0; t = 7', 8.0), ('"api";r=3;t=55', None), ("x", None)],
)
def test_the_header_in_which_the_hub_tells_of_its_limits_is_known_too(header, wait):
    failure = diagnose(answered(429, RateLimit=header))
    assert failure is not None
    assert failure.retry_after == wait
    assert failure.hint.startswith("Wait 56 s, then run" if wait == 56 else "Wait")


def test_a_bug_that_would_show_the_token_is_told_without_it():
    hub = Hub("hf_secret", lambda _: None)
    with pytest.raises(HubError, match="doing: ValueError") as refusal:
        hub.fail("doing", ValueError("Illegal header value b'Bearer hf_secret'"))
    assert refusal.value.__cause__ is None
    assert refusal.value.__suppress_context__
    assert "hf_secret" not in repr(hub)
