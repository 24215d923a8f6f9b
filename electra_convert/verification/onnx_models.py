"""An ONNX model run by onnxruntime, and how far one of rounded weights is from the one that it was made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from electra_convert.errors import SourceError, VocabularyError
from electra_convert.formats.names import ONNX_FILE, QUANTIZED_FILE
from electra_convert.frameworks import import_onnxruntime
from electra_convert.graphs.electra import INPUTS, STATES
from electra_convert.schemes.heads import Head
from electra_convert.schemes.models import Model
from electra_convert.tokenizer.saved import read_saved_tokenizer
from electra_convert.verification.compare import agreement_of, require_shapes
from electra_convert.verification.inputs import Batch, Limits, Specials, builtin_batches
from electra_convert.verification.metrics import largest_difference
from electra_convert.verification.runners import Stages, answer_name

# What the last hidden states are called in a run.
LAST_STATES = answer_name(STATES)
_SPECIALS = ("[PAD]", "[CLS]", "[SEP]", "[MASK]")


@dataclass(frozen=True)
class Int8Distance:
    """What rounding the weights changed, on the built-in inputs; padded places are not looked at.

    Attributes:
        max_abs: by how much an output differs at most.
        largest: the largest magnitude of an output, to hold that against.
        decisions: how many decisions were looked at: of tokens, of texts, of ends of answers; 0 where there are none.
        flipped: how many of them are others.
        onnxruntime: its version.
    """

    max_abs: float
    largest: float
    decisions: int
    flipped: int
    onnxruntime: str

    @property
    def fields(self) -> dict[str, Any]:
        """As conversion.json has it."""
        return asdict(self)

    def __str__(self) -> str:
        told = f"outputs, which reach {self.largest:.2g}, differ by at most {self.max_abs:.2g}"
        if not self.decisions:
            return told
        return f"{told}; decisions that changed: {self.flipped:,} of {self.decisions:,}"


def run_onnx(path: Path, batches: Sequence[Batch]) -> Stages:
    """What a model gives for each batch, by the names of the stages that it gives.

    Raises:
        MissingPackageError: onnxruntime is not installed.
        SourceError: it cannot run the model.
    """
    onnxruntime = import_onnxruntime("to run ONNX models")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # none: what it raises says it
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        outputs = [session.run(None, _inputs(batch)) for batch in batches]
    except Exception as error:  # its own, of a dozen classes that it does not name
        told = " ".join(str(error).split())[:300]
        raise SourceError(f"{path}: onnxruntime cannot run it: {told}") from error
    names = [answer_name(port.name) for port in session.get_outputs()]
    return {name: [arrays[place] for arrays in outputs] for place, name in enumerate(names)}


def measure_rounding(place: Path, folder: Path, model: Model) -> Int8Distance:
    """Run the models of a folder, of float32 and of int8, on the built-in inputs.

    Args:
        place: where both lie.
        folder: where a tokenizer may lie, which knows the special tokens.
        model: what both are.

    Raises:
        MissingPackageError: onnxruntime is not installed.
    """
    batches = builtin_batches(Limits.of(model.sizes), _specials(folder), model.head.segment)
    exact, rounded = (run_onnx(place / name, batches) for name in (ONNX_FILE, QUANTIZED_FILE))
    version = str(import_onnxruntime("to run ONNX models").__version__)
    return rounding_of(model.head, exact, rounded, [batch.input_mask for batch in batches], version)


def rounding_of(
    head: Head, exact: Stages, rounded: Stages, masks: Sequence[NDArray[np.integer]], onnxruntime: str
) -> Int8Distance:
    """How far what a model of rounded weights gives is from what the model itself gives, at tokens alone.

    Raises:
        NamesError: they do not give the same.
    """
    require_shapes(exact, rounded)
    seen, found = (_without_padding([stages[name] for name in exact], masks) for stages in (exact, rounded))
    agreement = agreement_of(head, exact, rounded, masks)
    shares = [] if agreement is None else [agreement.decisions, agreement.top_1, agreement.choices]
    alike = next((share for share in shares if share is not None), 1.0)
    decisions = 0 if agreement is None else agreement.positions
    return Int8Distance(
        max_abs=largest_difference(seen, found),
        largest=max(float(np.abs(array).max()) for array in seen),
        decisions=decisions,
        flipped=round((1 - alike) * decisions),
        onnxruntime=onnxruntime,
    )


def _inputs(batch: Batch) -> Mapping[str, NDArray[np.int64]]:
    return {name: array.astype(np.int64) for name, array in zip(INPUTS, batch.arrays, strict=True)}


def _specials(folder: Path) -> Specials:
    """The ids of a tokenizer that lies in a folder, else those of BERT's vocabularies."""
    try:
        ids = read_saved_tokenizer(folder).special_ids
    except VocabularyError:
        return Specials()
    return Specials(*(ids[token] for token in _SPECIALS))


def _without_padding(
    outputs: Sequence[Sequence[NDArray[np.floating]]], masks: Sequence[NDArray[np.integer]]
) -> list[NDArray[np.floating]]:
    """Every output where there is a token, or of every text."""
    return [
        array[mask > 0] if array.shape[:2] == mask.shape else array
        for arrays in outputs
        for array, mask in zip(arrays, masks, strict=True)
    ]
