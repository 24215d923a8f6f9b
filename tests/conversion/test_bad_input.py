"""Sources that must be refused: one clear error naming file and tensor, and nothing left behind."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import write_bundle
from support import checkpoints
from support.checkpoints import SIZES
from support.command_line import refused, run

KERNEL = "electra/encoder/layer_0/attention/self/query/kernel"
SMALL = SIZES["projected"]
# Every variable of the default layout, of its layers the first, in sizes under which both models project.
SHAPES = {
    name: shape
    for name, shape in checkpoints.shapes("default", SIZES["odd"]).items()
    if "layer_0" in name or "layer" not in name
}
DATA = "model.ckpt-1000.data-00000-of-00001"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "place"


def flip(path: Path, offset: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 0x10
    path.write_bytes(content)


def offset_of(folder: Path, name: str, slots: bool = False) -> int:
    return (folder / DATA).read_bytes().index(checkpoints.variables("default", SMALL, slots)[name].tobytes())


# Damaged files


def test_a_flipped_byte_in_the_data_names_the_tensor(written, place):
    source = written()
    flip(source / DATA, offset_of(source, KERNEL) + 5)
    said = refused(source, place)
    assert DATA in said
    assert KERNEL in said


def test_a_flipped_byte_in_the_index_names_the_file(written, place):
    source = written()
    flip(source / "model.ckpt-1000.index", 700)
    assert "model.ckpt-1000.index" in refused(source, place)


@pytest.mark.parametrize("length", [0, 1, 4000, -1])
def test_a_truncated_data_file_is_named(written, place, length):
    source = written()
    content = (source / DATA).read_bytes()
    (source / DATA).write_bytes(content[:length])
    assert DATA in refused(source, place)


@pytest.mark.parametrize("length", [0, 47, 48, 2000, -1])
def test_a_truncated_index_is_named(written, place, length):
    path = written() / "model.ckpt-1000.index"
    path.write_bytes(path.read_bytes()[:length])
    assert path.name in refused(path.parent, place)


def test_a_missing_data_file_is_named(written, place):
    source = written()
    (source / DATA).unlink()
    assert f"{DATA} cannot be read: No such file" in refused(source, place)


def test_the_index_of_another_save_of_the_same_model_is_told(written, tmp_path, place):
    source = written()
    write_bundle(tmp_path / "other", checkpoints.variables("default", SMALL, slots=False, seed=1))
    shutil.copy(tmp_path / "other.index", source / "model.ckpt-1000.index")
    said = refused(source, place)
    assert DATA in said
    assert "from one save" in said


def test_slots_are_never_read_unless_they_are_asked_for(written, tmp_path, place):
    source = written(slots=True)
    content = bytearray((source / DATA).read_bytes())
    for name, values in checkpoints.variables("default", SMALL).items():
        if "/adam_" in name:
            start = content.index(values.tobytes())
            content[start : start + values.nbytes] = bytes(values.nbytes)
    (source / DATA).write_bytes(content)
    assert run("convert", source, tmp_path / "weights").code == 0
    assert "/adam_" in refused(source, place, "--optimizer")
    assert run("inspect", source).code == 0
    assert "/adam_" in run("inspect", source, "--check").refusal()


def test_the_graph_of_another_model_is_refused(golden_copy, place, tmp_path):
    source = golden_copy("default")
    other = checkpoints.variables("uniform_generator", SIZES["odd"], slots=False)
    (tmp_path / "odd").mkdir()
    write_bundle(tmp_path / "odd" / "model.ckpt-4000", other)
    shutil.copy(source / "model.ckpt-4000.meta", tmp_path / "odd")
    said = refused(tmp_path / "odd", place)
    assert (
        "model.ckpt-4000.meta has heads of width 32, which do not divide the discriminator's hidden width 15" in said
    )


def test_a_graph_that_is_damaged_is_named(golden_copy, place):
    source = golden_copy("default")
    (source / "model.ckpt-4000.meta").write_bytes((source / "model.ckpt-4000.meta").read_bytes()[:-3])
    assert "model.ckpt-4000.meta" in refused(source, place)


# Not ELECTRA


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("bert/encoder/layer_0/attention/self/query/kernel", "a BERT model"),
        ("tf_electra_for_pre_training/electra/pooler/dense/kernel", "TFElectraForPreTraining"),
        ("model/h0/attn/c_attn/w", "a GPT-2 model"),
        ("conv1/weights", "an image model"),
        ("layer/one", "something else: its 2 tensors begin with layer/one, other"),
    ],
)
def test_a_checkpoint_of_another_model_is_said_to_look_like_it(tmp_path, place, name, model):
    write_bundle(tmp_path / "model.ckpt", {name: np.zeros(3, np.float32), "other": np.zeros(3, np.float32)})
    said = refused(tmp_path / "model.ckpt", place)
    assert "model.ckpt is not a checkpoint of google-research/electra" in said
    assert model in said


def test_a_safetensors_file_of_another_model_is_said_to_look_like_it(tmp_path, place):
    from safetensors.numpy import save_file

    save_file({"bert.embeddings.word_embeddings.weight": np.zeros(3)}, tmp_path / "model.safetensors")
    said = refused(tmp_path / "model.safetensors", place)
    assert "model.safetensors is not an ELECTRA model" in said
    assert "a BERT model" in said


@pytest.mark.parametrize(
    "name",
    [
        "model.ckpt.index",
        "model.safetensors",
        "model.safetensors.index.json",
        "notes",
        "checkpoint",
        pytest.param("pytorch_model.bin", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("content", [b"", b"Not found\n" * 20], ids=["empty", "text"])
def test_a_file_that_is_no_checkpoint_is_named(tmp_path, place, name, content):
    (tmp_path / name).write_bytes(content)
    assert name in refused(tmp_path / name, place)


def test_a_checkpoint_in_the_old_format_is_told(tmp_path, place):
    from electra_convert.formats.tf_bundle.table import encode_table

    (tmp_path / "old.ckpt").write_bytes(encode_table([(b"", b"\x0a\x00")]))
    assert "old.ckpt is a checkpoint in TensorFlow's old V1 format" in refused(tmp_path / "old.ckpt", place)


@pytest.mark.slow
@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_would_run_code_runs_none(tmp_path, place, zipped):
    import torch

    class Evil:
        def __reduce__(self):
            return Path.touch, (tmp_path / "ran",)

    torch.save({"a": Evil()}, tmp_path / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
    assert "pytorch_model.bin" in refused(tmp_path / "pytorch_model.bin", place)
    assert not (tmp_path / "ran").exists()


# Tensors


@pytest.mark.parametrize("name", SHAPES)
def test_a_missing_tensor_is_named(written, place, name):
    said = refused(written(sizes="odd", change=lambda tensors: tensors.pop(name)), place)
    assert f"1 tensor missing: {name}" in said


@pytest.mark.parametrize("name", SHAPES)
def test_a_tensor_of_another_shape_is_named_with_both_shapes(written, place, name):
    shape = list(SHAPES[name])
    wrong = [*shape[:-1], shape[-1] + 1]

    def change(tensors):
        tensors[name] = np.zeros(wrong, np.float32)

    assert f"{name} is {wrong}, expected {shape}" in refused(written(sizes="odd", change=change), place)


@pytest.mark.parametrize("name", SHAPES)
def test_a_weight_that_is_no_float_is_named_with_its_type(written, place, name):
    def change(tensors):
        tensors[name] = tensors[name].astype(np.int32)

    said = refused(written(sizes="odd", change=change), place)
    assert f"{name} is int32" in said
    assert "model.ckpt-1000" in said


def test_all_missing_tensors_are_listed_with_layers_collapsed(written, place):
    def change(tensors):
        for name in [name for name in tensors if name.endswith("intermediate/dense/bias")]:
            del tensors[name]

    said = refused(written(change=change), place)
    assert "4 tensors missing: electra/encoder/layer_{0...1}/intermediate/dense/bias, generator/" in said


@pytest.mark.parametrize("scope", ["electra", "generator"])
def test_a_model_without_a_single_layer_is_incomplete(written, place, scope):
    def change(tensors):
        for name in [name for name in tensors if name.startswith(f"{scope}/encoder")]:
            del tensors[name]

    said = refused(written(sizes="projected_generator", change=change, hparams=False), place)
    assert f"{scope}/encoder/layer_0/attention/output/LayerNorm/beta" in said


def test_all_tensors_too_many_are_listed_with_layers_collapsed(written, place):
    def change(tensors):
        tensors["electra/pooler/dense/kernel"] = np.zeros((2, 2), np.float32)
        for layer in range(2):
            tensors[f"electra/encoder/layer_{layer}/adapter/bias"] = np.zeros(2, np.float32)

    said = refused(written(change=change), place)
    assert "3 tensors of no ELECTRA model" in said
    assert "electra/encoder/layer_{0...1}/adapter/bias, electra/pooler/dense/kernel" in said


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("name", "options"), [(KERNEL, []), (f"{KERNEL}/adam_m", ["--optimizer"])])
def test_a_value_that_is_not_finite_is_refused_unless_allowed(written, tmp_path, place, name, options, value):
    def change(tensors):
        tensors[name][3, 4] = value

    source = written(change=change, slots=True)
    said = refused(source, place, *options)
    assert f"{name} holds NaN or infinite values" in said
    assert str(source) in said
    assert "--allow-nonfinite" in said
    assert run("convert", source, tmp_path / "allowed", *options, "--allow-nonfinite").code == 0


def test_a_slot_that_is_not_finite_is_of_no_concern_without_slots(written, tmp_path):
    def change(tensors):
        tensors[f"{KERNEL}/adam_m"][:] = np.nan

    assert run("convert", written(change=change, slots=True), tmp_path / "out").code == 0


@pytest.mark.parametrize(
    "step", [np.array(-1), np.array([1, 2]), np.array(1.5, np.float32)], ids=["negative", "two", "fraction"]
)
def test_a_global_step_that_is_no_step_is_refused(written, place, step):
    def change(tensors):
        tensors["global_step"] = step

    assert "global_step is" in refused(written(change=change, slots=True), place)
