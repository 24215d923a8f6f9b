"""Which files of a model folder are published, with their sizes and hashes; judges none of them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from electra_convert.config.transformers import read_config, role_of_config
from electra_convert.errors import ConfigError, SourceError
from electra_convert.formats.files import sha256_of_file
from electra_convert.formats.names import (
    ADDED_TOKENS_FILE,
    CARD_FILE,
    CONFIG_FILE,
    CONVERSION_FILE,
    OPTIMIZER_FILE,
    PARITY_FILE,
    SAFETENSORS_FILE,
    SHARD_INDEX,
    SPECIAL_TOKENS_FILE,
    TOKENIZER_CONFIG_FILE,
    TOKENIZER_FILE,
    TORCH_FILE,
    TRAINING_FILE,
    VOCABULARY_FILE,
)
from electra_convert.formats.shards import shard_names
from electra_convert.schemes.mapping import Role

CARD, PARITY, TRAINING, OPTIMIZER = CARD_FILE, PARITY_FILE, TRAINING_FILE, OPTIMIZER_FILE
# What convert, verify, card and pretrain make, weights aside, in the order it is listed.
_KNOWN = (
    CARD,
    CONFIG_FILE,
    TOKENIZER_FILE,
    TOKENIZER_CONFIG_FILE,
    VOCABULARY_FILE,
    SPECIAL_TOKENS_FILE,
    ADDED_TOKENS_FILE,
    CONVERSION_FILE,
    PARITY,
    TRAINING,
)
SAFETENSORS = (SAFETENSORS_FILE, f"{SAFETENSORS_FILE}{SHARD_INDEX}")
PICKLES = (TORCH_FILE, f"{TORCH_FILE}{SHARD_INDEX}")
_SAFETENSORS_NAME = re.compile(r"model(-\d{5}-of-\d{5})?\.safetensors(\.index\.json)?")
_CLASS = re.compile(r"Electra[A-Za-z0-9_]+")


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
        files: what is published of it.
        strays: names of what is left: files that no part of this tool made, or that were not asked for.
    """

    path: Path
    role: Role
    architecture: str
    config: dict[str, object]
    files: tuple[PublishedFile, ...]
    strays: tuple[str, ...]

    def has(self, name: str) -> bool:
        """Whether a file of this name is published."""
        return any(file.name == name for file in self.files)

    @property
    def pickles_beside(self) -> tuple[str, ...]:
        """Names of pickles that are published beside weights in safetensors."""
        names = tuple(file.name for file in self.files)
        return tuple(name for name in names if _is_pickle(name)) if any(map(is_weights, names)) else ()

    def without(self, name: str) -> ModelFolder:
        """The same with one file less that is published, and one more that is left if it is there."""
        if not self.has(name):
            return self
        files = tuple(file for file in self.files if file.name != name)
        return replace(self, files=files, strays=tuple(sorted((*self.strays, name))))


def read_folder(path: Path, optimizer: bool = False, pickles: bool = False) -> ModelFolder:
    """Look at a model folder as it would be published; every byte of it is read and hashed.

    Args:
        path: a model folder that find_models found.
        optimizer: whether the optimiser's state is published.
        pickles: whether PyTorch's pickles are published.

    Returns:
        What goes, and what is left.

    Raises:
        SourceError: the folder cannot be read, or holds no weights that may be published.
        ConfigError: its config.json is not an ELECTRA model's.
        CorruptFileError: its shards are not complete.
    """
    config = dict(read_config(path / CONFIG_FILE))
    names = [*_KNOWN[:2], *_weights(path, pickles), *_KNOWN[2:], *([OPTIMIZER] if optimizer else [])]
    present = [name for name in names if (path / name).is_file()]
    role = role_of_config(config)
    architecture = _architecture(config, path / CONFIG_FILE)
    try:
        files = tuple(hashed_file(path, name) for name in present)
        strays = tuple(sorted(entry.name for entry in path.iterdir() if entry.name not in present))
    except OSError as error:
        raise SourceError(f"{error.filename} cannot be read: {error.strerror}") from error
    return ModelFolder(path, role, architecture, config, files, strays)


def _architecture(config: dict[str, object], path: Path) -> str:
    named = config.get("architectures")
    first = named[0] if isinstance(named, list) and named else None
    if not isinstance(first, str) or not _CLASS.fullmatch(first):
        raise ConfigError(
            f"{path}: architectures is {named!r}, expected a class of transformers such as ElectraForPreTraining",
            "Convert the folder, which finds out the class by the weights.",
        )
    return first


def _weights(path: Path, pickles: bool) -> list[str]:
    names = list(_files_of(path, SAFETENSORS))
    pickled = list(_files_of(path, PICKLES))
    if not names and not pickled:
        raise SourceError(f"{path} holds no weights that can be read", "Convert the model again.")
    if not names and not pickles:
        raise SourceError(
            f"{path} holds its weights only as pickles, which run code on the computer of whoever loads them",
            "Convert it to safetensors, or publish them all the same with --include-pickles.",
        )
    return names + (pickled if pickles else [])


def has_safetensors(path: Path) -> bool:
    """Whether a model folder holds weights in safetensors, which transformers and verify prefer to pickles."""
    return any((path / name).is_file() for name in SAFETENSORS)


def _files_of(path: Path, forms: tuple[str, str]) -> Iterable[str]:
    """One file of weights, or else the shards that an index names, and the index."""
    single, index = forms
    if (path / single).is_file():
        yield single
    elif (path / index).is_file():
        yield from shard_names(path / index)
        yield index


def is_stale(name: str) -> bool:
    """Whether a file of this name that is not of the model published beside it is of another, and misleads."""
    return is_weights(name) or (name in _KNOWN and name != CARD)


def is_weights(name: str) -> bool:
    """Whether from_pretrained might take a file of this name for the safetensors weights of the model."""
    return _SAFETENSORS_NAME.fullmatch(name) is not None


def _is_pickle(name: str) -> bool:
    return name.startswith("pytorch_model")


def hashed_file(folder: Path, name: str) -> PublishedFile:
    """Read a file once, and hash it as the Hub does.

    Raises:
        OSError: it cannot be read.
    """
    path = folder / name
    size = path.stat().st_size
    blob = _git_blob(size)
    return PublishedFile(name, size, sha256_of_file(path, blob), blob.hexdigest(), path)


def hashed_text(name: str, content: bytes) -> PublishedFile:
    """A file that is made and not read."""
    blob = _git_blob(len(content))
    blob.update(content)
    return PublishedFile(name, len(content), hashlib.sha256(content).hexdigest(), blob.hexdigest(), content)


def _git_blob(size: int) -> hashlib._Hash:
    return hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
