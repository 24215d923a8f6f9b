"""What the client's errors mean: every status, every way to lose a connection, and what the library wraps them in."""

from __future__ import annotations

import errno
import socket

import httpx2
import pytest
from huggingface_hub import errors

from electra_convert.errors import HubError
from electra_convert.hub.client import Hub
from electra_convert.hub.faults import diagnose

pytestmark = pytest.mark.slow


def answered(status: int, kind: type = errors.HfHubHTTPError, **headers: str) -> Exception:
    request = httpx2.Request("GET", "https://hub.example/api/models/a/b")
    response = httpx2.Response(status, headers=headers, request=request)
    return kind("long text", response=response, server_message="said\nso")


def caused(outer: Exception, inner: Exception) -> Exception:
    outer.__cause__ = inner
    return outer


@pytest.mark.parametrize(
    ("status", "passing"),
    [
        *((status, False) for status in (400, 401, 402, 403, 404, 409, 412, 413, 418, 501)),
        *((status, True) for status in (408, 429, 500, 502, 503, 504)),
    ],
)
def test_every_status_is_told_with_what_the_server_said(status, passing):
    fault = diagnose(answered(status))
    assert fault is not None
    assert f"({status}: said so)" in fault.message
    assert fault.passing is passing
    assert fault.hint or status in {400, 408, 418}


@pytest.mark.parametrize(
    ("error", "said", "passing"),
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
        (ConnectionError("xet"), "no connection: xet", True),
        (errors.OfflineModeIsEnabled("x"), "HF_HUB_OFFLINE is set", False),
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full (No space", False),
        (OSError(errno.EDQUOT, "Quota exceeded"), "the disk is full (Quota", False),
        (caused(RuntimeError("while uploading"), answered(503)), "in trouble (503", True),
        (caused(RuntimeError("while uploading"), httpx2.WriteError("reset")), "no connection: reset", True),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_every_kind_of_error_is_told_apart(error, said, passing):
    fault = diagnose(error)
    assert fault is not None
    assert said in fault.message
    assert fault.passing is passing


@pytest.mark.parametrize("error", [ValueError("x"), OSError(errno.ENOENT, "gone"), ZeroDivisionError()])
def test_what_is_no_fault_of_the_hub_is_not_called_one(error):
    assert diagnose(error) is None
    hub = Hub("hf_secret", lambda _: None)
    with pytest.raises(type(error)):
        hub.fail("doing", error)


@pytest.mark.parametrize(("header", "wait"), [("3", 3.0), ("", None), ("soon", None), ("Fri, 01 Jan 2027", None)])
def test_how_long_the_server_asks_to_wait_is_known(header, wait):
    fault = diagnose(answered(429, **{"Retry-After": header}))
    assert fault is not None
    assert fault.wait == wait


def test_a_bug_that_would_show_the_token_is_told_without_it():
    hub = Hub("hf_secret", lambda _: None)
    with pytest.raises(HubError, match="doing: ValueError") as refusal:
        hub.fail("doing", ValueError("Illegal header value b'Bearer hf_secret'"))
    assert refusal.value.__cause__ is None
    assert refusal.value.__suppress_context__
    assert "hf_secret" not in repr(hub)
