"""convert --to onnx into a model folder that is there: it gains ONNX models, and loses nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import FIXTURES
from support.command_line import run
from support.fine_tuned import VOCABULARY

from electra_convert import convert

ROLES = ("discriminator", "generator")


def held(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def pair(pair_copy) -> Path:
    return pair_copy()


@pytest.mark.parametrize("source", ["itself", "what it was made of"])
def test_a_pair_gains_the_models_that_a_new_folder_would_hold(pair: Path, tmp_path: Path, source: str):
    before = held(pair)
    convert(FIXTURES / "default", tmp_path / "new", vocab=VOCABULARY, to="onnx")
    result = convert(pair if source == "itself" else FIXTURES / "default", pair, to="onnx")
    after = held(pair)
    added = {f"{role}/onnx/{name}" for role in ROLES for name in ("conversion.json", "model.onnx")}
    assert {name: after[name] for name in before} == before
    assert after.keys() - before.keys() == added == result.files.keys()
    assert all(result.files[name] == len(after[name]) for name in added)
    for role in ROLES:
        model = f"{role}/onnx/model.onnx"
        assert after[model] == (tmp_path / "new" / model).read_bytes()
        record = json.loads(after[f"{role}/onnx/conversion.json"])
        assert (record["source"]["format"], record["onnx"]["opset"]) == ("safetensors", 17)
    assert any("holds this model already" in notice for notice in result.notices)


def test_one_model_of_a_pair_is_added_to_alone(pair: Path):
    result = convert(pair, pair, to="onnx", model="generator", quantize="int8")
    assert {name.partition("/")[0] for name in result.files} == {"generator"}
    record = json.loads((pair / "generator" / "onnx" / "conversion.json").read_text())
    assert record["onnx"]["int8"]["measured"] == result.rounding["generator"].fields
    assert not (pair / "discriminator" / "onnx").exists()


def test_onnx_models_that_are_there_are_replaced_only_if_that_is_asked_for(pair: Path):
    folder = pair / "discriminator"
    convert(folder, folder, to="onnx", quantize="int8")
    before = held(folder)
    said = run("convert", folder, folder, "--to", "onnx").refusal()
    assert f"{folder / 'onnx'} already exists" in said
    assert "--overwrite" in said
    assert held(folder) == before
    convert(folder, folder, to="onnx", overwrite=True)
    del before["onnx/model_quantized.onnx"]
    assert held(folder).keys() == before.keys()


@pytest.mark.parametrize("option", [[], ["--overwrite"]])
def test_a_folder_of_another_model_is_left_as_it_is(pair: Path, option):
    before = held(pair)
    said = run("convert", FIXTURES / "full_size_generator", pair, "--to", "onnx", *option).refusal()
    assert "holds another model than" in said
    assert "electra.embeddings.word_embeddings.weight" in said
    assert held(pair) == before


@pytest.mark.parametrize(
    ("key", "value"), [("num_attention_heads", 4), ("hidden_act", "relu"), ("layer_norm_eps", 1e-5)]
)
def test_the_same_weights_that_compute_something_else_are_another_model(pair: Path, key: str, value):
    config = pair / "discriminator" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), key: value}))
    said = run("convert", FIXTURES / "default", pair, "--to", "onnx", "--model", "discriminator").refusal()
    assert f"its {key} is {value!r}" in said


@pytest.mark.parametrize("there", ["one model of the pair", "a checkpoint of another kind"])
def test_a_folder_that_cannot_have_been_made_of_the_source_is_an_output_like_any_other(
    pair: Path, tmp_path: Path, there: str
):
    folder = pair / "discriminator"
    if there == "a checkpoint of another kind":
        folder = convert(pair, tmp_path / "tensorflow").output
    before = held(folder)
    assert f"{folder} already exists" in run("convert", FIXTURES / "default", folder, "--to", "onnx").refusal()
    assert held(folder) == before


def test_where_one_model_cannot_be_written_neither_is_added(pair: Path):
    from safetensors.numpy import load_file, save_file

    path = pair / "generator" / "model.safetensors"
    tensors = load_file(path)
    tensors["generator_lm_head.bias"][:] = float("nan")
    save_file(tensors, path, {"format": "pt"})
    before = held(pair)
    assert "generator_lm_head.bias holds NaN" in run("convert", pair, pair, "--to", "onnx").refusal()
    assert held(pair) == before
    assert not list(pair.rglob(".*"))


def test_a_dry_run_adds_nothing(pair: Path):
    before = held(pair)
    result = convert(pair, pair, to="onnx", dry_run=True)
    assert result.files.keys() == {f"{role}/onnx/model.onnx" for role in ROLES}
    assert held(pair) == before


def test_a_folder_of_onnx_models_alone_is_an_output_like_any_other(tmp_path: Path):
    out = tmp_path / "out"
    convert(FIXTURES / "default", out, vocab=VOCABULARY, to="onnx")
    source = ("convert", FIXTURES / "default", out, "--vocab", VOCABULARY, "--to", "onnx")
    assert f"{out} already exists" in run(*source).refusal()
    assert run(*source, "--overwrite", "--model", "generator").code == 0
    assert (out / "onnx" / "model.onnx").is_file()
    assert not (out / "discriminator").exists()
