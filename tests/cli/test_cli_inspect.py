"""inspect as a user runs it: what it says, where it says it, and that looking is cheap."""

from __future__ import annotations

import json

import numpy as np
import pytest
from conftest import FIXTURES, GOLDEN
from safetensors.numpy import load_file, save_file
from support.command_line import run


@pytest.mark.parametrize("name", GOLDEN)
def test_the_report_says_what_there_is_and_where_each_value_comes_from(name):
    ran = run("inspect", FIXTURES / name)
    assert (ran.code, ran.err) == (0, "")
    for said in (
        f"step {GOLDEN[name]:,}",
        "Optimiser slots: full.",
        "discriminator: ElectraForPreTraining",
        "generator: ElectraForMaskedLM",
        "num_attention_heads           2      (hparams.json)",
        "hidden_size                   64     (weights)",
    ):
        assert said in ran.out


def test_the_json_is_one_object_with_the_promised_keys():
    ran = run("inspect", FIXTURES / "default", "--json")
    report = json.loads(ran.out)
    assert (ran.code, ran.err) == (0, "")
    assert report.keys() == {
        "schema", "source", "format", "variant", "step", "slots", "models", "unmapped", "warnings"
    }  # fmt: skip
    assert (report["schema"], report["format"], report["variant"]) == (1, "tensorflow", "default")
    assert (report["step"], report["slots"], report["unmapped"], report["warnings"]) == (4000, "full", [], [])
    for role in ("discriminator", "generator"):
        assert report["models"][role].keys() == {"architecture", "config", "parameters"}
        assert all(value.keys() == {"value", "origin"} for value in report["models"][role]["config"].values())


def test_a_model_that_is_not_there_is_absent_from_the_json(written):
    report = json.loads(run("inspect", written("uniform_generator"), "--json").out)
    assert list(report["models"]) == ["discriminator"]


def test_tensors_too_many_are_reported_and_no_error(written):
    def change(tensors):
        for layer in range(2):
            tensors[f"electra/encoder/layer_{layer}/adapter"] = tensors["electra/embeddings/LayerNorm/beta"]

    source = written(change=change)
    assert json.loads(run("inspect", source, "--json").out)["unmapped"] == ["electra/encoder/layer_{0...1}/adapter"]
    assert "  electra/encoder/layer_{0...1}/adapter" in run("inspect", source).out


@pytest.mark.parametrize(("state", "kept"), [("none", ()), ("partial", ("adam_m",)), ("full", ("adam_m", "adam_v"))])
def test_the_state_of_the_optimiser_is_told(written, state, kept):
    def change(tensors):
        for name in [name for name in tensors if "/adam_" in name and not name.endswith(kept)]:
            del tensors[name]

    assert json.loads(run("inspect", written(change=change, slots=True), "--json").out)["slots"] == state


def test_a_guess_is_a_warning_on_standard_error(written):
    ran = run("inspect", written(hparams=False))
    assert ran.err.startswith("Warning: The discriminator's head count 1 and its activation gelu are guesses")
    assert "Warning" not in ran.out
    assert run("inspect", ran.out.splitlines()[0], "-q").err == ""


def test_no_weight_is_read_unless_all_are(written):
    source = written()
    path = source / "model.ckpt-1000.data-00000-of-00001"
    path.write_bytes(bytes(path.stat().st_size))
    assert run("inspect", source).code == 0
    assert path.name in run("inspect", source, "--check").refusal()


def test_a_check_says_how_much_it_read():
    ran = run("inspect", FIXTURES / "default", "--check")
    assert (ran.code, ran.err) == (0, "")
    report = json.loads(run("inspect", FIXTURES / "default", "--check", "--json").out)
    size = (FIXTURES / "default" / "model.ckpt-4000.data-00000-of-00001").stat().st_size
    assert report["checked_bytes"] == size
    assert f"Checked: {size:,} bytes read" in ran.out


def test_a_name_that_would_steer_the_terminal_is_escaped(written, tmp_path):
    assert run("convert", written(), tmp_path / "pair").code == 0
    path = tmp_path / "pair" / "discriminator" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"hidden_act": "gelu\x1b[2J\nWrote"}))
    ran = run("inspect", path.parent.rename(tmp_path / "a\x1b[2J"))
    assert ran.code == 0
    assert "\x1b" not in ran.out
    assert r"gelu\x1b[2J\nWrote" in ran.out


@pytest.mark.parametrize("head", [{"classifier.weight": (3, 64)}, {"own.a": (2,), "own.b": (5, 64)}])
def test_a_fine_tuned_head_is_named_as_convert_names_it(pair_copy, tmp_path, head):
    folder = pair_copy() / "discriminator"
    tensors = load_file(folder / "model.safetensors")
    encoder = {name: array for name, array in tensors.items() if name.startswith("electra.")}
    added = {name: np.ones(shape, np.float32) for name, shape in head.items()}
    save_file({**encoder, **added}, folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": ["ElectraForMultipleChoice"]}))
    told = f"Left out, a fine-tuned head ({', '.join(sorted(head))}): Google's code has no such head."
    found = json.loads(run("inspect", folder, "--json").out)
    assert found["models"]["discriminator"]["architecture"] == "ElectraForMultipleChoice"
    assert told in found["warnings"]
    assert told in json.loads(run("convert", folder, tmp_path / "tf", "--json").out)["notices"]
