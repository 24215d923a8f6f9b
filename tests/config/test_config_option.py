"""--config, and what is said of one model when only the other is wanted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import FIXTURES
from support.command_line import refused, run

from electra_convert import convert

# As the TensorFlow archives of some projects hold one for each model: sizes and heads, but no class.
GENERATOR = {
    "vocab_size": 1500, "embedding_size": 32, "hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 128,
    "max_position_embeddings": 128, "num_attention_heads": 4, "hidden_act": "gelu",
}  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "place"


@pytest.fixture
def alone(golden_copy) -> Path:
    """A checkpoint with nothing beside it that tells heads."""
    return golden_copy(without=("hparams.json", "model.ckpt-4000.meta"))


def write(path: Path, **values: object) -> Path:
    path.write_text(json.dumps(values))
    return path


def test_a_config_that_names_no_class_is_of_the_one_model_that_is_wanted(alone, tmp_path):
    config = write(tmp_path / "generator_config.json", **GENERATOR)
    made = convert(alone, tmp_path / "out", model="generator", config=config)
    assert made.models["generator"]["num_attention_heads"].value == 4
    assert made.warnings == ()


def test_nothing_is_said_of_the_model_that_is_not_wanted(alone, tmp_path):
    assert "discriminator" not in run("convert", alone, tmp_path / "out", "--model", "generator").err


@pytest.mark.parametrize("values", [{}, {"vocab_size": 1500, "generator_hidden_size": 0.5}])
def test_a_config_that_settles_nothing_is_refused(place, tmp_path, values):
    said = refused(FIXTURES / "default", place, "--config", write(tmp_path / "given.json", **values))
    assert "given.json states neither num_attention_heads nor hidden_act" in said
    assert "goes into --hparams" in said


def test_a_config_of_the_other_model_is_refused(golden_pair, place):
    config = golden_pair / "generator" / "config.json"
    said = refused(FIXTURES / "default", place, "--config", config, "--model", "discriminator")
    assert "config.json is of a generator, which is not what is asked for (discriminator)" in said


def test_sizes_that_hparams_leave_at_their_defaults_are_one_warning_a_model(golden_copy, tmp_path):
    warned = convert(golden_copy(), tmp_path / "out", hparams="{}").warnings
    assert warned[0] == (
        "--hparams leaves the discriminator's vocab_size at 30522, embedding_size at 128, hidden_size at 256, "
        "num_hidden_layers at 12, max_position_embeddings at 512; the weights have 1500, 32, 64, 2, 128."
    )
    assert len([line for line in warned if "the weights have" in line]) == 2
