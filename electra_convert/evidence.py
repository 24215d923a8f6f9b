"""The sources of configuration gathered around a checkpoint: options, files beside it, its graph; decides nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from electra_convert.checkpoint import Checkpoint, Model
from electra_convert.config.hparams import Hparams, read_hparams, read_hparams_file
from electra_convert.config.resolve import (
    Evidence,
    Rank,
    Resolved,
    check_variant,
    hparams_evidence,
    only_stated,
    resolve,
)
from electra_convert.config.transformers import config_evidence, read_config, role_of_config
from electra_convert.errors import ConfigError
from electra_convert.formats import tf_bundle
from electra_convert.names.rules import Role
from electra_convert.names.variants import VARIANTS, Variant
from electra_convert.record import recorded_variant

_ACTIVATION_OPS = {"Erf": "gelu", "Relu": "relu", "Tanh": "tanh"}


@dataclass(frozen=True)
class Findings:
    """All that sources other than the weights say of a checkpoint.

    Attributes:
        configs: each model's configuration.
        hparams: the hparams of the run, where known, the ones with the most authority.
        bases: the config.json each transformers model had.
        warnings: what was guessed, or put aside.
    """

    configs: Mapping[Role, Resolved]
    hparams: Hparams | None
    bases: Mapping[Role, Mapping[str, Any]]
    warnings: tuple[str, ...]


def gather(checkpoint: Checkpoint, hparams: str | None = None, config: Path | None = None) -> Findings:
    """Settle the configuration of every model of a checkpoint.

    Args:
        checkpoint: the models.
        hparams: the --hparams option: JSON, or the name of a file that holds it.
        config: the --config option: a transformers config.json.

    Returns:
        The configurations, and what they were made of.

    Raises:
        ConfigError: a source cannot be read, or contradicts the weights or another source.
    """
    given, warnings = _hparams(checkpoint, hparams)
    configs: dict[Role, Resolved] = {}
    bases: dict[Role, Mapping[str, Any]] = {}
    variant = checkpoint.variant or _intended_variant(checkpoint, given)
    if given:
        check_variant(given[0][0], variant)
    for role, model in checkpoint.models.items():
        beside = _config_beside(checkpoint, model)
        if checkpoint.variant is None and beside is not None:
            bases[role] = beside
        evidence = [hparams_evidence(found, rank, role, variant, model.sizes) for found, rank in given]
        if checkpoint.variant is None:
            # A transformers model has a configuration of its own; hparams only say how it is to be laid out.
            evidence = [only_stated(source) for source in evidence]
        evidence += _configs(checkpoint, role, beside, config)
        evidence += _graph(checkpoint, model, variant)
        configs[role] = resolve(role, model.sizes, evidence, variant.shares_config)
        warnings += configs[role].warnings
    return Findings(configs, given[0][0] if given else None, bases, tuple(warnings))


def _intended_variant(checkpoint: Checkpoint, given: Sequence[tuple[Hparams, Rank]]) -> Variant:
    """The layout that transformers models are to have, or once had; it decides what hparams mean for a generator."""
    asked = given[0][0].layout if given else None
    if name := asked or recorded_variant(checkpoint.record):
        return VARIANTS[name]
    return VARIANTS["masked_lm" if set(checkpoint.models) == {"generator"} else "default"]


def _hparams(checkpoint: Checkpoint, option: str | None) -> tuple[list[tuple[Hparams, Rank]], list[str]]:
    found: list[tuple[Hparams, Rank]] = []
    warnings: list[str] = []
    if option is not None:
        found.append((read_hparams(option), Rank.OPTION))
    beside = checkpoint.folder / "hparams.json"
    if checkpoint.variant is not None and beside.is_file():
        try:
            found.append((read_hparams_file(beside, "hparams.json"), Rank.BESIDE))
        except ConfigError as error:
            if option is None:
                raise
            told = error.message.replace(f"{checkpoint.folder}/", "")
            warnings.append(f"Put aside for --hparams: {told}.")
    return found, warnings


def _config_beside(checkpoint: Checkpoint, model: Model) -> Mapping[str, Any] | None:
    path = model.folder / "config.json"
    return read_config(path) if path.is_file() else None


def _configs(
    checkpoint: Checkpoint, role: Role, beside: Mapping[str, Any] | None, option: Path | None
) -> list[Evidence]:
    """A config.json describes one model: of a pair in one folder, the one that it names."""
    alone = len(checkpoint.models) == 1
    evidence = []
    if option is not None:
        chosen = read_config(option)
        if alone or role_of_config(chosen) == role:
            evidence.append(config_evidence(chosen, f"--config {option.name}", Rank.OPTION))
    if beside is not None and (alone or checkpoint.variant is None or role_of_config(beside) == role):
        evidence.append(config_evidence(beside, "config.json", Rank.BESIDE))
    return evidence


def _graph(checkpoint: Checkpoint, model: Model, variant: Variant) -> list[Evidence]:
    if checkpoint.graph is None:
        return []
    network = next(network for network in variant.networks if network.role == model.role)
    scope = rf"(?:.*/)?{re.escape(network.encoder)}(?:_\d+)?/encoder/layer_0"
    scale = re.compile(rf"{scope}/attention/self/Mul(?:_\d+)?/y$")
    dense = re.compile(rf"{scope}/intermediate/dense/[^/]+$")
    widths: set[int] = set()
    ops: set[str] = set()

    def wanted(name: str, _op: str) -> bool:
        return bool(scale.match(name) or dense.match(name))

    for node in tf_bundle.read_nodes(checkpoint.graph, wanted):
        if node.value is not None and scale.match(node.name):
            widths.add(_head_width(checkpoint.graph, node.name, node.value))
        elif dense.match(node.name):
            ops.add(node.op)
    values = _activation(ops)
    if len(widths) > 1:
        raise ConfigError(f"{checkpoint.graph} holds graphs with different head widths: {sorted(widths)}")
    if widths:
        values["num_attention_heads"] = _heads(checkpoint.graph, model, widths.pop())
    return [Evidence(checkpoint.graph.name, Rank.GRAPH, values, frozenset(values))] if values else []


def _head_width(graph: Path, name: str, scale: float) -> int:
    """Attention scores are multiplied by 1 / sqrt(head width): modeling.attention_layer."""
    width = scale**-2 if isfinite(scale) and scale > 1e-6 else 0.0
    if not 0.5 < width < 1 << 20 or abs(width - round(width)) > 1e-3 * width:
        raise ConfigError(f"{graph}: {name} is {scale}, expected one over the square root of a head width")
    return round(width)


def _heads(graph: Path, model: Model, width: int) -> int:
    heads, rest = divmod(model.sizes.hidden, width)
    if rest or not heads:
        raise ConfigError(
            f"{graph} has heads of width {width}, which do not divide the {model.role}'s hidden width "
            f"{model.sizes.hidden}",
            "The graph belongs to another checkpoint.",
        )
    return heads


def _activation(ops: set[str]) -> dict[str, Any]:
    if {"Tanh", "Pow"} <= ops:
        return {"hidden_act": "gelu_new"}
    known = {activation for op, activation in _ACTIVATION_OPS.items() if op in ops}
    if len(known) == 1:
        return {"hidden_act": known.pop()}
    return {"hidden_act": "linear"} if "BiasAdd" in ops and not known else {}
