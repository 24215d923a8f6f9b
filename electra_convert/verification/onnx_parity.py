"""An ONNX model held to a checkpoint: its weights, bit by bit, its graph, and what onnxruntime computes with it.

What a file must hold follows from the checkpoint: the graph that convert makes of it, and the weights that this graph
computes with, those of 8 bits rounded anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from electra_convert.checkpoint import Model
from electra_convert.errors import SourceError, listing
from electra_convert.formats.names import ONNX_FILE
from electra_convert.formats.onnx import OnnxFile, frame_of, open_folder_sink
from electra_convert.graphs.electra import Computed, electra_graph
from electra_convert.graphs.int8 import Int8Weights
from electra_convert.graphs.operators import OPERATORS, is_constant
from electra_convert.graphs.weights import KERNEL, WEIGHT, Float32Weights
from electra_convert.pytorch import Precision
from electra_convert.schemes.heads import Head
from electra_convert.tensors.transfer import Move, run
from electra_convert.tensors.weight import Weight, constant
from electra_convert.verification.compare import (
    BOTH,
    OWN_ERRORS,
    TOLERANCE,
    OutputsParity,
    agreement_of,
    compare_stages,
    places_of,
    sample_of,
)
from electra_convert.verification.inputs import Batch
from electra_convert.verification.metrics import largest_difference
from electra_convert.verification.onnx_models import LAST_STATES, Int8Distance, rounding_of, run_onnx
from electra_convert.verification.runners import Rounded, Run, Runner, Stages, answer_name
from electra_convert.verification.weights import WeightsParity, compare_weight

_ANOTHER_GRAPH = "its graph is not the one that this version writes"
_HIDDEN = "what an ONNX model computes before its answers: it gives nothing else"


@dataclass(frozen=True)
class OnnxParity:
    """What was found of an ONNX model without running it.

    Attributes:
        path: its file.
        weights: its weights compared, and such constants of its graph as differ.
        is_int8: whether it computes with weights of 8 bits.
        doubt: why it is not shown to compute what the weights say; None where its graph is the one of convert.
        expected: what it should be.
        unknown: operators that no graph of convert has; it is not run then.
    """

    path: Path
    weights: WeightsParity
    is_int8: bool
    doubt: str | None
    expected: Computed
    unknown: tuple[str, ...]


def compare_file(path: Path, model: Model, config: Mapping[str, Any]) -> OnnxParity:
    """Compare what a file holds with what it must hold to be a model of some configuration.

    Raises:
        CorruptFileError: the file is damaged.
        NamesError: it is not known how the model's head computes, or its weights are no numbers.
        ConfigError: there are no operators for its activation.
    """
    with OnnxFile(path) as file:
        is_int8 = any(tensor.dtype.name == "int8" for tensor in file.tensors.values())
        expected = electra_graph(model, config, Int8Weights if is_int8 else Float32Weights)
        found = {name: Weight(tensor) for name, tensor in file.tensors.items()}
        held = {spec.name: weight for weight, spec in expected.entries}
        held |= {spec.name: Weight(constant(spec, values)) for spec, values in expected.graph.constants}
        compared = [compare_weight(name, held.get(name), found.get(name)) for name in sorted({*held, *found})]
        shown = [row for row in compared if row.state != "equal" or not is_constant(row.name)]
        doubt = None if file.frame == frame_of(expected.graph) else _ANOTHER_GRAPH
        unknown = tuple(sorted(file.operators - OPERATORS))
    return OnnxParity(path, WeightsParity(tuple(shown)), is_int8, doubt, expected, unknown)


@dataclass
class Reference:
    """The runs of the model that ONNX models are held to, made when they are asked for, each once."""

    runner: Runner
    batches: Sequence[Batch]
    runs: dict[tuple[Precision, ...], list[Run]] = field(default_factory=dict)

    def run(self, precisions: tuple[Precision, ...], rounded: Rounded) -> list[Run]:
        """Run it in some precisions, some weights rounded first; raises as Runner.start does."""
        if rounded:
            return self.runner.start(self.batches, precisions, rounded)()
        if precisions not in self.runs:
            self.runs[precisions] = self.runner.start(self.batches, precisions, rounded)()
        return self.runs[precisions]


def compare_outputs(found: OnnxParity, head: Head, reference: Reference, tolerance: float | None) -> OutputsParity:
    """Run a model of float32 and what it is held to.

    The largest difference that passes is 1e-4 or four times the reference's own distance from its float64 run, where
    that is more, or the tolerance.

    Raises:
        MissingPackageError: onnxruntime or a framework is not installed.
        SourceError: one of them cannot be run.
        NamesError: they do not give the same.
    """
    computed, version = _run(found, reference.batches)
    rounded = _of_parameters(found.weights.rounded)
    expected, exact = reference.run(BOTH, rounded)
    sides = (_answers(head, expected.stages), _named(head, expected.stages, computed))
    better = _answers(head, exact.stages)

    def limit(name: str) -> float:
        own = OWN_ERRORS * largest_difference(sides[0][name], better[name])
        return max(TOLERANCE, own) if tolerance is None else tolerance

    return _parity(head, sides, better, limit, reference.batches, (expected.framework, version))


def compare_anew(found: OnnxParity, head: Head, batches: Sequence[Batch], tolerance: float | None) -> OutputsParity:
    """Run a model of 8 bits and the one that is made anew of the same checkpoint; raises as compare_outputs."""
    computed, version = _run(found, batches)
    with TemporaryDirectory() as folder:
        expected = _write(Path(folder), found.expected)
        stages = run_onnx(expected, batches)
    sides = (stages, _named(head, stages, computed))
    limit = TOLERANCE if tolerance is None else tolerance
    return _parity(head, sides, stages, lambda _: limit, batches, ("the same made anew", version))


def measure(found: OnnxParity, head: Head, reference: Reference) -> Int8Distance:
    """How far a model of 8 bits is from what it was made of; raises as compare_outputs."""
    computed, version = _run(found, reference.batches)
    (exact,) = reference.run(("float32",), {})
    sides = (_answers(head, exact.stages), _named(head, exact.stages, computed))
    return rounding_of(head, *sides, [batch.input_mask for batch in reference.batches], version.rpartition(" ")[2])


def _run(found: OnnxParity, batches: Sequence[Batch]) -> tuple[Stages, str]:
    """What a model gives, and what it was run by."""
    from electra_convert.frameworks import import_onnxruntime

    version = import_onnxruntime("to run ONNX models").__version__
    if found.unknown:
        raise SourceError(f"{found.path} has operators that no model written here has: {listing(found.unknown)}")
    return run_onnx(found.path, batches), f"onnxruntime {version}"


def _parity(
    head: Head,
    sides: tuple[Stages, Stages],
    exact: Stages,
    limit: Callable[[str], float],
    batches: Sequence[Batch],
    frameworks: tuple[str, str],
) -> OutputsParity:
    positions = sum(batch.input_ids.size for batch in batches)
    return OutputsParity(
        *frameworks,
        positions=positions,
        positions_of_logits=places_of(head, sides[0], positions),
        stages=compare_stages(*sides, exact, limit),
        agreement=agreement_of(head, *sides, [batch.input_mask for batch in batches]),
        sample=sample_of(head, *sides),
        not_covered=(_HIDDEN,) if head.outputs else (),
        exact="reference",
    )


def _answers(head: Head, stages: Stages) -> Stages:
    """Of all stages of a run those that an ONNX model gives: a head's answers, or the last hidden states."""
    if head.outputs:
        return {name: stages[name] for name in map(answer_name, head.outputs)}
    last = list(stages)[-1]
    return {last: stages[last]}


def _named(head: Head, reference: Stages, computed: Stages) -> Stages:
    """What an ONNX model gives, its hidden states under the name that they have in the reference."""
    if head.outputs or LAST_STATES not in computed:
        return computed
    (last,) = _answers(head, reference)
    return {last: computed[LAST_STATES]}


def _of_parameters(rounded: Rounded) -> dict[str, str]:
    """The same by transformers' names."""
    kernels = {name: f"{name.removesuffix(KERNEL)}{WEIGHT}" for name in rounded if name.endswith(KERNEL)}
    return {kernels.get(name, name): dtype for name, dtype in rounded.items()}


def _write(folder: Path, computed: Computed) -> Path:
    specs = [spec for _, spec in computed.entries]
    with open_folder_sink(folder, specs, ONNX_FILE, computed.graph) as sink:
        run([Move(weight, spec, sink) for weight, spec in computed.entries], finite=True)
    return folder / ONNX_FILE
