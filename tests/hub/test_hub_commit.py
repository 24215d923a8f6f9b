"""What goes wrong between here and the Hub: resumed, retried or told; never half a commit, never two of it."""

from __future__ import annotations

import json
import re
import time

import pytest
from support.fake_hub.process import ALICE, FakeHub, interrupt, wait_until

pytestmark = pytest.mark.slow

PUT = ("PUT", "/_lfs/")
BATCH = ("POST", "/info/lfs/objects/batch")
COMMIT = ("POST", "/commit/")
NEVER = ("model.safetensors", "README.md")


def commits(hub: FakeHub, name: str = "alice/small") -> list[dict]:
    return hub.repositories[name]["commits"]


def require_all_or_none(hub: FakeHub) -> None:
    """Whatever happened, a commit to main holds all files of a model or none of them."""
    for repository in hub.repositories.values():
        for commit in repository["commits"]:
            assert len({name in commit["files"] for name in NEVER}) == 1, commit


def uploaded(hub: FakeHub, folder) -> str:
    ran = hub.run_without_waiting("upload", "alice/small", folder)
    assert ran.code == 0, ran
    require_all_or_none(hub)
    assert len(commits(hub)) == 2
    assert "found there by size and hash" in ran.out
    return ran.err


def refused(hub: FakeHub, folder, *options: str) -> str:
    said = hub.run("upload", "alice/small", folder, "-q", *options).refusal()
    require_all_or_none(hub)
    assert ALICE not in said
    return said


# Faults that pass


def test_a_connection_reset_in_the_middle_of_a_file_is_tried_again(hub, generator):
    hub.order("reset", *PUT, after=100_000)
    assert "Note: Retrying in" in uploaded(hub, generator)
    assert len(hub.requests(*PUT)) == 2


@pytest.mark.parametrize("request_", [("GET", "whoami"), PUT, COMMIT])
def test_two_errors_of_the_server_and_then_none_are_waited_out(hub, generator, request_):
    hub.order("status", *request_, times=2, status=500)
    said = uploaded(hub, generator)
    assert said.count("in trouble (500: ordered); trying again in") + said.count("HTTP Error 500") == 2


def test_a_request_to_come_back_later_is_followed(hub, generator):
    hub.order("status", *COMMIT, status=429, headers={"Retry-After": "3"})
    start = time.monotonic()
    ran = hub.run("upload", "alice/small", generator)
    assert "too many requests (429: ordered); trying again in 3 s" in ran.err
    assert (ran.code, len(commits(hub))) == (0, 2)
    assert time.monotonic() - start > 3


def test_a_commit_whose_answer_is_lost_is_not_made_twice(any_hub, generator):
    any_hub.order("lose", *COMMIT)
    assert "no connection" in uploaded(any_hub, generator)
    assert len(any_hub.requests(*COMMIT)) == 1


def test_a_pull_request_whose_answer_is_lost_is_not_opened_twice(hub, generator):
    hub.put("bob/small", {})
    hub.order("lose", *COMMIT)
    ran = hub.run("upload", "bob/small", generator, "--create-pr")
    assert (ran.code, len(hub.repositories["bob/small"]["pull_requests"])) == (0, 1)
    assert ran.out.startswith(f"{hub.base}/bob/small/discussions/1\n")


def test_a_commit_of_someone_else_in_between_is_kept_and_ours_put_on_top(hub, generator):
    hub.put("alice/small", {})
    hub.order("commit", *COMMIT, name="alice/small")
    assert hub.run("upload", "alice/small", generator).code == 0
    assert len(hub.requests(*COMMIT)) == 2  # the first names a parent that is no longer the head
    last = commits(hub)[-1]["files"]
    assert {"NOTES.md", "model.safetensors"} <= set(last)


def test_a_repository_that_someone_makes_at_the_same_moment_is_used(hub, generator):
    hub.order("race", "POST", "/repos/create", name="alice/small", private=False)
    uploaded(hub, generator)


def test_a_public_repository_made_at_the_same_moment_gets_nothing_private(hub, generator):
    hub.order("race", "POST", "/repos/create", name="alice/small", private=False)
    said = refused(hub, generator, "--private")
    assert "alice/small is public already" in said
    assert len(commits(hub)) == 1


def test_the_signature_of_an_address_is_not_told(hub, generator):
    program = (
        "import sys, huggingface_hub._commit_api as api\n"
        "before = api.post_lfs_batch_info\n"
        "def signed(**given):\n"
        "    actions, faults, way = before(**given)\n"
        "    for one in actions: one['actions']['upload']['href'] += '?X-Amz-Signature=geheim'\n"
        "    return actions, faults, way\n"
        "api.post_lfs_batch_info = signed\n"
        "from electra_convert.cli import main; main()"
    )
    hub.order("status", *PUT, times=2, status=500)
    hub.order("status", *PUT, times=9, status=403)
    ran = hub.python(program, "upload", "alice/small", generator, ELECTRA_CONVERT_DEBUG="1")
    assert ran.code == 1
    assert "HTTP Error 500 thrown while requesting PUT" in ran.err
    assert "the token may not do it" in ran.err
    assert "geheim" not in ran.err


# Faults that do not pass


@pytest.mark.parametrize(
    ("status", "headers", "message", "hint"),
    [
        (402, {}, "wants payment", "billing"),
        (404, {"X-Error-Code": "RepoNotFound"}, "no such repository", "name"),
        (409, {}, "is there already", "again"),
        (413, {}, "larger than the Hub accepts", "--max-shard-size"),
        (429, {"Retry-After": "4000"}, "too many requests", "Wait"),
    ],
)
def test_a_commit_that_is_refused_is_told_with_what_to_do(hub, generator, status, headers, message, hint):
    hub.order("status", *COMMIT, times=99, status=status, headers=headers)
    said = refused(hub, generator)
    assert message in said.splitlines()[0]
    assert str(status) in said.splitlines()[0]
    assert hint in said.splitlines()[1]
    assert f"HF_ENDPOINT is {hub.base}." in said
    assert len(hub.requests(*COMMIT)) == 1


def test_a_server_that_stays_broken_is_given_up_on(hub, generator):
    hub.order("status", "POST", "/repos/create", times=99, status=503)
    ran = hub.run_without_waiting("upload", "alice/small", generator)
    assert re.findall(r"\(503: ordered\); trying again in (\d) s", ran.err) == ["1", "2", "4", "8"]
    assert "Error: creating alice/small: the Hub is in trouble (503: ordered)" in ran.err
    assert ran.code == 1
    assert len(hub.requests("POST", "/repos/create")) == 5


def test_a_token_that_expires_in_the_middle_leaves_nothing_and_the_next_run_goes_on(hub, generator):
    hub.order(
        "status", *COMMIT, status=401, headers={"X-Error-Message": "Invalid credentials in Authorization header"}
    )
    assert "does not accept the token" in refused(hub, generator)
    assert len(commits(hub)) == 1
    uploaded(hub, generator)
    assert len(hub.requests(*PUT)) == 1


def test_a_file_that_the_storage_refuses_is_told_in_its_words(hub, generator):
    error = {"code": 402, "message": "Private storage limit reached"}
    hub.order("raw", *BATCH, body=json.dumps({"objects": [{"oid": "0" * 64, "size": 1, "error": error}]}))
    said = refused(hub, generator)
    assert "the Hub does not take a file" in said
    assert "Private storage limit reached" in said
    assert "billing page" in said


def test_a_commit_that_cannot_be_looked_at_afterwards_is_told_all_the_same(hub, generator):
    hub.order("status", "GET", "/revision/[0-9a-f]{40}", status=403)
    said = refused(hub, generator)
    assert f"Hint: alice/small has the commit {commits(hub)[-1]['oid']}, which was not looked at yet." in said
    assert "no commit, nothing changed" in hub.run("upload", "alice/small", generator).out


def test_what_is_complete_of_a_pair_is_told_and_the_next_run_does_the_rest(hub, pair):
    hub.order("status", "POST", "tiny-generator/commit", status=403)
    said = hub.run("upload", "alice/tiny", pair, "-q").refusal()
    assert "alice/tiny-discriminator is complete." in said
    require_all_or_none(hub)
    assert hub.run("upload", "alice/tiny", pair, "-q").code == 0
    assert [len(one["commits"]) for one in hub.repositories.values()] == [2, 2]


@pytest.mark.parametrize("endpoint", ["http://no-such-host.invalid", "http://127.0.0.1:9"])
def test_a_hub_that_is_not_there_is_told_with_its_address(hub, generator, endpoint):
    ran = hub.run("upload", "alice/small", generator, "-q", HF_ENDPOINT=endpoint)
    said = ran.refusal()
    assert "cannot be resolved" in said if "invalid" in endpoint else "no connection" in said
    assert f"HF_ENDPOINT is {endpoint}." in said


def test_a_password_in_the_address_is_not_told(hub, generator):
    said = hub.run("upload", "alice/small", generator, HF_ENDPOINT="http://me:geheim@127.0.0.1:9").refusal()
    assert "HF_ENDPOINT is http://127.0.0.1:9." in said
    assert "geheim" not in said


# Interruptions


@pytest.mark.parametrize("moment", [PUT, COMMIT])
def test_ctrl_c_ends_at_once_and_the_next_run_goes_on(hub, generator, moment):
    require_interruptible(hub, generator, moment)


def test_ctrl_c_ends_at_once_with_xet_too(xet_hub, generator):
    require_interruptible(xet_hub, generator, COMMIT)


def require_interruptible(hub: FakeHub, folder, moment: tuple[str, str]) -> None:
    hub.order("stall", *moment, after=1000, seconds=30)
    process = hub.start("upload", "alice/small", folder, "-q")
    wait_until(lambda: hub.requests(*moment))
    ran = interrupt(process)
    assert ran.refusal(130) == (
        "Error: interrupted\nHint: No commit was seen to be made. The same command goes on from here.\n"
    )
    require_all_or_none(hub)
    assert len(commits(hub)) == 1
    uploaded(hub, folder)


def test_ctrl_c_after_a_commit_says_that_it_is_there(hub, generator):
    hub.order("stall", "GET", "/revision/[0-9a-f]{40}", seconds=30)
    process = hub.start("upload", "alice/small", generator, "-q")
    wait_until(lambda: [path for path in hub.requests("GET", "/revision/") if not path.endswith("/main")])
    said = interrupt(process).refusal(130)
    assert (
        f"Hint: alice/small has the commit {commits(hub)[-1]['oid']}, which was not looked at yet. The same" in said
    )


def test_ctrl_c_between_two_models_says_which_is_there(hub, pair):
    hub.order("stall", "POST", "tiny-generator.git", seconds=30)
    process = hub.start("upload", "alice/tiny", pair, "-q")
    wait_until(lambda: hub.requests("POST", "tiny-generator.git"))
    assert "Hint: alice/tiny-discriminator is complete." in interrupt(process).refusal(130)


def test_a_run_that_was_killed_sends_no_large_file_again(hub, pair):
    hub.order("stall", *COMMIT, seconds=30)
    process = hub.start("upload", "alice/tiny", pair / "generator", "-q")
    wait_until(lambda: hub.requests(*COMMIT))
    process.kill()
    process.communicate()
    assert hub.run("upload", "alice/tiny", pair / "generator", "-q").code == 0
    assert len(hub.requests(*PUT)) == 1
