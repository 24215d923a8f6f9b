"""Files as Keras writes them, made of a state dict with h5py; its names are derived here a second time, the other way
round: from transformers' parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

Weights = Mapping[str, NDArray[np.generic]]
Where = Callable[[str], str]


def keras_name(parameter: str) -> str:
    """What Keras calls a parameter within its model."""
    if parameter == "electra.embeddings.word_embeddings.weight":
        return "electra/embeddings/word_embeddings/weight:0"
    if parameter.startswith("electra.embeddings.") and "LayerNorm" not in parameter:
        return parameter.replace(".", "/").removesuffix("weight") + "embeddings:0"
    name = parameter.replace(".layer.", ".layer_._").replace("._", "!").replace(".", "/").replace("!", "._")
    if "LayerNorm" in name:
        name = name.replace("LayerNorm/weight", "LayerNorm/gamma").replace("LayerNorm/bias", "LayerNorm/beta")
    elif name.endswith("/weight"):
        name = name.removesuffix("weight") + "kernel"
    return f"{name}:0"


def keras_values(parameter: str, values: NDArray[np.generic]) -> NDArray[np.generic]:
    """A parameter in the orientation that Keras gives it: dense kernels are [in, out]."""
    return values.T if keras_name(parameter).endswith("kernel:0") else values


def as_transformers_saves(model: str) -> Where:
    """In the group of its layer, behind the model's name: tf_model.h5."""
    return lambda name: f"{name.partition('/')[0]}/{model}/{name}"


def within(group: str) -> Where:
    """In a group for all of the model, as in a Keras model around it."""
    return lambda name: f"{group}/{group}/{name}"


def alone(name: str) -> str:
    """Without the model's name, as in shards."""
    return name


def write_h5(path: Path, weights: Weights, where: Where, more: Weights | None = None) -> Path:
    """Write a file of a model's weights, and of other datasets by their own names."""
    with h5py.File(path, "w") as file:
        for parameter, values in weights.items():
            file[where(keras_name(parameter))] = keras_values(parameter, values)
        for name, values in (more or {}).items():
            file[name] = values
    return path


def read_h5(path: Path) -> dict[str, NDArray[np.generic]]:
    """The values of every dataset of a file, by what follows its model's name."""
    found: dict[str, NDArray[np.generic]] = {}

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item[()]

    with h5py.File(path) as file:
        file.visititems(visit)
    return found
