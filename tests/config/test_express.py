"""Configurations put into hparams make the same models again, or are refused for what Google's code lacks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_hparams import HPARAMS
from test_keys import GOOGLE

from electra_convert.config.express import check_expressible, express
from electra_convert.config.hparams import Hparams, google_heads, parse_hparams
from electra_convert.config.keys import LOCATIONS
from electra_convert.config.resolve import DEFAULTS, SIZE_KEYS, Resolved, Value, check_layout
from electra_convert.errors import ConfigError
from electra_convert.schemes.layouts import LAYOUTS, Layout

COMPUTED = (*SIZE_KEYS, "num_attention_heads", "hidden_act")
WIDTHS = st.integers(1, 4096)
ARCHITECTURES = st.fixed_dictionaries(
    {
        "vocab_size": st.integers(1, 250_000),
        "embedding_size": st.sampled_from([128, 256, 768]) | WIDTHS,
        "hidden_size": st.sampled_from([256, 768, 1024]) | WIDTHS,
        "num_hidden_layers": st.sampled_from([12, 24]) | st.integers(1, 48),
        "intermediate_size": st.sampled_from([1024, 3072, 4096]) | WIDTHS,
        "max_position_embeddings": st.just(512) | st.integers(1, 4096),
        "type_vocab_size": st.integers(1, 4),
        "num_attention_heads": st.sampled_from([4, 12, 16]) | st.integers(1, 64),
        "hidden_act": st.just("gelu"),
        "layer_norm_eps": st.just(1e-12),
        "hidden_dropout_prob": st.sampled_from([0.0, 0.1]),
        "attention_probs_dropout_prob": st.sampled_from([0, 0.1, 0.2]),
        "initializer_range": st.just(0.02),
    }
)
ACTIVATIONS = st.sampled_from(["gelu", "relu", "tanh", "linear"])
WRITTEN = [LAYOUTS[name] for name in LAYOUTS if name not in {"two_tower_generator", "fine_tuned"}]


def resolved(values: dict[str, Any]) -> Resolved:
    return Resolved({key: Value(value, "a test") for key, value in values.items()}, ())


@st.composite
def models(draw: st.DrawFn, variant: Layout) -> dict[str, Resolved]:
    """The models of a layout, as Google's code could make them."""
    main = draw(ARCHITECTURES)
    roles = {network.role for network in variant.networks}
    if "generator" not in roles:
        return {"discriminator": resolved({**main, "hidden_act": draw(ACTIVATIONS)})}
    if variant.shares_config:
        return dict.fromkeys(sorted(roles), resolved(main))
    hidden = draw(st.integers(1, 2 * main["hidden_size"]))
    generator = {
        **main,
        "hidden_size": hidden,
        "num_hidden_layers": draw(st.integers(1, 48)),
        "num_attention_heads": google_heads(hidden),
        "intermediate_size": 4 * hidden,
    }
    if variant.name == "untied_generator_embeddings":
        generator["embedding_size"] = hidden
    return {"discriminator": resolved(main), "generator": resolved(generator)}


def assert_makes(hparams: Hparams, configs: dict[str, Resolved], variant: Layout, keys=COMPUTED) -> None:
    check_layout(hparams, variant)
    for role, config in configs.items():
        made = hparams.expected(role, variant.shares_config)
        assert {key: made[key] for key in keys} == {key: config[key] for key in keys}


@settings(max_examples=30, deadline=None)
@pytest.mark.parametrize("variant", WRITTEN, ids=lambda variant: variant.name)
@given(data=st.data(), lower_case=st.sampled_from([None, True, False]))
def test_hparams_that_are_written_make_the_models_again(
    variant: Layout, data: st.DataObject, lower_case: bool | None
):
    configs = data.draw(models(variant))
    check_expressible(configs, variant)
    written = express(configs, variant, lower_case, None)
    again = parse_hparams(json.dumps(written), "hparams.json")
    training = ("hidden_dropout_prob", "attention_probs_dropout_prob", "initializer_range")
    assert_makes(again, configs, variant, (*COMPUTED, *training))
    assert written.get("do_lower_case") is lower_case


@settings(max_examples=30, deadline=None)
@pytest.mark.parametrize("variant", WRITTEN, ids=lambda variant: variant.name)
@given(data=st.data(), lower_case=st.sampled_from([None, True, False]), original=HPARAMS)
def test_hparams_of_any_other_run_are_changed_until_they_make_the_models(variant, data, lower_case, original):
    configs = data.draw(models(variant))
    written = express(configs, variant, lower_case, {**original, "data_dir": "/home", "train_batch_size": 7})
    assert_makes(parse_hparams(json.dumps(written), "hparams.json"), configs, variant)
    assert "data_dir" not in written
    assert written["train_batch_size"] == 7
    assert lower_case in {None, written.get("do_lower_case", True)}


@settings(max_examples=30, deadline=None)
@pytest.mark.parametrize("variant", WRITTEN, ids=lambda variant: variant.name)
@given(data=st.data(), lower_case=st.sampled_from([None, True, False]))
def test_the_hparams_of_their_own_run_are_kept_as_they_are(variant: Layout, data: st.DataObject, lower_case):
    configs = data.draw(models(variant))
    own = {**express(configs, variant, lower_case, None), "learning_rate": 5e-4, "max_seq_length": 77}
    assert express(configs, variant, lower_case, own) == own


@pytest.mark.parametrize("key", COMPUTED)
def test_hparams_that_make_all_but_one_value_are_changed(key: str):
    value = "relu" if key == "hidden_act" else 16
    variant, configs = LAYOUTS["uniform_generator"], {"discriminator": resolved(one(**{key: value}))}
    own = express({"discriminator": resolved(one())}, variant, None, None)
    assert_makes(Hparams(express(configs, variant, None, own), ""), configs, variant)


def one(**changes: Any) -> dict[str, Any]:
    values = {"vocab_size": 53, "embedding_size": 8, "hidden_size": 128, "num_hidden_layers": 2}
    values |= {"intermediate_size": 512, "max_position_embeddings": 12, "type_vocab_size": 2}
    return {**values, **DEFAULTS, "num_attention_heads": 2, **changes}


def pair(generator: dict[str, Any], discriminator: dict[str, Any] | None = None) -> dict[str, Resolved]:
    return {"discriminator": resolved(discriminator or one()), "generator": resolved(generator)}


@pytest.mark.parametrize("key", sorted(LOCATIONS))
def test_places_on_another_machine_are_not_carried_over(key: str):
    configs = {"discriminator": resolved(one())}
    assert key not in express(configs, LAYOUTS["uniform_generator"], None, {key: GOOGLE.get(key, "/home")})


@pytest.mark.parametrize(
    ("original", "lower_case", "written"),
    [
        ({}, True, None),
        ({}, False, False),
        ({"do_lower_case": True}, False, False),
        ({"do_lower_case": False}, True, True),
        ({"do_lower_case": False}, None, False),
        ({"do_lower_case": True}, True, True),
    ],
)
def test_casing_is_written_where_the_original_hparams_would_mean_another(original, lower_case, written):
    configs = {"discriminator": resolved(one())}
    own = express(configs, LAYOUTS["uniform_generator"], None, None)
    again = express(configs, LAYOUTS["uniform_generator"], lower_case, {**own, **original})
    assert again == {**own, **original, **({} if written is None else {"do_lower_case": written})}


# What Google's code cannot express

REFUSED = [
    (
        "default",
        pair(one(), one(layer_norm_eps=1e-5)),
        "the discriminator's layer_norm_eps is 1e-05;.* 1e-12 built in",
    ),
    ("default", pair(one(layer_norm_eps=1e-7)), "the generator's layer_norm_eps is 1e-07"),
    (
        "default",
        pair(one(), one(hidden_act="gelu_new")),
        "the discriminator's hidden_act is 'gelu_new'.* gelu \\(the ex",
    ),
    ("default", pair(one(hidden_act="swish")), "the generator's hidden_act is 'swish'"),
    (
        "default",
        pair(one(hidden_act="relu"), one(hidden_act="relu")),
        "the generator's hidden_act is 'relu'.*with gelu",
    ),
    ("default", pair(one(num_attention_heads=4)), "the generator's num_attention_heads is 4;.* hidden width 128 2 "),
    ("default", pair(one(intermediate_size=500)), "the generator's intermediate_size is 500;.* 512 "),
    ("untied_generator_embeddings", pair(one(num_attention_heads=1)), "the generator's num_attention_heads is 1"),
    ("default", pair(one(), one(hidden_act="tanh")), "hidden_act is gelu in the generator and tanh in the discrim"),
    ("default", pair(one(vocab_size=54)), "vocab_size is 54 in the generator and 53 .* in the default layout"),
    ("default", pair(one(type_vocab_size=3)), "type_vocab_size is 3 in the generator"),
    ("default", pair(one(max_position_embeddings=9)), "max_position_embeddings is 9 in the generator"),
    *(
        ("tied_generator", pair(one(**{key: 3})), f"{key} is 3 in the generator and .* in the tied_generator layout")
        for key in (*SIZE_KEYS, "num_attention_heads")
    ),
    ("masked_lm", {"generator": resolved(one(hidden_act="tanh"))}, "the generator's hidden_act is 'tanh'"),
]


@pytest.mark.parametrize(("variant", "configs", "complaint"), REFUSED)
def test_what_googles_code_cannot_express_is_refused_with_the_reason(variant: str, configs, complaint: str):
    with pytest.raises(ConfigError, match=complaint):
        check_expressible(configs, LAYOUTS[variant])


@pytest.mark.parametrize("changes", [{"num_attention_heads": 4}, {"intermediate_size": 500}])
def test_a_generator_alone_may_have_any_heads_and_any_intermediate_size(changes: dict[str, Any]):
    check_expressible({"generator": resolved(one(**changes))}, LAYOUTS["masked_lm"])
    with pytest.raises(ConfigError) as error:
        check_expressible(pair(one(**changes)), LAYOUTS["default"])
    assert "--model generator" in error.value.hint


@pytest.mark.parametrize("activation", ["gelu", "relu", "tanh", "linear"])
def test_a_discriminator_alone_may_have_any_activation_of_googles(activation: str):
    check_expressible({"discriminator": resolved(one(hidden_act=activation))}, LAYOUTS["uniform_generator"])
