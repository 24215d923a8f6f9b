"""verify hf://OWNER/REPO: anybody repeats a conversion from an empty cache; no record makes it fetch more."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.fake_hub.process import FakeHub, commits
from support.parity_records import write_parity
from support.records import flip, rewrite
from test_hub_sources import push

pytestmark = pytest.mark.slow
REPOSITORY = "hf://alice/electra-generator"
DATA = "model.ckpt-4000.data-00000-of-00001"


@pytest.fixture
def published(hub: FakeHub, golden_copy: Callable[..., Path], tmp_path: Path) -> Path:
    """A run of alice's on the Hub, converted from there, its pair uploaded; the pair as it is here."""
    push(hub, "alice/run", golden_copy())
    pair = tmp_path / "pair"
    assert hub.run("convert", "hf://alice/run@main", pair, "-q").code == 0
    for role in ("discriminator", "generator"):
        write_parity(pair / role)
    assert hub.run("upload", "alice/electra", pair, "-q").code == 0
    return pair


@pytest.fixture
def stranger(hub: FakeHub, tmp_path: Path) -> FakeHub:
    """The same Hub, for one who has never spoken to it."""
    return replace(hub, home=tmp_path / "elsewhere")


def change(hub: FakeHub, folder: Path, name: str) -> None:
    """Commit a file of a folder to the repository, as whoever may write to it can."""
    hub.put("alice/electra-generator", {name: (folder / name).read_bytes()})


def test_a_pair_is_reproduced_from_an_empty_cache_by_one_command(published, hub, stranger):
    commit = commits(hub, "alice/run")[-1]["oid"]
    for role in ("discriminator", "generator"):
        ran = stranger.run("verify", f"hf://alice/electra-{role}")
        assert ran.code == 0, ran.out
        assert ran.out.startswith("Reproduced: every file is what convert makes of its source\n")
        assert f"Source: hf://alice/run@{commit}\n" in ran.out
        assert ran.err == f"Note: The record names hf://alice/run@{commit}, which is fetched and converted again.\n"
        card = (published / role / "README.md").read_text()
        assert f"\nelectra-convert verify hf://alice/electra-{role}\n" in card
        assert f"Source: `hf://alice/run@{commit}`" in card
        assert (
            f"| `{DATA}` | 2,238,692 | `48adeba1ba8e83621a13e387b9dc94ad95e4d8f9be4db4d2fa2e8b57f71a757c` |" in card
        )
    ran = stranger.run("verify", REPOSITORY, "--json", HF_HUB_OFFLINE="1")
    assert (ran.code, ran.err) == (0, "")
    assert json.loads(ran.out)["verdict"] == "reproduced"
    assert not list(stranger.home.rglob("README.md"))


@pytest.mark.parametrize(
    "name", ["config.json", "conversion.json", "model.safetensors", "tokenizer.json", "vocab.txt"]
)
def test_one_changed_byte_on_the_hub_fails_and_names_the_file(published, hub, stranger, name):
    path = published / "generator" / name
    flip(path, path.stat().st_size // 2)
    change(hub, published / "generator", name)
    ran = stranger.run("verify", REPOSITORY, "--json")
    assert (ran.code, ran.err) == (1, "")
    found = json.loads(ran.out)
    assert found["verdict"] == "not reproduced"
    assert [file for file, report in found["files"].items() if report["state"] == "different"] == [name]
    assert found["reasons"][0].startswith(f"{name}: ")


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("commit", "0" * 40, "conversion.json names hf://alice/run@000"),
        ("repository", "alice/other", "no such repository"),
        ("path", "folder", "/folder holds no checkpoint"),
    ],
)
def test_a_record_of_another_place_is_followed_no_further_than_it_holds(published, hub, stranger, key, value, told):
    rewrite(published / "generator", lambda record: record["provenance"].update({key: value}))
    change(hub, published / "generator", "conversion.json")
    before = hub.requests("GET", DATA)
    ran = stranger.run("verify", REPOSITORY)
    assert ran.code == 1
    assert told in ran.out + ran.err
    assert hub.requests("GET", DATA) == before


def test_a_file_that_is_not_as_recorded_is_not_downloaded(published, hub, stranger):
    def lie(record: dict) -> None:
        next(file for file in record["provenance"]["files"] if file["name"] == DATA)["size"] = 17

    rewrite(published / "generator", lie)
    change(hub, published / "generator", "conversion.json")
    before = hub.requests("GET", DATA)
    ran = stranger.run("verify", REPOSITORY)
    assert ran.code == 1
    assert f"conversion.json: {DATA} has 2,238,692 bytes in hf://alice/run@" in ran.out
    assert "recorded are 17" in ran.out
    assert hub.requests("GET", DATA) == before


def test_only_what_is_recorded_is_fetched(published, hub, stranger):
    hub.put("alice/run", {"more.safetensors": b"x" * 9000, "other.json": b"{}"})
    ran = stranger.run("verify", REPOSITORY, "-q")
    assert ran.code == 0
    assert [path.name for path in stranger.home.rglob("*.safetensors")] == ["model.safetensors"]


def test_a_source_that_is_here_is_taken_for_the_recorded_one(published, stranger, tmp_path):
    source = tmp_path / "copy_of_default"
    ran = stranger.run("verify", REPOSITORY, "--source", source)
    assert ran.code == 0, ran.out
    assert "as the record says, was not looked at: --source was given." in ran.err
    (source / "hparams.json").write_text("{}")
    ran = stranger.run("verify", REPOSITORY, "--source", source)
    assert ran.code == 1
    assert "hparams.json has 2 bytes, recorded are 343" in ran.out


def test_a_source_in_a_folder_of_a_repository_is_found_again(hub, stranger, golden_copy, tmp_path):
    source = golden_copy()
    (tmp_path / "runs" / "one").mkdir(parents=True)
    source.rename(tmp_path / "runs" / "one" / "run")
    push(hub, "alice/runs", tmp_path / "runs")
    for place in ("one/run", "one/run/model.ckpt-4000", "one/run/model.ckpt-4000.index"):
        model = tmp_path / place.replace("/", "-")
        assert hub.run("convert", f"hf://alice/runs/{place}", model, "--model", "generator", "-q").code == 0
        ran = stranger.run("verify", model, "--json")
        assert ran.code == 0, ran.out
        assert json.loads(ran.out)["source"].endswith(f"/{place}")
        assert {report["state"] for report in json.loads(ran.out)["files"].values()} == {"identical"}


def test_the_same_commit_under_any_name_gives_the_same_record(hub, golden_copy, tmp_path):
    push(hub, "alice/run", golden_copy())
    commit = commits(hub, "alice/run")[-1]["oid"]
    records = []
    for number, environment in enumerate(({}, {"HF_HUB_OFFLINE": "1"})):
        for revision in ("main", commit):
            out = tmp_path / f"{number}-{revision}"
            ran = hub.run("convert", f"hf://alice/run@{revision}", out, "--model", "generator", "-q", **environment)
            assert ran.code == 0, ran.err
            records.append((out / "conversion.json").read_bytes())
    assert len(set(records)) == 1


def test_onnx_models_that_were_added_are_reproduced_from_the_hub(published, hub, stranger):
    model = published / "generator"
    assert hub.run("convert", model, model, "--to", "onnx", "-q").code == 0
    for name in ("onnx/model.onnx", "onnx/conversion.json"):
        change(hub, model, name)
    ran = stranger.run("verify", REPOSITORY, "--json")
    assert (ran.code, json.loads(ran.out)["files"]["onnx/model.onnx"]["state"]) == (0, "identical")
    flip(model / "onnx" / "model.onnx", 9000)
    change(hub, model, "onnx/model.onnx")
    ran = stranger.run("verify", REPOSITORY, "--json")
    assert (ran.code, ran.err) == (1, "")
    assert json.loads(ran.out)["reasons"] == ["onnx/model.onnx: from byte 9,000 on"]
