"""--exclude: a user says which tensors are no part of a model; what a model needs is never taken."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from support.command_line import run

from electra_convert import convert, inspect, verify
from electra_convert.errors import NamesError
from electra_convert.hub.card.writing import write_card

UNKNOWN = {"own/scale": np.zeros(3, np.float32), "own/shift": np.zeros(5, np.float32)}


@pytest.fixture
def source(written) -> Path:
    return written("uniform_generator", slots=True, change=lambda tensors: tensors.update(UNKNOWN))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "place"


def test_what_is_unknown_is_refused_with_the_option_that_lets_it_go(source, place):
    with pytest.raises(NamesError, match="2 tensors of no ELECTRA model") as error:
        convert(source, place)
    assert "exclude='own/scale'" in str(error.value.hint)


@pytest.mark.parametrize("exclude", ["own/*", ["own/scale", "*/shift"], ["*wn/s????"]])
def test_what_is_excluded_is_left_out_and_recorded(source, place, exclude):
    result = convert(source, place, exclude=exclude)
    told = "Left out as asked (--exclude): own/scale, own/shift."
    assert told in result.notices
    assert told in json.loads((place / "conversion.json").read_text())["notices"]
    write_card(place)
    assert "own/scale, own/shift" in (place / "README.md").read_text()
    assert verify(source, place, weights_only=True, exclude=exclude).passed


def test_inspect_agrees_with_convert(source):
    assert inspect(source).unmapped == ("own/scale", "own/shift")
    found = inspect(source, exclude="own/scale")
    assert found.unmapped == ("own/shift",)
    assert "Left out as asked (--exclude): own/scale." in found.warnings


@pytest.mark.parametrize("pattern", ["*", "electra/*", "*/kernel", "*adam_m", "global_step", "o*"])
def test_a_pattern_that_would_take_a_tensor_of_the_model_is_refused(source, place, pattern):
    told = run("convert", source, place, "--exclude", pattern)
    if pattern == "o*":
        assert told.code == 0
    else:
        assert f"--exclude '{pattern}' would take tensors of the model" in told.refusal()
        assert not place.exists()


def test_a_pattern_that_fits_nothing_is_refused(source):
    with pytest.raises(NamesError, match="exclude='mine/\\*' fits no tensor") as error:
        inspect(source, exclude="mine/*")
    assert error.value.hint == "What is of no model: own/scale, own/shift."


def test_what_is_left_out_anyway_may_be_excluded(written, place):
    source = written("uniform_generator", change=lambda tensors: tensors.update(loss_scale=np.float32(1)))
    assert convert(source, place, exclude="loss_*").notices == convert(source, f"{place}2").notices


def test_a_weight_that_is_missing_is_not_excused(written, place):
    def change(tensors) -> None:
        tensors["own/kernel"] = tensors.pop("discriminator_predictions/dense/kernel")

    with pytest.raises(NamesError, match="not a complete ELECTRA checkpoint"):
        convert(written("uniform_generator", change=change), place, exclude="own/*")


def test_parameters_of_a_transformers_model_are_excluded_alike(pair_copy, place):
    folder = pair_copy() / "discriminator"
    tensors = load_file(folder / "model.safetensors")
    save_file({**tensors, "electra.own.scale": np.ones(2, np.float32)}, folder / "model.safetensors")
    with pytest.raises(NamesError, match=r"1 tensor of no ELECTRA model .*: electra\.own\.scale"):
        convert(folder, place)
    convert(folder, place, to="safetensors", exclude="electra.own.*")
    assert load_file(place / "model.safetensors").keys() == tensors.keys()
