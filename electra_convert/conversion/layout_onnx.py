"""Models laid out as ONNX files, where transformers.js and optimum look for them in a folder; writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from electra_convert.config.record import changed_record
from electra_convert.config.resolve import Value, plain
from electra_convert.conversion.options import Options
from electra_convert.conversion.plan import Container
from electra_convert.errors import UsageError
from electra_convert.formats.names import ONNX_FILE, ONNX_FOLDER, QUANTIZED_FILE
from electra_convert.formats.onnx import IR_VERSION, OPSET, data_files, open_folder_sink
from electra_convert.graphs.electra import electra_graph
from electra_convert.graphs.int8 import Int8Weights
from electra_convert.graphs.operators import Operators
from electra_convert.graphs.weights import Float32Weights, Weights
from electra_convert.output import replace_file
from electra_convert.schemes.models import Model
from electra_convert.tensors.weight import Weight

_Hold = Callable[[Operators, Mapping[str, Weight]], Weights]


def plan_onnx(model: Model, config: Mapping[str, Value], options: Options) -> list[Container]:
    """Lay out a model, its weights in float32, and where that is asked for another of 8 bits.

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
    forms: dict[str, _Hold] = {ONNX_FILE: Float32Weights}
    if options.quantize:
        forms[QUANTIZED_FILE] = Int8Weights
    return [_container(name, model, plain(config), hold) for name, hold in forms.items()]


def _container(name: str, model: Model, config: Mapping[str, Any], hold: _Hold) -> Container:
    computed = electra_graph(model, config, hold)
    files = data_files(name, [spec for _, spec in computed.entries])
    return Container(ONNX_FOLDER, files, computed.entries, partial(open_folder_sink, name=name, graph=computed.graph))


def onnx_record(options: Options, measured: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What conversion.json says of them; how far the second is from the first is known once both are written."""
    second = {"int8": {"file": f"{ONNX_FOLDER}/{QUANTIZED_FILE}", "measured": measured}} if options.quantize else {}
    return {"onnx": {"opset": OPSET, "ir_version": IR_VERSION, **second}}


def record_rounding(path: Path, options: Options, measured: Mapping[str, Any]) -> None:
    """Put into a conversion.json how far the second model is from the first.

    Raises:
        OutputError: it cannot be written.
    """
    replace_file(path, changed_record(path.read_bytes(), onnx_record(options, measured)))
