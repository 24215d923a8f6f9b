"""What a run takes of a checkpoint, and what is new: a generator beside a discriminator, a head on an encoder."""

from __future__ import annotations

import json
import shutil

import pytest
from conftest import FIXTURES

from electra_convert import convert
from electra_convert.errors import ConfigError, TrainingError

UNIFORM = {"uniform_generator": True}


@pytest.fixture
def discriminator(pairs):
    return pairs["default"] / "discriminator"


@pytest.mark.parametrize(
    ("hparams", "layout", "sizes", "shares"),
    [
        ({}, "default", (32, 32, 2, 128, 1), ", on the same embeddings."),
        ({"generator_hidden_size": 1.0, "generator_layers": 0.5}, "default", (32, 64, 1, 256, 1), ""),
        ({"untied_generator_embeddings": True}, "untied_generator_embeddings", (32, 32, 2, 128, 1), " with 1 head."),
        ({"untied_generator": False}, "tied_generator", (32, 64, 2, 256, 2), ", on the same encoder."),
    ],
)
def test_a_discriminator_alone_is_given_the_generator_that_googles_code_would_make(
    decided, discriminator, hparams, layout, sizes, shares
):
    run, told = decided(discriminator, hparams=hparams)
    config = run.configs["generator"]
    keys = ("embedding_size", "hidden_size", "num_hidden_layers", "intermediate_size", "num_attention_heads")
    assert tuple(config[key] for key in keys) == sizes
    assert {key: config[key] for key in config if key not in keys} == {
        key: value for key, value in run.configs["discriminator"].items() if key not in keys
    }
    assert run.layout.name == layout
    assert set(run.start.checkpoint.models) == {"discriminator"}
    [line] = [line for line in told if "the generator is new" in line]
    assert line.startswith(f"The discriminator is that of {discriminator}; ")
    assert line.endswith(shares)


def test_a_generator_of_impossible_sizes_is_refused(decided, discriminator):
    with pytest.raises(ConfigError, match="the generator would have 2 layers of width 0"):
        decided(discriminator, hparams={"generator_hidden_size": 0})


def test_a_discriminator_whose_activation_no_generator_has_needs_none(decided, written, tmp_path):
    convert(written("uniform_generator", "relu"), tmp_path / "relu")
    record = tmp_path / "relu" / "conversion.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "hparams": None}))
    with pytest.raises(ConfigError, match="hidden_act is relu; transformers computes a generator's head with gelu"):
        decided(tmp_path / "relu", max_length=12, hparams={"uniform_generator": False})
    run, _ = decided(tmp_path / "relu", max_length=12, hparams=UNIFORM)
    assert set(run.configs) == {"discriminator"}


def test_without_a_generator_a_half_of_a_pair_begins_anew(decided, pretrained_half):
    run, told = decided(pretrained_half, hparams=UNIFORM)
    assert run.layout.name == "uniform_generator"
    assert run.start.is_afresh
    assert any("its input is corrupted uniformly, without a generator" in line for line in told)


@pytest.fixture
def pretrained_half(tmp_path):
    """A discriminator with the slots it had beside its generator."""
    convert(FIXTURES / "default", tmp_path / "pair", vocab=FIXTURES / "vocab.txt", optimizer=True)
    return tmp_path / "pair" / "discriminator"


def test_slots_of_another_architecture_are_not_taken(decided, pretrained_half):
    run, _ = decided(pretrained_half)
    assert (run.start.checkpoint.slot_state, run.start.checkpoint.step) == ("none", None)
    assert run.start.is_afresh


def test_a_uniform_run_goes_on_as_one(decided, written):
    source = written("uniform_generator", slots=True)
    run, _ = decided(source, max_length=12)
    assert (run.layout.name, run.start.is_afresh) == ("uniform_generator", False)
    assert run.start.checkpoint.slot_state == "full"


def test_a_uniform_runs_discriminator_may_be_given_a_generator(decided, written):
    run, _ = decided(written("uniform_generator", slots=True), max_length=12, hparams={"uniform_generator": False})
    assert (run.layout.name, run.start.is_afresh) == ("default", True)


FINE_TUNED = {"mnli": "mnli", "chunk": "chunk", "mrpc_chunk": "chunk, mrpc", "squad_joint": "squad"}


@pytest.mark.parametrize("task", FINE_TUNED)
def test_of_googles_fine_tuned_checkpoints_the_encoder_is_taken_and_the_heads_are_named(decided, task):
    run, told = decided(FIXTURES / "finetuned" / task, vocab=FIXTURES / "vocab.txt")
    require_encoder(run)
    line = f"the head it was fine-tuned with ({FINE_TUNED[task]}) is left out"
    assert any(line in one for one in told)
    assert not any("--task" in one for one in told)


@pytest.mark.parametrize(("task", "head"), [("mnli", "classifier"), ("squadv1_independent", "qa_outputs")])
def test_of_transformers_fine_tuned_models_too(decided, tmp_path, task, head):
    convert(FIXTURES / "finetuned" / task, tmp_path / "tuned", vocab=FIXTURES / "vocab.txt")
    run, told = decided(tmp_path / "tuned")
    require_encoder(run)
    assert any(f"the head it was fine-tuned with ({head}) is left out" in one for one in told)
    # Its config.json names a class that the discriminator is not of.
    assert "discriminator" not in run.findings.bases


def require_encoder(run) -> None:
    model = run.start.checkpoint.models["discriminator"]
    assert model.head.name == "replaced_token_detection"
    assert {name.partition(".")[0] for name in model.weights} == {"electra"}
    assert list(run.configs) == ["discriminator", "generator"]
    assert run.start.is_afresh


def test_how_a_model_was_fine_tuned_is_not_how_it_is_pretrained(decided, tuned_for):
    source = tuned_for("cola", labels=2)
    stated = json.loads((source / "hparams.json").read_text())
    (source / "hparams.json").write_text(json.dumps({**stated, "learning_rate": 1e-4, "train_batch_size": 32}))
    run, _ = decided(source, max_length=12)
    assert (run.settings.learning_rate, run.settings.train_batch_size) == (5e-4, 128)
    assert run.configs["discriminator"]["hidden_size"] == 16


def test_an_encoder_without_a_head_is_one_too(decided, tmp_path, written):
    convert(written("fine_tuned"), tmp_path / "encoder")
    run, told = decided(tmp_path / "encoder", max_length=12)
    require_encoder(run)
    assert any("it has no head, and a head for pretraining is new" in line for line in told)


def test_a_generator_alone_is_refused_with_the_ways_there_are(decided, pairs):
    with pytest.raises(TrainingError, match="holds a generator alone; ELECTRA trains two models") as raised:
        decided(pairs["default"] / "generator")
    assert "--init-generator" in raised.value.hint
    run, _ = decided(pairs["default"] / "generator", hparams={"electra_objective": False})
    assert run.layout.name == "masked_lm"


def test_a_discriminator_is_not_trained_as_a_masked_language_model(decided, discriminator):
    with pytest.raises(TrainingError, match="holds no generator, which electra_objective false trains alone"):
        decided(discriminator, hparams={"electra_objective": False})


def test_a_vocabulary_in_another_order_than_the_checkpoints_own_is_warned_of(decided, discriminator, tmp_path):
    own = FIXTURES / "vocab.txt"
    pieces = own.read_text().splitlines()
    source = shutil.copytree(discriminator, tmp_path / "discriminator")
    shutil.copy(own, source / "vocab.txt")
    (tmp_path / "other.txt").write_text("\n".join([*pieces[:200], *pieces[200:][::-1]]) + "\n")
    _, told = decided(source, vocab=tmp_path / "other.txt")
    [line] = [line for line in told if "is not the vocabulary that the checkpoint was trained with" in line]
    assert f"id 200 is {pieces[-1]!r} in one and {pieces[200]!r} in the other" in line
    assert not any("is not the vocabulary" in line for line in decided(source, vocab=own)[1])
