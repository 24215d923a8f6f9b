"""Every hparam of Google's two configuration files is known; any other is refused with the nearest known name."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from electra_convert.config.hparams import parse_hparams, read_hparams
from electra_convert.config.keys import ACTIVATIONS, HANDLED, IGNORED, OVERRIDES, OWN, SWITCHES, activation
from electra_convert.errors import ConfigError

# Every attribute that PretrainingConfig.__init__ (configure_pretraining.py) has by its end, with a value of its kind.
PRETRAINING = json.loads(
    """{
    "model_name": "electra", "debug": false, "do_train": true, "do_eval": false, "electra_objective": true,
    "electric_objective": false, "gen_weight": 1.0, "disc_weight": 50.0, "mask_prob": 0.15, "learning_rate": 0.0005,
    "lr_decay_power": 1.0, "weight_decay_rate": 0.01, "num_warmup_steps": 10000, "iterations_per_loop": 200,
    "save_checkpoints_steps": 1000, "num_train_steps": 1000000, "num_eval_steps": 100, "keep_checkpoint_max": 5,
    "model_size": "small", "model_hparam_overrides": {}, "embedding_size": null, "vocab_size": 30522,
    "do_lower_case": true, "uniform_generator": false, "two_tower_generator": false, "untied_generator_embeddings":
    false, "untied_generator": true, "generator_layers": 1.0, "generator_hidden_size": 0.25, "disallow_correct":
    false, "temperature": 1.0, "max_seq_length": 128, "train_batch_size": 128, "eval_batch_size": 128, "use_tpu":
    false, "num_tpu_cores": 1, "tpu_job_name": null, "tpu_name": null, "tpu_zone": null, "gcp_project": null,
    "pretrain_tfrecords": "data/pretrain_tfrecords/pretrain_data.tfrecord*", "vocab_file": "data/vocab.txt",
    "model_dir": "data/models/electra", "results_txt": "unsup_results.txt", "results_pkl": "unsup_results.pkl",
    "max_predictions_per_seq": 19
    }"""
)
# The same for FinetuningConfig (configure_finetuning.py).
FINETUNING = json.loads(
    """{
    "model_name": "electra", "debug": false, "log_examples": false, "num_trials": 1, "do_train": true, "do_eval":
    true, "keep_all_models": true, "model_size": "large", "task_names": ["mnli", "squad"], "model_hparam_overrides":
    {}, "embedding_size": 1024, "vocab_size": 30522, "do_lower_case": true, "learning_rate": 0.0001,
    "weight_decay_rate": 0.01, "layerwise_lr_decay": 0.8, "num_train_epochs": 3.0, "warmup_proportion": 0.1,
    "save_checkpoints_steps": 1000000, "iterations_per_loop": 1000, "use_tfrecords_if_existing": true,
    "write_test_outputs": false, "write_distill_outputs": false, "n_writes_test": 5, "max_seq_length": 128,
    "train_batch_size": 32, "eval_batch_size": 32, "predict_batch_size": 32, "double_unordered": true,
    "max_query_length": 64, "doc_stride": 128, "n_best_size": 20, "max_answer_length": 30, "answerable_classifier":
    true, "answerable_uses_start_logits": true, "answerable_weight": 0.5, "joint_prediction": true, "beam_size": 20,
    "qa_na_threshold": -2.75, "use_tpu": false, "num_tpu_cores": 1, "tpu_job_name": null, "tpu_name": null,
    "tpu_zone": null, "gcp_project": null, "data_dir": "data", "raw_data_dir": "data/finetuning_data", "vocab_file":
    "data/vocab.txt", "init_checkpoint": null, "model_dir": "data/models", "results_txt": "results.txt",
    "results_pkl": "results.pkl", "qa_eval_file": "eval.json", "qa_preds_file": "preds.json", "qa_na_file":
    "null_odds.json", "preprocessed_data_dir": "tfrecords", "test_predictions": "predictions.pkl"
    }"""
)
GOOGLE = {**FINETUNING, **PRETRAINING}
# modeling.BertConfig.
BERT = {
    "vocab_size": 100,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 128,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0,
    "max_position_embeddings": 128,
    "type_vocab_size": 2,
    "initializer_range": 0.02,
}


def read(**given: object):
    return parse_hparams(json.dumps(given), "hparams.json")


def inside(**overrides: object):
    return read(model_hparam_overrides=overrides)


@pytest.mark.parametrize("key", GOOGLE)
def test_each_of_googles_keys_is_handled_or_knowingly_ignored(key: str):
    assert (key in HANDLED) != (key in IGNORED)
    assert read(**{key: GOOGLE[key]}).given == {key: GOOGLE[key]}


def test_no_key_is_known_that_google_does_not_have_but_those_of_our_own():
    assert HANDLED.keys() | IGNORED == GOOGLE.keys()
    assert OVERRIDES.keys() == BERT.keys()
    assert not OWN.keys() & (GOOGLE.keys() | BERT.keys())


def test_a_whole_configuration_of_either_kind_is_taken():
    read(**PRETRAINING)
    read(**FINETUNING)
    assert inside(**BERT).overrides == BERT


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ({"model_sise": "base"}, "model_size"),
        ({"Model_Size": "base"}, "model_size"),
        ({"learning-rate": 1}, "learning_rate"),
        ({"generator_hidden": 0.5}, "generator_hidden_size"),
        ({"untied_generators": True}, "untied_generator"),
        ({"clip_norms": "summed"}, "clip_norm"),
        ({"electra-objective": True}, "electra_objective"),
        ({"hidden_size": 64}, "hidden_size inside model_hparam_overrides"),
        ({"num_atention_heads": 4}, "num_attention_heads inside model_hparam_overrides"),
        ({"hidden_act": "relu"}, "hidden_act inside model_hparam_overrides"),
        ({"model_hparam_overides": {}}, "model_hparam_overrides"),
    ],
)
def test_a_misspelt_or_misplaced_key_is_refused_with_the_nearest_name(given, hint: str):
    (key,) = given
    with pytest.raises(ConfigError, match=f"hparams.json: unknown hparam '{key}'") as error:
        read(**given)
    assert error.value.hint == f"Did you mean {hint}?"


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("hiden_size", "hidden_size"),
        ("num_heads", "num_attention_heads"),
        ("intermediate", "intermediate_size"),
        ("embedding_size", "embedding_size outside model_hparam_overrides"),
        ("generator_layer", "generator_layers outside model_hparam_overrides"),
        ("do_lower_case", "do_lower_case outside model_hparam_overrides"),
    ],
)
@pytest.mark.parametrize("origin", ["hparams.json", "--hparams overrides.json"])
def test_a_key_that_is_wrong_inside_the_overrides_is_refused_with_the_nearest_name(key: str, hint: str, origin: str):
    with pytest.raises(ConfigError, match=f"{origin}, model_hparam_overrides: unknown hparam '{key}'") as error:
        parse_hparams(json.dumps({"model_hparam_overrides": {key: 4}}), origin)
    assert error.value.hint == f"Did you mean {hint}?"


def test_a_misplaced_key_is_told_apart_from_a_file_that_is_called_overrides():
    with pytest.raises(ConfigError) as error:
        parse_hparams('{"hidden_size": 64}', "--hparams overrides.json")
    assert error.value.hint == "Did you mean hidden_size inside model_hparam_overrides?"


@pytest.mark.parametrize("key", ["zzz", "", "\ud800", "x" * 100_000, "layer_norm_epsilon_of_mine"])
def test_a_key_like_no_other_is_refused_with_where_to_look(key: str):
    with pytest.raises(ConfigError, match="unknown hparam") as error:
        read(**{key: 1})
    assert error.value.hint


FALSE_KINDS = {
    "true or false": ["maybe", "yes", 1, 0, None, [], {}],
    "a positive whole number": [0, -1, 1.0, 1.5, "64", True, None, 1 << 31, 10**30, [], {}, float("nan")],
    "a number from 0 up": [-0.1, "1", True, None, float("inf"), float("nan"), 1e30, [], {}],
    "small, base or large": ["Base", "tiny", "", 1, None, True, [], {}],
    "an object": [[], 1, "{}", None, True],
    "a name": ["gelu_new", "swish", "gelu ", 1, True, ["gelu"], {}],
    "a number, a text, true, false, or a list of them": [{}, [[]], [{}], {"a": 1}, float("nan"), [float("inf")]],
}


def kind_of(key: str) -> str:
    if key == "model_hparam_overrides":
        return "an object"
    if key == "model_size":
        return "small, base or large"
    if key == "hidden_act":
        return "a name"
    if key in IGNORED:
        return "a number, a text, true, false, or a list of them"
    value = {**BERT, **GOOGLE, "embedding_size": 1}[key]
    if key in {
        "generator_layers",
        "generator_hidden_size",
        *(name for name in BERT if "prob" in name or "range" in name),
    }:
        return "a number from 0 up"
    return "true or false" if isinstance(value, bool) else "a positive whole number"


@pytest.mark.parametrize("key", [*GOOGLE, *(f"model_hparam_overrides.{key}" for key in BERT)])
def test_a_value_of_the_wrong_kind_is_refused_and_shown(key: str):
    name = key.rpartition(".")[2]
    make = inside if "." in key else read
    for value in FALSE_KINDS[kind_of(name)]:
        if (name, value) == ("embedding_size", None):
            continue
        with pytest.raises(ConfigError, match=f"{name} is .*, expected {kind_of(name)}") as error:
            make(**{name: value})
        assert len(error.value.message) < 250


@pytest.mark.parametrize(("text", "meant"), [("true", True), ("True", True), ("false", False), ("FALSE", False)])
def test_lower_casing_spelt_out_as_a_text_is_taken_as_it_is_meant_and_that_is_told(text: str, meant: bool):
    found = read(do_lower_case=text)
    assert found["do_lower_case"] is meant
    assert (
        f'hparams.json has do_lower_case "{text}", a text; it is taken for {str(meant).lower()}' in found.warnings[0]
    )


@pytest.mark.parametrize("switch", sorted(SWITCHES - IGNORED - {"do_lower_case"}))
def test_every_other_switch_is_read_so_too_with_what_googles_code_makes_of_it(switch: str):
    found = read(**{switch: "false"})
    assert found[switch] is False
    assert found.warnings[0].endswith("Google's code takes any text for true.")


def test_an_activation_of_transformers_is_refused_with_what_googles_gelu_is():
    with pytest.raises(ConfigError, match=r'hidden_act is "gelu_new".*knows gelu, relu, tanh and linear') as error:
        inside(hidden_act="gelu_new")
    assert error.value.hint == "Its gelu is the exact one (erf), not gelu_new."


@pytest.mark.parametrize("name", [*ACTIVATIONS, *(name.upper() for name in ACTIVATIONS)])
def test_activations_may_be_written_in_any_case(name: str):
    assert inside(hidden_act=name).expected("discriminator", True)["hidden_act"] == name.lower()


@pytest.mark.parametrize("name", ["", None])
def test_no_activation_is_a_linear_one(name: str | None):
    assert activation(name) == "linear"
    assert inside(hidden_act=name).expected("discriminator", True)["hidden_act"] == "linear"


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "{",
            "nul",
            '{"vocab_size": }',
            "{} {}",
            '{"a": 1' * 2,
            "[" * 100_000,
            '{"vocab_size": ' + "9" * 5000 + "}",
        ),
        *('{"debug": "\\ud8"}', "\ufeff{}", "{'debug': true}"),
    ],
)
def test_what_is_no_json_is_refused(text: str):
    with pytest.raises(ConfigError, match=r"^hparams.json is not JSON"):
        parse_hparams(text, "hparams.json")


@pytest.mark.parametrize("text", ["[]", "1", '"base"', "null", "NaN"])
def test_json_that_is_no_object_is_refused(text: str):
    with pytest.raises(ConfigError, match=r"hparams.json is not a JSON object"):
        parse_hparams(text, "hparams.json")


def test_hparams_are_given_as_json_or_as_the_name_of_a_file(tmp_path):
    (tmp_path / "mine.json").write_text('{"model_size": "base"}')
    from_file, inline = read_hparams(str(tmp_path / "mine.json")), read_hparams(' {"model_size": "base"}')
    assert from_file.given == inline.given == {"model_size": "base"}
    assert (from_file.origin, inline.origin) == ("--hparams mine.json", "--hparams")


@pytest.mark.parametrize("name", ["nothing.json", ".", "nul\0", "x" * 5000])
def test_a_file_that_cannot_be_read_is_refused(tmp_path, monkeypatch, name: str):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_hparams(name)


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "binary").write_bytes(b"\xff\xfe{}")
    with pytest.raises(ConfigError, match="binary cannot be read: it is not UTF-8 text"):
        read_hparams(str(tmp_path / "binary"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(GOOGLE) + list(BERT)), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(list(GOOGLE)), JSON, max_size=4))
def test_whatever_json_is_given_is_refused_or_makes_two_architectures(given_hparams):
    with suppress(ConfigError):
        hparams = read(**given_hparams)
        for role in ("discriminator", "generator"):
            assert hparams.expected(role, False)["num_attention_heads"] >= 1
            assert hparams.expected(role, True)["num_attention_heads"] >= 1
        assert json.loads(json.dumps(hparams.given, allow_nan=False)) == hparams.given
