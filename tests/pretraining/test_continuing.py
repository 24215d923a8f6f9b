"""A TensorFlow run goes on here and goes back: the very bytes, the same moments, the same place in the schedule."""

from __future__ import annotations

import json

import numpy as np
import pytest
from conftest import FIXTURES, GOLDEN

from electra_convert import convert
from electra_convert.checkpoint import open_checkpoint
from electra_convert.errors import NamesError, TrainingError

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("name", "step"), GOLDEN.items())
def test_no_further_steps_give_back_the_very_bytes(pretrained, name, step):
    result = pretrained(
        init_from=FIXTURES / name, vocab=FIXTURES / "vocab.txt", hparams={"num_train_steps": step}, export="tf"
    )
    assert result.step == step
    for suffix in ("index", "data-00000-of-00001"):
        file = f"model.ckpt-{step}.{suffix}"
        assert (result.tensorflow / file).read_bytes() == (FIXTURES / name / file).read_bytes()
    before = json.loads((FIXTURES / name / "hparams.json").read_text())
    after = json.loads((result.tensorflow / "hparams.json").read_text())
    assert after == before | {"num_train_steps": step}


def test_what_was_written_here_is_continued_from_either_form_alike(pretrained, tmp_path):
    """TF -> here -> TF -> here is the same as going on from the pair: all weights and slots, to the bit."""
    more = {"num_train_steps": 4003, "save_checkpoints_steps": 3}
    first = pretrained(
        "first", init_from=FIXTURES / "default", hparams={"num_train_steps": 4001}, export="tf", held_out=0.0
    )
    for name, source in (("pair", first.model), ("tf", first.tensorflow)):
        vocabulary = {} if name == "pair" else {"vocab": None}
        pretrained(name, init_from=source, hparams=more, export="tf", held_out=0.0, **{"vocab": None, **vocabulary})
    data = "tensorflow/model.ckpt-4003.data-00000-of-00001"
    assert (tmp_path / "pair" / data).read_bytes() == (tmp_path / "tf" / data).read_bytes()


def test_one_run_is_the_same_as_two_that_follow_each_other(pretrained, tmp_path):
    hparams = {"num_train_steps": 4004, "save_checkpoints_steps": 2}
    whole = pretrained("whole", init_from=FIXTURES / "default", hparams=hparams, export="tf")
    halfway = tmp_path / "whole" / "checkpoints" / "step-4002" / "model"
    rest = pretrained("rest", init_from=halfway, vocab=None, hparams=hparams, export="tf")
    data = "model.ckpt-4004.data-00000-of-00001"
    assert (rest.tensorflow / data).read_bytes() == (whole.tensorflow / data).read_bytes()


def test_the_moments_and_the_step_are_carried_over(pretrained):
    result = pretrained(init_from=FIXTURES / "default", hparams={"num_train_steps": 4000})
    with open_checkpoint(result.model) as here, open_checkpoint(FIXTURES / "default") as there:
        assert here.step == there.step == 4000
        assert here.slot_state == "full"
        for role, model in there.models.items():
            for name, slot in model.slots.items():
                expected = slot.op.shape(slot.tensor.shape)
                assert here.models[role].slots[name].shape == expected


def test_a_trained_model_converts_to_the_layout_and_hparams_it_had(pretrained, tmp_path):
    result = pretrained(init_from=FIXTURES / "untied_embeddings", hparams={"num_train_steps": 1200})
    made = convert(result.model, tmp_path / "tf", optimizer=True, dry_run=False)
    assert made.step == 1200
    file = "model.ckpt-1200.data-00000-of-00001"
    assert (tmp_path / "tf" / file).read_bytes() == (FIXTURES / "untied_embeddings" / file).read_bytes()


def test_a_checkpoint_without_slots_starts_a_new_schedule(pretrained, tmp_path):
    convert(FIXTURES / "default", tmp_path / "pair", vocab=FIXTURES / "vocab.txt")
    result = pretrained(init_from=tmp_path / "pair", vocab=None, hparams={"num_train_steps": 2, "max_seq_length": 64})
    assert result.step == 2


def test_reset_optimizer_takes_the_weights_alone(pretrained):
    result = pretrained(init_from=FIXTURES / "default", reset_optimizer=True, hparams={"num_train_steps": 1})
    with open_checkpoint(result.model) as here, open_checkpoint(FIXTURES / "default") as there:
        name = "electra.encoder.layer.0.output.dense.bias"
        # The rate of the first step of a warm-up is zero.
        np.testing.assert_array_equal(
            here.models["discriminator"].weights[name].tensor.read(),
            there.models["discriminator"].weights[name].tensor.read(),
        )
        assert here.step == 1


def test_a_run_that_is_over_is_not_continued(pretrained):
    with pytest.raises(TrainingError, match="is at step 4000, but num_train_steps is 300") as raised:
        pretrained(init_from=FIXTURES / "default", hparams={"num_train_steps": 300})
    assert "reset_optimizer=True" in raised.value.hint


def test_one_half_of_a_pair_is_not_silently_trained_alone(pretrained, pairs):
    with pytest.raises(TrainingError, match="holds a generator alone"):
        pretrained(init_from=pairs["default"] / "generator", vocab=None, hparams={"num_train_steps": 2})


def test_a_pair_whose_shared_embeddings_differ_is_refused(pretrained, tmp_path):
    convert(FIXTURES / "default", tmp_path / "pair", vocab=FIXTURES / "vocab.txt")
    convert(FIXTURES / "full_size_generator", tmp_path / "other", vocab=FIXTURES / "vocab.txt")
    generator = tmp_path / "pair" / "generator"
    for file in generator.iterdir():
        file.write_bytes((tmp_path / "other" / "generator" / file.name).read_bytes())
    with pytest.raises(NamesError, match="share these tensors while they are trained"):
        pretrained(
            init_from=tmp_path / "pair", vocab=None, hparams={"num_train_steps": 2, "generator_hidden_size": 1.0}
        )


def test_a_masked_language_model_of_tensorflow_is_continued_and_resumed(pretrained, tmp_path):
    """Its layout is told by its variables alone: no hparams say that there is no discriminator."""
    convert(FIXTURES / "default", tmp_path / "pair", vocab=FIXTURES / "vocab.txt")
    convert(tmp_path / "pair" / "generator", tmp_path / "tf", zero_optimizer=True)
    (tmp_path / "tf" / "hparams.json").unlink()
    given = {"init_from": tmp_path / "tf", "hparams": {"num_train_steps": 4004, "save_checkpoints_steps": 2}}
    whole = pretrained("whole", **given)
    stopped = pretrained("stopped", **given)
    (stopped.output / "checkpoints" / "step-4004" / "state.json").unlink()
    again = pretrained("stopped", resume=True, **given)
    for name in ("model.safetensors", "optimizer.safetensors", "training.json"):
        assert (again.model / name).read_bytes() == (whole.model / name).read_bytes()
