"""Sources that are out of the ordinary and still right: old names, fine-tuned heads, half precision."""

from __future__ import annotations

import filecmp
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from support.command_line import refused, run

FILE = "model.safetensors"


@pytest.fixture
def pair(written, tmp_path) -> Path:
    """A folder with both models of transformers."""
    assert run("convert", written(), tmp_path / "pair").code == 0
    return tmp_path / "pair"


def converted(source: Path, out: Path, *options: str) -> str:
    """Convert, and give back what was said."""
    ran = run("convert", source, out, *options)
    assert ran.code == 0, ran
    return ran.err


def rewrite(path: Path, rename) -> None:
    """Save a file of weights again under other names."""
    save_file({rename(name): values for name, values in load_file(path).items()}, path, {"format": "pt"})


def old(name: str) -> str:
    return name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")


def bare(name: str) -> str:
    return name.removeprefix("electra.")


# Names of other times


@pytest.mark.parametrize("rename", [old, bare, lambda name: old(bare(name))], ids=["gamma", "no prefix", "both"])
@pytest.mark.parametrize("role", ["discriminator", "generator"])
def test_old_names_convert_to_the_bytes_of_todays(pair, tmp_path, role, rename):
    converted(pair / role, tmp_path / "today")
    rewrite(pair / role / FILE, rename)
    converted(pair / role, tmp_path / "old")
    converted(pair / role, tmp_path / "renewed", "--to", "safetensors")
    names = ["model.ckpt-1000.index", "model.ckpt-1000.data-00000-of-00001", "hparams.json", "vocab.txt"]
    assert filecmp.cmpfiles(tmp_path / "today", tmp_path / "old", names, shallow=False) == (names, [], [])
    assert all(
        name.startswith(("electra.", f"{role}_", "generator_lm_head.")) for name in weights(tmp_path / "renewed")
    )


def weights(folder: Path) -> dict[str, np.ndarray]:
    return load_file(folder / FILE)


def test_buffers_and_the_repeated_table_are_left_out_and_named(pair, tmp_path):
    path = pair / "generator" / FILE
    before = load_file(path)
    positions = {"electra.embeddings.position_ids": np.arange(12)[None]}
    table = {"generator_lm_head.weight": before["electra.embeddings.word_embeddings.weight"]}
    save_file({**before, **positions, **table}, path, {"format": "pt"})
    said = converted(pair / "generator", tmp_path / "out", "--to", "safetensors")
    assert "Note: Left out, buffers that hold no weights: electra.embeddings.position_ids." in said
    assert weights(tmp_path / "out").keys() == before.keys()


def test_two_names_of_one_tensor_are_refused(pair, tmp_path):
    path = pair / "discriminator" / FILE
    tensors = load_file(path)
    name = "electra.embeddings.LayerNorm.weight"
    save_file({**tensors, old(name): tensors[name]}, path)
    said = refused(pair / "discriminator", tmp_path / "place")
    assert f"these names mean the same tensor: {old(name)} and {name}" in said


def test_both_models_in_one_file_are_refused(pair, tmp_path):
    both = {**weights(pair / "generator"), **weights(pair / "discriminator")}
    save_file(both, tmp_path / "both.safetensors")
    said = refused(tmp_path / "both.safetensors", tmp_path / "place")
    assert "the heads of a discriminator and of a generator are both there" in said


def test_two_of_one_kind_are_no_pair(pair, tmp_path):
    one = pair / "discriminator"
    assert "both models are discriminators" in refused(one, tmp_path / "place", "--generator", one)


# Fine-tuned models

HEAD = {
    "classifier.dense.weight": (16, 16),
    "classifier.dense.bias": (16,),
    "classifier.out_proj.weight": (3, 16),
    "classifier.out_proj.bias": (3,),
}


def fine_tune(folder: Path) -> dict[str, np.ndarray]:
    """Give a discriminator the head of ElectraForSequenceClassification in place of its own."""
    trunk = {name: values for name, values in weights(folder).items() if name.startswith("electra.")}
    tensors = trunk | {name: np.full(shape, 0.5, np.float32) for name, shape in HEAD.items()}
    save_file(tensors, folder / FILE, {"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    labels = {"architectures": ["ElectraForSequenceClassification"], "id2label": {"0": "a", "1": "b", "2": "c"}}
    (folder / "config.json").write_text(json.dumps(config | labels))
    return tensors


def test_a_fine_tuned_model_keeps_its_head_among_transformers(pair, tmp_path):
    tensors = fine_tune(pair / "discriminator")
    converted(pair / "discriminator", tmp_path / "out", "--to", "safetensors")
    after = weights(tmp_path / "out")
    assert after.keys() == tensors.keys()
    assert all(np.array_equal(after[name], tensors[name]) for name in tensors)
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["architectures"] == ["ElectraForSequenceClassification"]
    assert config["id2label"] == {"0": "a", "1": "b", "2": "c"}


@pytest.mark.parametrize(
    ("stated", "kept"),
    [("ElectraModel", "ElectraForSequenceClassification"), ("MyElectra", "MyElectra"), (None, None)],
)
def test_a_class_that_has_another_head_is_not_kept(pair, tmp_path, stated, kept):
    fine_tune(pair / "discriminator")
    path = pair / "discriminator" / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "architectures": stated and [stated]}))
    converted(pair / "discriminator", tmp_path / "out", "--to", "safetensors")
    found = json.loads((tmp_path / "out" / "config.json").read_text())["architectures"]
    assert found == [kept or "ElectraForSequenceClassification"]


def test_a_fine_tuned_head_is_named_as_left_out_on_the_way_to_tensorflow(pair, tmp_path):
    fine_tune(pair / "discriminator")
    said = converted(pair / "discriminator", tmp_path / "tf")
    assert f"Left out, a fine-tuned head ({', '.join(sorted(HEAD))}): Google's code has one dense layer" in said
    assert run("inspect", tmp_path / "tf").out.count("ElectraModel") == 1


@pytest.mark.slow
def test_a_fine_tuned_model_loads_without_a_gap(pair, tmp_path):
    from support.transformers_models import load

    fine_tune(pair / "discriminator")
    converted(pair / "discriminator", tmp_path / "out", "--to", "safetensors")
    assert load(tmp_path / "out").num_labels == 3


# Half precision


def as_float16(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float16)


def as_bfloat16(values: np.ndarray) -> np.ndarray:
    """The upper half of each float32, rounded to the nearest even; as uint16."""
    bits = values.view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def bits_of(path: Path) -> dict[str, bytes]:
    """Every tensor's bytes, whatever numpy thinks of its type."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header.pop("__metadata__", None)
    data = content[8 + length :]
    return {name: data[slice(*entry["data_offsets"])] for name, entry in header.items()}


@pytest.mark.parametrize(("dtype", "rounded"), [("float16", as_float16), ("bfloat16", as_bfloat16)])
def test_rounded_weights_come_back_from_tensorflow_as_they_were(pair, tmp_path, dtype, rounded):
    exact = weights(pair / "discriminator")
    converted(pair / "discriminator", tmp_path / "half", "--to", "safetensors", "--dtype", dtype)
    half = bits_of(tmp_path / "half" / FILE)
    assert half == {name: rounded(values).tobytes() for name, values in exact.items()}
    assert json.loads((tmp_path / "half" / "config.json").read_text())["dtype"] == dtype
    said = converted(tmp_path / "half", tmp_path / "tf")
    assert f"Note: Weights of {dtype} are written as float32" in said
    converted(tmp_path / "tf", tmp_path / "back", "--dtype", dtype)
    assert bits_of(tmp_path / "back" / FILE) == half


def test_a_weight_too_large_for_the_type_is_named(written, tmp_path):
    name = "electra/embeddings/word_embeddings"

    def change(tensors):
        tensors[name][0, 0] = 1e30

    source = written(change=change)
    assert f"{name} holds values too large for float16" in refused(source, tmp_path / "place", "--dtype", "float16")
    converted(source, tmp_path / "out", "--dtype", "bfloat16")
