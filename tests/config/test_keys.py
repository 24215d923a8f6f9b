"""Every hparam of Google's two configuration files is known; any other is refused with the nearest known name."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.google_hparams import FINETUNING, GOOGLE, PRETRAINING

from electra_convert.config.hparams import parse_hparams, read_hparams
from electra_convert.config.keys import ACTIVATIONS, HANDLED, IGNORED, OVERRIDES, OWN, SWITCHES, activation
from electra_convert.errors import ConfigError

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
