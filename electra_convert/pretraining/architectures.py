"""Which models a run trains: designed by hparams, or found in the checkpoint that it goes on from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from electra_convert.checkpoint import Checkpoint
from electra_convert.config.hparams import Hparams, read_hparams_file
from electra_convert.config.keys import HANDLED
from electra_convert.config.record import recorded_hparams
from electra_convert.config.resolve import DEFAULTS, Resolved, Value
from electra_convert.config.sources import Findings, gather
from electra_convert.conversion.layout_tensorflow import choose_layout
from electra_convert.errors import ConfigError, TrainingError
from electra_convert.formats.names import HPARAMS_FILE
from electra_convert.pretraining.settings import Settings
from electra_convert.schemes.layouts import Layout
from electra_convert.schemes.mapping import Role
from electra_convert.schemes.models import require_tied

_TRAINABLE = ("default", "untied_generator_embeddings", "tied_generator", "masked_lm", "uniform_generator")
_SEGMENTS = 2


def run_hparams(given: Hparams, start: Checkpoint | None, decided: Mapping[str, Any] | None) -> Hparams:
    """Those of the run that is continued, changed where others are given.

    Args:
        given: what was asked for.
        start: the checkpoint that the run goes on from, or None.
        decided: those that the run in the output was begun with, or None.

    Returns:
        All hparams of the run.

    Raises:
        ConfigError: those beside the checkpoint cannot be read.
    """
    if decided is not None:
        return _changed(decided, given)
    if start is None:
        return given
    beside = start.folder / HPARAMS_FILE
    if not start.scheme.described and beside.is_file():
        return _changed(read_hparams_file(beside, HPARAMS_FILE).given, given)
    return _changed(recorded_hparams(start.record) or {}, given)


def _changed(before: Mapping[str, Any], given: Hparams) -> Hparams:
    """The transformer's own hparams are changed one by one too: who gives another dropout means no other sizes."""
    overrides = {**Hparams(before, "").overrides, **given.overrides}
    merged = {**before, **given.given}
    return Hparams({**merged, "model_hparam_overrides": overrides} if overrides else merged, given.origin)


def found_models(start: Checkpoint, given: Hparams, hparams: Hparams) -> tuple[Layout, Findings]:
    """Take the models of a checkpoint.

    Args:
        start: the checkpoint.
        given: the hparams that were asked for.
        hparams: all hparams of the run.

    Returns:
        The layout, and the configurations.

    Raises:
        NamesError: the checkpoint holds something else, or a tied tensor twice with different values.
        ConfigError: its files, or hparams that were given, contradict each other or the weights.
        TrainingError: it has no heads to go on with, or is half of a pair.
    """
    start.require_mapped()
    for model in start.models.values():
        require_tied(start.path, model)
    # What was read beside the checkpoint is no option: it must agree with its graph and its weights.
    option = json.dumps(dict(hparams.given)) if given.given.keys() & HANDLED.keys() else None
    findings = replace(gather(start, option, changes=given), hparams=hparams)
    layout = start.layout or choose_layout(start, findings, start.models)
    if start.layout is not None and hparams.layout is None and layout.hparams:
        # What the variables say, and a checkpoint of this run must say again when it is resumed.
        stated = Hparams({**hparams.given, **layout.hparams}, hparams.origin)
        return layout, _checked(start, layout, replace(findings, hparams=stated))
    return layout, _checked(start, layout, findings)


def _checked(start: Checkpoint, layout: Layout, findings: Findings) -> Findings:
    """Refuse what cannot be trained on, or only half of it."""
    hparams = findings.hparams or Hparams({}, "")
    if layout.name not in _TRAINABLE:
        raise TrainingError(
            f"{start.path} is of the {layout.name} layout, which has no pretraining heads to go on with"
        )
    alone = next(iter(start.models)) if len(start.models) == 1 else None
    if start.scheme.described and alone is not None and hparams.layout != layout.name:
        needed = '{"uniform_generator": true}' if alone == "discriminator" else '{"electra_objective": false}'
        raise TrainingError(
            f"{start.path} holds a {alone} alone; ELECTRA trains two models",
            f"Give the folder of the pair, or --hparams '{needed}' to train the {alone} alone.",
        )
    for role in start.models:
        if role == "generator" and findings.configs[role]["hidden_act"] != "gelu":
            raise ConfigError("a generator's hidden_act must be gelu, which transformers has built into its head")
    return findings


def designed_models(hparams: Hparams, layout: Layout) -> Findings:
    """Make the configurations that hparams ask for.

    Args:
        hparams: all hparams of the run.
        layout: their layout.

    Returns:
        The configurations.

    Raises:
        ConfigError: a size is zero or does not fit another, or transformers has no such model.
    """
    configs: dict[Role, Resolved] = {}
    for network in layout.networks:
        values = {**DEFAULTS, **hparams.expected(network.role, layout.shares_config)}
        heads, hidden = values["num_attention_heads"], values["hidden_size"]
        if not hidden or not values["num_hidden_layers"] or hidden % heads:
            raise ConfigError(
                f"{hparams.origin}: the {network.role} would have {values['num_hidden_layers']} layers of width "
                f"{hidden} with {heads} attention heads",
                "Heads must divide the width, and no size may be zero.",
            )
        if network.role == "generator" and values["hidden_act"] != "gelu":
            raise ConfigError(
                f"{hparams.origin}: hidden_act is {values['hidden_act']}; transformers computes a generator's head "
                "with gelu whatever the configuration says"
            )
        configs[network.role] = Resolved({key: Value(value, "hparams") for key, value in values.items()}, ())
    return Findings(configs, hparams, {}, ())


def with_origins(findings: Findings, origins: Mapping[str, Mapping[str, str]]) -> Findings:
    """Give the values of configurations their first origins again: a run that is resumed writes what it would have.

    Args:
        findings: configurations, read from a checkpoint of the run.
        origins: where each value came from when the run began, in the order of then.

    Returns:
        The same configurations.
    """
    configs = {}
    for role, config in findings.configs.items():
        known = origins.get(role, {})
        first = {key: Value(config[key], known[key]) for key in known if key in config.values}
        configs[role] = replace(
            config, values={**first, **{key: value for key, value in config.values.items() if key not in first}}
        )
    return replace(findings, configs=configs)


def check_models(settings: Settings, findings: Findings) -> None:
    """Refuse models that the sequences do not fit, or that cannot be trained.

    Args:
        settings: the training hparams.
        findings: the configurations.

    Raises:
        ConfigError: names the value.
    """
    for role, config in findings.configs.items():
        positions = config["max_position_embeddings"]
        if settings.max_seq_length > positions:
            raise ConfigError(
                f"max_seq_length is {settings.max_seq_length}, but the {role} has {positions} positions",
                'Shorten it, or give a new model more: "model_hparam_overrides": {"max_position_embeddings": ...}.',
            )
        if config["type_vocab_size"] < _SEGMENTS:
            raise ConfigError(
                f"the {role}'s type_vocab_size is {config['type_vocab_size']}, but sequences have two segments"
            )
        for key in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
            if config[key] >= 1:
                raise ConfigError(f"the {role}'s {key} is {config[key]}, expected a number from 0 up and below 1")
