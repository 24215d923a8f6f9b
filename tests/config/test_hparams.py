"""The arithmetic of hparams, held to a second statement of what Google's scripts compute."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import VARIANT_SIZES
from hypothesis import example, given
from hypothesis import strategies as st
from support import checkpoints
from support.checkpoints import SIZES

from electra_convert.config.hparams import Hparams, google_heads, parse_hparams
from electra_convert.config.resolve import SIZE_KEYS
from electra_convert.schemes.layouts import LAYOUTS

SWITCHES = (
    *("debug", "electra_objective", "electric_objective", "uniform_generator", "two_tower_generator"),
    *("untied_generator", "untied_generator_embeddings"),
)
WIDTHS = st.integers(1, 2000)
OVERRIDES = st.fixed_dictionaries(
    {},
    optional={
        "vocab_size": st.integers(1, 60_000),
        "hidden_size": WIDTHS,
        "num_hidden_layers": st.integers(1, 30),
        "num_attention_heads": st.integers(1, 20),
        "intermediate_size": WIDTHS,
        "hidden_act": st.sampled_from(["gelu", "ReLU", "tanh", "linear", "", None]),
        "max_position_embeddings": st.integers(1, 2000),
        "type_vocab_size": st.integers(1, 4),
        "hidden_dropout_prob": st.floats(0, 1),
    },
)
# Fractions of which many make a product that ends in a half.
FRACTIONS = st.sampled_from([0.25, 0.5, 0.75, 0.33333, 0.3, 1, 1.0, 1.5, 0.0625]) | st.floats(0, 4)
HPARAMS = st.fixed_dictionaries(
    {},
    optional={
        "model_size": st.sampled_from(["small", "base", "large"]),
        "embedding_size": st.none() | WIDTHS,
        "vocab_size": st.integers(1, 60_000),
        "generator_hidden_size": FRACTIONS,
        "generator_layers": FRACTIONS,
        "model_hparam_overrides": OVERRIDES,
        "learning_rate": st.floats(0, 1),
        **{key: st.booleans() for key in SWITCHES},
    },
)


def read(given_hparams: dict[str, Any]) -> Hparams:
    return parse_hparams(json.dumps(given_hparams), "hparams.json")


def pretraining_config(kwargs: dict[str, Any]) -> SimpleNamespace:
    """configure_pretraining.PretrainingConfig, as far as a model depends on it."""
    config = SimpleNamespace(
        debug=False,
        electra_objective=True,
        electric_objective=False,
        model_size="small",
        model_hparam_overrides={},
        embedding_size=None,
        vocab_size=30522,
        uniform_generator=False,
        two_tower_generator=False,
        untied_generator_embeddings=False,
        untied_generator=True,
        generator_layers=1.0,
        generator_hidden_size=0.25,
    )
    vars(config).update(kwargs)
    if config.model_size == "small":
        config.embedding_size = 128
    vars(config).update(kwargs)
    return config


def bert_config(config: SimpleNamespace) -> dict[str, Any]:
    """training_utils.get_bert_config over modeling.BertConfig, and the debug settings of run_pretraining.py."""
    made: dict[str, Any] = {"hidden_act": "gelu", "max_position_embeddings": 512, "type_vocab_size": 2}
    layers = 24 if config.model_size == "large" else 12
    made["hidden_size"] = {"small": 256, "base": 768, "large": 1024}[config.model_size]
    made |= {"num_hidden_layers": layers, "vocab_size": config.vocab_size}
    made |= config.model_hparam_overrides
    made["num_attention_heads"] = made["hidden_size"] // 64 or 1
    made["intermediate_size"] = made["hidden_size"] * 4
    made |= config.model_hparam_overrides
    if config.debug:
        made |= {"num_hidden_layers": 3, "hidden_size": 144, "intermediate_size": 144 * 4, "num_attention_heads": 4}
    return made


def models(config: SimpleNamespace) -> dict[str, dict[str, Any]]:
    """The networks that PretrainingModel.__init__ of run_pretraining.py builds."""
    bert = bert_config(config)
    embedding = bert["hidden_size"] if config.embedding_size is None else config.embedding_size
    whole = {**bert, "embedding_size": embedding}
    detects = config.electra_objective or config.electric_objective
    built = {"discriminator": whole} if detects or config.uniform_generator else {}
    if config.uniform_generator:
        return built
    if not (detects and config.untied_generator):
        return {**built, "generator": whole}
    # get_generator_config; BertModel takes embedding_size=None for its own hidden size.
    hidden = round(bert["hidden_size"] * config.generator_hidden_size)
    generator = {
        **bert,
        "hidden_size": hidden,
        "num_hidden_layers": round(bert["num_hidden_layers"] * config.generator_layers),
        "intermediate_size": 4 * hidden,
        "num_attention_heads": max(1, hidden // 64),
        "embedding_size": hidden if config.untied_generator_embeddings else embedding,
    }
    return {**built, "generator": generator}


@given(HPARAMS)
@example({"model_hparam_overrides": {"hidden_size": 15, "num_hidden_layers": 5}, "generator_hidden_size": 0.3})
@example({"debug": True, "model_size": "base", "untied_generator_embeddings": True, "generator_hidden_size": 0.33333})
def test_hparams_make_the_models_that_googles_code_builds(given_hparams: dict[str, Any]):
    hparams = read(given_hparams)
    built = models(pretraining_config(given_hparams))
    layout = LAYOUTS[hparams.layout or "default"]
    if layout.name != "two_tower_generator":
        assert set(built) == {network.role for network in layout.networks}
    for role, expected in built.items():
        found = hparams.expected(role, layout.shares_config)
        expected = {**expected, "hidden_act": (expected["hidden_act"] or "linear").lower()}
        assert {key: found[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("given_hparams", "embedding"),
    [
        ({}, 128),
        ({"model_size": "small"}, 128),
        ({"model_size": "small", "embedding_size": 64}, 64),
        ({"model_size": "small", "embedding_size": None}, 256),
        ({"model_size": "small", "model_hparam_overrides": {"hidden_size": 96}}, 128),
        ({"model_size": "base"}, 768),
        ({"model_size": "large", "embedding_size": 100}, 100),
        ({"model_size": "base", "debug": True}, 144),
    ],
)
def test_small_has_embeddings_of_128_unless_told_otherwise_and_others_of_the_hidden_width(
    given_hparams, embedding: int
):
    assert read(given_hparams).expected("discriminator", False)["embedding_size"] == embedding


@pytest.mark.parametrize(
    ("hidden", "fraction", "generator"),
    [(15, 0.3, 4), (5, 0.5, 2), (7, 0.5, 4), (768, 0.33333, 256), (256, 0.25, 64)],
)
def test_a_generators_width_is_rounded_half_to_even(hidden: int, fraction: float, generator: int):
    hparams = read({"model_hparam_overrides": {"hidden_size": hidden}, "generator_hidden_size": fraction})
    assert hparams.expected("generator", False)["hidden_size"] == generator


@pytest.mark.parametrize(("hidden", "heads"), [(1, 1), (63, 1), (64, 1), (127, 1), (128, 2), (768, 12), (1024, 16)])
def test_heads_are_64_wide(hidden: int, heads: int):
    assert google_heads(hidden) == heads


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("variant", checkpoints.VARIANTS)
def test_every_made_up_checkpoint_has_the_sizes_its_hparams_make(variant: str, sizes: str):
    hparams = read(checkpoints.hparams(variant, SIZES[sizes]))
    shares = hparams.layout in {"tied_generator", "masked_lm"}
    for role in ("discriminator", "generator") if variant != "fine_tuned" else ("discriminator",):
        own = checkpoints.sizes_of(variant, role, SIZES[sizes])
        names = {"num_attention_heads": "heads", "hidden_act": "activation", **SIZE_KEYS}
        found = hparams.expected(role, shares)
        assert {key: found[key] for key in names} == {key: getattr(own, name) for key, name in names.items()}


@pytest.mark.parametrize(("variant", "_sizes"), VARIANT_SIZES)
def test_hparams_ask_for_the_layout_they_are_of(variant: str, _sizes: str):
    ours = {"two_tower_untied_embeddings": "two_tower_generator", "fine_tuned": None}
    assert read(checkpoints.hparams(variant, SIZES["projected"])).layout == ours.get(variant, variant)


def test_hparams_without_a_switch_leave_the_layout_open():
    assert read({"model_size": "base", "vocab_size": 5}).layout is None


STATED = {
    "vocab_size": [{"vocab_size": 5}, {"model_hparam_overrides": {"vocab_size": 5}}],
    "embedding_size": [{"embedding_size": 5}, {"embedding_size": None}],
    "hidden_size": [{"model_size": "base"}, {"model_hparam_overrides": {"hidden_size": 5}}, {"debug": True}],
    "num_hidden_layers": [{"model_size": "base"}, {"model_hparam_overrides": {"num_hidden_layers": 5}}],
    "num_attention_heads": [{"model_hparam_overrides": {"num_attention_heads": 5}}, {"debug": True}],
    "intermediate_size": [{"model_hparam_overrides": {"intermediate_size": 5}}],
    "hidden_act": [{"model_hparam_overrides": {"hidden_act": "relu"}}],
}


@pytest.mark.parametrize(("key", "hparams"), [(key, hparams) for key in STATED for hparams in STATED[key]])
def test_a_value_is_stated_by_the_keys_it_depends_on(key: str, hparams: dict[str, Any]):
    assert read(hparams).states(key, "discriminator", False)
    assert read(hparams).states(key, "generator", True)
    assert not read({"learning_rate": 1, "model_hparam_overrides": {}}).states(key, "discriminator", False)


@pytest.mark.parametrize(
    ("key", "hparams"),
    [
        ("hidden_size", {"generator_hidden_size": 0.5}),
        ("num_hidden_layers", {"generator_layers": 0.5}),
        ("embedding_size", {"generator_hidden_size": 0.5, "untied_generator_embeddings": True}),
    ],
)
def test_a_generators_own_sizes_are_stated_by_keys_of_its_own(key: str, hparams: dict[str, Any]):
    assert read(hparams).states(key, "generator", False)
    assert not read(hparams).states(key, "discriminator", False)
    others = {"model_size": "base", "embedding_size": 8, "untied_generator_embeddings": True}
    assert not read(others).states(key, "generator", False)
