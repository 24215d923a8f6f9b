"""What a checkpoint was read from: every file with size and SHA-256, and of one on the Hub where it lay."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from electra_convert.config.labels import mapping_file
from electra_convert.errors import SourceError
from electra_convert.formats.files import sha256_of_file
from electra_convert.formats.names import (
    CONFIG_FILE,
    CONVERSION_FILE,
    HPARAMS_FILE,
    MODULES_FILE,
    RUN_FILE,
    SAVED_MODEL_FILE,
    STATE_FILE,
    TRAINING_FILE,
    VOCABULARY_FILE,
    Kind,
    is_module,
    kind_of,
    limit_of,
)
from electra_convert.formats.shards import ShardedSource
from electra_convert.hub.download import Origin
from electra_convert.schemes.models import Checkpoint
from electra_convert.tensors.spec import Source

# Of a base-sized run with its slots (1.4 GB) hashing takes longer than all of its conversion, 1.0 s to 0.7 s. What is
# longer than this is hashed where seconds do not count; anything shorter takes no time.
HASHED_AT_ONCE = 1 << 24
_GOOGLE = (HPARAMS_FILE, CONFIG_FILE, RUN_FILE, VOCABULARY_FILE, f"assets/{VOCABULARY_FILE}")
_DESCRIBED = (CONFIG_FILE, CONVERSION_FILE, TRAINING_FILE, RUN_FILE)


@dataclass(frozen=True)
class SourceFile:
    """A file that was read: its name in what was pointed at, its size in bytes, its SHA-256 where it was hashed."""

    name: str
    size: int
    sha256: str | None
    path: Path

    def hashed(self) -> SourceFile:
        """The same, hashed now if it was not.

        Raises:
            SourceError: it cannot be read.
        """
        return self if self.sha256 else replace(self, sha256=_hash(self.path))

    @property
    def fields(self) -> dict[str, Any]:
        """As records have it."""
        return {"name": self.name, "size": self.size, "sha256": self.sha256}


def place_fields(origin: Origin | None, files: Sequence[SourceFile]) -> dict[str, Any]:
    """What records say of a place that was read: the repository, commit and path of one on the Hub, and its files."""
    fields = {} if origin is None else _origin_fields(origin)
    return {**fields, "files": [file.fields for file in files]}


def _origin_fields(origin: Origin) -> dict[str, str]:
    return {"repository": origin.repository, "commit": origin.commit, "path": origin.path}


def find_files(
    checkpoint: Checkpoint, given: Path, origin: Origin | None, code: bool = False, other: Path | None = None
) -> tuple[SourceFile, ...]:
    """Find the files that a checkpoint was read from, in the order of their names.

    Their hashes are those that the Hub stated, to which they were held when they came; else they are hashed here,
    but for long ones that were never on the Hub.

    Args:
        given: what was pointed at.
        origin: where on the Hub that was.
        code: whether Python code beside the weights is carried.
        other: a place that was pointed at as well, whose files are not wanted.

    Raises:
        SourceError: one cannot be read.
    """
    root = given if given.is_dir() else given.parent
    # What was pointed at may lie in a folder of what it is part of, as the variables of a SavedModel do.
    root = checkpoint.folder if root.is_relative_to(checkpoint.folder) else root
    roots = (root, checkpoint.folder, *(model.folder for model in checkpoint.models.values()))
    found = {
        _name(path, roots): path
        for path in _files(checkpoint, given, code)
        if path.is_file() and (other is None or not path.is_relative_to(other))
    }
    return tuple(_source_file(name, path, origin) for name, path in sorted(found.items()))


def _name(path: Path, roots: Sequence[Path]) -> str:
    """A file's path within the first of the folders that holds it; of one elsewhere no more than its name."""
    inside = next((path.relative_to(root).as_posix() for root in roots if path.is_relative_to(root)), path.name)
    return path.name if ".." in inside.split("/") else inside


def _source_file(name: str, path: Path, origin: Origin | None) -> SourceFile:
    size = path.stat().st_size
    stated = None if origin is None else origin.sha256_of(path)
    if stated is None and (origin is not None or size <= HASHED_AT_ONCE):
        stated = _hash(path)
    return SourceFile(name, size, stated, path)


def _hash(path: Path) -> str:
    try:
        return sha256_of_file(path)
    except OSError as error:
        raise SourceError(f"{path} cannot be read to hash it: {error.strerror}") from error


def _files(checkpoint: Checkpoint, given: Path, code: bool) -> Iterator[Path]:
    """What a conversion looks at, some of which may not be there."""
    is_asked = given.is_dir() or given.name == STATE_FILE
    yield from (path for path in container_files(checkpoint) if path.name != STATE_FILE or is_asked)
    for model in checkpoint.models.values():
        if checkpoint.scheme.described:
            yield model.config_path
            yield from (model.folder / name for name in _DESCRIBED)
            yield from _carried(model.folder, code)
            continue
        yield from (checkpoint.folder / name for name in _GOOGLE)
        yield from checkpoint.folder.glob("*config*.json")
        mapping = mapping_file(checkpoint.folder, model.task) if model.task else None
        yield from () if mapping is None else (mapping,)


def _carried(folder: Path, code: bool) -> Iterator[Path]:
    """What of a model's folder goes to another one as it is."""
    kinds: set[Kind] = {"tokenizer", "settings", *(("code",) if code else ())}
    inner = (path for path in folder.iterdir() if path.is_dir() and is_module(path.name))
    folders = [folder, *(inner if (folder / MODULES_FILE).is_file() else ())]
    for path in (path for place in folders for path in place.iterdir() if path.is_file()):
        kind = kind_of(path.relative_to(folder).as_posix())
        if kind in kinds and path.stat().st_size <= (limit_of(kind) or limit_of("settings")):
            yield path


def container_files(checkpoint: Checkpoint) -> Iterator[Path]:
    """The files of the containers of a checkpoint: weights, indices, shards, and a TensorFlow checkpoint's prefix."""
    sources: list[Source] = list(checkpoint.sources)
    for source in sources:
        yield source.path
        if source.format == "tensorflow":
            yield from _files_of_bundle(source.path)
        if isinstance(source, ShardedSource):
            sources.extend(source.shards)


def _files_of_bundle(prefix: Path) -> Iterator[Path]:
    """The files of a TensorFlow checkpoint, and those that a SavedModel has around it."""
    folder = prefix.parent
    yield from (path for path in folder.iterdir() if path.name.startswith(f"{prefix.name}."))
    yield folder / STATE_FILE
    if (folder.parent / SAVED_MODEL_FILE).is_file():
        yield from (path for path in folder.parent.iterdir() if path.is_file() and path.suffix == ".pb")
