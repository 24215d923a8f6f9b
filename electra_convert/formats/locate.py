"""Anything a person would point at, resolved to the containers it means; opens no tensor and judges no name."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from electra_convert.errors import SourceError, listing
from electra_convert.formats import tf_bundle
from electra_convert.formats.guidance import UNREADABLE, WANTED, WHOLE, about_folder, about_missing
from electra_convert.formats.names import (
    BUNDLE_INDEX,
    METAGRAPH,
    OPTIMIZER_FILE,
    SAFETENSORS_FILE,
    SAVED_MODEL_FILE,
    SHARD_INDEX,
    STATE_FILE,
    TORCH_FILE,
)
from electra_convert.tensors.spec import Source

Container = Literal["tensorflow", "safetensors", "torch"]

PAIR = ("discriminator", "generator")
# What transformers' from_pretrained looks for, in its order.
_MODEL_FILES: tuple[tuple[str, Container], ...] = (
    (SAFETENSORS_FILE, "safetensors"),
    (f"{SAFETENSORS_FILE}{SHARD_INDEX}", "safetensors"),
    (TORCH_FILE, "torch"),
    (f"{TORCH_FILE}{SHARD_INDEX}", "torch"),
)
_SUFFIXES: dict[str, Container] = {".safetensors": "safetensors", ".bin": "torch", ".pt": "torch", ".pth": "torch"}
_DATA_FILE = re.compile(r"\.data-\d{5}-of-\d{5}$")


@dataclass(frozen=True)
class Location:
    """One container.

    Attributes:
        container: what kind it is.
        path: its prefix (TensorFlow) or file.
        folder: where its configuration, hparams and vocabulary would lie.
        notice: what was passed over to choose it, or None.
    """

    container: Container
    path: Path
    folder: Path
    notice: str | None = None

    def open(self) -> Source:
        """Open it, reading no tensor yet.

        Raises:
            SourceError: it cannot be read.
            CorruptFileError: it is damaged.
        """
        return _opener(self.container)(self.path)


def _opener(container: Container) -> Callable[[Path], Source]:
    if container == "tensorflow":
        return tf_bundle.open_source
    if container == "safetensors":
        from electra_convert.formats import safetensors_file

        return safetensors_file.open_source
    from electra_convert.formats import torch_file

    return torch_file.open_source


def locate(path: Path) -> tuple[Location, ...]:
    """Find what a path means.

    Args:
        path: a folder, a TensorFlow prefix, an .index, .data-..., .meta or `checkpoint` file, a SavedModel, a
            transformers folder or pair of them, a .safetensors, .bin, .pt or .pth file, or a shard index.

    Returns:
        One container, or those of a pair folder.

    Raises:
        SourceError: there is nothing there, nothing this tool reads, or more than one thing.
    """
    try:
        return _found(path)
    except OSError as error:
        raise SourceError(f"{path} cannot be looked at: {error.strerror}") from error


def _found(path: Path) -> tuple[Location, ...]:
    if path.is_dir():
        return _in_folder(path)
    if path.is_file():
        return (_at_file(path),)
    if _index_of(path).is_file():
        return (Location("tensorflow", path, _beside(path)),)
    if sorted(path.parent.glob(f"{_glob_escape(path.name)}.data-*")):
        raise SourceError(f"{path}.index is missing; its data files are there", "Copy the .index file beside them.")
    if path.exists():
        raise SourceError(f"{path} is neither a file nor a folder", "Save what it gives to a file first.")
    raise SourceError(f"{path} does not exist", about_missing(path, _indices(path.parent)))


def _index_of(prefix: Path) -> Path:
    return prefix.with_name(prefix.name + BUNDLE_INDEX)


def _glob_escape(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)


def _indices(folder: Path) -> list[Path]:
    return sorted(
        index for index in folder.glob(f"*{BUNDLE_INDEX}") if ".tempstate" not in index.name and index.is_file()
    )


def _at_file(path: Path) -> Location:
    if path.suffix in {BUNDLE_INDEX, METAGRAPH} or _DATA_FILE.search(path.name):
        return _from_part(path)
    if path.name == STATE_FILE:
        return _from_state(path, path.parent)
    if path.name == OPTIMIZER_FILE:
        raise SourceError(f"{path} holds an optimiser's state, not a model", "Give the folder it lies in.")
    if path.suffix in _SUFFIXES:
        return Location(_SUFFIXES[path.suffix], path, path.parent)
    if path.name.endswith(SHARD_INDEX):
        container: Container = "torch" if ".bin." in path.name else "safetensors"
        return Location(container, path, path.parent)
    if path.name == SAVED_MODEL_FILE:
        return _in_folder(path.parent)[0]
    if path.suffix in UNREADABLE:
        what, cure = UNREADABLE[path.suffix]
        raise SourceError(f"{path} is {what}, which this tool does not read", cure)
    return _from_unnamed(path)


def _from_part(path: Path) -> Location:
    prefix = path.with_name(_DATA_FILE.sub("", path.name).removesuffix(BUNDLE_INDEX).removesuffix(METAGRAPH))
    if not _index_of(prefix).is_file():
        raise SourceError(
            f"{_index_of(prefix)} is missing",
            WHOLE,
        )
    return Location("tensorflow", prefix, _beside(prefix))


def _beside(prefix: Path) -> Path:
    is_saved_model = prefix.name == "variables" and (prefix.parent.parent / SAVED_MODEL_FILE).is_file()
    return prefix.parent.parent if is_saved_model else prefix.parent


def _from_state(state: Path, folder: Path) -> Location:
    return Location("tensorflow", tf_bundle.latest_prefix(state), folder)


def _from_unnamed(path: Path) -> Location:
    if path.stat().st_size == 0:
        raise SourceError(f"{path} is empty", "Copy or download the file again.")
    tf_bundle.refuse_v1(path)
    raise SourceError(
        f"{path} is not a checkpoint this tool knows",
        "Give a folder, a TensorFlow prefix such as model.ckpt-1000, or a .safetensors or .bin file.",
    )


def _in_folder(folder: Path) -> tuple[Location, ...]:
    found = [*_tensorflow_in(folder), *_transformers_in(folder)]
    pair = [location for name in PAIR if (folder / name).is_dir() for location in _transformers_in(folder / name)]
    if found and pair:
        raise _several(folder, [*found, *pair])
    if len(found) > 1:
        raise _several(folder, found)
    if found:
        return tuple(found)
    if pair:
        return _whole_pair(folder, pair)
    raise SourceError(f"{folder} holds no checkpoint: {WANTED}", about_folder(folder))


def _whole_pair(folder: Path, pair: list[Location]) -> tuple[Location, ...]:
    empty = [name for name in PAIR if (folder / name).is_dir() and folder / name not in {one.folder for one in pair}]
    if empty:
        raise SourceError(
            f"{folder / empty[0]} holds no transformers model, and the one beside it is only half of a pair",
            f"Give {pair[0].folder} to convert it alone.",
        )
    return tuple(pair)


def _several(folder: Path, found: list[Location]) -> SourceError:
    paths = [location.path for location in found]
    names = listing([str(path.relative_to(folder) if path.is_relative_to(folder) else path) for path in paths])
    return SourceError(
        f"{folder} holds more than one checkpoint: {names}", f"Give the one you mean, such as {paths[0]}."
    )


def _tensorflow_in(folder: Path) -> list[Location]:
    if (folder / SAVED_MODEL_FILE).is_file():
        return [Location("tensorflow", folder / "variables" / "variables", folder)]
    if (folder / STATE_FILE).is_file():
        return [_from_state(folder / STATE_FILE, folder)]
    return [
        Location("tensorflow", prefix, _beside(prefix))
        for prefix in (index.with_name(index.name.removesuffix(BUNDLE_INDEX)) for index in _indices(folder))
    ]


def _transformers_in(folder: Path) -> list[Location]:
    present = [(name, container) for name, container in _MODEL_FILES if (folder / name).is_file()]
    if present:
        (name, container), *rest = present
        notice = f"{listing(other for other, _ in rest)} passed over for {name}." if rest else None
        return [Location(container, folder / name, folder, notice)]
    others = [path for path in sorted(folder.glob("*.safetensors")) if path.name != OPTIMIZER_FILE]
    return [Location("safetensors", path, folder) for path in others]
