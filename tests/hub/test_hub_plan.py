"""What is planned to go, looked at before there is a network: its title, and what is told of its files."""

from __future__ import annotations

import json

import pytest
from support.command_line import run

from electra_convert.hub.plan import UploadOptions, plan_uploads, require_branch

pytestmark = pytest.mark.slow


def test_the_title_names_the_half_of_a_pair_and_no_half_for_another_head(pair):
    titles = [one.message(None).title for one in plan_uploads("a/b", pair, UploadOptions())]
    assert titles == [f"Upload the {role} with electra_convert" for role in ("discriminator", "generator")]
    config = json.loads((pair / "discriminator" / "config.json").read_text())
    config["architectures"] = ["ElectraForSequenceClassification"]
    (pair / "discriminator" / "config.json").write_text(json.dumps(config))
    [one] = plan_uploads("a/b", pair / "discriminator", UploadOptions(unverified=True))
    assert one.message(None).title == "Upload the model with electra_convert"


def test_spaces_around_a_title_are_not_sent_since_the_hub_would_drop_them_and_it_would_not_be_found_again(generator):
    [one] = plan_uploads("a/b", generator, UploadOptions())
    assert one.message(" Mine ").title == "Mine"


def test_where_a_link_leads_is_told_before_it_is_followed(generator, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.is_offline_mode", lambda: True)
    elsewhere = (generator / "vocab.txt").rename(tmp_path / "elsewhere.txt")
    (generator / "vocab.txt").symlink_to(elsewhere)
    ran = run("upload", "alice/small", generator, "--dry-run", "-q")
    assert ran.code == 0, ran.err
    [line] = [line for line in ran.out.splitlines() if "a link to" in line]
    assert line.split(maxsplit=2)[1:] == ["vocab.txt", f"(a link to {elsewhere})"]


def test_what_stands_beside_the_halves_of_a_pair_is_named_and_left(pair, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.is_offline_mode", lambda: True)
    (pair / "notes.txt").write_text("mine")
    ran = run("upload", "alice/small", pair, "--dry-run")
    assert f"Note: {pair}/notes.txt belongs to neither model, and is left.\n" in ran.err
    assert "notes.txt" not in ran.out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--create-pr", "--revision", "x"], "--create-pr proposes a change to main"),
        (["--create-pr", "--private"], "--private and --public are for a new repository"),
        (["--commit-message", " "], "--commit-message is empty"),
        (["--commit-message", "a\nb"], "expected one line"),
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(generator, options, said):
    assert said in run("upload", "alice/small", generator, *options).refusal(2)


@pytest.mark.parametrize(
    "name",
    ["", " ", "a b", "a..b", "/a", "a/", "a//b", ".a", "a/.b", "a.lock", "a.lock/b", "a.", "a~1", "a^", "a:b", "a?",
     "a*", "a[", "a\\b", "@", "a@{b", "-a", "HEAD", "a\nb", "a\n", "a\x7f", "refs/pr/7", "refs/heads/main", "f" * 40],
)  # fmt: skip
def test_what_is_no_name_of_a_branch_is_wrong_usage(generator, name):
    said = run("upload", "alice/small", generator, f"--revision={name}").refusal(2)
    assert "--revision is " in said


@pytest.mark.parametrize("name", ["main", "feature/x", "v1.0", "a-b_c", "@a", "a@b", "HEADS", "locked", "ü"])
def test_what_git_takes_for_a_branch_is_taken(name):
    require_branch(name)
