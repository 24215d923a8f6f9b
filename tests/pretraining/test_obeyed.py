"""No hparam of Google's is passed over in silence: it is trained by, obeyed, refused with what to use, or told."""

from __future__ import annotations

import json

import pytest
from conftest import FIXTURES
from support.google_hparams import FINETUNING, GOOGLE, PRETRAINING
from support.pretraining import TINY

from electra_convert.config.keys import HANDLED, OWN, TRAINING
from electra_convert.errors import ConfigError, UsageError
from electra_convert.pretraining.obeyed import obeyed
from electra_convert.pretraining.options import PretrainOptions

OF_FINE_TUNING = sorted(FINETUNING.keys() - PRETRAINING.keys() - {"data_dir", "init_checkpoint"})
ALL = {**PRETRAINING, **OWN}
# What stands in the way of nothing, and what it is obeyed as.
OBEYED = {
    ("init_checkpoint", str(FIXTURES / "default")): {"init_from": FIXTURES / "default"},
    ("vocab_file", str(FIXTURES / "vocab.txt")): {"vocab": FIXTURES / "vocab.txt"},
    ("do_train", False): {"evaluate_only": True},
    ("do_train", "False"): {"evaluate_only": True},
    ("do_train", "true"): {},
    ("do_eval", False): {"held_out": 0.0},
    ("do_eval", "false"): {"held_out": 0.0},
    ("do_eval", "true"): {},
    ("init_checkpoint", None): {},
}
# Told, since what they say is said otherwise here.
TOLD = sorted(GOOGLE.keys() - HANDLED.keys() - TRAINING.keys() - {key for key, _ in OBEYED} - set(OF_FINE_TUNING))


def told(hparams, **options):
    return obeyed(PretrainOptions(hparams=hparams, **options))


@pytest.mark.parametrize("key", sorted(HANDLED.keys() | TRAINING.keys() | OWN.keys()))
def test_what_is_trained_by_is_among_the_hparams_of_the_run(key):
    given = {key: FINETUNING[key] if ALL[key] is None else ALL[key]}
    options, notes = told(given)
    assert (options.given_hparams.given, notes) == (given, ())


@pytest.mark.parametrize("key", OF_FINE_TUNING)
def test_what_is_of_fine_tuning_alone_is_refused(key):
    with pytest.raises(ConfigError, match=f"{key} is an hparam of fine-tuning, not of pretraining") as raised:
        told({key: FINETUNING[key]})
    assert raised.value.hint


@pytest.mark.parametrize(
    ("key", "option"), [("num_train_epochs", "--epochs"), ("warmup_proportion", "num_warmup_steps")]
)
def test_what_is_refused_has_what_to_use_instead(key, option):
    with pytest.raises(ConfigError) as raised:
        told({key: 1})
    assert option in raised.value.hint


@pytest.mark.parametrize(("given", "expected"), OBEYED.items(), ids=str)
def test_what_stands_for_an_option_is_obeyed(given, expected):
    key, value = given
    options, _ = told({key: value})
    changed = {name: found for name, found in vars(options).items() if found != vars(PretrainOptions())[name]}
    assert changed == {"hparams": {key: value}, **expected}
    assert options.given_hparams.given == {}


@pytest.mark.parametrize("key", TOLD)
def test_what_arguments_and_machines_decide_is_told(key):
    _, [note] = told({key: GOOGLE[key]})
    assert f"--hparams says {key}" in note
    assert "what counts is " in note or "decides nothing here" in note


def test_a_whole_configuration_of_googles_is_taken_as_it_is(tmp_path):
    (tmp_path / "hparams.json").write_text(json.dumps(PRETRAINING))
    options, notes = told(tmp_path / "hparams.json", vocab=FIXTURES / "vocab.txt")
    assert options.given_hparams.given.keys() == PRETRAINING.keys() & (HANDLED.keys() | TRAINING.keys())
    assert len(notes) == 4  # vocab_file, do_eval, places and machines


@pytest.mark.parametrize("value", [True, "true"])
def test_a_tpu_is_refused(value):
    with pytest.raises(ConfigError, match="use_tpu is true; this runs on GPUs and processors"):
        told({"use_tpu": value})


@pytest.mark.parametrize(
    ("hparams", "options", "note"),
    [
        (
            {"learning_rate": 1e-3},
            {"learning_rate": 0.5},
            "learning_rate is 0.001; --learning-rate 0.5 is what counts",
        ),
        ({"num_train_steps": 9}, {"steps": 8}, "num_train_steps is 9; --steps 8 is what counts"),
        ({"init_checkpoint": "there"}, {"init_from": FIXTURES}, 'is "there"; --init-from is what counts'),
        ({"vocab_file": "v"}, {"vocab": FIXTURES}, 'vocab_file is "v"; --vocab is what counts'),
        ({"vocab_file": "v"}, {"train_vocab": 99}, 'vocab_file is "v"; --train-vocab is what counts'),
        ({"do_eval": False}, {"held_out": 0.1}, "do_eval is false; --held-out is what counts"),
        ({"do_eval": "false"}, {"eval_corpus": FIXTURES}, "do_eval is false; --eval-corpus is what counts"),
    ],
)
def test_an_option_overrides_an_hparam_with_a_note(hparams, options, note):
    found, [told_note] = told(hparams, **options)
    assert note in told_note
    assert {name: vars(found)[name] for name in options} == options


def test_an_option_that_says_the_same_needs_no_note():
    assert told({"num_train_steps": 8}, steps=8)[1] == ()


@pytest.mark.parametrize("more", [{"do_eval": False}, {}])
def test_nothing_to_train_and_nothing_to_evaluate_is_refused(more):
    with pytest.raises(UsageError, match="do_train is false, and nothing is held out to evaluate on"):
        told({"do_train": False, **more}, **({} if more else {"held_out": 0.0}))


@pytest.mark.parametrize(("key", "value"), [("init_checkpoint", 5), ("vocab_file", True), ("init_checkpoint", "")])
def test_a_place_that_is_none_is_refused(key, value):
    with pytest.raises(ConfigError, match=f"{key} is .*, expected a path"):
        told({key: value})


@pytest.mark.slow
def test_a_run_starts_from_the_checkpoint_that_the_hparams_name(pretrained):
    hparams = {"init_checkpoint": str(FIXTURES / "default"), "num_train_steps": 4001}
    named = pretrained("named", hparams=hparams, held_out=0.0)
    given = pretrained("given", hparams={"num_train_steps": 4001}, init_from=FIXTURES / "default", held_out=0.0)
    assert named.step == 4001
    weights = "discriminator/model.safetensors"
    assert (named.model / weights).read_bytes() == (given.model / weights).read_bytes()


@pytest.mark.slow
def test_a_run_that_is_not_to_train_evaluates_what_there_is(pretrained):
    trained = pretrained("trained", hparams={**TINY, "num_train_steps": 3})
    found = pretrained("run", hparams={**TINY, "do_train": "false", "do_eval": True}, init_from=trained.model)
    assert (found.step, found.metrics) == (3, trained.metrics)
    weights = "generator/model.safetensors"
    assert (found.model / weights).read_bytes() == (trained.model / weights).read_bytes()
    assert any("do_train is false" in note for note in found.notes)


@pytest.mark.slow
def test_a_finished_run_that_is_resumed_not_to_train_is_evaluated_again(pretrained):
    short = {**TINY, "num_train_steps": 3}
    trained = pretrained(hparams=short)
    found = pretrained(hparams={**short, "do_train": False, "do_eval": True}, resume=True)
    assert (found.step, found.metrics) == (3, trained.metrics)


@pytest.mark.slow
def test_a_run_that_is_not_to_train_and_has_nothing_says_so(pretrained):
    found = pretrained(hparams={**TINY, "do_train": False})
    assert found.step == 0
    assert found.metrics["disc_auc"] == pytest.approx(0.5, abs=0.2)
    assert any("has never been trained" in warning for warning in found.warnings)
