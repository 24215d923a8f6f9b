"""A report as JSON, and parity.json: the report kept beside the model it is about, with the hashes of its files."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import Any

from electra_convert.errors import OutputError
from electra_convert.formats.files import sha256_of_file
from electra_convert.formats.names import CARD_FILE, ONNX_FOLDER, PARITY_FILE
from electra_convert.output import is_unfinished, remove_unfinished, replace_file
from electra_convert.schemes.mapping import Role
from electra_convert.verification.compare import OutputsParity
from electra_convert.verification.inputs import Batch
from electra_convert.verification.report import ModelParity, ParityReport
from electra_convert.verification.weights import WeightsParity
from electra_convert.version import __version__

SCHEMA = 1


def report_fields(report: ParityReport) -> dict[str, Any]:
    """A report as JSON: no times, no paths, base names only; a number that is NaN or infinite is told as text."""
    fields = {
        "schema": SCHEMA,
        "tool": {"name": "electra_convert", "version": __version__},
        "verdict": report.verdict,
        "weights_only": report.weights_only,
        "tolerance": report.tolerance,
        "reference": {"name": report.reference.name, "format": report.reference.format},
        "candidate": {"name": report.candidate.name, "format": report.candidate.format},
        "summary": report.summary,
        "reasons": list(report.reasons),
        "inputs": [_batch_fields(batch) for batch in report.batches],
        "models": {role: _model_fields(model) for role, model in report.models.items()},
        "versions": dict(report.versions),
        "notes": list(report.notes),
    }
    plain: dict[str, Any] = _plain(fields)
    return plain


def _batch_fields(batch: Batch) -> dict[str, Any]:
    return {"name": batch.name, "rows": list(batch.rows), "length": batch.length, "tokens": batch.tokens}


def _model_fields(model: ModelParity) -> dict[str, Any]:
    return {
        "weights": None if model.weights is None else _weights_fields(model.weights),
        "settings": {
            setting.key: {key: value for key, value in asdict(setting).items() if key != "key"}
            for setting in model.settings
        },
        "forward": None if model.outputs is None else _outputs_fields(model.outputs),
        "obstacle": model.not_run,
        "fault": model.fault,
        "int8": None if model.int8 is None else model.int8.fields,
        "doubt": model.doubt,
    }


def _weights_fields(weights: WeightsParity) -> dict[str, Any]:
    return {
        "tensors": len(weights.tensors),
        "equal": weights.equal,
        "rounded_to": sorted(set(weights.rounded.values())),
        "differing": [asdict(tensor) for tensor in weights.differing],
    }


def _outputs_fields(outputs: OutputsParity) -> dict[str, Any]:
    return {
        "reference": outputs.reference,
        "candidate": outputs.candidate,
        "positions": outputs.positions,
        "positions_of_logits": outputs.positions_of_logits,
        "first_parted": None if outputs.first_differing is None else outputs.first_differing.name,
        "stages": {
            stage.name: {
                **asdict(stage.figures),
                "limit": stage.limit,
                "reference_from_float64": stage.reference_error,
                "candidate_from_float64": stage.candidate_error,
                "both_in_float64": stage.exact,
            }
            for stage in outputs.stages
        },
        "noticed": None if outputs.agreement is None else asdict(outputs.agreement),
        "rounding": {name: asdict(figures) for name, figures in outputs.rounding.items()},
        "blind": list(outputs.not_covered),
    }


def _plain(value: Any) -> Any:  # noqa: ANN401 - JSON values
    """JSON has no NaN."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, float) and not isfinite(value) else value


def save_report(
    report: ParityReport, folders: Mapping[Role, Path], provenance: Mapping[str, Any] | None
) -> tuple[Path, ...]:
    """Write a report into the folder of each model of the candidate, both in one for a TensorFlow checkpoint.

    Provenance is from which files the reference was read, None where recorded outputs stood for it.

    Raises:
        OutputError: one cannot be written, or a file of a folder cannot be read.
    """
    written = []
    for folder in dict.fromkeys(folders.values()):
        remove_unfinished(folder / CARD_FILE)
        roles = [role for role, place in folders.items() if place == folder]
        fields = {**report_fields(report.of(roles)), "provenance": provenance, "files": hash_files(folder)}
        content = json.dumps(fields, indent=2, ensure_ascii=False) + "\n"
        replace_file(folder / PARITY_FILE, content.encode("utf-8", "backslashreplace"))
        written.append(folder / PARITY_FILE)
    return tuple(written)


def check_folders(folders: Iterable[Path]) -> None:
    """Refuse folders that no report can be kept in, before any work is done.

    Raises:
        OutputError: one may not be written to, or holds something else under the report's name.
    """
    for folder in folders:
        path = folder / PARITY_FILE
        if os.path.lexists(path) and not path.is_file():
            raise OutputError(f"{path} is not a file, so it is not replaced", "Move it away, or leave --save out.")
        if not os.access(folder, os.W_OK):
            raise OutputError(f"{folder} may not be written to", "Leave --save out, or copy the folder.")


def hash_files(folder: Path) -> dict[str, str]:
    """The SHA-256 in hexadecimal of every file that a model folder itself holds, but for parity.json, by name.

    Those of ONNX models, in a folder of their own within it, are among them.

    Raises:
        OutputError: a file cannot be read.
    """
    hashes = {}
    for path in sorted([*folder.iterdir(), *(folder / ONNX_FOLDER).glob("*")]):
        if path.is_file() and path.name != PARITY_FILE and not is_unfinished(path.name):
            try:
                hashes[path.relative_to(folder).as_posix()] = sha256_of_file(path)
            except OSError as error:
                raise OutputError(f"{path} cannot be read to hash it: {error.strerror}") from error
    return hashes
