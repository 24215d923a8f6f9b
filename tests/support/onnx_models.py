"""ONNX models as onnxruntime runs them, each held to the whole of onnx' checks before."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]
_LAYER = "electra.encoder.layer."


def checked(path: Path):
    """Load a model, and have onnx check all of it, shapes too."""
    import onnx

    onnx.checker.check_model(path, full_check=True)
    return onnx.load(path)


def run(path: Path, ids: Array, mask: Array, types: Array) -> tuple[dict[str, Array], list[Array]]:
    """Run a model on one thread: what it gives, by name, and the output of every layer."""
    import onnx
    import onnxruntime

    model = checked(path)
    given = {port.name for port in model.graph.output}
    named = [name for node in model.graph.node for name in node.output]
    layers = [name for name in named if name.removeprefix(_LAYER).isdigit()]
    model.graph.output.extend(onnx.helper.make_tensor_value_info(name, 1, None) for name in layers)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
    computed: Mapping[str, Array] = dict(
        zip(
            [port.name for port in session.get_outputs()],
            session.run(None, {name: np.asarray(array, np.int64) for name, array in inputs.items()}),
            strict=True,
        )
    )
    return {name: computed[name] for name in given}, [computed[name] for name in layers]
