"""The reference model in a process of its own, so that TensorFlow and PyTorch share neither threads nor memory.

Both ends of it: a session that starts it, gives it jobs and ends it, and what runs there (`serve`), which reads one
JSON job a line from standard input, writes one answer a line to standard output, and compares nothing. Arrays go by
.npz files.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any, Self, TextIO

import numpy as np
from numpy.typing import NDArray

from electra_convert import errors
from electra_convert.errors import ElectraConvertError, OutputError, SourceError
from electra_convert.verification.reference.graph import Arithmetic, Outputs, Role, Task, run_reference
from electra_convert.verification.reference.settings import Settings, read_settings


@dataclass(frozen=True)
class Answer:
    """What the reference model computed from each batch, the settings it found, and the version of TensorFlow."""

    outputs: list[Outputs]
    settings: Settings
    version: str


class ReferenceSession:
    """A process that runs TensorFlow checkpoints, one job after the other; ended with the context."""

    def __init__(self) -> None:
        self._place: tempfile.TemporaryDirectory[str] | None = None
        self._numbers = count()
        self._answers: dict[int, Mapping[str, Any]] = {}
        self._answered = count()
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
        if self._place is not None:
            self._place.cleanup()

    @property
    def _folder(self) -> Path:
        """Where jobs and answers lie; made when it is first needed."""
        if self._place is None:
            try:
                self._place = tempfile.TemporaryDirectory()
            except OSError as error:
                raise OutputError(f"no temporary folder can be made: {error}", "Set TMPDIR to one.") from error
        return Path(self._place.name)

    def begin(self) -> None:
        """Start the process, which needs seconds to import TensorFlow, before there is a job for it."""
        if self._process is None:
            with (self._folder / "messages").open("w") as messages:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "electra_convert.verification.reference.session"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=messages,
                    text=True,
                    env={**os.environ, "PYTHONPATH": os.pathsep.join(_search_path())},
                )

    def submit(
        self,
        prefix: Path,
        folder: Path,
        hparams: str | None,
        settled: bool,
        role: Role,
        task: Task | None,
        arithmetic: Arithmetic,
        batches: Sequence[tuple[NDArray[np.int32], ...]],
    ) -> Callable[[], Answer]:
        """Have a model run, on batches of ids, mask and segments, each [rows, length].

        Its settings are looked for in hparams, an option, or in the folder of its hparams.json, unless they are
        settled; where none are found, those of the arithmetic are used. A fine-tuned model computes the head of its
        task.

        Returns:
            A function that waits for the answer. It raises MissingPackageError without TensorFlow, and SourceError or
            ConfigError where the model cannot be run.
        """
        self.begin()
        number = next(self._numbers)
        inputs, outputs = (self._folder / f"{kind}_{number}.npz" for kind in ("inputs", "outputs"))
        np.savez(inputs, **_arrays(batches))
        job = {
            "prefix": str(prefix.absolute()),
            "folder": str(folder.absolute()),
            "hparams": hparams,
            "settled": settled,
            "role": role,
            "task": None if task is None else asdict(task),
            "arithmetic": asdict(arithmetic),
            "inputs": str(inputs),
            "outputs": str(outputs),
            "batches": len(batches),
        }
        self._send(job)
        return lambda: self._read_answer(number, outputs, len(batches))

    def _send(self, job: Mapping[str, Any]) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # a process that has died is told of when its answer is asked for
            self._process.stdin.write(json.dumps(job) + "\n")
            self._process.stdin.flush()

    def _read_answer(self, number: int, path: Path, batches: int) -> Answer:
        reply = self._answer(number)
        if "error" in reply:
            kind = getattr(errors, reply["error"], ElectraConvertError)
            raise kind(reply["message"], reply["hint"])
        with np.load(path) as file:
            outputs = [_outputs(file, batch) for batch in range(batches)]
        path.unlink()
        return Answer(outputs, Settings(**reply["settings"]), reply["version"])

    def _answer(self, number: int) -> Mapping[str, Any]:
        """The answers come in the order of the jobs."""
        assert self._process is not None
        assert self._process.stdout is not None
        while number not in self._answers:
            line = self._process.stdout.readline()
            if not line:
                raise SourceError(
                    f"the TensorFlow process ended with status {self._process.wait()}: {self._last_words()}"
                )
            self._answers[next(self._answered)] = json.loads(line)
        return self._answers[number]

    def _last_words(self) -> str:
        lines = (self._folder / "messages").read_text(errors="replace").splitlines()
        return lines[-1] if lines else "it said nothing; was there enough memory?"


def _search_path() -> list[str]:
    """Where this process finds packages, and never whatever folder it happens to stand in."""
    own = str(Path(errors.__file__).resolve().parent.parent)
    return [*(path for path in sys.path if path), own]


def _arrays(batches: Sequence[tuple[NDArray[np.int32], ...]]) -> dict[str, Any]:
    return {
        f"{name}_{number}": array
        for number, batch in enumerate(batches)
        for name, array in zip(("ids", "mask", "segments"), batch, strict=True)
    }


def _outputs(file: Mapping[str, Any], batch: int) -> Outputs:
    layers = sum(name.startswith(f"hidden_{batch}_") for name in file)
    answer = f"answer_{batch}_"
    answers = {name.removeprefix(answer): file[name] for name in file if name.startswith(answer)}
    return Outputs(tuple(file[f"hidden_{batch}_{layer}"] for layer in range(layers)), answers)


def answer(job: Mapping[str, Any]) -> dict[str, Any]:
    """Run one model as submit asks, and tell its settings and TensorFlow's version, or an error."""
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
