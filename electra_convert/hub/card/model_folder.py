"""The model folders that a folder stands for, and which of their files are published, with sizes and hashes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from electra_convert.config.transformers import read_config, role_of_config
from electra_convert.errors import ConfigError, SourceError, UsageError
from electra_convert.formats.files import sha256_of_file
from electra_convert.formats.json_objects import decode_object
from electra_convert.formats.locate import Location, locate
from electra_convert.formats.names import (
    ADDED_TOKENS_FILE,
    CARD_FILE,
    CONFIG_FILE,
    CONVERSION_FILE,
    ONNX_FILE,
    ONNX_FOLDER,
    OPTIMIZER_FILE,
    PARITY_FILE,
    QUANTIZED_FILE,
    SAFETENSORS_FILE,
    SHARD_INDEX,
    SPECIAL_TOKENS_FILE,
    TOKENIZER_CONFIG_FILE,
    TOKENIZER_FILE,
    TORCH_FILE,
    TRAINING_FILE,
    VOCABULARY_FILE,
    is_found,
    kind_of,
)
from electra_convert.formats.shards import shard_names
from electra_convert.output import is_unfinished
from electra_convert.schemes.family import ELECTRA, Family
from electra_convert.schemes.foreign import family_of_folder
from electra_convert.schemes.mapping import Role
from electra_convert.tokenizer.vocabulary import read_small

# What convert, verify, card and pretrain make, weights aside, in the order it is listed.
_KNOWN = (
    CARD_FILE,
    CONFIG_FILE,
    TOKENIZER_FILE,
    TOKENIZER_CONFIG_FILE,
    VOCABULARY_FILE,
    SPECIAL_TOKENS_FILE,
    ADDED_TOKENS_FILE,
    CONVERSION_FILE,
    PARITY_FILE,
    TRAINING_FILE,
)
# What convert makes of ONNX models within a model folder: each with its weights beside it where they are too large.
_ONNX = tuple(f"{ONNX_FOLDER}/{name}{beside}" for name in (ONNX_FILE, QUANTIZED_FILE) for beside in ("", "_data"))
_ONNX_RECORD = f"{ONNX_FOLDER}/{CONVERSION_FILE}"
_SAFETENSORS = (SAFETENSORS_FILE, f"{SAFETENSORS_FILE}{SHARD_INDEX}")
_PICKLES = (TORCH_FILE, f"{TORCH_FILE}{SHARD_INDEX}")
_SAFETENSORS_NAME = re.compile(r"model(-\d{5}-of-\d{5})?\.safetensors(\.index\.json)?")
_ANY_CLASS = re.compile(r"[A-Za-z][A-Za-z0-9_]*For[A-Za-z]+")
_ROLES: tuple[Role, ...] = ("discriminator", "generator")


@dataclass(frozen=True)
class PublishedFile:
    """One file as it is to be published.

    Attributes:
        name: its path within the folder and the repository.
        size: in bytes.
        sha256: of its bytes, in hexadecimal; what the Hub lists of a large file.
        blob: git's SHA-1 of its bytes, in hexadecimal; what the Hub lists of a small file.
        source: where its bytes are: a file, or the bytes themselves.
    """

    name: str
    size: int
    sha256: str
    blob: str
    source: Path | bytes


@dataclass(frozen=True)
class ModelFolder:
    """A transformers model folder, as it is to be published.

    Attributes:
        path: the folder.
        role: which of the two models it holds.
        architecture: the transformers class that its config.json names.
        config: its config.json.
        family: by whose names this tool wrote it.
        files: what is published of it.
        left: names of what is left: files that no part of this tool made, or that were not asked for.
    """

    path: Path
    role: Role
    architecture: str
    config: dict[str, object]
    family: Family
    files: tuple[PublishedFile, ...]
    left: tuple[str, ...]

    def has(self, name: str) -> bool:
        """Whether a file of this name is published."""
        return any(file.name == name for file in self.files)

    @property
    def pickles_beside(self) -> tuple[str, ...]:
        """Names of pickles that are published beside weights in safetensors."""
        names = tuple(file.name for file in self.files)
        return (
            tuple(name for name in names if name.startswith("pytorch_model")) if any(map(_is_weights, names)) else ()
        )

    @property
    def onnx(self) -> tuple[PublishedFile, ...]:
        """What is published of ONNX models."""
        return tuple(file for file in self.files if file.name.startswith(f"{ONNX_FOLDER}/"))

    def without(self, name: str) -> ModelFolder:
        """The same with one file less that is published, and one more that is left if it is there."""
        if not self.has(name):
            return self
        files = tuple(file for file in self.files if file.name != name)
        return replace(self, files=files, left=tuple(sorted((*self.left, name))))


def find_models(folder: Path) -> tuple[Path, ...]:
    """Find the model folders that a folder stands for: itself, or the two of a pair, the discriminator first.

    Raises:
        SourceError: it is not such a folder, or a half of the pair holds what the other should.
        ConfigError: the config.json of a half is not an ELECTRA model's.
        UsageError: it is on the Hub.
    """
    if folder.parts[:1] == ("hf:",) and not folder.exists():
        raise UsageError(
            f"FOLDER is {folder}, which is on the Hub, expected a folder here",
            "Convert it first: electra-convert convert hf://OWNER/REPO OUTPUT, then verify it.",
        )
    if folder.exists() and not folder.is_dir():
        raise SourceError(f"{folder} is not a folder", "Give the model's folder.")
    locations = locate(folder)
    for location in locations:
        _require_model(location)
        _require_half(location.folder, folder)
    return tuple(location.folder for location in locations)


def _require_model(location: Location) -> None:
    if location.container == "tensorflow":
        raise SourceError(
            f"{location.folder} holds a TensorFlow checkpoint, which no reader of the Hub loads",
            "Convert it first: electra-convert convert SOURCE OUTPUT, then verify it.",
        )
    if not is_found(location.path.name):
        raise SourceError(
            f"{location.path} is not a file that from_pretrained looks for", "Convert it into a folder of its own."
        )
    if not (location.folder / CONFIG_FILE).is_file():
        raise SourceError(f"{location.folder} has no config.json", "Convert the model into a folder of its own.")


def _require_half(path: Path, folder: Path) -> None:
    """The folder's name decides what the repository is called."""
    half = pair_name(path, folder)
    if half is not None and (role := role_of_config(read_config(path / CONFIG_FILE, family_of_folder(path)))) != half:
        raise SourceError(f"{path} holds a {role}, expected a {half}", "Call each half of a pair what it is.")


def pair_name(path: Path, folder: Path) -> Role | None:
    """Which half of a pair a model folder is, or None where it stands alone."""
    return next((role for role in _ROLES if path == folder / role), None)


def left_beside(models: Sequence[Path], folder: Path) -> list[str]:
    """Names of what stands beside the models of a pair; nobody looks for it there."""
    return [] if tuple(models) == (folder,) else sorted(one.name for one in folder.iterdir() if one not in models)


def hash_file(folder: Path, name: str) -> PublishedFile:
    """Read a file once, and hash it as the Hub does."""
    path = folder / name
    size = path.stat().st_size
    blob = _git_blob(size)
    return PublishedFile(name, size, sha256_of_file(path, blob), blob.hexdigest(), path)


def read_folder(
    path: Path,
    optimizer: bool = False,
    pickles: bool = False,
    hash_of: Callable[[Path, str], PublishedFile] = hash_file,
) -> ModelFolder:
    """Look at a model folder as it would be published; every byte of it is read and hashed.

    Args:
        path: the folder.
        optimizer: whether the optimiser's state is published.
        pickles: whether PyTorch's pickles are published.
        hash_of: what hashes a file of the folder; one that knows hashes without reading has none of it read.

    Raises:
        SourceError: the folder cannot be read, or holds no weights that may be published.
        ConfigError: its config.json is not an ELECTRA model's.
        CorruptFileError: its shards are not complete.
    """
    family = family_of_folder(path)
    config = dict(_config(path, family))
    tokenizer = [entry.name for entry in sorted(path.iterdir()) if _is_of_tokenizer(entry.name)]
    others = [*_KNOWN[2:], *tokenizer, *([OPTIMIZER_FILE] if optimizer else [])]
    names = [*_KNOWN[:2], *_weights(path, pickles), *others, *_ONNX, _ONNX_RECORD]
    present = [name for name in names if (path / name).is_file()]
    role = role_of_config(config)
    architecture = _architecture(config, path / CONFIG_FILE, family)
    try:
        files = tuple(hash_of(path, name) for name in present)
        there = _entries(path)
        left = tuple(sorted(name for name in there if name not in present))
    except OSError as error:
        raise SourceError(f"{error.filename} cannot be read: {error.strerror}") from error
    return ModelFolder(path, role, architecture, config, family, files, left)


def _entries(path: Path) -> list[str]:
    """What a folder holds, that of the folder of ONNX models one by one."""
    entries = [entry for entry in path.iterdir() if not is_unfinished(entry.name)]
    onnx = path / ONNX_FOLDER
    inner = [entry for entry in onnx.iterdir() if not is_unfinished(entry.name)] if onnx.is_dir() else []
    names = [entry.name for entry in entries if entry != onnx or not onnx.is_dir()]
    return names + [f"{ONNX_FOLDER}/{entry.name}" for entry in inner]


def _config(path: Path, family: Family) -> Mapping[str, object]:
    """Its config.json: an ELECTRA model's, or of any architecture that was fine-tuned here."""
    record = path / TRAINING_FILE
    if record.is_file() and decode_object(read_small(record), str(record)).get("finetuned_for") is not None:
        return decode_object(read_small(path / CONFIG_FILE), str(path / CONFIG_FILE))
    return read_config(path / CONFIG_FILE, family)


def _architecture(config: dict[str, object], path: Path, family: Family) -> str:
    named = config.get("architectures")
    first = named[0] if isinstance(named, list) and named else None
    is_known = config.get("model_type", ELECTRA.model_type) == family.model_type
    form = re.compile(rf"{family.classes}[A-Za-z0-9_]+") if is_known else _ANY_CLASS
    if not isinstance(first, str) or not form.fullmatch(first):
        raise ConfigError(
            f"{path}: architectures is {named!r}, expected a class of transformers such as ElectraForPreTraining",
            "Convert the folder, which finds out the class by the weights.",
        )
    return first


def _weights(path: Path, pickles: bool) -> list[str]:
    names = list(_files_of(path, _SAFETENSORS))
    pickled = list(_files_of(path, _PICKLES))
    if not names and not pickled:
        raise SourceError(f"{path} holds no weights that can be read", "Convert the model again.")
    if not names and not pickles:
        raise SourceError(
            f"{path} holds its weights only as pickles, which run code on the computer of whoever loads them",
            "Convert it to safetensors, or publish them all the same with --include-pickles.",
        )
    return names + (pickled if pickles else [])


def _files_of(path: Path, forms: tuple[str, str]) -> Iterable[str]:
    """One file of weights, or else the shards that an index names, and the index."""
    single, index = forms
    if (path / single).is_file():
        yield single
    elif (path / index).is_file():
        yield from shard_names(path / index)
        yield index


def has_safetensors(path: Path) -> bool:
    """Whether a model folder holds weights in safetensors, which transformers and verify prefer to pickles."""
    return any((path / name).is_file() for name in _SAFETENSORS)


def is_stale(name: str) -> bool:
    """Whether a file of this name that is not of the model published beside it is of another, and misleads."""
    ours = name in {*_ONNX, _ONNX_RECORD} or (name in _KNOWN and name != CARD_FILE)
    return ours or _is_weights(name) or _is_of_tokenizer(name)


def _is_of_tokenizer(name: str) -> bool:
    """Whether a file is of a tokenizer of another kind, which convert carries as it is, such as spiece.model."""
    return "/" not in name and name not in _KNOWN and kind_of(name) == "tokenizer"


def _is_weights(name: str) -> bool:
    """Whether from_pretrained might take a file of this name for the safetensors weights of the model."""
    return _SAFETENSORS_NAME.fullmatch(name) is not None


def hashed_text(name: str, content: bytes) -> PublishedFile:
    """A file that is made and not read."""
    blob = _git_blob(len(content))
    blob.update(content)
    return PublishedFile(name, len(content), hashlib.sha256(content).hexdigest(), blob.hexdigest(), content)


def _git_blob(size: int) -> hashlib._Hash:
    return hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
