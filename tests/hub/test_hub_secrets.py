"""The token is nowhere: not in what a process says, well or badly, nor in a file that it leaves."""

from __future__ import annotations

import pytest
from support.fake_hub.process import ALICE, FakeHub

from electra_convert.errors import HubError
from electra_convert.hub.client import find_token, hide, shown_endpoint

pytestmark = pytest.mark.slow


def files_with(folder, secret: str) -> list[str]:
    return [str(path) for path in folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]


def require_secret(hub: FakeHub, ran, place, secret: str = ALICE) -> None:
    assert secret not in ran.out
    assert secret not in ran.err, ran.err
    assert files_with(place, secret) == []


def by_variable(folder) -> tuple[list, dict]:
    return ["upload", "alice/small", folder], {}


def by_option(folder) -> tuple[list, dict]:
    return ["upload", "alice/small", folder, "--token", ALICE], {"HF_TOKEN": None}


def test_the_token_is_in_nothing_that_is_written_where_files_go_through_xet(xet_hub, tmp_path, generator):
    ran = xet_hub.run("upload", "alice/small", generator, HF_DEBUG="1", RUST_LOG="trace", HF_XET_LOG_LEVEL="trace")
    assert ran.code == 0
    assert list(xet_hub.home.rglob("*.log"))
    require_secret(xet_hub, ran, tmp_path)


@pytest.mark.parametrize(("way", "debug"), [(by_variable, "1"), (by_option, None)])
@pytest.mark.parametrize(
    "fault",
    [
        None,
        ("status", "GET", "whoami", {"status": 401, "message": "bad token TOKEN"}),
        ("status", "POST", "/repos/create", {"status": 403, "message": "TOKEN may not", "times": 9}),
        ("status", "POST", "/commit/", {"status": 500, "message": "Authorization: Bearer TOKEN", "times": 1}),
        ("status", "POST", "/preupload/", {"status": 418, "message": "TOKEN"}),
    ],
    ids=lambda fault: "none" if fault is None else fault[2].strip("/"),
)
def test_the_token_is_in_nothing_that_the_process_writes(hub, generator, tmp_path, way, debug, fault):
    if fault:
        kind, method, path, more = fault
        hub.order(kind, method, path, **more)
    arguments, environment = way(generator)
    ran = hub.run(*arguments, ELECTRA_CONVERT_DEBUG=debug, HF_DEBUG=debug, **environment)
    assert (ran.code == 0) is (fault is None or fault[3].get("status") == 500)
    assert ("Traceback" in ran.err) is (ran.code != 0 and debug == "1")
    require_secret(hub, ran, tmp_path)


@pytest.mark.parametrize("token", [f"{ALICE} trailing", f"{ALICE}\x00", f"{ALICE}é", f"a\r\nX-Evil: {ALICE}"])
@pytest.mark.parametrize("debug", ["1"])
def test_a_token_that_no_header_can_hold_is_refused_unseen(hub, generator, tmp_path, token, debug):
    # An argument of a process cannot hold a NUL.
    program = (
        "import sys\nfrom electra_convert.cli import main\n"
        "sys.argv += ['--token', bytes.fromhex(sys.argv.pop()).decode()]\nmain()"
    )
    given = ("upload", "alice/small", generator, token.encode().hex())
    ran = hub.python(program, *given, HF_TOKEN=None, ELECTRA_CONVERT_DEBUG=debug)
    assert ran.code == 1
    assert "holds a space, a line break or a letter that no token has" in ran.err
    require_secret(hub, ran, tmp_path)
    assert hub.record == []


def test_the_token_of_the_login_store_is_found_and_stays_there(hub, generator, tmp_path):
    hub.home.mkdir()
    (hub.home / "token").write_text(f"{ALICE}\n")
    ran = hub.run("upload", "alice/small", generator, HF_TOKEN=None)
    assert (ran.code, ALICE in ran.out + ran.err) == (0, False)
    assert files_with(tmp_path, ALICE) == [str(hub.home / "token")]


def test_an_empty_token_is_not_taken_for_none(hub, generator):
    assert "the token that was given is empty" in hub.run("upload", "a/b", generator, "--token", " ").refusal()


def test_line_breaks_around_a_token_do_no_harm():
    assert find_token(f" {ALICE}\r\n") == ALICE
    with pytest.raises(HubError, match="holds a space"):
        find_token("a b")


@pytest.mark.parametrize("user", ["me:geh^eim", "me:gehÄeim", "me:ge eim", "eim_token"])
def test_a_password_that_a_library_writes_in_its_own_way_is_not_told_either(hub, generator, user):
    endpoint = hub.base.replace("://", f"://{user}@")
    hub.order("status", "GET", "/api/", times=1, status=500)
    for command in (("upload", "alice/small", generator), ("inspect", "hf://alice/small")):
        ran = hub.run(*command, HF_ENDPOINT=endpoint, ELECTRA_CONVERT_DEBUG="1", HF_DEBUG="1")
        assert (ran.code, "eim" in ran.out + ran.err) == (1, False), ran.err


def test_secrets_are_hidden_wherever_they_stand():
    assert hide(f"Bearer {ALICE}, {ALICE}", [ALICE]) == "Bearer <hidden>, <hidden>"
    assert hide("see https://me:p%20w@hub.example/a@b", []) == "see https://<hidden>@hub.example/a@b"
    assert hide("hf://alice/small@main of http://h/a@b", []) == "hf://alice/small@main of http://h/a@b"
    assert shown_endpoint("https://me:pass@hub.example:8080/x") == "https://hub.example:8080/x"
