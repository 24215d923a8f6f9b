"""Configurations put into google-research/electra's hparams, or refused where its code cannot express them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from electra_convert.config.activations import ACTIVATIONS, GENERATOR_HEAD
from electra_convert.config.hparams import LAYOUT_KEYS, Hparams, google_heads
from electra_convert.config.keys import LOCATIONS, MODEL_SIZES, OVERRIDES, OWN
from electra_convert.config.resolve import SIZE_KEYS, TRAINING_KEYS, Resolved
from electra_convert.errors import ConfigError
from electra_convert.schemes.layouts import Layout
from electra_convert.schemes.mapping import Role

# configure_pretraining.py lower-cases where it is not told.
_GOOGLE_LOWER_CASE = True
_COMPUTED = (*SIZE_KEYS, "num_attention_heads", "hidden_act")
_SHARED = ("vocab_size", "max_position_embeddings", "type_vocab_size", "hidden_act")


def check_expressible(configs: Mapping[Role, Resolved], layout: Layout) -> None:
    """Refuse models that Google's code would not compute as transformers does.

    Raises:
        ConfigError: names the model, the value, and what Google's code can do.
    """
    for role, config in configs.items():
        if config["layer_norm_eps"] != 1e-12:
            raise ConfigError(
                f"the {role}'s layer_norm_eps is {config['layer_norm_eps']}; "
                "google-research/electra has 1e-12 built in and cannot express another"
            )
        if config["hidden_act"] not in ACTIVATIONS:
            raise ConfigError(
                f"the {role}'s hidden_act is {config['hidden_act']!r}; "
                "google-research/electra knows gelu (the exact one), relu, tanh and linear"
            )
    if "generator" in configs:
        _check_generator(configs, layout)


def _check_generator(configs: Mapping[Role, Resolved], layout: Layout) -> None:
    generator, discriminator = configs["generator"], configs.get("discriminator")
    if generator["hidden_act"] != GENERATOR_HEAD:
        raise ConfigError(
            f"the generator's hidden_act is {generator['hidden_act']!r}; transformers computes the generator's head "
            "with gelu whatever the configuration says, Google's code does not",
        )
    if not layout.shares_config:
        expected = {
            "num_attention_heads": google_heads(generator["hidden_size"]),
            "intermediate_size": 4 * generator["hidden_size"],
        }
        for key, value in expected.items():
            if generator[key] != value:
                raise ConfigError(
                    f"the generator's {key} is {generator[key]}; google-research/electra gives a generator of hidden "
                    f"width {generator['hidden_size']} {value} (get_generator_config), whatever the hparams",
                    "Convert it alone (--model generator): as a masked language model it can have any.",
                )
    if discriminator is not None:
        keys = _COMPUTED if layout.shares_config else _SHARED
        for key in keys:
            if generator[key] != discriminator[key]:
                raise ConfigError(
                    f"{key} is {generator[key]} in the generator and {discriminator[key]} in the discriminator; "
                    f"google-research/electra has one value for both in the {layout.name} layout"
                )


def express(
    configs: Mapping[Role, Resolved], layout: Layout, lower_case: bool | None, original: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The original hparams of a run where they make the models, or else those with what is needed to make them."""
    given = _kept(original or {}, layout)
    carried = original is not None and _makes(given, configs, layout)
    if not carried:
        given = {key: value for key, value in given.items() if key != "debug"} | _write(configs, layout)
    stated = given.get("do_lower_case", _GOOGLE_LOWER_CASE if carried else None)
    if lower_case not in {None, stated}:
        given["do_lower_case"] = lower_case
    return given


def _kept(original: Mapping[str, Any], layout: Layout) -> dict[str, Any]:
    """Original hparams without places on another machine, without those that Google's code does not know, and
    without a layout that is not the one wanted."""
    stale = LOCATIONS | OWN.keys()
    if Hparams(original, "").layout not in {None, layout.name}:
        stale |= set(LAYOUT_KEYS)
    return {key: value for key, value in original.items() if key not in stale} | dict(layout.hparams)


def _makes(given: Mapping[str, Any], configs: Mapping[Role, Resolved], layout: Layout) -> bool:
    hparams = Hparams(given, "")
    # A generator has no dropout of its own in Google's code.
    main = next(iter(configs))
    return all(
        hparams.expected(role, layout.shares_config)[key] == config[key]
        for role, config in configs.items()
        for key in (*_COMPUTED, *(TRAINING_KEYS if role == main else ()))
    )


def _write(configs: Mapping[Role, Resolved], layout: Layout) -> dict[str, Any]:
    main = configs.get("discriminator") or configs["generator"]
    sizes = {hidden: name for name, (hidden, _) in MODEL_SIZES.items()}
    given: dict[str, Any] = {
        "model_size": sizes.get(main["hidden_size"], "small"),
        "embedding_size": main["embedding_size"],
        "vocab_size": main["vocab_size"],
    }
    implied = Hparams(given, "").expected("discriminator", True)
    implied["num_attention_heads"] = google_heads(main["hidden_size"])
    implied["intermediate_size"] = 4 * main["hidden_size"]
    given["model_hparam_overrides"] = {
        key: main[key] for key in OVERRIDES if key != "vocab_size" and main[key] != implied[key]
    }
    if len(configs) == 2 and not layout.shares_config:
        generator = configs["generator"]
        given["generator_hidden_size"] = generator["hidden_size"] / main["hidden_size"]
        given["generator_layers"] = generator["num_hidden_layers"] / main["num_hidden_layers"]
    return {**given, **layout.hparams}
