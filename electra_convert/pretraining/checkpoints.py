"""The models of a run and its checkpoints, as files: laid out by the code that convert uses, whole or not at all.

A checkpoint is checked before it is used, and the last few are kept.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from crc32c import crc32c

from electra_convert.config.keys import LOCATIONS
from electra_convert.conversion.layout_tensorflow import plan_tensorflow
from electra_convert.conversion.layout_transformers import plan_transformers
from electra_convert.conversion.options import Options
from electra_convert.conversion.plan import OutputPlan, write
from electra_convert.errors import ElectraConvertError, TrainingError, listing
from electra_convert.formats.files import checksum_of_file
from electra_convert.formats.json_objects import read_object
from electra_convert.formats.names import CONVERSION_FILE, TRAINING_FILE
from electra_convert.output import new_folder, write_file
from electra_convert.pretraining.run_folder import MODEL
from electra_convert.pretraining.train_state import Losses, TrainState, as_checkpoint
from electra_convert.verification.record import hash_files
from electra_convert.version import __version__

_SCHEMA = 1
_STATE = "state.json"
_NAME = re.compile(r"step-(\d{1,18})")


@dataclass(frozen=True)
class Saved:
    """A checkpoint that was found whole.

    Attributes:
        models: the folder of its models, with optimiser slots and step.
        step: the global step.
        pending: losses of steps that had not been reported yet.
    """

    models: Path
    step: int
    pending: Losses


def save(folder: Path, state: TrainState, options: Options, described: Mapping[str, Any], keep: int) -> None:
    """Write a checkpoint, and remove the oldest beyond those that are kept.

    Args:
        folder: the folder of checkpoints.
        state: what is written.
        options: as write_models takes them.
        described: as write_models takes it.
        keep: how many checkpoints are kept; 0 for all.

    Raises:
        OutputError: it cannot be written; what was there before still is.
    """
    with new_folder(folder / f"step-{state.step}", overwrite=True) as place:
        write_models(state, options, described, place / MODEL)
        paths = sorted(path for path in (place / MODEL).rglob("*") if path.is_file())
        files = {str(path.relative_to(place)): _fingerprint(path) for path in paths}
        content = {"schema": _SCHEMA, "step": state.step, "pending": state.pending, "files": files}
        write_file(place / _STATE, _as_json({"crc32c": _checksum(content), **content}))
    found = _found(folder)
    for old in sorted(found)[:-keep] if keep else []:
        _remove(found[old])
    # What is hidden there, runs that were killed have left; with this checkpoint none of it is the only copy.
    for left in folder.glob(".step-*"):
        shutil.rmtree(left, ignore_errors=True)


def write_models(state: TrainState, options: Options, described: Mapping[str, Any], folder: Path) -> None:
    """Write the models and the optimiser's state as convert does, with training.json in place of conversion.json.

    Args:
        state: what is written.
        options: of convert: the tokenizer, and what is carried over.
        described: what training.json is to say of the run beside step, layout and hparams.
        folder: the folder to make; a pair gets a folder each within it.

    Raises:
        NamesError: a weight is not finite.
        OutputError: it cannot be written.
    """
    plan = _planned(state, options)
    record = _record(state, described)
    files, records = _apart(plan.files)

    def write_records(staging: Path) -> None:
        for name in records:
            path = staging / name
            write_file(path, _as_json({**record, "files": hash_files(path.parent)}))

    models = OutputPlan(plan.containers, files, plan.notices)
    write(models, folder, overwrite=True, finite=True, progress=None, inspect=write_records)


def _planned(state: TrainState, options: Options) -> OutputPlan:
    if state.plan is not None:
        return state.plan()
    return plan_transformers(as_checkpoint(state), state.findings, tuple(state.networks), "safetensors", options, ())


def write_tensorflow(state: TrainState, options: Options, folder: Path) -> None:
    """Write a checkpoint that google-research/electra's code reads and resumes.

    Args:
        state: what is written.
        options: as write_models takes them.
        folder: the folder to make.

    Raises:
        ConfigError: Google's code cannot express a model.
        OutputError: it cannot be written.
    """
    # Google's code has no choice of these.
    tokenizer = replace(options.tokenizer, strip_accents=None, tokenize_chinese_chars=None, added_tokens=None)
    given = replace(options, tokenizer=tokenizer)
    plan = plan_tensorflow(as_checkpoint(state), state.findings, tuple(state.networks), given, ())
    write(plan, folder, overwrite=True, finite=True, progress=None)


def _apart(files: Mapping[str, bytes]) -> tuple[dict[str, bytes], list[str]]:
    """Small files as they are, and where each training.json goes: it is written last, with the hashes of the rest."""
    records = [PurePosixPath(name) for name in files if PurePosixPath(name).name == CONVERSION_FILE]
    others = {name: content for name, content in files.items() if PurePosixPath(name) not in records}
    return others, [str(record.with_name(TRAINING_FILE)) for record in records]


def _record(state: TrainState, described: Mapping[str, Any]) -> dict[str, Any]:
    """training.json: no times and no paths; a later convert finds layout, step and hparams in it."""
    hparams = state.findings.hparams
    return {
        "schema": _SCHEMA,
        "tool": {"name": "electra_convert", "version": __version__},
        "variant": None if state.plan else state.layout.name,
        "step": state.step,
        "hparams": {key: value for key, value in (hparams.given if hparams else {}).items() if key not in LOCATIONS},
        **described,
    }


def latest(folder: Path) -> tuple[Saved | None, list[str]]:
    """Find the last checkpoint in a folder of them that is whole.

    Returns:
        The checkpoint, None where there are none at all, and a line for each that is damaged.

    Raises:
        TrainingError: there are checkpoints, and all of them are damaged.
    """
    damaged: list[str] = []
    found = _found(folder)
    for step in sorted(found, reverse=True):
        try:
            return _checked(found[step], step), damaged
        except (ElectraConvertError, OSError, KeyError, TypeError, ValueError) as error:
            reason = error.message if isinstance(error, ElectraConvertError) else f"{type(error).__name__}: {error}"
            damaged.append(f"{found[step]} is damaged and passed over: {reason}.")
    if damaged:
        raise TrainingError(
            f"every checkpoint in {folder} is damaged: {' '.join(damaged)}", "--overwrite starts anew."
        )
    return None, []


def last_step(folder: Path) -> int | None:
    """The step of the last checkpoint there is, unchecked; None where there are none."""
    return max(_found(folder), default=None)


def _found(folder: Path) -> dict[int, Path]:
    names = ((path, _NAME.fullmatch(path.name)) for path in (folder.iterdir() if folder.is_dir() else ()))
    return {int(match[1]): path for path, match in names if match}


def _checked(place: Path, step: int) -> Saved:
    state: Any = read_object(place / _STATE)
    if state.pop("crc32c") != _checksum(state):
        raise TrainingError(f"{_STATE} does not have the checksum it names")
    _require_form(state)
    for name, expected in state["files"].items():
        found = _fingerprint(place / name)
        if found != expected:
            raise TrainingError(f"{name} has {_difference(found, expected)}")
    if state["step"] != step:
        raise TrainingError(f"its state is that of step {state['step']}")
    return Saved(place / MODEL, step, state["pending"])


def _require_form(state: Mapping[str, Any]) -> None:
    """Refuse a state that has a right checksum and is none: anyone can compute one."""
    files, pending = state["files"], state["pending"]
    if not isinstance(files, dict) or not all(isinstance(one, dict) for one in files.values()):
        raise TrainingError(f"{_STATE} lists no files")
    if outside := [name for name in files if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts]:
        raise TrainingError(f"{_STATE} lists files outside its folder: {listing(map(repr, outside))}")
    rows = pending if isinstance(pending, list) else [None]
    if not all(isinstance(row, list) and all(isinstance(one, int | float) for one in row) for row in rows):
        raise TrainingError(f"{_STATE} has no losses where they should be")


def _difference(found: Mapping[str, Any], expected: Mapping[str, Any]) -> str:
    if found["bytes"] != expected["bytes"]:
        return f"{found['bytes']:,} bytes, expected {expected['bytes']:,}"
    return f"checksum {found['crc32c']}, expected {expected['crc32c']}"


def _checksum(state: Mapping[str, Any]) -> str:
    return f"{crc32c(json.dumps(state, sort_keys=True).encode()):08x}"


def _fingerprint(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "crc32c": checksum_of_file(path)}


def _remove(place: Path) -> None:
    """Rename it first: a removal that is interrupted leaves nothing that looks like a checkpoint."""
    doomed = place.with_name(f".{place.name}.removed")
    shutil.rmtree(doomed, ignore_errors=True)
    place.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def _as_json(fields: Mapping[str, Any]) -> bytes:
    return (json.dumps(fields, indent=2, ensure_ascii=False) + "\n").encode()
