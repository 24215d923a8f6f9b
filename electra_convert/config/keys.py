"""Every hparam of google-research/electra: handled, knowingly ignored, or refused with the nearest known name.

The keys and defaults are those of configure_pretraining.py, configure_finetuning.py and modeling.BertConfig.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from math import isfinite
from typing import Any

from electra_convert.config.activations import ACTIVATIONS
from electra_convert.errors import ConfigError

MODEL_SIZES = {"small": (256, 12), "base": (768, 12), "large": (1024, 24)}

# modeling.BertConfig: what model_hparam_overrides may hold, with its defaults; None where another value gives it.
OVERRIDES: Mapping[str, Any] = {
    "vocab_size": None,
    "hidden_size": None,
    "num_hidden_layers": None,
    "num_attention_heads": None,
    "intermediate_size": None,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "initializer_range": 0.02,
}

# Keys that shape the models or their tokenizer, with Google's defaults.
HANDLED: Mapping[str, Any] = {
    "model_size": "small",
    "model_hparam_overrides": {},
    "embedding_size": None,
    "vocab_size": 30522,
    "do_lower_case": None,
    "debug": False,
    "electra_objective": True,
    "electric_objective": False,
    "uniform_generator": False,
    "two_tower_generator": False,
    "untied_generator_embeddings": False,
    "untied_generator": True,
    "generator_layers": 1.0,
    "generator_hidden_size": 0.25,
}

# Keys that name places on the machine a run was made on; they are never copied to another.
LOCATIONS = frozenset(
    "data_dir pretrain_tfrecords vocab_file model_dir results_txt results_pkl raw_data_dir init_checkpoint "
    "qa_eval_file qa_preds_file qa_na_file preprocessed_data_dir test_predictions".split()
)

# Keys about how a run trains, evaluates or is placed: no tensor and no configuration value depends on them.
IGNORED = LOCATIONS | frozenset(
    "model_name do_train do_eval gen_weight disc_weight mask_prob learning_rate lr_decay_power weight_decay_rate "
    "num_warmup_steps iterations_per_loop save_checkpoints_steps num_train_steps num_eval_steps keep_checkpoint_max "
    "disallow_correct temperature max_seq_length train_batch_size eval_batch_size use_tpu num_tpu_cores tpu_job_name "
    "tpu_name tpu_zone gcp_project max_predictions_per_seq "
    "log_examples num_trials keep_all_models task_names layerwise_lr_decay num_train_epochs warmup_proportion "
    "use_tfrecords_if_existing write_test_outputs write_distill_outputs n_writes_test predict_batch_size "
    "double_unordered max_query_length doc_stride n_best_size max_answer_length answerable_classifier "
    "answerable_uses_start_logits answerable_weight joint_prediction beam_size qa_na_threshold".split()
)

# Those of the above that pretraining goes by, with the defaults of configure_pretraining.py; None where another value
# gives it. Converting still ignores them.
TRAINING: Mapping[str, Any] = {
    "gen_weight": 1.0,
    "disc_weight": 50.0,
    "mask_prob": 0.15,
    "max_predictions_per_seq": None,
    "disallow_correct": False,
    "temperature": 1.0,
    "learning_rate": 5e-4,
    "lr_decay_power": 1.0,
    "weight_decay_rate": 0.01,
    "num_warmup_steps": 10000,
    "num_train_steps": 1000000,
    "train_batch_size": 128,
    "eval_batch_size": 128,
    "num_eval_steps": 100,
    "max_seq_length": 128,
    "save_checkpoints_steps": 1000,
    "keep_checkpoint_max": 5,
}

# Those of pretraining here that Google's code does not know, with their defaults; they are not written where it would
# read them.
OWN: Mapping[str, Any] = {
    "clip_norm": "per_token",
    "sampled_softmax": 0,
    "sampled_replacements": "full",
    "tokenizer": "wordpiece",
    "max_word_length": 200,
    "whole_word_masking": False,
}
# What runs did that are older than one of these.
_BEFORE_OWN: Mapping[str, Any] = {**OWN, "clip_norm": "summed"}

# Those that are true or false.
SWITCHES = frozenset(
    "do_lower_case debug electra_objective electric_objective uniform_generator two_tower_generator "
    "untied_generator_embeddings untied_generator disallow_correct do_train do_eval use_tpu "
    "whole_word_masking".split()
)
# Switches as a widespread tutorial writes them. In Google's code any text is true.
SPELT_OUT: Mapping[str, bool] = {"true": True, "false": False}

_SWITCH = "true or false"
TOKENIZERS = ("wordpiece", "whitespace", "characters")
# Those that are one of a few words.
CHOICES: Mapping[str, tuple[str, ...]] = {
    "clip_norm": ("per_token", "summed"),
    "sampled_replacements": ("full", "candidates"),
}
_INTEGERS = frozenset(
    "vocab_size embedding_size hidden_size num_hidden_layers num_attention_heads intermediate_size "
    "max_position_embeddings type_vocab_size max_word_length".split()
)
_NUMBERS = frozenset(
    "generator_layers generator_hidden_size hidden_dropout_prob attention_probs_dropout_prob "
    "initializer_range".split()
)


def activation(name: str | None) -> str:
    """transformers' name of an activation that modeling.get_activation knows.

    Args:
        name: one of ACTIVATIONS in any case; None or "" for linear.
    """
    return name.lower() if name else "linear"


def split_keys(given: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The keys that are known with their values, and the names of the others, sorted."""
    known = {key: value for key, value in given.items() if _is_known(key)}
    unknown = [key for key in given if key not in known]
    inside = known.get("model_hparam_overrides")
    if isinstance(inside, dict):
        known["model_hparam_overrides"] = {key: value for key, value in inside.items() if key in OVERRIDES}
        unknown += [key for key in inside if key not in OVERRIDES]
    return known, sorted(unknown)


def check_keys(given: Mapping[str, Any], origin: str) -> None:
    """Refuse hparams that google-research/electra would not take, or would silently pass over.

    Raises:
        ConfigError: names the key, and the nearest known one.
    """
    for key, value in given.items():
        if not _is_known(key):
            raise _unknown(key, [*HANDLED, *IGNORED, *OWN], list(OVERRIDES), "inside", origin)
        _check_value(key, value, origin)
    inside = f"{origin}, model_hparam_overrides"
    for key, value in given.get("model_hparam_overrides", {}).items():
        if key not in OVERRIDES:
            raise _unknown(key, list(OVERRIDES), list(HANDLED), "outside", inside)
        _check_value(key, value, inside)


def recorded_by_run(hparams: Mapping[str, Any]) -> dict[str, Any]:
    """The hparams that a run's own record has, and what runs did that are older than one of them."""
    return {**hparams, **{key: hparams.get(key, value) for key, value in _BEFORE_OWN.items()}}


def _is_known(key: str) -> bool:
    return key in HANDLED or key in IGNORED or key in OWN


def _unknown(key: str, here: list[str], there: list[str], where: str, origin: str) -> ConfigError:
    near = difflib.get_close_matches(key, here + there, n=1, cutoff=0.6)
    place = f" {where} model_hparam_overrides" if near and near[0] not in here else ""
    hint = f"Did you mean {near[0]}{place}?" if near else "See configure_pretraining.py of google-research/electra."
    return ConfigError(f"{origin}: unknown hparam {key!r}", hint)


def _check_value(key: str, value: Any, origin: str) -> None:  # noqa: ANN401 - JSON values
    expected, fits = _kind(key, value)
    if not fits:
        hint = "Its gelu is the exact one (erf), not gelu_new." if key == "hidden_act" else None
        raise ConfigError(f"{origin}: {key} is {_shown(value)}, expected {expected}", hint)


def _shown(value: Any) -> str:  # noqa: ANN401 - JSON values
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    return json.dumps(value)[:60]


def _is_plain(value: Any) -> bool:  # noqa: ANN401 - JSON values
    """Whether it is neither a list nor an object, nor a NaN, which Python takes for JSON."""
    return value is None or isinstance(value, str | int) or (isinstance(value, float) and isfinite(value))


def _kind(key: str, value: Any) -> tuple[str, bool]:  # noqa: ANN401 - JSON values
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if key == "model_hparam_overrides":
        return "an object", isinstance(value, dict)
    if key == "model_size":
        return "small, base or large", isinstance(value, str) and value in MODEL_SIZES
    if key == "hidden_act":
        known = value is None or (isinstance(value, str) and activation(value) in ACTIVATIONS)
        return "a name (google-research/electra knows gelu, relu, tanh and linear)", known
    if key in CHOICES:
        return " or ".join(CHOICES[key]), value in CHOICES[key]
    if key == "sampled_softmax":
        return "a whole number from 0 up", isinstance(value, int) and number and value >= 0
    if key == "tokenizer":
        return f"{', '.join(TOKENIZERS)} or a folder", isinstance(value, str) and bool(value)
    if key in _INTEGERS:
        whole = isinstance(value, int) and number and 0 < value < 1 << 31
        return "a positive whole number", whole or (key == "embedding_size" and value is None)
    if key in _NUMBERS:
        return "a number from 0 up", number and 0 <= value < 1 << 20
    if key in IGNORED:
        values = value if isinstance(value, list) else [value]
        return "a number, a text, true, false, or a list of them", all(_is_plain(item) for item in values)
    spelt_out = isinstance(value, str) and value.lower() in SPELT_OUT
    return _SWITCH, isinstance(value, bool) or spelt_out
