"""What is left out, has no effect or is not looked at is told in a line that can be read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import FIXTURES, write_bundle
from safetensors.numpy import load_file, save_file
from support.command_line import refused, run

from electra_convert import convert
from electra_convert.formats.tf_bundle.entries import HEADER_KEY, STRING, encode_entry, encode_header
from electra_convert.formats.tf_bundle.index import index_path, read_index
from electra_convert.formats.tf_bundle.table import encode_table


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "place"


def add_adam(tensors) -> None:
    for name in list(tensors):
        tensors |= {f"{name}/Adam": tensors[name], f"{name}/Adam_1": tensors[name]}
    tensors["beta1_power"] = np.array(0.9, np.float32)


def test_the_slots_of_another_optimiser_are_told_without_the_name_of_every_variable(written, tmp_path):
    (notice,) = convert(written(change=add_adam), tmp_path / "out").notices
    assert notice == (
        "Left out, state of an optimiser that is not ELECTRA's: Adam of every variable, Adam_1 of every variable, "
        "beta1_power."
    )


def test_slots_that_only_some_variables_have_are_named(written, tmp_path):
    def change(tensors):
        add_adam(tensors)
        del tensors["generator_predictions/output_bias/Adam_1"]

    (notice,) = convert(written(change=change), tmp_path / "out").notices
    assert "Adam of every variable, beta1_power, discriminator_predictions/dense/bias/Adam_1, " in notice


@pytest.mark.parametrize(
    "name",
    [
        "layer_with_weights-0/electra/embeddings/weight/.ATTRIBUTES/VARIABLE_VALUE",
        "model/discriminator/electra/embeddings/weight/.ATTRIBUTES/VARIABLE_VALUE",
    ],
)
def test_a_checkpoint_of_keras_objects_is_refused_with_a_way_round(tmp_path, place, name):
    write_bundle(tmp_path / "ckpt-1", {name: np.zeros(3, np.float32)})
    error, hint = refused(tmp_path / "ckpt-1", place).splitlines()
    assert "it looks like a " in error
    assert "Keras" in error
    assert "this tool reads the tf_model.h5" in hint


@pytest.mark.parametrize("name", ["v1/.ATTRIBUTES/VARIABLE_VALUE", "model/layer-0/kernel/.ATTRIBUTES/VARIABLE_VALUE"])
def test_what_is_made_of_objects_and_not_electra_gets_no_advice_that_is_electras(tmp_path, place, name):
    write_bundle(tmp_path / "ckpt-1", {name: np.zeros(3, np.float32)})
    assert "save_pretrained" not in refused(tmp_path / "ckpt-1", place)


@pytest.mark.parametrize("scalars", [["loss_scale", "good_steps", "bad_steps"], ["current_loss_scale"]])
def test_counters_of_mixed_precision_are_left_out_and_told(written, tmp_path, scalars):
    counters = {name: np.array(1, np.int32) for name in scalars}
    result = convert(written(change=lambda tensors: tensors.update(counters)), tmp_path / "out")
    assert result.notices == (f"Left out, counters of the training: {', '.join(sorted(scalars))}.",)


def test_accumulated_gradients_are_left_out_and_told(written, tmp_path):
    def change(tensors):
        for index, array in enumerate(list(tensors.values())):
            tensors[f"Variable_{index}" if index else "Variable"] = array

    (notice,) = convert(written("uniform_generator", change=change), tmp_path / "out").notices
    assert notice.startswith(
        "Left out, accumulated gradients, 43 tensors of variables' shapes: Variable, Variable_1, "
    )


@pytest.mark.parametrize("wrapper", ["module.", "_orig_mod.", "module._orig_mod."])
def test_what_wraps_a_model_comes_off_its_names_and_is_told(pair_copy, tmp_path, wrapper):
    path = pair_copy() / "discriminator" / "model.safetensors"
    tensors = load_file(path)
    save_file({f"{wrapper}{name}": array for name, array in tensors.items()}, path)
    result = convert(path.parent, tmp_path / "out", to="safetensors")
    for part in wrapper.split(".")[:-1]:
        assert sum(f"Taken off, {part}. before every name" in line for line in result.notices) == 1
    written = load_file(tmp_path / "out" / "model.safetensors")
    assert written.keys() == tensors.keys()
    assert all(np.array_equal(array, tensors[name]) for name, array in written.items())


def test_a_prefix_that_not_every_name_has_stays(pair_copy, tmp_path):
    folder = pair_copy() / "discriminator"
    tensors = load_file(folder / "model.safetensors")
    save_file({"module.extra": tensors.popitem()[1], **tensors}, folder / "model.safetensors")
    assert "1 tensor missing" in refused(folder, tmp_path / "out")


def test_a_tokenizer_json_in_the_place_of_a_vocabulary_is_told(golden_pair, place):
    given = golden_pair / "discriminator" / "tokenizer.json"
    assert "Give vocab.txt" in refused(FIXTURES / "default", place, "--vocab", given)


def test_stripping_accents_from_a_cased_text_has_no_effect_and_that_is_told(tmp_path):
    options = {"vocab": FIXTURES / "vocab.txt", "cased": True}
    plain = convert(FIXTURES / "default", tmp_path / "plain", **options)
    given = convert(FIXTURES / "default", tmp_path / "given", strip_accents=True, **options)
    assert [line for line in given.notices if line not in plain.notices] == [
        "--strip-accents has no effect: Google's code strips accents only when it lower-cases, and this is cased."
    ]
    for name in ("tokenizer.json", "tokenizer_config.json", "conversion.json"):
        made = [json.loads((tmp_path / place / "generator" / name).read_text()) for place in ("plain", "given")]
        told = {"notices": 0, "provenance": 0, "sha256": 0}  # of the option, which decides nothing else
        assert {**made[0], **told} == {**made[1], **told}


def test_a_check_names_what_it_cannot_read(written):
    source = written(change=lambda tensors: tensors.update(labels=np.zeros(4, np.uint8)))
    path = index_path(source / "model.ckpt-1000")
    index = read_index(path)
    entries = {**index.entries, b"labels": replace(index.entries[b"labels"], data_type=STRING)}
    table = [
        (HEADER_KEY, encode_header(index.header)),
        *((key, encode_entry(entries[key])) for key in sorted(entries)),
    ]
    path.write_bytes(encode_table(table))
    ran = run("inspect", source, "--check")
    assert ran.code == 0
    assert "Warning: Not checked, since they hold no numbers: labels." in ran.err
    assert "Not checked" not in run("inspect", source).err


def test_a_step_that_the_source_does_not_hold_is_told(written, tmp_path):
    source = written(slots=True, change=lambda tensors: tensors.pop("global_step"))
    assert (
        "The source holds no global_step; 1000 is written."
        in convert(source, tmp_path / "out", optimizer=True).notices
    )


def test_slots_that_zeros_replace_are_told(written, tmp_path):
    convert(written(slots=True), tmp_path / "pair", optimizer=True)
    (notice,) = convert(tmp_path / "pair", tmp_path / "tf", zero_optimizer=True).notices
    assert notice == "Optimiser slots are replaced by zeros (--optimizer would carry them over)."


def test_a_slot_that_is_no_float_goes_by_its_name_in_the_file(written, place):
    def change(tensors):
        tensors["electra/embeddings/word_embeddings/adam_m"] = np.zeros((53, 8), np.int32)

    said = refused(written(slots=True, change=change), place)
    assert "electra/embeddings/word_embeddings/adam_m is int32" in said
