"""A tiny model learns from the corpus of the fixtures; every layout trains, converts, and goes to TensorFlow."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from conftest import FIXTURES
from support.command_line import run
from support.planted import HPARAMS as ORDER
from support.planted import KINDS, write_planted
from support.pretraining import TINY

from electra_convert import convert, inspect
from electra_convert.checkpoint import open_checkpoint
from electra_convert.config.keys import OWN
from electra_convert.errors import ParityError

pytestmark = pytest.mark.slow

# A few seconds: enough for both losses to fall.
SHORT = {
    "model_hparam_overrides": {"hidden_size": 64, "num_hidden_layers": 2, "max_position_embeddings": 64},
    "embedding_size": 32,
    "generator_layers": 0.5,
    "temperature": 3.0,
    "max_seq_length": 64,
    "train_batch_size": 16,
    "num_train_steps": 60,
    "num_warmup_steps": 6,
    "learning_rate": 2e-3,
    "save_checkpoints_steps": 100,
}


def reports(output, kind):
    rows = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    return [row for row in rows if row["kind"] == kind]


def learn(place, hparams):
    import torch

    torch.set_num_threads(1)
    ran = run(
        "pretrain", FIXTURES / "corpus", place / "run", "--train-vocab", "600", "--cased", "--held-out", "0.15",
        "--hparams", json.dumps(hparams), "--cache", place / "cache", "--export", "tf",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    return ran, place / "run"


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    return learn(tmp_path_factory.mktemp("learning"), SHORT)


def test_both_losses_fall(learnt):
    _, output = learnt
    first, *_, last = reports(output, "train")
    assert last["masked_lm_loss"] < first["masked_lm_loss"] - 0.3
    assert last["disc_loss"] < first["disc_loss"]
    [metrics] = reports(output, "eval")
    assert metrics.keys() - {"kind", "step"} == {
        "masked_lm_loss", "masked_lm_accuracy", "frequency_masked_lm_loss", "sampled_masked_lm_accuracy", "disc_loss",
        "disc_accuracy", "disc_precision", "disc_recall", "disc_auc", "frequency_auc", "replaced_share",
        "google/loss", "google/masked_lm_loss", "google/masked_lm_accuracy", "google/sampled_masked_lm_accuracy",
        "google/disc_loss", "google/disc_accuracy", "google/disc_precision", "google/disc_recall", "google/disc_auc",
    }  # fmt: skip


def learn_order(place, name, hparams):
    """The metrics of a run on a planted order that is held out."""
    kind = KINDS[name]
    ran = run(
        "pretrain", write_planted(kind, place / "corpus.txt"), place / "run", *kind.options, "--held-out", "0.1",
        "--hparams", json.dumps(hparams), "--log-steps", "100", "--cache", place / "cache", "--json",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


@pytest.mark.long
@pytest.mark.parametrize("name", KINDS)
def test_both_models_learn_order_and_not_frequency_alone(tmp_path, one_thread, name):
    """An untrained generator draws rare tokens, by which alone a disc_auc passes 0.7 within ten steps."""
    result = learn_order(tmp_path, name, ORDER)
    metrics = result["metrics"]
    assert metrics["masked_lm_loss"] < 0.8 * metrics["frequency_masked_lm_loss"]
    assert metrics["disc_auc"] > metrics["frequency_auc"] + 0.1
    assert result["warnings"] == []


@pytest.mark.parametrize("name", KINDS)
def test_order_begins_to_be_learnt_within_seconds(tmp_path, one_thread, name):
    metrics = learn_order(tmp_path, name, {**ORDER, "num_train_steps": 150, "num_warmup_steps": 15})["metrics"]
    assert metrics["masked_lm_loss"] < 0.9 * metrics["frequency_masked_lm_loss"]


def test_a_discriminator_that_collapses_is_warned_of_where_it_is_seen_and_at_the_end(pretrained):
    """A rate at which it gives every token the same probability, while the generator learns."""
    given = {
        **TINY,
        "num_train_steps": 90,
        "num_warmup_steps": 5,
        "learning_rate": 2e-2,
        "save_checkpoints_steps": 30,
    }
    result = pretrained(hparams={**given, "generator_hidden_size": 0.25, "max_seq_length": 32}, log_steps=30)
    assert [line[:40] for line in result.warnings if "tells nothing apart" in line] == [
        "At step 60 the discriminator tells nothi", "The run has ended, and the discriminator",
    ]  # fmt: skip
    assert all("learning_rate=0.0005" in line for line in result.warnings if "tells nothing apart" in line)


def test_what_was_learnt_converts_and_runs_in_transformers(learnt, tmp_path):
    import torch
    from transformers import AutoTokenizer

    from electra_convert.pytorch import load_folder
    from electra_convert.schemes.heads import PRETRAINING

    _, output = learnt
    there = convert(output / "model", tmp_path / "tf", optimizer=True)
    convert(there.output, tmp_path / "back", optimizer=True)
    assert inspect(output / "model", check=True).slots == "full"
    sentence = "Los pájaros están cantando en el jardín."
    logits = []
    for folder in (output / "model" / "discriminator", tmp_path / "back" / "discriminator"):
        encoded = AutoTokenizer.from_pretrained(folder)(sentence, return_tensors="pt")
        with torch.no_grad():
            logits.append(load_folder(folder, PRETRAINING["discriminator"])(**encoded).logits)
        load_folder(folder.with_name("generator"), PRETRAINING["generator"])
    torch.testing.assert_close(logits[0], logits[1], atol=0, rtol=0)
    exported = output / "tensorflow" / "model.ckpt-60.data-00000-of-00001"
    assert exported.read_bytes() == (tmp_path / "tf" / exported.name).read_bytes()


def test_a_run_tells_how_it_goes(learnt):
    ran, output = learnt
    kinds = {line.partition(":")[0] for line in ran.err.splitlines()}
    assert kinds == {"Note", "Step", "Held out"}
    assert "Step: 60 of 60: masked_lm " in ran.err
    assert ran.out.startswith("Trained to step 60.\n")
    assert f"Wrote {output / 'model'}" in ran.out
    assert (output / "curves.png").read_bytes().startswith(b"\x89PNG")
    [events] = (output / "tensorboard").iterdir()
    assert b"disc_auc" in events.read_bytes()


def test_the_record_of_a_model_says_how_it_was_trained(learnt):
    _, output = learnt
    for role in ("discriminator", "generator"):
        record = json.loads((output / "model" / role / "training.json").read_text())
        assert (record["schema"], record["step"], record["variant"], record["seed"]) == (1, 60, "default", 0)
        assert record["hparams"] == {**OWN, **SHORT, "vocab_size": 600}
        assert not {"date", "time", "path"} & record.keys()
        assert set(record["files"]) == {path.name for path in (output / "model" / role).iterdir()} - {"training.json"}


def test_what_was_trained_may_be_uploaded_without_a_source_as_long_as_nothing_changed(learnt, tmp_path):
    from electra_convert.hub.card.model_folder import read_folder
    from electra_convert.hub.card.proof import require_proof

    _, output = learnt
    for role in ("discriminator", "generator"):
        folder = shutil.copytree(output / "model" / role, tmp_path / role)
        assert require_proof(read_folder(folder, optimizer=True), unverified=False).state == "pretrained"
        (folder / "vocab.txt").write_text("other")
        with pytest.raises(ParityError, match=r"vocab\.txt changed since"):
            require_proof(read_folder(folder), unverified=False)


@pytest.mark.parametrize(
    ("layout", "hparams", "roles"),
    [
        ("default", {}, {"discriminator", "generator"}),
        ("untied_generator_embeddings", {"untied_generator_embeddings": True}, {"discriminator", "generator"}),
        ("tied_generator", {"untied_generator": False}, {"discriminator", "generator"}),
        ("uniform_generator", {"uniform_generator": True}, {"discriminator"}),
        ("masked_lm", {"electra_objective": False}, {"generator"}),
    ],
)
def test_every_layout_trains_and_goes_to_tensorflow_and_back(pretrained, tmp_path, layout, hparams, roles):
    given = {**TINY, **hparams, "num_train_steps": 2}
    result = pretrained(hparams=given, export="tf")
    with open_checkpoint(result.tensorflow) as checkpoint:
        assert checkpoint.layout.name == layout
        assert checkpoint.models.keys() == roles
        assert (checkpoint.step, checkpoint.slot_state) == (2, "full")
    data = "model.ckpt-2.data-00000-of-00001"
    again = pretrained("again", init_from=result.tensorflow, vocab=None, hparams=None, export="tf")
    assert again.step == 2
    assert (again.tensorflow / data).read_bytes() == (result.tensorflow / data).read_bytes()
    convert(result.model, tmp_path / "converted", to="tf", optimizer=True)
    assert (tmp_path / "converted" / data).read_bytes() == (result.tensorflow / data).read_bytes()
    masked_lm = reports(result.output, "train")[0]["masked_lm_loss"]
    if layout == "uniform_generator":
        assert masked_lm == pytest.approx(np.log(1500), rel=1e-5)


def test_bfloat16_trains_much_the_same(pretrained):
    short = {"hparams": {**TINY, "num_train_steps": 6}, "log_steps": 6, "held_out": 0.0}
    plain, rounded = pretrained("plain", **short), pretrained("rounded", **short, precision="bfloat16")
    [one], [other] = reports(plain.output, "train"), reports(rounded.output, "train")
    assert one["masked_lm_loss"] != other["masked_lm_loss"]
    assert one["masked_lm_loss"] == pytest.approx(other["masked_lm_loss"], rel=0.01)
    assert one["disc_loss"] == pytest.approx(other["disc_loss"], rel=0.05)


def test_initial_weights_are_drawn_as_google_draws_them(pretrained):
    """The rate of the first step of a warm-up is zero, so one step leaves the weights as they were drawn."""
    result = pretrained(hparams={**TINY, "num_train_steps": 1}, held_out=0.0)
    with open_checkpoint(result.model) as checkpoint:
        weights = {
            name: weight.tensor.read()
            for model in checkpoint.models.values()
            for name, weight in model.weights.items()
        }
    for name, values in weights.items():
        if name.endswith(".bias"):
            assert not values.any(), name
        elif "LayerNorm" in name:
            assert (values == 1).all(), name
        elif "embeddings_project" in name or "dense_prediction" in name:
            limit = (6 / sum(values.shape)) ** 0.5
            assert 0.5 * limit < np.abs(values).max() <= limit, name
        else:
            assert np.abs(values).max() <= 0.04 + 1e-7, name
            if values.size > 1000:
                # A normal distribution cut off at two standard deviations has 0.88 of its deviation left.
                assert values.std() == pytest.approx(0.02 * 0.8796, rel=0.1), name
                assert abs(values.mean()) < 5 * 0.02 / values.size**0.5, name
