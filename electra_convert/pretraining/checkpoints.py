"""The checkpoints of a run: written whole or not at all, checked before they are used, the last few kept."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crc32c import crc32c

from electra_convert.errors import ElectraConvertError, TrainingError
from electra_convert.formats.files import checksum_of_file
from electra_convert.formats.json_objects import decode_object
from electra_convert.output import new_folder, write_file
from electra_convert.pretraining.export import Tokens, write_models
from electra_convert.pretraining.train_state import Trained

MODEL = "model"
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
    pending: list[list[float]]


def save(
    folder: Path,
    trained: Trained,
    step: int,
    tokens: Tokens,
    described: Mapping[str, Any],
    pending: list[list[float]],
    keep: int,
) -> None:
    """Write a checkpoint, and remove the oldest beyond those that are kept.

    Args:
        folder: the folder of checkpoints.
        trained: the networks and their optimiser.
        step: the global step they are at.
        tokens: their tokenizer.
        described: what training.json is to say of the run.
        pending: losses of steps that have not been reported yet.
        keep: how many checkpoints are kept; 0 for all.

    Raises:
        OutputError: it cannot be written; what was there before still is.
    """
    with new_folder(folder / f"step-{step}", overwrite=True) as place:
        write_models(trained, step, tokens, described, place / MODEL)
        paths = sorted(path for path in (place / MODEL).rglob("*") if path.is_file())
        files = {str(path.relative_to(place)): _fingerprint(path) for path in paths}
        state = {"schema": 1, "step": step, "pending": pending, "files": files}
        content = json.dumps({"crc32c": _checksum(state), **state}, indent=2)
        write_file(place / _STATE, f"{content}\n".encode())
    found = _found(folder)
    for old in sorted(found)[:-keep] if keep else []:
        _remove(found[old])
    # What is hidden there, runs that were killed have left; with this checkpoint none of it is the only copy.
    for left in folder.glob(".step-*"):
        shutil.rmtree(left, ignore_errors=True)


def latest(folder: Path) -> tuple[Saved | None, list[str]]:
    """Find the last checkpoint that is whole.

    Args:
        folder: the folder of checkpoints.

    Returns:
        The checkpoint, None where there are none at all, and a notice for each that is damaged.

    Raises:
        TrainingError: there are checkpoints, and all of them are damaged.
    """
    notices: list[str] = []
    found = _found(folder)
    for step in sorted(found, reverse=True):
        try:
            return _checked(found[step], step), notices
        except (ElectraConvertError, OSError, KeyError, TypeError, ValueError) as error:
            reason = error.message if isinstance(error, ElectraConvertError) else f"{type(error).__name__}: {error}"
            notices.append(f"{found[step]} is damaged and passed over: {reason}.")
    if notices:
        raise TrainingError(
            f"every checkpoint in {folder} is damaged: {' '.join(notices)}", "--overwrite starts anew."
        )
    return None, []


def last_step(folder: Path) -> int | None:
    """The step of the last checkpoint there is, unchecked; None where there are none."""
    return max(_found(folder), default=None)


def _found(folder: Path) -> dict[int, Path]:
    names = ((path, _NAME.fullmatch(path.name)) for path in (folder.iterdir() if folder.is_dir() else ()))
    return {int(match[1]): path for path, match in names if match}


def _checked(place: Path, step: int) -> Saved:
    state: Any = decode_object((place / _STATE).read_bytes(), str(place / _STATE))
    if state.pop("crc32c") != _checksum(state):
        raise TrainingError(f"{_STATE} does not have the checksum it names")
    for name, expected in state["files"].items():
        found = _fingerprint(place / name)
        if found != expected:
            raise TrainingError(f"{name} has {_difference(found, expected)}")
    if state["step"] != step:
        raise TrainingError(f"its state is that of step {state['step']}")
    return Saved(place / MODEL, step, state["pending"])


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
