"""The sources of configuration gathered around a checkpoint: options, files beside it, its graph; decides nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

from electra_convert.config.activations import ACTIVATION_OPERATIONS
from electra_convert.config.hparams import Hparams, read_hparams, read_hparams_beside
from electra_convert.config.nvidia import run_evidence
from electra_convert.config.record import recorded_layout
from electra_convert.config.resolve import (
    SIZE_KEYS,
    Evidence,
    Rank,
    Resolved,
    check_layout,
    hparams_evidence,
    only_stated,
    resolve,
)
from electra_convert.config.transformers import (
    check_config,
    config_evidence,
    in_electras_words,
    model_evidence,
    read_config,
    role_of_config,
)
from electra_convert.errors import ConfigError, CorruptFileError
from electra_convert.formats import tf_bundle
from electra_convert.formats.files import refuse_placeholder, small_text
from electra_convert.formats.json_objects import decode_json
from electra_convert.formats.names import CONFIG_FILE, HPARAMS_FILE, TOKENIZER_CONFIG_FILE
from electra_convert.schemes.layouts import LAYOUTS, Layout
from electra_convert.schemes.mapping import Role
from electra_convert.schemes.models import Checkpoint, Model

Given = tuple[Hparams, Rank]
Read = TypeVar("Read")
_COMPUTING = {"num_attention_heads", "hidden_act"}
_NOTHING = Evidence("", Rank.GRAPH, {}, frozenset())
_LARGEST_CONFIG = 1 << 20


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


def gather(
    checkpoint: Checkpoint,
    hparams: str | None = None,
    config: Path | None = None,
    roles: Collection[Role] | None = None,
    changes: Hparams | None = None,
) -> Findings:
    """Settle the configurations of a checkpoint's models, or of some of them, and tell what they were made of.

    The hparams are --hparams, JSON or the name of a file, and config is --config. Where the hparams are a run's own
    with some changed, changes are those: what follows from the others alone is no option.

    Raises:
        ConfigError: a source cannot be read, or contradicts the weights or another source.
        CorruptFileError: the graph is damaged.
    """
    warnings: list[str] = list(checkpoint.warnings)
    attempt = partial(_attempt, checkpoint.folder, hparams is not None or config is not None, warnings)
    given = _hparams(checkpoint, hparams, attempt)
    wanted = checkpoint.models.keys() if roles is None else roles
    bases = _own_configs(checkpoint)
    layout = checkpoint.layout or _intended_layout(checkpoint, given)
    warnings += [line for one, _ in given for line in one.warnings]
    if given:
        check_layout(given[0][0], layout)
    chosen = {} if config is None else _chosen_config(config, checkpoint, wanted, layout)
    configs: dict[Role, Resolved] = {}
    unused: dict[str, list[str]] = {}
    for role in wanted:
        model = checkpoint.models[role]
        found = [
            hparams_evidence(one, rank, role, layout, model.sizes, changes if rank is Rank.OPTION else None)
            for one, rank in given
        ]
        if checkpoint.scheme.described:
            # Such a model has a configuration of its own; hparams only say how it is to be laid out.
            found = [only_stated(source) for source in found]
            origin = model.config_path.relative_to(model.folder).as_posix()
            own = [model_evidence(bases[role], origin)] if role in bases else run_evidence(model.folder, model)
            found += own
        else:
            found += _beside(checkpoint, model, layout, attempt)
            said = {key for source in found for key in source.values} | chosen.get(role, _NOTHING).values.keys()
            found += _other_configs(checkpoint, model, layout, said, unused)
        found += [chosen[role]] if role in chosen else []
        configs[role] = resolve(role, model.sizes, found, layout.shares_config)
        warnings += configs[role].warnings
    warnings += _not_used(unused, len(configs))
    return Findings(configs, given[0][0] if given else None, bases, tuple(dict.fromkeys(warnings)))


def _not_used(reasons: Mapping[str, Sequence[str]], models: int) -> list[str]:
    """What is said of files of configuration that are of none of the models; one that is of one is named nowhere."""
    return [
        f"{name} beside the checkpoint is not used: {'; '.join(dict.fromkeys(why_not))}."
        for name, why_not in reasons.items()
        if len(why_not) == models
    ]


def _chosen_config(
    path: Path, checkpoint: Checkpoint, wanted: Collection[Role], layout: Layout
) -> dict[Role, Evidence]:
    """What --config says, for the models that it is about; it must say something, and of one that is wanted."""
    config = read_config(path)
    if not _COMPUTING & config.keys():
        raise ConfigError(
            f"{path} states neither num_attention_heads nor hidden_act, which --config is there to settle",
            "Give a transformers config.json; what run_pretraining.py was given goes into --hparams.",
        )
    # One that names no class is about the only model that is wanted.
    among = checkpoint.models.keys() if config.get("architectures") else wanted
    about = [role for role in wanted if _is_about(among, role, layout, config)]
    if not about:
        raise ConfigError(
            f"{path} is of a {role_of_config(config)}, which is not what is asked for ({', '.join(wanted)})",
            "Give the config.json of that model.",
        )
    return {role: config_evidence(config, f"--config {path.name}", Rank.OPTION) for role in about}


def _attempt(folder: Path, decided: bool, warnings: list[str], read: Callable[[], list[Read]]) -> list[Read]:
    """Read a source; where an option decides, one that is damaged or of another model is only warned of."""
    try:
        return read()
    except (ConfigError, CorruptFileError) as error:
        if not decided:
            raise
        warnings.append(f"Put aside, since an option decides: {error.message.replace(f'{folder}/', '')}.")
        return []


def _intended_layout(checkpoint: Checkpoint, given: Sequence[Given]) -> Layout:
    """The layout that transformers models are to have, or once had; it decides what hparams mean for a generator."""
    asked = given[0][0].layout if given else None
    if name := asked or recorded_layout(checkpoint.record):
        return LAYOUTS[name]
    return LAYOUTS["masked_lm" if set(checkpoint.models) == {"generator"} else "default"]


def _hparams(
    checkpoint: Checkpoint, option: str | None, attempt: Callable[[Callable[[], list[Given]]], list[Given]]
) -> list[Given]:
    given = [] if option is None else [(read_hparams(option), Rank.OPTION)]
    return given if checkpoint.scheme.described else given + attempt(partial(_hparams_beside, checkpoint))


def _hparams_beside(checkpoint: Checkpoint) -> list[Given]:
    path = checkpoint.folder / HPARAMS_FILE
    if not path.is_file():
        return []
    refuse_placeholder(path)
    return [(read_hparams_beside(path), Rank.BESIDE)]


def _own_configs(checkpoint: Checkpoint) -> dict[Role, Mapping[str, Any]]:
    if not checkpoint.scheme.described:
        return {}
    paths = {role: model.config_path for role, model in checkpoint.models.items()}
    family = checkpoint.scheme.family
    found = {
        role: in_electras_words(read_config(path, family), family) for role, path in paths.items() if path.is_file()
    }
    share = len(set(paths.values())) < len(paths)
    return {role: config for role, config in found.items() if not share or role_of_config(config) == role}


def _beside(
    checkpoint: Checkpoint,
    model: Model,
    layout: Layout,
    attempt: Callable[[Callable[[], list[Evidence]]], list[Evidence]],
) -> list[Evidence]:
    """What a config.json beside a checkpoint of Google's says, and its graph."""
    return [
        *attempt(partial(_config_beside, checkpoint, model.role, layout)),
        *attempt(partial(_graph, checkpoint, model, layout)),
    ]


def _config_beside(checkpoint: Checkpoint, role: Role, layout: Layout) -> list[Evidence]:
    path = checkpoint.folder / CONFIG_FILE
    if not path.is_file() or not _is_about(checkpoint.models, role, layout, config := read_config(path)):
        return []
    return [config_evidence(config, CONFIG_FILE, Rank.BESIDE)]


def _other_configs(
    checkpoint: Checkpoint, model: Model, layout: Layout, said: Collection[str], unused: dict[str, list[str]]
) -> list[Evidence]:
    """What other files of configuration beside a checkpoint say, such as a bert_config.json, where nothing else does.

    One is used where it states the sizes of the model and all that it states fit; why it is not goes into unused.
    """
    used = []
    for path in sorted(checkpoint.folder.glob("*config*.json")):
        if path.name in {CONFIG_FILE, TOKENIZER_CONFIG_FILE}:
            continue
        config, why_not = _read_other(path, model, layout)
        if why_not:
            unused.setdefault(path.name, []).append(why_not)
            continue
        evidence = config_evidence(config, path.name, Rank.BESIDE)
        news = {key: value for key, value in evidence.values.items() if key not in said and key not in SIZE_KEYS}
        used.append(replace(evidence, values=news, stated=frozenset(news)))
    return used


def _read_other(path: Path, model: Model, layout: Layout) -> tuple[Mapping[str, Any], str | None]:
    """A file of configuration, or why it is not one of the model."""
    try:
        if path.stat().st_size > _LARGEST_CONFIG:
            return {}, f"it is longer than {_LARGEST_CONFIG} bytes"
        config = decode_json(small_text(path))
    except (OSError, ValueError) as error:
        return {}, f"it cannot be read ({error})"
    if not isinstance(config, dict) or not _COMPUTING & config.keys():
        return {}, "it states neither num_attention_heads nor hidden_act"
    names_generator = "generator" in path.name or role_of_config(config) == "generator"
    if not layout.shares_config and names_generator != (model.role == "generator"):
        return {}, "it is of the other model" if names_generator else "a generator has a configuration of its own"
    stated = {key: (config[key], getattr(model.sizes, size)) for key, size in SIZE_KEYS.items() if key in config}
    if not {"hidden_size", "num_hidden_layers"} <= stated.keys():
        return {}, "it does not state hidden_size and num_hidden_layers, by which it could be told to fit"
    if differing := [f"{key} is {said} there and {has} here" for key, (said, has) in stated.items() if said != has]:
        return {}, differing[0]
    try:
        check_config(path, config)
    except ConfigError as error:
        return {}, error.message.replace(f"{path}: ", "")
    return config, None


def _is_about(among: Collection[Role], role: Role, layout: Layout, config: Mapping[str, Any]) -> bool:
    """A config.json describes one model: of two, the one that it names, unless they are one configuration."""
    return len(among) == 1 or layout.shares_config or role_of_config(config) == role


def _graph(checkpoint: Checkpoint, model: Model, layout: Layout) -> list[Evidence]:
    if checkpoint.graph is None:
        return []
    network = next(network for network in layout.networks if network.role == model.role)
    scope = rf"(?:.*/)?{re.escape(network.scopes.encoder)}(?:_\d+)?/encoder/layer_0"
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
    known = {activation for op, activation in ACTIVATION_OPERATIONS.items() if op in ops}
    if len(known) == 1:
        return {"hidden_act": known.pop()}
    return {"hidden_act": "linear"} if "BiasAdd" in ops and not known else {}


def electric_notice(checkpoint: Checkpoint, findings: Findings) -> list[str]:
    """Say in a notice where the logits lack a term.

    Electric adds the cloze model's log-probability to them: run_pretraining._get_discriminator_output.
    """
    if checkpoint.layout is None or checkpoint.layout.name != "two_tower_generator":
        return []
    objective = findings.hparams.given.get("electric_objective") if findings.hparams else None
    if objective is False:
        return []
    lacks = "lack" if objective else "may lack (electric_objective is not known)"
    return [f"The discriminator's logits {lacks} the term that Electric adds from its cloze model."]
