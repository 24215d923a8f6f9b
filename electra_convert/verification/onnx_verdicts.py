"""Every ONNX model of a side held to the reference: the verdict on each, in a report's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from electra_convert.errors import ElectraConvertError, MissingPackageError
from electra_convert.schemes.heads import Head
from electra_convert.schemes.mapping import Role
from electra_convert.verification.compare import OutputsParity
from electra_convert.verification.inputs import Batch
from electra_convert.verification.onnx_models import Int8Distance
from electra_convert.verification.onnx_parity import (
    OnnxParity,
    Reference,
    compare_anew,
    compare_file,
    compare_outputs,
    measure,
)
from electra_convert.verification.reference.session import ReferenceSession
from electra_convert.verification.report import ModelParity, onnx_name
from electra_convert.verification.settings import SettingParity
from electra_convert.verification.sides import Side


def compare_onnx(
    reference: Side,
    candidate: Side,
    settings: Mapping[Role, tuple[SettingParity, ...]],
    batches: Sequence[Batch],
    tolerance: float | None,
    session: ReferenceSession,
) -> dict[str, ModelParity]:
    """Compare the ONNX models of a side, and run them on some inputs where there are any.

    Args:
        reference: what they are held to.
        candidate: the side that has them.
        settings: its configurations compared, by role.
        batches: the inputs; empty where nothing is to be run.
        tolerance: the largest absolute difference that passes, None for the rule.
        session: the process that runs a TensorFlow checkpoint.

    Returns:
        What was found, by what the report calls each.

    Raises:
        CorruptFileError: a file is damaged.
        NamesError: it is not known how the reference's head computes.
        MissingPackageError: a framework that runs the reference is not installed.
    """
    found = {}
    for role, compared in settings.items():
        runs = Reference(reference.runner(role, candidate, session), batches)
        model = reference.checkpoint.models[role]
        for place in candidate.onnx(role):
            parity = compare_file(place.path, model, _config(reference, candidate, role))
            outputs, int8, not_run = _run(parity, model.head, runs, tolerance, candidate) if batches else (None,) * 3
            ran_by = f"onnxruntime {int8.onnxruntime}" if int8 else outputs.candidate if outputs else None
            found[onnx_name(role, place.name)] = ModelParity(
                parity.weights, compared, outputs, not_run, candidate.fault, int8, parity.doubt, ran_by
            )
    return found


def _config(reference: Side, candidate: Side, role: Role) -> dict[str, Any]:
    """The configuration that the graph follows from: the reference's, where it is no guess."""
    assert reference.findings is not None
    values = {key: value.value for key, value in reference.findings.configs[role].values.items()}
    known = {key: [side.setting(role, key) for side in (reference, candidate)] for key in values}
    return {key: next((one for one in known[key] if one is not None), value) for key, value in values.items()}


def _run(
    parity: OnnxParity, head: Head, reference: Reference, tolerance: float | None, candidate: Side
) -> tuple[OutputsParity | None, Int8Distance | None, str | None]:
    """What a model computes, how far one of 8 bits is from the reference, and why it could not be run.

    One of 8 bits whose weights and graph are those of convert is the same as the one that would be made anew.
    """
    outputs = int8 = None
    try:
        if not parity.is_int8:
            outputs = compare_outputs(parity, head, reference, tolerance)
        else:
            if parity.doubt is not None or parity.weights.differing:
                outputs = compare_anew(parity, head, reference.batches, tolerance)
            int8 = measure(parity, head, reference)
    except MissingPackageError as error:
        if "onnxruntime" not in error.message:
            raise
        return None, None, f"{error.message} ({error.hint})"
    except ElectraConvertError as error:
        return outputs, int8, candidate.by_name(error.message)
    return outputs, int8, None
