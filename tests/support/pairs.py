"""Converted model folders for tests to tamper with: their weights and settings changed in place."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

Weights = dict[str, NDArray[np.floating]]


def change_weights(folder: Path, change: Callable[[Weights], object]) -> None:
    """Change the weights of a model folder, and take the record of its conversion away."""
    weights = load_file(folder / "model.safetensors")
    change(weights)
    contiguous = {name: np.ascontiguousarray(array) for name, array in weights.items()}
    save_file(contiguous, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "conversion.json").unlink(missing_ok=True)


def change_config(folder: Path, **values: Any) -> None:
    """Change values of a model folder's config.json; None takes one out."""
    path = folder / "config.json"
    config = {**json.loads(path.read_text()), **values}
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))


def copy_pair(source: Path, target: Path) -> Path:
    """Copy a folder of models."""
    shutil.copytree(source, target)
    return target
