"""There and back again: the same bytes from TensorFlow through transformers, the same tensors the other way."""

from __future__ import annotations

import filecmp
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import FIXTURES, GOLDEN, VARIANT_SIZES

from electra_convert import convert
from electra_convert.errors import NamesError

WHOLE = [(variant, sizes) for variant, sizes in VARIANT_SIZES if not variant.startswith(("two_tower", "fine_tuned"))]


def assert_same_checkpoint(one: Path, other: Path) -> None:
    names = sorted(path.name for path in one.glob("*.ckpt-*") if path.suffix != ".meta")
    assert names == sorted(path.name for path in other.glob("*.ckpt-*"))
    assert filecmp.cmpfiles(one, other, [*names, "checkpoint"], shallow=False) == ([*names, "checkpoint"], [], [])


@pytest.mark.parametrize("target", ["safetensors", pytest.param("torch", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", GOLDEN)
def test_a_trained_checkpoint_comes_back_byte_for_byte(tmp_path: Path, name: str, target: str):
    convert(FIXTURES / name, tmp_path / "pair", to=target, optimizer=True)
    convert(tmp_path / "pair", tmp_path / "back", optimizer=True)
    assert_same_checkpoint(FIXTURES / name, tmp_path / "back")
    original = json.loads((FIXTURES / name / "hparams.json").read_text())
    assert json.loads((tmp_path / "back" / "hparams.json").read_text()) == original


@pytest.mark.slow
@pytest.mark.parametrize(("variant", "sizes"), WHOLE)
def test_every_layout_comes_back_byte_for_byte(
    variant_folders, converted_layouts, tmp_path: Path, variant: str, sizes: str
):
    source = variant_folders(variant, sizes)
    convert(converted_layouts(variant, sizes), tmp_path / "back", optimizer=True)
    assert_same_checkpoint(source, tmp_path / "back")
    assert (tmp_path / "back" / "vocab.txt").read_bytes() == (source / "vocab.txt").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(("variant", "sizes"), WHOLE)
def test_a_rewritten_checkpoint_is_the_same_bytes(variant_folders, tmp_path: Path, variant: str, sizes: str):
    source = variant_folders(variant, sizes)
    convert(source, tmp_path / "again", to="tf", optimizer=True)
    assert_same_checkpoint(source, tmp_path / "again")


def test_sharded_weights_come_back_byte_for_byte(tmp_path: Path):
    convert(FIXTURES / "default", tmp_path / "pair", optimizer=True, max_shard_size=100_000)
    assert len(list((tmp_path / "pair" / "discriminator").glob("model-*.safetensors"))) > 2
    convert(tmp_path / "pair", tmp_path / "back", optimizer=True)
    assert_same_checkpoint(FIXTURES / "default", tmp_path / "back")


def test_the_same_input_gives_the_same_bytes(tmp_path: Path):
    for name in ("one", "two"):
        convert(FIXTURES / "default", tmp_path / name / "out", optimizer=True, vocab=FIXTURES / "vocab.txt")
    files = sorted(str(p.relative_to(tmp_path / "one")) for p in (tmp_path / "one").rglob("*") if p.is_file())
    assert len(files) == 14
    assert filecmp.cmpfiles(tmp_path / "one", tmp_path / "two", files, shallow=False)[0] == files


def test_no_output_names_the_place_it_was_made_from(tmp_path: Path):
    source = tmp_path / "secret_place"
    shutil.copytree(FIXTURES / "default", source)
    convert(source / "model.ckpt-4000", tmp_path / "out", optimizer=True)
    convert(tmp_path / "out", tmp_path / "back", optimizer=True)
    for path in [*(tmp_path / "out").rglob("*"), *(tmp_path / "back").rglob("*")]:
        assert path.is_dir() or b"secret_place" not in path.read_bytes(), path


@pytest.mark.parametrize("role", ["discriminator", "generator"])
def test_one_model_alone_goes_to_tensorflow_and_back(tmp_path: Path, role: str):
    from safetensors.numpy import load_file

    convert(FIXTURES / "default", tmp_path / "one", model=role)
    convert(tmp_path / "one", tmp_path / "tf")
    result = convert(tmp_path / "tf", tmp_path / "back")
    assert result.layout == {"discriminator": "uniform_generator", "generator": "masked_lm"}[role]
    assert list(result.models) == [role]
    before, after = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "back"))
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_a_discriminator_takes_its_generator_from_another_folder(tmp_path: Path):
    convert(FIXTURES / "default", tmp_path / "pair", optimizer=True)
    (tmp_path / "pair" / "generator").rename(tmp_path / "elsewhere")
    convert(tmp_path / "pair" / "discriminator", tmp_path / "tf", generator=tmp_path / "elsewhere", optimizer=True)
    assert_same_checkpoint(FIXTURES / "default", tmp_path / "tf")


def test_without_slots_only_weights_are_written(tmp_path: Path):
    from electra_convert.formats.tf_bundle import open_source

    convert(FIXTURES / "default", tmp_path / "pair")
    result = convert(tmp_path / "pair", tmp_path / "tf")
    with open_source(tmp_path / "tf" / "model.ckpt-4000") as source:
        assert not [name for name in source.tensors if "adam" in name or name == "global_step"]
    assert result.step == 4000


def test_a_new_optimiser_begins_with_slots_of_zeros_and_the_step(tmp_path: Path):
    from electra_convert.formats.tf_bundle import open_source

    convert(FIXTURES / "default", tmp_path / "pair")
    convert(tmp_path / "pair", tmp_path / "tf", zero_optimizer=True, prefix="mine")
    with (
        open_source(tmp_path / "tf" / "mine-4000") as source,
        open_source(FIXTURES / "default/model.ckpt-4000") as old,
    ):
        assert source.tensors.keys() == old.tensors.keys()
        assert source.tensors["global_step"].read() == 4000
        slots = [tensor for name, tensor in source.tensors.items() if name.endswith(("/adam_m", "/adam_v"))]
        assert slots
        assert not any(tensor.read().any() for tensor in slots)


def test_shared_tensors_that_differ_are_named_and_the_untied_layout_is_offered(tmp_path: Path):
    from safetensors.numpy import load_file, save_file

    convert(FIXTURES / "default", tmp_path / "pair")
    file = tmp_path / "pair" / "generator" / "model.safetensors"
    tensors = load_file(file)
    tensors["electra.embeddings.position_embeddings.weight"][3, 5] += 1e-7
    save_file(tensors, file, {"format": "pt"})
    with pytest.raises(
        NamesError, match=r"1 tensor that .* not equal here: electra/embeddings/position_embeddings"
    ) as error:
        convert(tmp_path / "pair", tmp_path / "tf")
    assert "untied_generator_embeddings" in error.value.hint
    assert not (tmp_path / "tf").exists()
    result = convert(tmp_path / "pair", tmp_path / "tf", hparams='{"untied_generator_embeddings": true}')
    convert(tmp_path / "tf", tmp_path / "back")
    assert result.models.keys() == {"discriminator", "generator"}
    again = load_file(tmp_path / "back" / "generator" / "model.safetensors")
    assert all(np.array_equal(tensors[name], again[name]) for name in tensors)


def test_without_a_record_equal_trunks_mean_one_transformer(written, tmp_path: Path):
    convert(written("tied_generator"), tmp_path / "pair")
    for role in ("discriminator", "generator"):
        (tmp_path / "pair" / role / "conversion.json").unlink()
    convert(tmp_path / "pair", tmp_path / "tf")
    assert convert(tmp_path / "tf", tmp_path / "back").layout == "tied_generator"


def test_without_a_record_a_pair_goes_back_to_the_default_layout(tmp_path: Path):
    convert(FIXTURES / "default", tmp_path / "pair", optimizer=True)
    for role in ("discriminator", "generator"):
        (tmp_path / "pair" / role / "conversion.json").unlink()
    convert(tmp_path / "pair", tmp_path / "tf", optimizer=True)
    assert_same_checkpoint(FIXTURES / "default", tmp_path / "tf")
    hparams = json.loads((tmp_path / "tf" / "hparams.json").read_text())
    assert hparams["generator_hidden_size"] == 0.5
    assert hparams["model_hparam_overrides"]["num_attention_heads"] == 2
