"""Weights of files that nothing loads are found a second time, by the modules that hold them, and compared."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import unpacked
from safetensors.numpy import save_file
from support.flax_files import in_flax, nested, pack, read_state, write

from electra_convert import convert, verify
from electra_convert.schemes import flax, keras, training_programs
from electra_convert.tensors.op import Op
from electra_convert.tensors.weight import Weight

pytestmark = pytest.mark.slow
ROLES = ("discriminator", "generator")


@pytest.fixture
def in_one_file(golden_pair, tmp_path) -> Path:
    states = {role: read_state(golden_pair / role) for role in ROLES}
    joined = {f"{role}.{name}": array for role, state in states.items() for name, array in state.items()}
    save_file(joined, tmp_path / "both.safetensors")
    return tmp_path / "both.safetensors"


@pytest.fixture
def by_flax(golden_pair, tmp_path) -> Path:
    return write(tmp_path / "flax_model.msgpack", read_state(golden_pair / "discriminator"))


def swapped(translate, first: str, second: str):
    """A translation that takes two parameters of the same shape for each other."""

    def wrong(*given):
        weights = dict(translate(*given))
        names = {name: name.replace(first, second) for name in weights if first in name}
        for name, other in names.items():
            weights[name], weights[other] = weights[other], weights[name]
        return weights

    return wrong


def test_a_table_of_names_that_swaps_two_kernels_is_found_though_both_sides_are_made_with_it(
    by_flax, tmp_path, monkeypatch
):
    monkeypatch.setattr(flax, "_translate", swapped(flax._translate, "self.query", "self.key"))
    convert(by_flax, tmp_path / "out")
    report = verify(by_flax, tmp_path / "out")
    assert not report.models["discriminator"].weights.differing
    assert not report.passed
    assert "read a second time" in " ".join(report.reasons)


def test_square_kernels_that_are_not_turned_are_found_though_both_sides_are_made_with_it(
    by_flax, tmp_path, monkeypatch
):
    translate = flax._translate

    def unturned(tensors):
        return {
            name: Weight(weight.tensor, Op.KEEP) if weight.shape == (64, 64) else weight
            for name, weight in translate(tensors).items()
        }

    monkeypatch.setattr(flax, "_translate", unturned)
    convert(by_flax, tmp_path / "out")
    assert "read a second time" in " ".join(verify(by_flax, tmp_path / "out").reasons)


def test_a_half_that_is_given_a_tensor_of_the_other_is_found(in_one_file, tmp_path, monkeypatch):
    halves = training_programs._halves

    def mixed(weights):
        one, other = halves(weights)
        bias = "electra.embeddings.LayerNorm.bias"
        wrong = Weight(one.weights["electra.embeddings.LayerNorm.weight"].tensor)
        return [one, type(other)(other.around, {**other.weights, bias: wrong}, other.others)]

    monkeypatch.setattr(training_programs, "_halves", mixed)
    convert(in_one_file, tmp_path / "out")
    reasons = " ".join(verify(in_one_file, tmp_path / "out").reasons)
    assert "read a second time, generator.electra.embeddings.LayerNorm.bias" in reasons


def test_files_that_are_read_rightly_pass_with_every_parameter_found(by_flax, in_one_file, golden_pair, tmp_path):
    from support.transformers_models import load

    from electra_convert.checkpoint import open_path
    from electra_convert.verification.second_reading import require_second_reading

    for source, role in ((by_flax, "discriminator"), *((in_one_file, role) for role in ROLES)):
        model = load(golden_pair / role)
        with open_path(source) as checkpoint:
            found = require_second_reading(source, model, role, checkpoint.sources)
        assert found == len(list(model.parameters()))


def test_of_a_training_state_the_model_is_meant_and_not_its_optimiser(golden_pair, tmp_path):
    state = read_state(golden_pair / "discriminator")
    moments = nested(in_flax({name: np.zeros_like(array) for name, array in state.items()}))
    tree = {"opt_state": {"0": {"mu": moments}}, "params": nested(in_flax(state))}
    (tmp_path / "state.msgpack").write_bytes(pack(tree))
    convert(tmp_path / "state.msgpack", tmp_path / "out")
    assert "read a second time" not in " ".join(verify(tmp_path / "state.msgpack", tmp_path / "out").reasons)


@pytest.mark.parametrize("prefix", ["", "module.", "module._orig_mod."])
@pytest.mark.parametrize("around", [lambda state: state, lambda state: {"epoch": 3, "state_dict": state}])
def test_a_file_of_torch_under_a_name_of_its_own_is_run_though_transformers_would_not_find_it(
    golden_pair, tmp_path, prefix, around
):
    import torch

    state = {
        f"{prefix}{name}": torch.from_numpy(array) for name, array in read_state(golden_pair / "generator").items()
    }
    folder = tmp_path / "own"
    folder.mkdir()
    torch.save(around(state), folder / "best.pt")
    shutil.copy(golden_pair / "generator" / "config.json", folder)
    convert(folder, tmp_path / "out", to="safetensors")
    for source in (folder, folder / "best.pt"):
        report = verify(source, tmp_path / "out")
        assert report.passed, report.reasons
        assert report.models["generator"].outputs is not None


# Models that transformers' TensorFlow classes saved; of a SavedModel and of shards too.
KERAS = [
    "pretraining", "masked_lm", "masked_lm_shards", "sequence_classification", "token_classification",
    "question_answering", "safetensors", "objects", "saved_model", "functional", "pair_of_objects",
]  # fmt: skip


@pytest.mark.parametrize("name", KERAS)
def test_every_parameter_of_a_model_of_keras_is_found_a_second_time(tmp_path, name):
    from support.transformers_models import load

    from electra_convert.checkpoint import open_path
    from electra_convert.verification.second_reading import require_second_reading

    source = unpacked(name, tmp_path)
    convert(source, tmp_path / "out")
    with open_path(source) as checkpoint:
        for role in checkpoint.models:
            folder = tmp_path / "out" if len(checkpoint.models) == 1 else tmp_path / "out" / role
            model = load(folder)
            found = require_second_reading(source, model, role, checkpoint.sources)
            shared = 5 if len(checkpoint.models) == 2 and role == "generator" else 0
            assert found == len(list(model.parameters())) - shared


@pytest.mark.parametrize("name", ["pretraining", "pair_of_objects"])
def test_kernels_of_keras_that_are_not_turned_are_found_though_both_sides_are_made_so(tmp_path, monkeypatch, name):
    parameter = keras._parameter

    def unturned(parts):
        found = parameter(parts)
        return (found[0], Op.KEEP) if found and "self" in parts else found

    monkeypatch.setattr(keras, "_parameter", unturned)
    source = unpacked(name, tmp_path)
    convert(source, tmp_path / "out")
    assert "read a second time" in " ".join(verify(source, tmp_path / "out").reasons)
