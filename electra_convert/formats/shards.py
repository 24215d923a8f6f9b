"""A checkpoint spread over several files, and the index that lists them; knows no container."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Self

from electra_convert.errors import CorruptFileError, OutputError, SourceError, listing
from electra_convert.formats.files import Closing, ReadFile, WriteFile
from electra_convert.formats.json_objects import decode_object
from electra_convert.formats.names import SHARD_INDEX
from electra_convert.tensors.spec import Sink, Source, Tensor, TensorSpec, TensorWriter

# A name takes about 100 bytes in an index; this bounds what a hostile file makes us parse.
_MAX_INDEX_BYTES = 100_000_000

_DAMAGED = "Copy or download the checkpoint again."


@dataclass(frozen=True)
class ShardedSource(Closing):
    """The tensors of all shards as one source, shard after shard in the order of their file names."""

    path: Path
    format: str
    tensors: Mapping[str, Tensor]
    shards: tuple[Source, ...]

    @property
    def notices(self) -> tuple[str, ...]:
        """Those of all shards."""
        return tuple(notice for shard in self.shards for notice in shard.notices)

    def close(self) -> None:
        """Close the shards."""
        for shard in self.shards:
            shard.close()


def as_listed(name: str) -> str:
    """A tensor is called in its shard what the index calls it."""
    return name


def without_model_name(name: str) -> str:
    """What a tensor that an index lists is called in its shard by TensorFlow's classes of transformers: without the
    model's name, which comes first (save_pretrained of modeling_tf_utils.py in transformers 4.57.6)."""
    model, _, rest = name.partition("/")
    return rest if rest and "model." not in name else model


def open_sharded(
    index: Path, open_shard: Callable[[Path], Source], stored_as: Callable[[str], str] = as_listed
) -> ShardedSource:
    """Open a checkpoint by its index.

    Args:
        stored_as: what a tensor of the index is called in its shard.

    Raises:
        SourceError: the index or shards are missing, or the container of a shard is not one of open_shard's.
        CorruptFileError: the index is damaged, points outside its folder, or disagrees with the shards.
    """
    listed = _read_index(index)
    _check_files(index, listed)
    with ExitStack() as opened:
        shards: dict[str, Source] = {}
        for file in sorted(listed):
            shards[file] = open_shard(index.parent / file)
            opened.callback(shards[file].close)
        _check_names(index, {file: {stored_as(name) for name in names} for file, names in listed.items()}, shards)
        opened.pop_all()
    tensors = {name: tensor for shard in shards.values() for name, tensor in shard.tensors.items()}
    return ShardedSource(index, next(iter(shards.values())).format, tensors, tuple(shards.values()))


def shard_names(index: Path) -> list[str]:
    """The sorted names of the files that an index lists, each of them there in its folder.

    Raises:
        SourceError: the index or shards are missing.
        CorruptFileError: the index is damaged, or points outside its folder.
    """
    listed = _read_index(index)
    _check_files(index, listed)
    return sorted(listed)


def _read_index(index: Path) -> dict[str, set[str]]:
    """Return the names an index lists, by the file they should be in."""
    with ReadFile(index) as file:
        if file.size > _MAX_INDEX_BYTES:
            raise CorruptFileError(f"{index} is {file.size} bytes long, an index has at most {_MAX_INDEX_BYTES}")
        weight_map = decode_object(file.read(file.size, 0), str(index)).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CorruptFileError(f"{index} has no weight_map, the list of tensors and their files", _DAMAGED)
    listed: dict[str, set[str]] = {}
    for name, file_name in weight_map.items():
        if not isinstance(file_name, str):
            raise CorruptFileError(f"{index}: the file of {name!r} is not a text", _DAMAGED)
        listed.setdefault(file_name, set()).add(name)
    return listed


def _check_files(index: Path, listed: Iterable[str]) -> None:
    outside = [file for file in sorted(listed) if _leaves_folder(file)]
    if outside:
        raise CorruptFileError(
            f"{index} points to files outside its folder: {listing(map(repr, outside))}",
            "Do not use this checkpoint: such an index reads files it has no business with.",
        )
    missing = [file for file in sorted(listed) if not _is_file(index.parent / file)]
    if missing:
        raise SourceError(
            f"{index} lists files that are not there: {listing(map(repr, missing))}", "Download the missing shards."
        )


def _leaves_folder(file: str) -> bool:
    path = PurePosixPath(file)
    return path.is_absolute() or ".." in path.parts


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name no file can have, or a folder that may not be entered
        return False


def _check_names(index: Path, listed: Mapping[str, set[str]], shards: Mapping[str, Source]) -> None:
    wanted = {(name, file) for file, names in listed.items() for name in names}
    found = {(name, file) for file, shard in shards.items() for name in shard.tensors}
    faults = [f"{name!r} is not in {file!r}" for name, file in sorted(wanted - found)]
    faults += [f"{name!r} is in {file!r} but not listed there" for name, file in sorted(found - wanted)]
    if faults:
        raise CorruptFileError(f"{index} does not agree with its shards: {listing(faults)}", _DAMAGED)


def plan_shards(specs: Sequence[TensorSpec], max_bytes: int | None, file_name: str) -> dict[str, list[TensorSpec]]:
    """Spread tensors over files in the order of their names, as huggingface_hub does when a model is saved.

    A file is closed when the next tensor would carry the bytes of its tensors over the limit; a tensor over the limit
    has a file of its own (split_state_dict_into_shards_factory in huggingface_hub/serialization/_base.py). Shards are
    named after the name that a single file has, such as model.safetensors.
    """
    ordered = sorted(specs, key=lambda spec: spec.name)
    limit = sum(spec.nbytes for spec in ordered) if max_bytes is None else max_bytes
    shards: list[list[TensorSpec]] = []
    current: list[TensorSpec] = []
    size = 0
    for spec in ordered:
        if spec.nbytes > limit:
            shards.append([spec])
            continue
        if size + spec.nbytes > limit:
            shards.append(current)
            current, size = [], 0
        current.append(spec)
        size += spec.nbytes
    if current or not shards:
        shards.append(current)
    return dict(zip(_file_names(file_name, len(shards)), shards, strict=True))


def _file_names(file_name: str, count: int) -> list[str]:
    if count == 1:
        return [file_name]
    plain = PurePosixPath(file_name)
    return [f"{plain.stem}-{number:05d}-of-{count:05d}{plain.suffix}" for number in range(1, count + 1)]


class ShardedSink:
    """Writes tensors into files of at most so many bytes of them, and an index if there is more than one."""

    def __init__(
        self,
        folder: Path,
        specs: Sequence[TensorSpec],
        max_bytes: int | None,
        file_name: str,
        open_shard: Callable[[Path, Sequence[TensorSpec]], Sink],
    ) -> None:
        self._plan = plan_shards(specs, max_bytes, file_name)
        self._folder = folder
        self._index = folder / f"{file_name}{SHARD_INDEX}"
        self._open_shard = open_shard
        self._sinks: dict[str, Sink] = {}
        self._opened = ExitStack()

    def writer(self, name: str) -> TensorWriter:
        """Return the writer of one declared tensor."""
        if name not in self._sinks:
            raise OutputError(f"{self._folder}: tensor {name!r} was not declared")
        return self._sinks[name].writer(name)

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            for file, specs in self._plan.items():
                sink = opening.enter_context(self._open_shard(self._folder / file, specs))
                self._sinks.update((spec.name, sink) for spec in specs)
            self._opened = opening.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.__exit__(kind, error, trace)
        if kind is None and len(self._plan) > 1:
            self._write_index()

    def _write_index(self) -> None:
        # The layout of transformers' save_pretrained (modeling_utils.py).
        total = sum(spec.nbytes for specs in self._plan.values() for spec in specs)
        weight_map = {spec.name: file for file, specs in self._plan.items() for spec in specs}
        parameters = sum(spec.size for specs in self._plan.values() for spec in specs)
        metadata = {"total_parameters": parameters, "total_size": total}
        index = {"metadata": metadata, "weight_map": weight_map}
        with WriteFile(self._index) as file:
            file.write_at((json.dumps(index, indent=2, sort_keys=True) + "\n").encode(), 0)
