"""Anything a person would point at, resolved to the containers it means, or what to do about what else is there;
opens no tensor and judges no name."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from shlex import quote
from typing import Literal

from electra_convert.errors import SourceError, listing, nearest
from electra_convert.formats import tf_bundle
from electra_convert.formats.files import ReadFile, refuse_placeholder
from electra_convert.formats.names import (
    BUNDLE_INDEX,
    CONFIG_FILE,
    FLAX_FILE,
    KERAS_FILE,
    METAGRAPH,
    OPTIMIZER_FILE,
    SAFETENSORS_FILE,
    SAVED_MODEL_FILE,
    SHARD_INDEX,
    STATE_FILE,
    TORCH_FILE,
    is_ones_own,
    kind_of,
)
from electra_convert.formats.torch_state import ZIP_MAGIC
from electra_convert.tensors.spec import Source

Container = Literal["tensorflow", "safetensors", "torch", "hdf5", "msgpack", "onnx"]

PAIR = ("discriminator", "generator")
# What transformers' from_pretrained looks for, in its order.
_MODEL_FILES: tuple[tuple[str, Container], ...] = (
    (SAFETENSORS_FILE, "safetensors"),
    (f"{SAFETENSORS_FILE}{SHARD_INDEX}", "safetensors"),
    (TORCH_FILE, "torch"),
    (f"{TORCH_FILE}{SHARD_INDEX}", "torch"),
    (KERAS_FILE, "hdf5"),
    (f"{KERAS_FILE}{SHARD_INDEX}", "hdf5"),
    (FLAX_FILE, "msgpack"),
    (f"{FLAX_FILE}{SHARD_INDEX}", "msgpack"),
)
_SUFFIXES: dict[str, Container] = {
    ".safetensors": "safetensors",
    ".bin": "torch",
    ".pt": "torch",
    ".pth": "torch",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".msgpack": "msgpack",
}
# What Lightning calls the archives that torch.save makes for it; TensorFlow's V1 format has the ending too.
_LIGHTNING = ".ckpt"
# What transformers' save_pretrained(saved_model=True) calls the folder of numbered SavedModels.
_SAVED_MODELS = "saved_model"
_DATA_FILE = re.compile(r"\.data-\d{5}-of-\d{5}$")
_WANTED = "no .index with its .data files, no model.safetensors, no pytorch_model.bin, no tf_model.h5"
_WHOLE = "A TensorFlow checkpoint is its .index and all its .data files together."
_PADDLE = (
    "Fill transformers' model from paddle.load(path): its names are PaddleNLP's, its dense weights (in, out). "
    "docs/troubleshooting.md has a script."
)
_UNPACK = "Unpack it, and give the folder or the checkpoint in it."
_ELSEWHERE = "Look for the checkpoint it was made from."
# What a model may come in that is not read, and what to do about it; by the ending of the file's name.
_UNREADABLE = {
    ".keras": ("a Keras file", _ELSEWHERE),
    ".pdparams": ("a file of Paddle", _PADDLE),
    ".onnx": ("an ONNX file", _ELSEWHERE),
    ".tflite": ("a TensorFlow Lite file", _ELSEWHERE),
    ".zip": ("an archive", _UNPACK),
    ".tar": ("an archive", _UNPACK),
    ".gz": ("a packed file", _UNPACK),
    ".tgz": ("an archive", _UNPACK),
}
# A hint is not worth walking through a whole disk.
_DEEPEST = 3
_MOST_FOLDERS = 500


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
    if container == "hdf5":
        from electra_convert.formats import hdf5

        return hdf5.open_source
    if container == "msgpack":
        from electra_convert.formats import msgpack_file

        return msgpack_file.open_source
    if container == "onnx":
        from electra_convert.formats import onnx

        return onnx.OnnxFile
    from electra_convert.formats import torch_file

    return torch_file.open_source


def locate(path: Path) -> tuple[Location, ...]:
    """Find what a path means.

    Args:
        path: a folder, a TensorFlow prefix, an .index, .data-..., .meta or `checkpoint` file, a SavedModel, a
            transformers folder or pair of them, a .safetensors, .bin, .pt, .pth, .h5 or .msgpack file, or a shard
            index.

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
    if tf_bundle.index_path(path).is_file():
        return (Location("tensorflow", path, _beside(path)),)
    if sorted(path.parent.glob(f"{_glob_escape(path.name)}.data-*")):
        raise SourceError(f"{path}.index is missing; its data files are there", "Copy the .index file beside them.")
    if path.exists():
        raise SourceError(f"{path} is neither a file nor a folder", "Save what it gives to a file first.")
    raise SourceError(f"{path} does not exist", _about_missing(path, _indices(path.parent)))


def _glob_escape(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)


def _indices(folder: Path) -> list[Path]:
    return sorted(
        index for index in folder.glob(f"*{BUNDLE_INDEX}") if ".tempstate" not in index.name and index.is_file()
    )


def _at_file(path: Path) -> Location:
    refuse_placeholder(path)
    if path.suffix in {BUNDLE_INDEX, METAGRAPH} or _DATA_FILE.search(path.name):
        return _from_part(path)
    if path.name == STATE_FILE:
        return _from_state(path, path.parent)
    if path.name == OPTIMIZER_FILE:
        raise SourceError(f"{path} holds an optimiser's state, not a model", "Give the folder it lies in.")
    if (container := _container_of(path)) is not None:
        return Location(container, path, path.parent)
    if path.name.endswith(SHARD_INDEX):
        return Location(
            _SUFFIXES.get(Path(path.name.removesuffix(SHARD_INDEX)).suffix, "safetensors"), path, path.parent
        )
    if path.name == SAVED_MODEL_FILE:
        return _in_folder(path.parent)[0]
    if path.suffix in _UNREADABLE:
        what, cure = _UNREADABLE[path.suffix]
        raise SourceError(f"{path} is {what}, which this tool does not read", cure)
    return _from_unnamed(path)


def _container_of(path: Path) -> Container | None:
    """What kind a file is by its ending, or, where that says too little, by how it begins."""
    if path.suffix != _LIGHTNING:
        return _SUFFIXES.get(path.suffix)
    with ReadFile(path) as file:
        return "torch" if file.read(min(len(ZIP_MAGIC), file.size), 0) == ZIP_MAGIC else None


def containers_of(names: Iterable[str]) -> tuple[Container, ...]:
    """The containers of which there are files, by their names alone, each once."""
    weights = [name for name in names if kind_of(name) == "weights" and not name.endswith(OPTIMIZER_FILE)]
    endings = {Path(name.removesuffix(SHARD_INDEX)).suffix for name in weights}
    known: dict[str, Container] = {**_SUFFIXES, BUNDLE_INDEX: "tensorflow", _LIGHTNING: "torch"}
    return tuple(dict.fromkeys(container for ending, container in known.items() if ending in endings))


def _from_part(path: Path) -> Location:
    prefix = path.with_name(_DATA_FILE.sub("", path.name).removesuffix(BUNDLE_INDEX).removesuffix(METAGRAPH))
    if not tf_bundle.index_path(prefix).is_file():
        raise SourceError(f"{tf_bundle.index_path(prefix)} is missing", _WHOLE)
    return Location("tensorflow", prefix, _beside(prefix))


def _beside(prefix: Path) -> Path:
    is_saved_model = prefix.name == "variables" and (prefix.parent.parent / SAVED_MODEL_FILE).is_file()
    return _model_of(prefix.parent.parent) if is_saved_model else prefix.parent


def _model_of(saved_model: Path) -> Path:
    """The folder whose files describe a SavedModel: transformers puts one into saved_model/1 of a model's folder."""
    above = saved_model.parent.parent
    is_part = saved_model.parent.name == _SAVED_MODELS and (above / CONFIG_FILE).is_file()
    return above if is_part and not (saved_model / CONFIG_FILE).is_file() else saved_model


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
    found = _alone_in(folder)
    pair = [location for name in PAIR if (folder / name).is_dir() for location in _transformers_in(folder / name)]
    if not found and not pair:
        alone = [path for path in sorted(folder.iterdir()) if is_ones_own(path.name) and path.is_file()]
        found = [Location(kind, path, folder) for path in alone if (kind := _container_of(path)) is not None]
    if found and pair:
        raise _several(folder, [*found, *pair])
    if len(found) > 1:
        raise _several(folder, found)
    if found:
        return tuple(found)
    if pair:
        return _whole_pair(folder, pair)
    if saved_models := sorted(folder.glob(f"{_SAVED_MODELS}/*/{SAVED_MODEL_FILE}")):
        return _in_folder(saved_models[-1].parent)
    raise SourceError(f"{folder} holds no checkpoint: {_WANTED}", _about_folder(folder))


def _alone_in(folder: Path) -> list[Location]:
    """The checkpoints in a folder itself; a Keras file made of a TensorFlow checkpoint is passed over for it."""
    tensorflow, others = _tensorflow_in(folder), _transformers_in(folder)
    if len(tensorflow) == 1 and others and all(one.container == "hdf5" for one in others):
        names = listing(one.path.name for one in others)
        return [replace(tensorflow[0], notice=f"{names} passed over for {tensorflow[0].path.name}.")]
    return [*tensorflow, *others]


def _whole_pair(folder: Path, pair: list[Location]) -> tuple[Location, ...]:
    empty = [name for name in PAIR if (folder / name).is_dir() and folder / name not in {one.folder for one in pair}]
    if empty:
        raise SourceError(
            f"{folder / empty[0]} holds no transformers model, and the one beside it is only half of a pair",
            f"Give {pair[0].folder} to convert it alone.",
        )
    return tuple(pair)


def _several(folder: Path, found: list[Location]) -> SourceError:
    paths = _latest_first([location.path for location in found])
    names = listing([str(path.relative_to(folder) if path.is_relative_to(folder) else path) for path in paths])
    which = " (the latest)" if found[0].container == "tensorflow" else " (the first)"
    return SourceError(
        f"{folder} holds more than one checkpoint: {names}",
        f"Give the one you mean, such as {quote(str(paths[0]))}{which}.",
    )


def _latest_first(paths: Iterable[Path]) -> list[Path]:
    """Those with a step, or a part of a run, at the end of their names, the highest first; others as they come."""
    steps = {path: re.search(r"-(\d{1,18})$|_(\d{1,3}(?:\.\d{1,6})?)%\.pth$", path.name) for path in paths}
    return sorted(steps, key=lambda path: -float(found[1] or found[2]) if (found := steps[path]) else 1)


def _tensorflow_in(folder: Path) -> list[Location]:
    if (folder / SAVED_MODEL_FILE).is_file():
        return [Location("tensorflow", folder / "variables" / "variables", _model_of(folder))]
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
    others = others or sorted(path for path in folder.glob("*.h5") if path.is_file())
    return [Location(_SUFFIXES[path.suffix], path, folder) for path in others]


def _about_missing(path: Path, indices: Sequence[Path]) -> str:
    """What to do about a path that does not exist."""
    if found := re.match(r"(https?|hf|gs|s3):/+(.*)", str(path)):
        scheme, place = found.groups()
        model = re.match(r"(?:huggingface\.co/)?([\w.-]+/[\w.-]+)", place)
        on_the_hub = scheme == "hf" or place.startswith("huggingface.co/")
        if model and on_the_hub:
            return f"For a model on the Hugging Face Hub write hf://{model[1]}."
        return "Nothing is downloaded but hf://OWNER/REPO: download it, unpack it, and give the folder."
    if indices:
        there = _latest_first(index.with_name(index.name.removesuffix(BUNDLE_INDEX)) for index in indices)
        return f"These are there: {listing(quote(str(prefix)) for prefix in there)} (the latest first)."
    if meant := similar(path):
        return f"Did you mean {meant}?"
    folder, missing = _existing(path)
    elsewhere = ""
    if re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", str(path)) and missing == path.parts[0]:
        elsewhere = f" If it is on the Hugging Face Hub, write hf://{path}."
    return f"There is no {missing} in {folder}.{elsewhere}"


def similar(path: Path) -> Path | None:
    """The path that was probably meant by one that does not exist, one of its names being mistyped."""
    folder, missing = _existing(path)
    try:
        near = nearest(missing, sorted(os.listdir(folder)))  # noqa: PTH208 - names
    except OSError:
        return None
    if near is None:
        return None
    after = len(path.absolute().parts) - len(folder.parts)
    rest = path.parts[len(path.parts) - after + 1 :] if after > 1 else ()
    meant = Path(*path.parts[: len(path.parts) - after], near, *rest)
    return meant if meant.exists() or tf_bundle.index_path(meant).is_file() else None


def _existing(path: Path) -> tuple[Path, str]:
    """The folder furthest down a path that exists, and what is missing in it."""
    whole = path.absolute()
    for parent in whole.parents:
        if os.path.isdir(parent):  # noqa: PTH112 - Path.is_dir raises where a name is too long
            return parent, whole.relative_to(parent).parts[0]
    return Path(whole.anchor), whole.name


def _about_folder(folder: Path) -> str:
    """What to do about a folder that holds no checkpoint."""
    names = sorted(path.name for path in folder.iterdir())
    for name in names:
        if not name.endswith((".html", ".htm")):
            with suppress(SourceError):
                refuse_placeholder(folder / name)
        if (suffix := Path(name).suffix) in _UNREADABLE and (folder / name).is_file():
            what, cure = _UNREADABLE[suffix]
            return f"{name} is {what}, which this tool does not read. {cure}"
    if parts := sorted(folder.glob("*_temp*/part-*")):
        return f"{parts[0].parent.name} is left from a save that did not finish."
    # What a run came to stands above the checkpoints on its way.
    if below := sorted(dict.fromkeys(_below(folder)), key=lambda inner: len(Path(inner).parts)):
        there = listing(quote(str(folder / inner)) for inner in below)
        return f"There are checkpoints further down; give one of these: {there}."
    if part := next((name for name in names if re.search(r"\.(data-\d{5}-of-\d{5}|meta)$", name)), None):
        return f"{part} is there without its .index. {_WHOLE}"
    return f"It holds {listing(names)}." if names else "It is empty."


def _below(folder: Path) -> Iterator[str]:
    """The folders within a folder that hold a checkpoint, or a pair of models; of large trees the first few."""
    for place, folders, files in islice(os.walk(folder), _MOST_FOLDERS):
        inner = Path(place).relative_to(folder)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and len(inner.parts) < _DEEPEST)
        if inner.parts and any(_is_model(name) for name in files):
            yield str(inner.parent if inner.name in PAIR and inner.parent.parts else inner)


def _is_model(name: str) -> bool:
    if name in {SAFETENSORS_FILE, TORCH_FILE, KERAS_FILE, SAVED_MODEL_FILE} or is_ones_own(name):
        return True
    return name.endswith((BUNDLE_INDEX, SHARD_INDEX))
