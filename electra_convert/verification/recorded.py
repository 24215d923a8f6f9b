"""Recorded outputs of a reference, in place of running it, and what a comparison with them cannot see."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from electra_convert.checkpoint import Model
from electra_convert.errors import SourceError, listing
from electra_convert.schemes.mapping import Role
from electra_convert.verification.arrays import read_arrays
from electra_convert.verification.inputs import Batch, Limits, checked, numbered_rows
from electra_convert.verification.runners import LOGITS, Stages, answer_name, stage_name

_PREFIXES: Mapping[Role, str] = {"discriminator": "disc", "generator": "gen"}
_HIDDEN = "last_hidden"
# Where what a fine-tuned model answers with is recorded under another name than its own: a reader's ends before any
# position is masked; where the answer is a number, Google's code gives no logits, but predictions.
_ANSWERS: Mapping[str, tuple[str, ...]] = {
    "logits": ("logits", "predictions"),
    "start_logits": ("start_logits_unmasked",),
    "end_logits": ("end_logits_unmasked",),
}
_EVERY_ANSWER = {name for names in _ANSWERS.values() for name in names}


@dataclass(frozen=True)
class Recording:
    """What one model of a reference was given and computed.

    Attributes:
        stages: the layers' outputs where they were recorded, and the head's answers.
        positions: for a generator the (row, column) of each recorded vector of logits, [n, 2]; else None.
    """

    batch: Batch
    stages: Stages
    positions: NDArray[np.integer] | None

    def select(self, candidate: Stages) -> Stages:
        """The candidate's arrays on the batch, of the stages and at the places that were recorded.

        Raises:
            SourceError: a shape differs, so that the recording is of another model.
        """
        chosen = {name: candidate.get(name, []) for name in self.stages}
        if self.positions is not None:
            chosen[LOGITS] = [array[tuple(self.positions.T)][None] for array in chosen[LOGITS]]
        for name, recorded in self.stages.items():
            found = [list(array.shape) for array in chosen[name]]
            if found != (expected := [list(array.shape) for array in recorded]):
                raise SourceError(
                    f"{self.batch.name}: {name} was recorded with shape {expected[0]}, the candidate's is "
                    f"{found[0] if found else 'not there'}",
                    "The recording is of another model.",
                )
        return chosen

    @property
    def mask(self) -> NDArray[np.integer]:
        """1 where there is a token of which logits were recorded."""
        return self.batch.input_mask if self.positions is None else np.ones((1, len(self.positions)), np.int32)

    def not_covered(self, model: Model) -> tuple[str, ...]:
        """What a comparison of a model with this recording cannot see, one line each."""
        limits, layers = Limits.of(model.sizes), model.sizes.layers
        seen = np.unique(self.batch.input_ids[self.batch.input_mask > 0])
        types = np.unique(self.batch.segment_ids[self.batch.input_mask > 0])
        lines = ["biases of keys, which no softmax lets through"]
        if (self.batch.input_mask.sum(axis=1) < 2).all():
            lines.append("queries, keys and the head count, since no row has two tokens to attend to")
        if len(seen) < limits.vocabulary:
            lines.append(
                f"{limits.vocabulary - len(seen):,} of {limits.vocabulary:,} word embeddings, never looked up"
            )
        if self.batch.length < limits.positions:
            lines.append(f"positions {self.batch.length} to {limits.positions - 1}, never used")
        if len(types) < limits.types:
            lines.append(f"{limits.types - len(types)} of {limits.types} token types, never used")
        if self.positions is not None:
            lines.append(f"logits at other positions than the {len(self.positions):,} recorded")
        names = [answer_name(name) for name in model.head.outputs]
        if not names:
            lines.append("what a head makes of the hidden states, since the candidate has none")
        lines += [f"{name}, which were not recorded" for name in names if name not in self.stages]
        unrecorded = layers - sum(name.startswith("layer") for name in self.stages)
        if unrecorded > 0:
            lines.append(f"hidden states of {unrecorded} of {layers} layers, which were not recorded")
        return tuple(lines)

    @property
    def positions_of_logits(self) -> int:
        """At how many positions logits were recorded."""
        return self.batch.input_ids.size if self.positions is None else len(self.positions)


def read_golden(path: Path, models: Mapping[Role, Model], task: str | None = None) -> dict[Role, Recording]:
    """Read what a reference computed.

    Args:
        path: an .npz with input_mask and segment_ids [rows, length]; of a discriminator disc_ids, disc_logits
            [rows, length] and where recorded disc_hidden [layers, rows, length, hidden]; of a generator gen_ids,
            gen_positions [n, 2] with (row, column), gen_logits [n, vocabulary] and where recorded gen_hidden. Of a
            fine-tuned model input_ids, last_hidden [rows, length, hidden], and of its head logits [rows, labels] or
            [rows, length, labels], or start_logits_unmasked and end_logits_unmasked [rows, length]; with TASK/ before
            the names of the head's where several tasks are recorded.
        models: those of the candidate.
        task: the one that the candidate is of, where it does not say so itself.

    Raises:
        SourceError: the file cannot be read, or records none of the candidate's models.
        UsageError: its arrays do not fit the candidate.
    """
    arrays = read_arrays(path)
    wanted = {role: _PREFIXES[role] for role in models}
    found = {
        role: _recording(path, arrays, prefix, models[role])
        for role, prefix in wanted.items()
        if f"{prefix}_logits" in arrays
    }
    model = models.get("discriminator")
    tuned = model is not None and (model.head.is_of_a_task or not model.head.outputs)
    if not found and model is not None and tuned and "input_ids" in arrays:
        found = {"discriminator": _task_recording(path, arrays, model, task)}
    if not found:
        needed = " or ".join(f"{prefix}_ids, {prefix}_logits" for prefix in wanted.values())
        raise SourceError(f"{path} records no model of the candidate: it holds {listing(arrays)}, not {needed}")
    return found


def _recording(path: Path, arrays: Mapping[str, NDArray[Any]], prefix: str, model: Model) -> Recording:
    needed = [f"{prefix}_ids", "input_mask", "segment_ids", *(["gen_positions"] if prefix == "gen" else [])]
    if missing := [name for name in needed if name not in arrays]:
        raise SourceError(f"{path} holds {prefix}_logits, but no {', '.join(missing)}")
    ids, logits = arrays[f"{prefix}_ids"], arrays[f"{prefix}_logits"]
    masks = arrays["input_mask"], arrays["segment_ids"]
    batch = checked(Batch(path.name, numbered_rows(ids), ids, *masks), Limits.of(model.sizes), f"{prefix}_ids")
    hidden = arrays.get(f"{prefix}_hidden")
    _require_recorded(path, f"{prefix}_logits", logits, 2)
    if hidden is not None:
        _require_recorded(path, f"{prefix}_hidden", hidden, 4)
    stages = {stage_name(layer): [states] for layer, states in enumerate(() if hidden is None else hidden, 1)}
    if prefix == "disc":
        answers = {LOGITS: [logits]} if model.head.outputs or not stages else {}  # of an encoder the states alone
        return Recording(batch, stages | answers, None)
    positions = arrays["gen_positions"]
    shape = (len(logits), 2)
    whole = positions.dtype.kind in "iu" and positions.shape == shape
    if not whole or (positions < 0).any() or (positions >= ids.shape).any():
        raise SourceError(
            f"{path}: gen_positions is {positions.dtype} of shape {list(positions.shape)}, expected {list(shape)}, "
            "a row and a column of gen_ids for each vector of gen_logits"
        )
    return Recording(batch, {**stages, LOGITS: [logits[None]]}, positions)


def _task_recording(path: Path, arrays: Mapping[str, NDArray[Any]], model: Model, task: str | None) -> Recording:
    """Of a fine-tuned model, or of its encoder."""
    if missing := [name for name in ("input_mask", "segment_ids") if name not in arrays]:
        raise SourceError(f"{path} holds input_ids, but no {', '.join(missing)}")
    inputs = (arrays[name] for name in ("input_ids", "input_mask", "segment_ids"))
    batch = checked(Batch(path.name, numbered_rows(arrays["input_ids"]), *inputs), Limits.of(model.sizes))
    stages = {}
    if _HIDDEN in arrays:
        _require_recorded(path, _HIDDEN, arrays[_HIDDEN], 3)
        stages[stage_name(model.sizes.layers)] = [arrays[_HIDDEN]]
    if model.head.unmapped and (told := [name for name in arrays if name.rpartition("/")[2] in _EVERY_ANSWER]):
        raise SourceError(
            f"{path} records {listing(told)}, and the candidate's head is none that this tool can run: it has "
            f"{listing(model.head.unmapped)}",
            "See what is missing in it with inspect.",
        )
    scope = _scope(path, arrays, task or model.task) if model.head.outputs else ""
    recorded = {field: _answer(path, arrays, scope, field) for field in model.head.outputs}
    answers = {answer_name(field): [array] for field, array in recorded.items() if array is not None}
    if not answers and (model.head.outputs or not stages):
        wanted = listing([f"{scope}{_names(field)[0]}" for field in model.head.outputs] or [_HIDDEN])
        raise SourceError(f"{path} records no outputs of the candidate: it holds {listing(arrays)}, not {wanted}")
    return Recording(batch, stages | answers, None)


def _scope(path: Path, arrays: Mapping[str, NDArray[Any]], task: str) -> str:
    """What the names of a task's arrays begin with: nothing where one task alone was recorded."""
    if not (tasks := _tasks(arrays)):
        return ""
    if task not in tasks:
        raise SourceError(
            f"{path} records {listing(tasks)}, not {task or 'a task without a name'}", "Give --task NAME."
        )
    return f"{task}/"


def recorded_tasks(path: Path) -> tuple[str, ...]:
    """The tasks that golden outputs tell apart; none where one alone was recorded, or no fine-tuned model.

    Raises:
        SourceError: the file cannot be read.
    """
    return _tasks(read_arrays(path))


def _tasks(arrays: Collection[str]) -> tuple[str, ...]:
    return tuple(sorted({name.partition("/")[0] for name in arrays if "/" in name}))


def _answer(path: Path, arrays: Mapping[str, NDArray[Any]], scope: str, field: str) -> NDArray[np.floating] | None:
    """The array that records a field of the head's answers, a number for each row as [rows, 1]."""
    name = next((scope + name for name in _names(field) if scope + name in arrays), None)
    if name is None:
        return None
    array = arrays[name][:, None] if arrays[name].ndim == 1 else arrays[name]
    _require_recorded(path, name, array, array.ndim)
    return array


def _names(field: str) -> tuple[str, ...]:
    return _ANSWERS.get(field, (field,))


def _require_recorded(path: Path, name: str, array: NDArray[Any], dimensions: int) -> None:
    """Refuse what is no recording of numbers: a limit or a distance made of it would mean nothing."""
    if array.dtype.kind != "f" or array.ndim != dimensions or not array.size:
        found = f"{array.dtype} of shape {list(array.shape)}"
        raise SourceError(f"{path}: {name} is {found}, expected {dimensions} dimensions of floats")
    if not np.isfinite(array).all():
        raise SourceError(f"{path}: {name} holds NaN or infinite values", "A run that diverged is no reference.")
