"""A model laid out as an ONNX file, where transformers.js and optimum look for one in its folder; writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from electra_convert.config.resolve import Value, plain
from electra_convert.conversion.options import Options
from electra_convert.conversion.plan import Container
from electra_convert.errors import UsageError
from electra_convert.formats.names import ONNX_FILE, ONNX_FOLDER
from electra_convert.formats.onnx import IR_VERSION, OPSET, data_files, open_folder_sink
from electra_convert.graphs.electra import electra_graph
from electra_convert.schemes.models import Model

# What conversion.json says of it.
ONNX_RECORD: Mapping[str, Any] = {"onnx": {"opset": OPSET, "ir_version": IR_VERSION}}


def plan_onnx(model: Model, config: Mapping[str, Value], options: Options) -> Container:
    """Lay out a model, its weights in float32.

    Raises:
        UsageError: they would be rounded, which nobody has asked for.
        NamesError: it is not known how its head computes.
        ConfigError: there is no graph of its activation.
    """
    wide = [weight.tensor.name for weight in model.weights.values() if weight.tensor.dtype.name == "float64"]
    if wide and options.dtype is None:
        raise UsageError(
            f"{model.folder}: {wide[0]} is float64, which an ONNX model would hold rounded to float32",
            "Round it with --dtype float32.",
        )
    computed = electra_graph(model, plain(config))
    files = data_files(ONNX_FILE, [spec for _, spec in computed.entries])
    open_sink = partial(open_folder_sink, name=ONNX_FILE, graph=computed.graph)
    return Container(ONNX_FOLDER, files, computed.entries, open_sink)
