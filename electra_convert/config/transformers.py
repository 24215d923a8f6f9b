"""transformers' config.json of an ELECTRA model, read and written; no weights and no hparams."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from electra_convert.config.resolve import DEFAULTS, SIZE_KEYS, Evidence, Rank
from electra_convert.errors import ConfigError
from electra_convert.formats.files import refuse_placeholder, small_text
from electra_convert.formats.json_objects import decode_json
from electra_convert.formats.names import CONFIG_FILE
from electra_convert.schemes.family import BERT, ELECTRA, Family
from electra_convert.schemes.mapping import Role

# Settings that would make another computation of the same weights, and the only value that is ELECTRA's.
_FIXED = {
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "add_cross_attention": False,
    "is_causal": False,
    "transformers_weights": None,  # names another file of weights than the one every other tool reads
}
# Settings by which transformers makes other weights, layers or values of those that are stored, unless empty.
_REMAKING = ("quantization_config", "per_layer_config", "pruned_heads", "attribute_map")
# What the config.json of a BERT states and that of an ELECTRA need not: CTranslate2's converter asks for it.
_BERT_STATES = {"position_embedding_type": "absolute"}
# What ElectraConfig takes for the sizes that a config.json leaves out, and for the rest.
SIZE_DEFAULTS: Mapping[str, int] = {
    "vocab_size": 30522,
    "embedding_size": 128,
    "hidden_size": 256,
    "num_hidden_layers": 12,
    "intermediate_size": 1024,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
}
_MODEL_DEFAULTS = {**SIZE_DEFAULTS, **DEFAULTS, "num_attention_heads": 4}
_COUNTS = frozenset({*SIZE_KEYS, "num_attention_heads"})
_KEYS = (*SIZE_KEYS, "num_attention_heads", *DEFAULTS)


def read_config(path: Path, family: Family = ELECTRA) -> Mapping[str, Any]:
    """Read a config.json, and refuse one that is not an ELECTRA model's, by ELECTRA's names or by a family's.

    Raises:
        ConfigError: it cannot be read, is no JSON object, is of another model, or has a value of the wrong kind.
        CorruptFileError: a download left something else in its place.
    """
    try:
        config = decode_json(small_text(path))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        refuse_placeholder(path)
        raise ConfigError(f"{path} is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise ConfigError(f"{path} is not a JSON object")
    for key, only in {"model_type": family.model_type, **_FIXED}.items():
        if config.get(key, only) != only:
            raise ConfigError(f"{path}: {key} is {config[key]!r}; only {only!r} can be converted")
    for key in _REMAKING:
        if config.get(key):
            raise ConfigError(
                f"{path} holds {key}, with which transformers does not run the weights as they are stored",
                "Take the key out if the weights are the whole model as it was trained.",
            )
    check_config(path, config)
    return config


def check_config(path: Path, config: Mapping[str, Any]) -> None:
    """Refuse a value of the wrong kind; raises ConfigError."""
    for key in _KEYS:
        if key in config:
            _check_value(path, key, config[key])


def _check_value(path: Path, key: str, value: Any) -> None:  # noqa: ANN401 - JSON values
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if key == "hidden_act":
        fits, expected = isinstance(value, str), "a name"
    elif key in _COUNTS:
        fits, expected = number and isinstance(value, int) and 0 < value < 1 << 31, "a positive whole number"
    else:
        fits, expected = number and 0 <= value < 1 << 20, "a number from 0 up"
    if not fits:
        raise ConfigError(f"{path}: {key} is {json.dumps(value)}, expected {expected}")


def model_evidence(config: Mapping[str, Any], origin: str = CONFIG_FILE) -> Evidence:
    """What the config.json of a transformers model says of it, its class's defaults included but not stated."""
    evidence = config_evidence(config, origin, Rank.BESIDE)
    return replace(evidence, values={**_MODEL_DEFAULTS, **evidence.values})


def config_evidence(config: Mapping[str, Any], origin: str, rank: Rank) -> Evidence:
    """What a config.json says of its model."""
    values = {key: config[key] for key in _KEYS if key in config}
    return Evidence(origin, rank, values, frozenset(values))


def role_of_config(config: Mapping[str, Any]) -> Role:
    """Which of the two models a config.json is of: a generator if it names a class that has a generator's head."""
    architectures = config.get("architectures") or []
    heads = ("MaskedLM", "CausalLM")
    named = isinstance(architectures, list) and any(head in str(name) for name in architectures for head in heads)
    return "generator" if named else "discriminator"


def in_electras_words(config: Mapping[str, Any], family: Family) -> Mapping[str, Any]:
    """What the config.json of an ELECTRA model by a family's names is by its own; BERT's has one width for two."""
    if family is ELECTRA:
        return config
    words = {key: value for key, value in config.items() if key not in _BERT_STATES}
    words["model_type"] = ELECTRA.model_type
    if isinstance(named := config.get("architectures"), list):
        words["architectures"] = [str(name).replace(family.classes, ELECTRA.classes, 1) for name in named]
    if "hidden_size" in config:
        words["embedding_size"] = config["hidden_size"]
    return words


def encode_config(
    architecture: str,
    values: Mapping[str, Any],
    dtype: str,
    base: Mapping[str, Any] | None = None,
    tied: bool = True,
    family: Family = ELECTRA,
) -> bytes:
    """Write a config.json in UTF-8 as transformers' save_pretrained lays it out, keys sorted.

    What the one that the model had before says beyond the values is kept. A model that is not tied has an output
    table of its own.

    Raises:
        ConfigError: the config.json before holds what JSON cannot, such as NaN.
    """
    kept = {key: value for key, value in (base or {}).items() if key not in {"torch_dtype", "transformers_version"}}
    fixed = {
        "architectures": [architecture],
        "model_type": family.model_type,
        "dtype": dtype,
        "tie_word_embeddings": tied,
    }
    config = {**kept, **values, **fixed}
    if family is BERT:
        config = {**{key: value for key, value in config.items() if key != "embedding_size"}, **_BERT_STATES}
    try:
        text = json.dumps(config, indent=2, sort_keys=True, allow_nan=False)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"config.json cannot be carried over: {error}", "Take out what no model needs.") from error
    return f"{text}\n".encode()
