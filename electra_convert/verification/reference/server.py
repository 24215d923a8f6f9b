"""The reference model in a process of its own, so that TensorFlow and PyTorch share neither threads nor memory.

It reads one JSON job a line from standard input, writes one answer a line to standard output, and compares nothing.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from electra_convert.errors import ElectraConvertError
from electra_convert.verification.reference.graph import Arithmetic, Outputs, Task, run_reference
from electra_convert.verification.reference.settings import Settings, read_settings


def answer(job: Mapping[str, Any]) -> dict[str, Any]:
    """Run one model.

    Args:
        job: the checkpoint's prefix; the folder and hparams where its settings may be, and whether these are settled
            without them; its role; the task whose head is wanted, or null; arithmetic to fall back on where nothing
            says it; inputs and outputs, names of .npz files to read and to write.

    Returns:
        What was found of its settings and the version of TensorFlow; or an error, its message and hint.
    """
    try:
        prefix, role = Path(job["prefix"]), job["role"]
        settings = Settings(None, None, None)
        if not job["settled"]:
            settings = read_settings(prefix, Path(job["folder"]), role, job["hparams"])
        given = Arithmetic(**job["arithmetic"])
        arithmetic = Arithmetic(
            settings.heads or given.heads, settings.activation or given.activation, given.precision, given.rounded
        )
        with np.load(job["inputs"]) as file:
            batches = [
                tuple(file[f"{name}_{batch}"] for name in ("ids", "mask", "segments"))
                for batch in range(job["batches"])
            ]
        task = Task(**job["task"]) if job["task"] else None
        outputs = run_reference(prefix, role, arithmetic, batches, task)
        _save(Path(job["outputs"]), outputs)
    except ElectraConvertError as error:
        return {"error": type(error).__name__, "message": error.message, "hint": error.hint}
    return {"settings": asdict(settings), "version": sys.modules["tensorflow"].__version__}


def _save(path: Path, outputs: list[Outputs]) -> None:
    arrays: dict[str, Any] = {}
    for batch, output in enumerate(outputs):
        arrays |= {f"hidden_{batch}_{layer}": array for layer, array in enumerate(output.hidden)}
        arrays |= {f"answer_{batch}_{name}": array for name, array in output.answers.items()}
    np.savez(path, **arrays)


def serve(jobs: TextIO, answers: TextIO) -> None:
    """Answer jobs, one JSON object a line, until there are no more."""
    for line in jobs:
        answers.write(json.dumps(answer(json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    # Whatever TensorFlow prints is not an answer.
    own = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    serve(sys.stdin, own)
