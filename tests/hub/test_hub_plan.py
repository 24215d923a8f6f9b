"""What is planned to go, looked at before there is a network: its title, and what is told of its files."""

from __future__ import annotations

import json

import pytest
from support.command_line import run

from electra_convert.hub.plan import Choice, plan_shipments

pytestmark = pytest.mark.slow


def test_the_title_names_the_half_of_a_pair_and_no_half_for_another_head(pair):
    titles = [one.message(None).title for one in plan_shipments("a/b", pair, Choice())]
    assert titles == [f"Upload the {role} with electra_convert" for role in ("discriminator", "generator")]
    config = json.loads((pair / "discriminator" / "config.json").read_text())
    config["architectures"] = ["ElectraForSequenceClassification"]
    (pair / "discriminator" / "config.json").write_text(json.dumps(config))
    [one] = plan_shipments("a/b", pair / "discriminator", Choice(unverified=True))
    assert one.message(None).title == "Upload the model with electra_convert"


def test_spaces_around_a_title_are_not_sent_since_the_hub_would_drop_them_and_it_would_not_be_found_again(generator):
    [one] = plan_shipments("a/b", generator, Choice())
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
