"""upload to a Hub on loopback, with huggingface_hub's real client in a process of its own: what goes, and when."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import FIXTURES
from support.fake_hub.process import commits, writes

from electra_convert import convert

pytestmark = pytest.mark.slow

SENT = [
    "README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt",
    "conversion.json", "parity.json",
]  # fmt: skip


def test_a_pair_becomes_two_repositories_that_link_each_other(any_hub, pair):
    ran = any_hub.run("upload", "alice/tiny", pair, "--json")
    assert (ran.code, ran.err) == (0, "")
    uploads = json.loads(ran.out)["uploads"]
    assert [one["repo_id"] for one in uploads] == ["alice/tiny-discriminator", "alice/tiny-generator"]
    for one, role, other in zip(uploads, ("discriminator", "generator"), ("generator", "discriminator"), strict=True):
        assert (one["role"], one["sent"], one["left"]) == (role, SENT, ["optimizer.safetensors"])
        [start, made] = commits(any_hub, one["repo_id"])
        assert (made["oid"], made["files"]) == (one["commit"], sorted([*start["files"], *SENT]))
        assert made["title"] == f"Upload the {role} with electra_convert"
        assert "All 43 weights are equal bit for bit" in made["message"]
        assert f"(https://huggingface.co/alice/tiny-{other})" in (pair / role / "README.md").read_text()
    way = "/xet-write-token/" if any_hub.xet else "/info/lfs/objects/batch"
    assert [way in path for path in (any_hub.requests("GET", "token") or any_hub.requests("POST", "batch"))]


def test_what_was_uploaded_is_what_from_pretrained_loads_and_convert_turns_back(xet_hub, pair, tmp_path):
    assert xet_hub.run("upload", "alice/tiny", pair).code == 0
    loads = (
        "import sys, torch\n"
        "from transformers import AutoTokenizer, ElectraForPreTraining\n"
        "ids = AutoTokenizer.from_pretrained(sys.argv[1])('the model reads a file', return_tensors='pt')\n"
        "sides = [ElectraForPreTraining.from_pretrained(name, output_loading_info=True) for name in sys.argv[1:]]\n"
        "assert not any(found for _, info in sides for found in info.values()), sides\n"
        "there, here = (model.eval()(**ids).logits for model, _ in sides)\n"
        "assert torch.equal(there, here), (there, here)\n"
    )
    ran = xet_hub.python(loads, "alice/tiny-discriminator", pair / "discriminator")
    assert ran.code == 0, ran.err
    # What transformers downloaded is there offline.
    ran = xet_hub.run("inspect", "hf://alice/tiny-discriminator", "-q", HF_HUB_OFFLINE="1")
    assert (ran.code, ran.err) == (0, "")
    for role in ("discriminator", "generator"):
        back = tmp_path / f"back_{role}"
        ran = xet_hub.run("convert", f"hf://alice/tiny-{role}", back, "-q")
        assert (ran.code, ran.err) == (0, "")
        again = tmp_path / f"again_{role}"
        assert xet_hub.run("convert", back, again, "--to", "safetensors", "-q").code == 0
        weights = "model.safetensors"
        assert (again / weights).read_bytes() == (pair / role / weights).read_bytes()


def test_a_single_model_goes_to_the_very_repository(hub, generator):
    ran = hub.run("upload", "alice/small", generator, "-q")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"{hub.base}/alice/small\n")
    assert list(hub.repositories) == ["alice/small"]


def test_a_model_under_berts_names_goes_up_and_is_read_from_there_as_electra(hub, tmp_path):
    made = convert(FIXTURES / "equal_widths", tmp_path / "bert", model="generator", model_type="bert")
    assert hub.run("upload", "alice/bert", made.output, "--unverified", "-q").code == 0
    assert "- bert\n- electra\n" in (made.output / "README.md").read_text()
    ran = hub.run("inspect", "hf://alice/bert", "--json")
    assert json.loads(ran.out)["models"]["generator"]["architecture"] == "ElectraForMaskedLM"


def test_a_second_run_makes_no_commit_and_says_so(any_hub, generator):
    first = any_hub.run("upload", "alice/small", generator)
    before = len(writes(any_hub))
    second = any_hub.run("upload", "alice/small", generator)
    assert (first.code, second.code) == (0, 0)
    assert "8 files sent, all 8 files found there by size and hash" in first.out
    assert "no commit, nothing changed: all 8 files found there by size and hash" in second.out
    assert len(commits(any_hub, "alice/small")) == 2
    assert len(writes(any_hub)) == before


def test_only_what_changed_is_sent(hub, generator):
    hub.run("upload", "alice/small", generator)
    card = generator / "README.md"
    card.write_text(card.read_text() + "\nWords of mine.\n")
    report = json.loads(hub.run("upload", "alice/small", generator, "--json").out)
    assert report["uploads"][0]["sent"] == ["README.md"]
    assert len(hub.requests("POST", "/info/lfs/objects/batch")) == 1


def test_the_card_is_written_beside_the_model_as_it_was_uploaded(hub, generator):
    assert hub.run("upload", "alice/small", generator, "--license", "mit", "--language", "en").code == 0
    fetch = "import sys, huggingface_hub as h; print(h.hf_hub_download(sys.argv[1], 'README.md'))"
    there = Path(hub.python(fetch, "alice/small").out.strip())
    assert there.read_bytes() == (generator / "README.md").read_bytes()


# What goes, and what does not


@pytest.mark.parametrize(
    ("options", "extra", "less"),
    [
        ([], [], []),
        (["--include-optimizer"], ["optimizer.safetensors"], []),
        (["--include-pickles", "--unverified"], ["pytorch_model.bin"], ["parity.json"]),
    ],
)
def test_optimisers_and_pickles_go_only_when_asked_and_strays_never(hub, generator, options, extra, less):
    from support.parity_records import write_parity

    for stray in ("notes.txt", "pytorch_model.bin", "events.out.tfevents", ".DS_Store"):
        (generator / stray).write_text("stray")
    (generator / "checkpoints").mkdir()
    write_parity(generator)
    ran = hub.run("upload", "alice/small", generator, "--json", *options)
    report = json.loads(ran.out)["uploads"][0]
    strays = {".DS_Store", "checkpoints", "events.out.tfevents", "notes.txt", "optimizer.safetensors"}
    sent = {*SENT, *extra} - {*less}
    assert set(report["files"]) == sent
    assert set(report["left"]) == (strays | {"pytorch_model.bin", *less}) - set(extra)
    assert commits(hub, "alice/small")[-1]["files"] == sorted([".gitattributes", *sent])


def test_shards_go_with_their_index(hub, converted):
    folder = converted("sharded", max_shard_size=100_000)
    shards = sorted(path.name for path in folder.glob("model-*.safetensors"))
    assert len(shards) > 2
    report = json.loads(hub.run("upload", "alice/small", folder, "--json").out)["uploads"][0]
    assert [name for name in report["sent"] if name.startswith("model")] == [*shards, "model.safetensors.index.json"]
    ran = hub.run("inspect", "hf://alice/small", "--check", "-q")
    assert (ran.code, ran.err) == (0, "")


def test_weights_that_would_be_loaded_in_the_place_of_the_new_ones_are_removed_in_the_same_commit(hub, converted):
    assert hub.run("upload", "alice/small", converted("single")).code == 0
    ran = hub.run("upload", "alice/small", converted("sharded", max_shard_size=100_000), "--json")
    assert json.loads(ran.out)["uploads"][0]["removed"] == ["model.safetensors"]
    assert len(commits(hub, "alice/small")) == 3
    assert "model.safetensors" not in commits(hub, "alice/small")[-1]["files"]


def test_files_that_others_put_there_stay(hub, generator):
    hub.put("alice/small", {"NOTES.md": "mine", "pytorch_model.bin": "old"})
    assert hub.run("upload", "alice/small", generator).code == 0
    assert {"NOTES.md", "pytorch_model.bin"} <= set(commits(hub, "alice/small")[-1]["files"])


def test_a_gitignore_there_that_keeps_files_out_is_found_out_before_anything_is_committed(hub, generator):
    hub.put("alice/small", {".gitignore": "vocab.txt\nmodel.safetensors\n"})
    for option in ("-q", "--create-pr"):
        said = hub.run("upload", "alice/small", generator, "-q", option).refusal()
        assert (
            "the .gitignore of alice/small keeps out model.safetensors, vocab.txt, so nothing was committed" in said
        )
    assert hub.repositories["alice/small"]["pull_requests"] == []
    assert len(commits(hub, "alice/small")) == 2


def test_a_record_that_proves_nothing_is_left_and_one_that_is_there_goes(hub, generator):
    hub.put("alice/small", {"parity.json": "{}", "added_tokens.json": "{}", "NOTES.md": "mine"})
    record = json.loads((generator / "parity.json").read_text())
    (generator / "parity.json").write_text(json.dumps({**record, "verdict": "different"}))
    ran = hub.run("upload", "alice/small", generator, "--unverified", "--dry-run")
    assert "removes parity.json, of the model before" in ran.out
    report = json.loads(hub.run("upload", "alice/small", generator, "--unverified", "--json").out)["uploads"][0]
    assert report["removed"] == ["added_tokens.json", "parity.json"]
    assert "parity.json" in report["left"]
    expected = {".gitattributes", "NOTES.md", *SENT} - {"parity.json"}
    assert set(commits(hub, "alice/small")[-1]["files"]) == expected
    assert "no commit" in hub.run("upload", "alice/small", generator, "--unverified").out


# Dry runs


@pytest.mark.parametrize("there", [True, False])
def test_a_dry_run_shows_all_and_writes_nothing(hub, pair, there):
    if there:
        hub.put("alice/tiny-generator", {"vocab.txt": (pair / "generator" / "vocab.txt").read_text()})
    ran = hub.run("upload", "alice/tiny", pair, "--dry-run", "--revision", "main", "--private" if not there else "-q")
    assert ran.code == 0, ran.err
    assert {one["method"] for one in hub.record} == {"GET"}
    assert "Would upload to alice/tiny-discriminator, main, a new repository" in ran.out
    assert ("private" in ran.out) is not there
    assert ("vocab.txt              (there already)" in ran.out) is there
    assert "638,908  model.safetensors" in ran.out
    assert "leaves optimizer.safetensors" in ran.out
    assert "# tiny-generator" in ran.out
    assert not (pair / "generator" / "README.md").exists()


def test_a_dry_run_needs_no_token(hub, generator):
    assert hub.run("upload", "alice/small", generator, "--dry-run", HF_TOKEN=None).code == 0


# Who may see it


@pytest.mark.parametrize(("option", "private"), [("--private", True), ("--public", False), (None, False)])
def test_a_new_repository_is_as_visible_as_asked_and_that_is_told_first(hub, generator, option, private):
    ran = hub.run("upload", "alice/small", generator, *([option] if option else []))
    assert hub.repositories["alice/small"]["private"] is private
    shown = {"--private": "private", "--public": "public", None: "visible as the account's default has it"}[option]
    assert ran.err.splitlines()[0] == f"alice/small, main, a new repository, {shown}"


@pytest.mark.parametrize(("private", "option"), [(True, "--public"), (False, "--private")])
def test_a_repository_that_is_seen_otherwise_than_asked_is_refused_before_the_first_byte(
    hub, generator, private, option
):
    hub.put("alice/small", {}, private)
    said = hub.run("upload", "alice/small", generator, option, "-q").refusal()
    assert f"already, and {option} was given" in said
    assert writes(hub) == []


# Branches and pull requests


def test_a_branch_is_made_where_it_is_missing(any_hub, generator):
    for _ in range(2):
        ran = any_hub.run("upload", "alice/small", generator, "--revision", "feature/x", "--json")
        assert ran.code == 0, ran.err
    assert json.loads(ran.out)["uploads"][0]["url"].endswith("/alice/small/tree/feature%2Fx")
    card = (generator / "README.md").read_text()
    assert 'model="alice/small", revision="feature/x")' in card
    assert "electra-convert verify model.ckpt-4000 hf://alice/small@feature%2Fx\n" in card
    assert any_hub.run("inspect", "hf://alice/small@feature%2Fx", "-q").code == 0
    refs = any_hub.repositories["alice/small"]["refs"]
    assert commits(any_hub, "alice/small")[-1]["oid"] == refs["feature/x"] != refs["main"]
    assert len(any_hub.requests("POST", "/branch/")) == 1


def test_a_pull_request_is_opened_once_and_added_to(any_hub, generator):
    any_hub.put("bob/small", {"pytorch_model.bin": "old"})
    first = any_hub.run("upload", "bob/small", generator, "--create-pr", "--json")
    assert first.code == 0, first.err
    assert json.loads(first.out)["uploads"][0]["url"] == f"{any_hub.base}/bob/small/discussions/1"
    again = any_hub.run("upload", "bob/small", generator, "--create-pr")
    assert "no commit, nothing changed" in again.out
    (generator / "README.md").write_text((generator / "README.md").read_text() + "More.\n")
    third = any_hub.run("upload", "bob/small", generator, "--create-pr", "--json")
    assert json.loads(third.out)["uploads"][0]["sent"] == ["README.md"]
    repository = any_hub.repositories["bob/small"]
    assert len(repository["pull_requests"]) == 1
    assert list(repository["refs"]) == ["main", "refs/pr/1"]
    assert len(repository["commits"]) == 4
    assert any_hub.run("inspect", "hf://bob/small@refs/pr/1").code == 0


def test_nothing_to_propose_opens_no_pull_request(hub, generator):
    assert hub.run("upload", "alice/small", generator).code == 0
    assert "no commit" in hub.run("upload", "alice/small", generator, "--create-pr").out
    assert hub.repositories["alice/small"]["pull_requests"] == []


def test_nothing_is_proposed_to_a_repository_that_is_not_there(hub, generator):
    said = hub.run("upload", "alice/small", generator, "--create-pr", "-q").refusal()
    assert "alice/small is not there" in said
    assert writes(hub) == []
