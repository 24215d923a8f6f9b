"""The network as it is set up here: proxies, certificates, another Hub's address, and what is no Hub at all."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("ALL_PROXY", "socks5://me:geheim@127.0.0.1:9", "the 'socksio' package is not installed"),
        ("HTTP_PROXY", "ftp://me:geheim@127.0.0.1:9", "cannot be used: ValueError"),
        ("HTTP_PROXY", "http://me:geh/eim@127.0.0.1:9", "cannot be used: InvalidURL"),
        ("SSL_CERT_FILE", "/nowhere.pem", "No such file"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_without_a_proxys_password(hub, generator, setting, value, said):
    for command in (("upload", "alice/small", generator), ("inspect", "hf://alice/small")):
        refusal = hub.run(*command, **{setting: value}).refusal()
        assert said in refusal
        assert setting in refusal.splitlines()[1]
        assert "eim" not in refusal


def test_such_a_setting_is_no_matter_where_no_network_is_used(hub, generator):
    bad = {"ALL_PROXY": "ftp://x", "HF_HUB_OFFLINE": "1"}
    assert hub.run("upload", "alice/small", generator, "--dry-run", **bad).code == 0


def test_a_name_and_password_in_the_address_are_said_to_take_the_tokens_place(hub, generator):
    endpoint = hub.base.replace("://", "://me:geheim@")
    said = hub.run("upload", "alice/small", generator, HF_ENDPOINT=endpoint).refusal()
    assert f"HF_ENDPOINT is {hub.base}. The name and password in it are sent in the place of the token." in said


def test_a_page_that_wants_a_login_is_not_taken_for_a_hub(hub, generator):
    hub.order("raw", "GET", "/api/", times=9, body="<html>Welcome to the hotel</html>")
    for command in (("upload", "alice/small", generator), ("inspect", "hf://alice/small")):
        said = hub.run(*command).refusal()
        assert "what answers is no Hub: it sends no JSON" in said
        assert "login in the browser" in said


def test_a_source_that_may_not_be_read_asks_for_no_write_access(hub):
    hub.order("status", "GET", "/api/models/", status=403)
    said = hub.run("inspect", "hf://alice/small").refusal()
    assert "may read it" in said
    assert "--create-pr" not in said
