"""What the variables do not say, as the reference model reads it: from hparams or, through TensorFlow, the graph.

Written from util/training_utils.py (get_bert_config), run_pretraining.py (get_generator_config) and
configure_pretraining.py; shares no code with the package's own reading of the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from electra_convert.errors import ConfigError
from electra_convert.frameworks import import_tensorflow
from electra_convert.verification.reference.graph import Role, Scopes, Variables, find_scopes

# configure_pretraining.py: the settings of debug=True.
_DEBUG_HEADS = 4
_ACTIVATION_OPS = {"Erf": "gelu", "Relu": "relu", "Tanh": "tanh"}


@dataclass(frozen=True)
class Settings:
    """The number of attention heads and the activation's name, each None where nothing says it, and their origin."""

    heads: int | None
    activation: str | None
    origin: str | None


def read_settings(prefix: Path, folder: Path, role: Role, hparams: str | None = None) -> Settings:
    """Read the head count and activation of one model; hparams go before what lies beside the checkpoint.

    Raises:
        MissingPackageError: TensorFlow is not installed.
        SourceError: TensorFlow cannot read the checkpoint.
        ConfigError: hparams or graph cannot be read.
    """
    variables = Variables(prefix)
    scopes = find_scopes(variables, role)
    hidden = variables.shape(f"{scopes.encoder}/encoder/layer_0/attention/self/query/kernel")[0]
    given, origin = _hparams(folder, hparams)
    if given is not None:
        return _from_hparams(given, scopes, hidden, origin)
    graph = prefix.with_name(f"{prefix.name}.meta")
    return _from_graph(graph, scopes, hidden) if graph.is_file() else Settings(None, None, None)


def _hparams(folder: Path, option: str | None) -> tuple[Mapping[str, Any] | None, str]:
    if option is not None and option.lstrip().startswith("{"):
        return _object(option, "--hparams"), "--hparams"
    path = folder / "hparams.json" if option is None else Path(option)
    if option is None and not path.is_file():
        return None, ""
    try:
        return _object(path.read_text(encoding="utf-8"), str(path)), path.name
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error


def _object(text: str, place: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{place} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{place} is not a JSON object")
    return found


def _from_hparams(given: Mapping[str, Any], scopes: Scopes, hidden: int, origin: str) -> Settings:
    overrides = given.get("model_hparam_overrides") or {}
    heads = overrides.get("num_attention_heads", max(1, hidden // 64))
    if given.get("debug"):
        heads = _DEBUG_HEADS
    if scopes.encoder == "generator":
        heads = max(1, hidden // 64)
    activation = overrides.get("hidden_act", "gelu")
    return Settings(heads, "linear" if activation in {None, ""} else str(activation).lower(), origin)


def _from_graph(path: Path, scopes: Scopes, hidden: int) -> Settings:
    """The scores of a layer are multiplied by a constant, 1 / sqrt(width of a head)."""
    tensorflow = import_tensorflow("to read the graph")
    meta = tensorflow.compat.v1.MetaGraphDef()
    try:
        meta.ParseFromString(path.read_bytes())
    except Exception as error:
        raise ConfigError(f"{path} is not a graph that TensorFlow reads: {error}") from error
    layer = f"{scopes.encoder}/encoder/layer_0/"
    nodes = {node.name: node for node in meta.graph_def.node if layer in f"/{node.name}"}
    scales = {
        float(tensorflow.make_ndarray(node.attr["value"].tensor))
        for name, node in nodes.items()
        if node.op == "Const" and name.endswith("/attention/self/Mul/y") and _is_in(name, layer)
    }
    operations = {node.op for name, node in nodes.items() if "/intermediate/dense/" in name and _is_in(name, layer)}
    found = {activation for operation, activation in _ACTIVATION_OPS.items() if operation in operations}
    heads = round(hidden * scales.pop() ** 2) if len(scales) == 1 else None
    return Settings(heads, found.pop() if len(found) == 1 and "Pow" not in operations else None, path.name)


def _is_in(name: str, layer: str) -> bool:
    return f"/{layer}" in f"/{name}"
