"""One configuration of several sources: who decides, and what is said where they disagree."""

from __future__ import annotations

import json
from typing import Any

import pytest

from electra_convert.config.hparams import parse_hparams
from electra_convert.config.resolve import (
    DEFAULTS,
    SIZE_KEYS,
    Evidence,
    Rank,
    check_layout,
    hparams_evidence,
    only_stated,
    resolve,
)
from electra_convert.errors import ConfigError
from electra_convert.schemes.layouts import LAYOUTS
from electra_convert.schemes.mapping import Sizes

SIZES = Sizes(vocabulary=53, positions=12, types=2, embedding=8, hidden=128, intermediate=300, layers=2)
SETTLED = {"num_attention_heads": 4, "hidden_act": "relu", **{key: 0.5 for key in DEFAULTS if key != "hidden_act"}}
NAMES = {Rank.OPTION: "--hparams", Rank.BESIDE: "hparams.json", Rank.GRAPH: "model.ckpt-1.meta"}


def says(rank: Rank, origin: str | None = None, **values: Any) -> Evidence:
    return Evidence(origin or NAMES[rank], rank, values, frozenset(values))


def leaves(rank: Rank, **values: Any) -> Evidence:
    """A source that has values by its defaults alone."""
    return Evidence(NAMES[rank], rank, values, frozenset())


def settle(*evidence: Evidence, role: str = "discriminator", shares_config: bool = False):
    return resolve(role, SIZES, evidence, shares_config)


def hparams(given: dict[str, Any], origin: str = "hparams.json"):
    return parse_hparams(json.dumps(given), origin)


def test_sizes_are_those_of_the_weights():
    resolved = settle(says(Rank.OPTION, num_attention_heads=4))
    for key, size in SIZE_KEYS.items():
        assert resolved.values[key].value == getattr(SIZES, size)
        assert resolved.values[key].origin == "weights"


@pytest.mark.parametrize("key", SETTLED)
@pytest.mark.parametrize("rank", Rank)
def test_any_source_may_settle_a_value_that_the_weights_do_not_say(key: str, rank: Rank):
    heads = {} if key == "num_attention_heads" else {"num_attention_heads": 4}
    resolved = settle(says(rank, **{key: SETTLED[key]}, **heads))
    assert (resolved[key], resolved.values[key].origin) == (SETTLED[key], NAMES[rank])
    assert not resolved.warnings


@pytest.mark.parametrize("key", ["num_attention_heads", "hidden_act", "layer_norm_eps"])
@pytest.mark.parametrize("lower", [Rank.BESIDE, Rank.GRAPH])
def test_an_option_decides_over_any_other_source_and_that_is_told(key: str, lower: Rank):
    other = {"num_attention_heads": 2, "hidden_act": "tanh", "layer_norm_eps": 1e-5}[key]
    heads = {} if key == "num_attention_heads" else {"num_attention_heads": 4}
    resolved = settle(says(lower, **{key: other}), says(Rank.OPTION, **{key: SETTLED[key]}, **heads))
    assert (resolved[key], resolved.values[key].origin) == (SETTLED[key], "--hparams")
    (told,) = resolved.warnings
    decided = f"--hparams says the discriminator's {key} is {SETTLED[key]}, {NAMES[lower]} says {other}"
    assert told == f"{decided}; the option decides."


@pytest.mark.parametrize("key", SETTLED)
@pytest.mark.parametrize(
    ("first", "second"),
    [(Rank.BESIDE, Rank.GRAPH), (Rank.BESIDE, Rank.BESIDE), (Rank.OPTION, Rank.OPTION)],
)
@pytest.mark.parametrize("role", ["discriminator", "generator"])
def test_sources_that_disagree_are_an_error_that_names_both(key: str, first: Rank, second: Rank, role: str):
    other = {"num_attention_heads": 2, "hidden_act": "tanh"}.get(key, 0.25)
    one, two = says(first, "hparams.json", **{key: SETTLED[key]}), says(second, "config.json", **{key: other})
    with pytest.raises(ConfigError) as error:
        settle(two, one, role=role) if first < second else settle(one, two, role=role)
    assert error.value.message == (
        f"hparams.json says the {role}'s {key} is {SETTLED[key]}, config.json says {other}"
    )
    assert "--hparams" in error.value.hint


def test_sources_that_agree_are_no_matter():
    resolved = settle(*(says(rank, num_attention_heads=4) for rank in (*Rank, Rank.BESIDE)))
    assert resolved["num_attention_heads"] == 4
    assert resolved.values["num_attention_heads"].origin == "--hparams"
    assert not resolved.warnings


@pytest.mark.parametrize("key", ["num_attention_heads", "hidden_act"])
@pytest.mark.parametrize("other", [Rank.BESIDE, Rank.GRAPH])
def test_an_option_that_leaves_a_value_at_its_default_does_not_decide_it(key: str, other: Rank):
    default = {"num_attention_heads": 2, "hidden_act": "gelu"}
    resolved = settle(leaves(Rank.OPTION, **default), says(other, **SETTLED))
    assert (resolved[key], resolved.values[key].origin) == (SETTLED[key], NAMES[other])
    told = f"--hparams leaves the discriminator's {key} at {default[key]}; {NAMES[other]} says {SETTLED[key]}."
    assert told in resolved.warnings


def test_a_file_that_leaves_heads_at_googles_rule_contradicts_a_graph_that_states_them():
    with pytest.raises(ConfigError, match=r"hparams.json says .* is 2, model.ckpt-1.meta says 4"):
        settle(leaves(Rank.BESIDE, num_attention_heads=2), says(Rank.GRAPH, num_attention_heads=4))


@pytest.mark.parametrize("key", ["hidden_dropout_prob", "attention_probs_dropout_prob", "initializer_range"])
def test_a_default_of_training_contradicts_nothing(key: str):
    resolved = settle(
        leaves(Rank.BESIDE, **{key: 0.1}), says(Rank.BESIDE, "config.json", **{key: 0.3}, num_attention_heads=4)
    )
    assert (resolved[key], resolved.values[key].origin, resolved.warnings) == (0.3, "config.json", ())


def test_what_follows_from_defaults_alone_is_recorded_as_such():
    resolved = settle(leaves(Rank.BESIDE, num_attention_heads=2, hidden_act="gelu"))
    assert resolved.values["num_attention_heads"].origin == "hparams.json, by default"


@pytest.mark.parametrize("key", SIZE_KEYS)
@pytest.mark.parametrize("rank", Rank)
def test_a_stated_size_that_the_weights_do_not_have_is_an_error_whoever_says_it(key: str, rank: Rank):
    with pytest.raises(ConfigError) as error:
        settle(says(rank, **{key: 7}))
    has = getattr(SIZES, SIZE_KEYS[key])
    assert error.value.message == f"{NAMES[rank]} says the discriminator's {key} is 7, but the weights have {has}"


def test_a_size_that_a_source_has_by_default_only_is_a_warning():
    resolved = settle(leaves(Rank.BESIDE, vocab_size=30522, num_attention_heads=2))
    assert resolved.warnings == ("hparams.json leaves the discriminator's vocab_size at 30522; the weights have 53.",)


# Nothing known


def test_with_nothing_known_heads_and_activation_are_told_to_be_guesses():
    resolved = settle()
    assert (resolved["num_attention_heads"], resolved["hidden_act"]) == (2, "gelu")
    assert "a guess" in resolved.values["num_attention_heads"].origin
    (told,) = resolved.warnings
    assert told.startswith("The discriminator's head count 2 and its activation gelu are guesses by Google's rule")
    assert "--hparams" in told


def test_an_activation_that_is_known_is_not_told_to_be_a_guess():
    (told,) = settle(says(Rank.GRAPH, hidden_act="relu")).warnings
    assert told.startswith("The discriminator's head count 2 is a guess by Google's rule")
    assert "gelu" not in told


def test_a_generators_heads_follow_a_rule_and_are_no_guess():
    resolved = settle(role="generator")
    assert resolved["num_attention_heads"] == 2
    assert resolved.values["num_attention_heads"].origin.startswith("Google's rule for generators")
    assert not resolved.warnings


def test_the_heads_of_a_generator_that_shares_the_discriminators_configuration_are_a_guess():
    (told,) = settle(role="generator", shares_config=True).warnings
    assert told.startswith("The generator's head count 2")


@pytest.mark.parametrize("heads", [3, 5, 129, 256])
@pytest.mark.parametrize("rank", Rank)
def test_heads_that_do_not_divide_the_hidden_width_are_refused(heads: int, rank: Rank):
    with pytest.raises(ConfigError) as error:
        settle(says(rank, num_attention_heads=heads))
    assert error.value.message == (
        f"{heads} attention heads ({NAMES[rank]}) cannot share the discriminator's hidden width 128"
    )


def test_a_guess_that_does_not_divide_is_refused_too():
    sizes = Sizes(vocabulary=53, positions=12, types=2, embedding=8, hidden=200, intermediate=300, layers=2)
    with pytest.raises(ConfigError, match=r"3 attention heads \(a guess .*\) cannot share the .* width 200"):
        resolve("discriminator", sizes, [], False)


# What hparams say


def test_heads_that_hparams_leave_open_follow_from_the_weights_width():
    evidence = hparams_evidence(hparams({}), Rank.BESIDE, "discriminator", LAYOUTS["default"], SIZES)
    assert evidence.values["num_attention_heads"] == 2
    assert "num_attention_heads" not in evidence.stated


def test_a_generators_heads_and_intermediate_size_are_googles_whatever_the_override():
    given = hparams({"model_hparam_overrides": {"num_attention_heads": 8, "intermediate_size": 300}})
    own = hparams_evidence(given, Rank.BESIDE, "generator", LAYOUTS["default"], SIZES)
    assert (own.values["num_attention_heads"], own.values["intermediate_size"]) == (2, 512)
    for variant in ("masked_lm", "tied_generator"):
        shared = hparams_evidence(given, Rank.BESIDE, "generator", LAYOUTS[variant], SIZES)
        assert (shared.values["num_attention_heads"], shared.values["intermediate_size"]) == (8, 300)


def test_of_a_source_only_what_it_states_may_be_kept():
    given = hparams({"model_hparam_overrides": {"hidden_act": "relu"}})
    evidence = only_stated(hparams_evidence(given, Rank.OPTION, "discriminator", LAYOUTS["default"], SIZES))
    assert evidence.values == {"hidden_act": "relu"}


ASKED = {
    "default": {"untied_generator": True},
    "untied_generator_embeddings": {"untied_generator_embeddings": True},
    "tied_generator": {"untied_generator": False},
    "masked_lm": {"electra_objective": False},
    "uniform_generator": {"uniform_generator": True},
    "two_tower_generator": {"two_tower_generator": True},
}


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("found", LAYOUTS)
def test_hparams_of_another_layout_than_the_variables_have_are_refused(asked: str, found: str):
    if found in {asked, "uniform_generator", "fine_tuned", "encoder"}:
        check_layout(hparams(ASKED[asked]), LAYOUTS[found])
    else:
        with pytest.raises(ConfigError, match=rf"hparams.json asks for the {asked} layout .* of the {found} layout"):
            check_layout(hparams(ASKED[asked]), LAYOUTS[found])


@pytest.mark.parametrize("found", LAYOUTS)
def test_hparams_that_ask_for_no_layout_go_with_any(found: str):
    check_layout(hparams({"model_size": "base"}), LAYOUTS[found])


def test_sizes_beside_the_checkpoint_that_do_not_fit_are_only_warned_of_where_an_option_is_given():
    weights = Sizes(61, 19, 3, 6, 15, 22, 5)
    beside = Evidence("hparams.json", Rank.BESIDE, {"hidden_size": 999}, frozenset({"hidden_size"}))
    option = Evidence("--hparams", Rank.OPTION, {"num_attention_heads": 5}, frozenset({"num_attention_heads"}))
    with pytest.raises(ConfigError, match=r"hparams\.json says the discriminator's hidden_size is 999, but"):
        resolve("discriminator", weights, [beside], False)
    resolved = resolve("discriminator", weights, [option, beside], False)
    assert resolved["num_attention_heads"] == 5
    assert resolved.warnings == ("hparams.json says the discriminator's hidden_size is 999; the weights have 15.",)
