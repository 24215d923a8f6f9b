"""upload --plan: every repository is proposed to once, however often a run is interrupted, and none stops another."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from safetensors.numpy import load_file
from support.fake_hub.process import commits, writes
from support.parity_records import write_parity

pytestmark = pytest.mark.slow

TITLE = "Convert the model with electra_convert"
# Conversions are made beforehand here, so that a run is short; what is left of it is all that speaks to the Hub.
RUN = """
import os, shutil, signal, threading, time
import electra_convert.hub.account.carry_out as carry_out

def converted(source, output, *_):
    if "broken" in source:
        raise carry_out.UsageError(f"{source} is broken", "Mend it.")
    shutil.copytree(os.environ["READY"], f"{output}.tmp", dirs_exist_ok=True)
    os.rename(f"{output}.tmp", output)

carry_out.run_conversion = converted
time.sleep = lambda _: None
asks, delay = map(float, os.environ.get("KILLED_AT", "0 0").split())
asked = carry_out.Hub.ask

def counted(*arguments):
    global asks
    asks -= 1
    if asks == 0:
        threading.Timer(delay, os.kill, (os.getpid(), signal.SIGKILL)).start()
    return asked(*arguments)

carry_out.Hub.ask = counted
from electra_convert.cli import main
main()
"""


class Account:
    """An account with old models, a plan for it, and what carries the plan out."""

    def __init__(self, hub, place: Path, ready: Path, names) -> None:
        self.hub, self.ready, self.plan = hub, ready, place / "plan.json"
        self.names = [f"alice/{name}" for name in names]
        own = {path.name: path.read_bytes() for path in ready.iterdir() if path.name in {"config.json", "vocab.txt"}}
        for name in self.names:
            hub.put(name, {**own, "pytorch_model.bin": b"old", "README.md": "# Mine\n\nMy words.\n"})
        heads = {name: commits(hub, name)[-1]["oid"] for name in self.names}
        steps = [
            {"repo": name, "commit": head, "model": None, "files": ["model.safetensors"], "why": ["it is old"]}
            for name, head in heads.items()
        ]
        fields = {"schema": 1, "tool": {}, "endpoint": hub.base, "convert": steps}
        left = [{"repo": "alice/bert", "commit": None, "why": ["it is no ELECTRA model"]}]
        self.plan.write_text(json.dumps({**fields, "leave": left}))

    def run(self, *options, **environment):
        return self.hub.python(RUN, "upload", "--plan", self.plan, *options, READY=str(self.ready), **environment)

    def propose(self, *options, **environment):
        return self.run("--create-pr", *options, **environment)

    def require_one_each(self, names=None):
        """One open pull request of one commit, which holds the model and says what it was made of."""
        there = self.hub.repositories
        for name in names or self.names:
            assert [one["title"] for one in there[name]["pull_requests"]] == [TITLE], name
            before, made = [one for one in there[name]["commits"] if one["title"] != "initial commit"]
            assert f"Made of hf://{name}@{before['oid']}" in made["message"].splitlines()
            assert "All 43 weights are equal bit for bit" in made["message"]
            assert {"model.safetensors", "parity.json", "pytorch_model.bin"} <= set(made["files"])
            assert there[name]["refs"]["main"] == before["oid"]


@pytest.fixture
def account(hub, tmp_path, discriminator):
    (discriminator / "optimizer.safetensors").unlink()
    write_parity(discriminator)
    return lambda *names: Account(hub, tmp_path, discriminator, names)


def test_each_repository_gets_one_pull_request_with_its_proof(account):
    old = account("a", "b")
    ran = old.propose()
    assert (ran.code, ran.err) == (0, "")
    assert f"alice/a: sent, {old.hub.base}/alice/a/discussions/1" in ran.out
    assert "alice/bert: left alone: it is no ELECTRA model" in ran.out
    assert ran.out.endswith("2 sent, 1 left alone.\n")
    old.require_one_each()
    assert not old.plan.with_name("plan.json.work").exists()


@pytest.mark.parametrize("journal", ["kept", "lost"])
def test_a_second_run_sends_nothing(account, journal):
    old = account("a", "b")
    assert old.propose().code == 0
    if journal == "lost":
        old.plan.with_name("plan.json.journal").unlink()
    before = len(writes(old.hub))
    ran = old.propose()
    assert (ran.code, ran.out.splitlines()[-1]) == (0, "2 sent before, 1 left alone.")
    assert len(writes(old.hub)) == before


def test_without_create_pr_main_is_committed_to_once(account):
    old = account("a")
    for end in ("1 sent, 1 left alone.", "1 sent before, 1 left alone."):
        ran = old.run()
        assert (ran.code, ran.out.splitlines()[-1]) == (0, end)
        old.plan.with_name("plan.json.journal").unlink()
    assert [one["title"] for one in commits(old.hub, "alice/a")] == ["initial commit", "put by a test", TITLE]


@pytest.mark.parametrize(
    ("status", "end"), [("closed", "1 proposed before and closed there, so left alone"), ("merged", "1 sent before")]
)
def test_what_was_closed_or_merged_is_not_proposed_again(account, status, end):
    old = account("a")
    assert old.propose().code == 0
    old.plan.with_name("plan.json.journal").unlink()
    old.hub.set_status("alice/a", 1, status)
    ran = old.propose()
    assert (ran.code, ran.out.splitlines()[-1]) == (0, f"{end}, 1 left alone.")
    assert len(old.hub.repositories["alice/a"]["pull_requests"]) == 1


def test_what_fails_is_told_at_the_end_and_stops_nothing(account):
    old = account("a", "broken", "changed", "z")
    old.hub.put("alice/changed", {"NOTES.md": "later"})
    ran = old.propose()
    assert ran.code == 1
    *_, broken, changed, end = ran.out.splitlines()
    assert broken.startswith("alice/broken failed: hf://alice/broken@")
    assert broken.endswith("is broken. Mend it.")
    assert "main of alice/changed is no longer" in changed
    assert end == "2 sent, 2 failed, 1 left alone."
    old.require_one_each(["alice/a", "alice/z"])
    told = json.loads(old.propose("--json").out)
    assert [one["state"] for one in told["repositories"]] == ["there", "failed", "changed", "there"]
    assert told["left"] == [{"repo": "alice/bert", "commit": None, "why": ["it is no ELECTRA model"]}]


def test_a_dry_run_changes_nothing_and_says_what_would_be_done(account):
    old = account("a", "b")
    for environment in ({}, {"HF_TOKEN": None}):
        ran = old.propose("--dry-run", **environment)
        assert (ran.code, ran.err) == (0, "")
        assert "alice/a: would be sent\n  a pull request with model.safetensors\n  since it is old\n" in ran.out
    assert {one["method"] for one in old.hub.record} == {"GET"}
    assert sorted(path.name for path in old.plan.parent.iterdir() if "plan" in path.name) == ["plan.json"]
    assert old.propose().code == 0
    assert old.propose("--dry-run").out.splitlines()[-1] == "2 sent before, 1 left alone."


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"HF_TOKEN": None}, "there is no token to upload with"),
        ({"HF_TOKEN": "hf_AliceMayOnlyReadWithThisOne1234567"}, "the token can only read"),
        ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set"),
    ],
)
def test_without_an_account_that_may_write_nothing_is_begun(account, environment, said):
    old = account("a")
    assert said in old.propose(**environment).refusal()
    assert not writes(old.hub)


def test_a_plan_of_another_hub_is_refused(account):
    old = account("a")
    old.plan.write_text(old.plan.read_text().replace(old.hub.base, "https://huggingface.co"))
    assert "is of https://huggingface.co, and HF_ENDPOINT is" in old.propose().refusal(2)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("alice/a", "--plan", "plan.json"), "REPO_ID is for one upload"),
        (("--plan", "plan.json", "--unverified"), "--unverified is for one upload"),
        ((), "REPO_ID is missing"),
        (("alice/a",), "FOLDER is missing"),
    ],
)
def test_what_does_not_go_together_is_refused(hub, arguments, said):
    assert said in hub.run("upload", *arguments).refusal(2)


@pytest.mark.parametrize(
    ("times", "models"), [(4, 3), pytest.param(20, 16, marks=pytest.mark.long)], ids=["four", "twenty"]
)
def test_interruptions_at_random_points_leave_one_pull_request_each(account, times, models):
    chance = random.Random(21)
    old = account(*(f"m{number}" for number in range(models)))
    ended = []
    for number in range(times):
        if number % 2:
            method, part = chance.choice([("POST", "/commit/"), ("GET", "/discussions"), ("GET", "/tree/")])
            kind = chance.choice(["lose", "reset", "cut", "status"])
            old.hub.order(kind, method, f"m{chance.randrange(models)}{part}", status=500, after=chance.randrange(50))
        # A step asks some ten times, once with all that a commit takes; so it is killed within each of them.
        at = f"{chance.randint(1, 14)} {chance.uniform(0, 0.06)}"
        ended.append(old.propose(KILLED_AT=at).code)
    assert ended.count(-9) == times
    ran = old.propose()
    assert ran.code == 0, ran.err
    old.require_one_each()


@pytest.mark.parametrize("kind", ["lose", "reset"])
def test_a_commit_whose_answer_is_lost_is_not_made_twice(account, kind):
    old = account("a")
    old.hub.order(kind, "POST", "/commit/", times=1)
    assert old.propose().code == 0
    old.require_one_each()


def test_a_pickle_is_converted_verified_and_proposed_and_then_nothing_is_to_be_done(hub, tmp_path, discriminator):
    import torch

    weights = discriminator / "model.safetensors"
    tensors = {name: torch.from_numpy(values) for name, values in load_file(weights).items()}
    torch.save(tensors, discriminator / "pytorch_model.bin")
    kept = ("config.json", "vocab.txt", "pytorch_model.bin")
    hub.put("alice/old", {name: (discriminator / name).read_bytes() for name in kept})
    plan = tmp_path / "plan.json"
    ran = hub.run("inspect", "hf://alice", "--plan", plan, "-q")
    assert (ran.code, ran.err) == (0, "")
    ran = hub.run("upload", "--plan", plan, "--create-pr")
    assert (ran.code, ran.out.splitlines()[-1]) == (0, "1 sent, 0 left alone."), ran.err
    made = commits(hub, "alice/old")[-1]
    assert {"README.md", "conversion.json", "model.safetensors", "parity.json", "pytorch_model.bin"} <= set(
        made["files"]
    )
    assert "`electra-convert verify hf://alice/old`, once it is merged" in made["message"]
    ran = hub.run("verify", "hf://alice/old@refs/pr/1")
    assert (ran.code, ran.out.partition(":")[0]) == (0, "Reproduced"), ran
    assert "source     pytorch_model.bin" in ran.out
    hub.set_status("alice/old", 1, "merged")
    [row] = json.loads(hub.run("inspect", "hf://alice", "--json").out)["models"]
    assert (row["action"], row["loads"], row["proof"]) == ("nothing", "safetensors", "verified")
