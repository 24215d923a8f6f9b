"""transformers' config.json, read with its mistakes told and written so that transformers reads the same."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from electra_convert.config.resolve import DEFAULTS, SIZE_KEYS, Rank
from electra_convert.config.transformers import (
    config_evidence,
    encode_config,
    model_evidence,
    read_config,
    role_of_config,
)
from electra_convert.errors import ConfigError
from electra_convert.schemes.heads import HEADS, NONE

COUNTS = (*SIZE_KEYS, "num_attention_heads")
NUMBERS = tuple(key for key in DEFAULTS if key != "hidden_act")
WHOLE = {**dict.fromkeys(COUNTS, 4), **dict.fromkeys(NUMBERS, 0.5), "hidden_act": "gelu"}


def read(folder: Path, content: object):
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / "config.json").write_text(text)
    return read_config(folder / "config.json")


def test_every_setting_of_the_model_is_evidence_and_nothing_else(tmp_path: Path):
    config = read(tmp_path, {**WHOLE, "model_type": "electra", "bos_token_id": 3, "architectures": ["X"]})
    evidence = config_evidence(config, "config.json", Rank.BESIDE)
    assert evidence.values == WHOLE
    assert evidence.stated == WHOLE.keys()


@pytest.mark.parametrize("key", COUNTS)
@pytest.mark.parametrize("value", [0, -1, 1.0, "4", None, True, [], {}, 1 << 31])
def test_a_count_that_is_none_is_refused(tmp_path: Path, key: str, value: Any):
    with pytest.raises(ConfigError, match=f"config.json: {key} is .*, expected a positive whole number"):
        read(tmp_path, {key: value})


@pytest.mark.parametrize("key", NUMBERS)
@pytest.mark.parametrize("value", [-0.1, "1", None, True, [], {}, float("nan"), float("inf")])
def test_a_number_that_is_none_is_refused(tmp_path: Path, key: str, value: Any):
    with pytest.raises(ConfigError, match=f"config.json: {key} is .*, expected a number from 0 up"):
        read(tmp_path, {key: value})


@pytest.mark.parametrize("value", [0, None, True, [], {}])
def test_an_activation_that_is_no_name_is_refused(tmp_path: Path, value: Any):
    with pytest.raises(ConfigError, match=r"config.json: hidden_act is .*, expected a name"):
        read(tmp_path, {"hidden_act": value})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model_type", "bert"),
        ("position_embedding_type", "relative_key"),
        ("is_decoder", True),
        ("add_cross_attention", True),
    ],
)
def test_settings_that_make_another_computation_are_refused(tmp_path: Path, key: str, value: Any):
    with pytest.raises(ConfigError, match=rf"config.json: {key} is {value!r}; only .* can be converted"):
        read(tmp_path, {key: value})


@pytest.mark.parametrize("key", ["quantization_config", "per_layer_config", "pruned_heads", "attribute_map"])
def test_settings_that_remake_the_weights_are_refused_unless_empty(tmp_path: Path, key: str):
    with pytest.raises(ConfigError, match=rf"config.json holds {key}, with which transformers does not run"):
        read(tmp_path, {key: {"0": [1]}})
    for empty in ({}, None):
        assert read(tmp_path, {key: empty}) == {key: empty}


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"a": ' + "9" * 5000 + "}", "{'a': 1}", "\ufeff{}"])
def test_what_is_no_json_is_refused(tmp_path: Path, text: str):
    with pytest.raises(ConfigError, match=r"config.json is not JSON"):
        read(tmp_path, text)


@pytest.mark.parametrize("text", ["[]", "1", "null", '"electra"'])
def test_json_that_is_no_object_is_refused(tmp_path: Path, text: str):
    with pytest.raises(ConfigError, match=r"config.json is not a JSON object"):
        read(tmp_path, text)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"nothing.json cannot be read: No such file"):
        read_config(tmp_path / "nothing.json")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"binary is not JSON"):
        read_config(tmp_path / "binary")


@pytest.mark.parametrize(
    ("architectures", "role"),
    [
        (["ElectraForMaskedLM"], "generator"),
        (["ElectraForPreTraining"], "discriminator"),
        (["ElectraModel"], "discriminator"),
        (["ElectraForSequenceClassification", "ElectraForMaskedLM"], "generator"),
        *((odd, "discriminator") for odd in ([], None, [None], [[]], "ElectraForMaskedLM", {}, 5)),
    ],
)
def test_the_architecture_tells_which_model_a_config_is_of(architectures: Any, role: str):
    assert role_of_config({"architectures": architectures}) == role
    assert role_of_config({}) == "discriminator"


def test_what_a_config_had_beyond_the_model_is_kept_and_what_is_stale_is_not():
    base = {"id2label": {"0": "no"}, "torch_dtype": "float16", "transformers_version": "4.0", "hidden_size": 1}
    config = json.loads(encode_config("ElectraModel", WHOLE, "bfloat16", {**base, "model_type": "old"}))
    assert config == {
        **WHOLE,
        "id2label": {"0": "no"},
        "architectures": ["ElectraModel"],
        "model_type": "electra",
        "dtype": "bfloat16",
        "tie_word_embeddings": True,
    }
    assert list(config) == sorted(config)


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("value", [float("nan"), [float("inf")], nested(2000)], ids=["nan", "inf", "deep"])
def test_what_json_cannot_hold_is_not_carried_over(value: Any):
    with pytest.raises(ConfigError, match=r"config.json cannot be carried over"):
        encode_config("ElectraModel", WHOLE, "float32", {"mine": value})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from([*WHOLE, "model_type", "architectures", "is_decoder", "torch_dtype"]) | st.text(max_size=5)


@given(st.dictionaries(KEYS, JSON, max_size=6))
def test_any_json_is_read_and_written_again_or_refused(tmp_path_factory, config):
    folder = tmp_path_factory.mktemp("any")
    with suppress(ConfigError):
        base = read(folder, config)
        assert role_of_config(base) in {"discriminator", "generator"}
        text = encode_config("ElectraModel", WHOLE, "float32", base)
        assert json.loads(text) == json.loads(encode_config("ElectraModel", WHOLE, "float32", json.loads(text)))


@pytest.mark.slow
def test_what_a_config_leaves_out_is_what_transformers_takes_for_it():
    import transformers

    defaults = transformers.ElectraConfig()
    values = model_evidence({}).values
    assert values == {key: getattr(defaults, key) for key in WHOLE}


@pytest.mark.slow
@pytest.mark.parametrize("architecture", [head.architecture() for head in (*HEADS.values(), NONE)])
def test_transformers_reads_the_values_that_were_written(tmp_path: Path, architecture: str):
    import transformers

    (tmp_path / "config.json").write_bytes(encode_config(architecture, WHOLE, "float32"))
    config = transformers.AutoConfig.from_pretrained(tmp_path)
    assert isinstance(config, transformers.ElectraConfig)
    assert {key: getattr(config, key) for key in WHOLE} == WHOLE
    assert config.architectures == [architecture]
    assert hasattr(transformers, architecture)
