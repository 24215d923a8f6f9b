"""A V2 checkpoint as a source of tensors, read without TensorFlow: its data files, opened when wanted, and their
bytes held against the checksums of the index; knows nothing of models."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from threading import Lock

import numpy as np
from crc32c import crc32c

from electra_convert.errors import CorruptFileError, SourceError
from electra_convert.formats.files import Closing, ReadFile
from electra_convert.formats.tf_bundle.entries import BY_NUMBER, STRING, BundleEntry, contents
from electra_convert.formats.tf_bundle.graphs import BOOKKEEPING, GRAPH_KEY, decode_text, variable_names
from electra_convert.formats.tf_bundle.index import (
    Index,
    data_path,
    index_path,
    read_index,
    refuse_v1,
)
from electra_convert.formats.tf_bundle.slices import Part, assemble, region, region_shape, slice_key
from electra_convert.formats.wire import AGAIN, MalformedError, blame, decode_name, shown
from electra_convert.tensors.spec import PIECE_BYTES, DType, Tensor, TensorSpec, stream_bytes

_MAX_GRAPH_BYTES = 256 << 20
# Writers with a data_alignment also fill up behind the last tensor (PadAlignment in tensor_bundle.cc).
_MAX_PADDING = 4096
# So many other tensors tell damage in one place from an index and data of different saves.
_PROBES = 4


class BundleSource(Closing):
    """An opened checkpoint; made by open_source().

    Attributes:
        path: the prefix of its files.
        tensors: by name, in the order of their keys. A partitioned variable is one tensor without a checksum. Text
            and other values that are not numbers are listed, and raise CorruptFileError when they are streamed.
        from_object_graph: whether the names come from TensorFlow 2's object graph; where that gives a value no name
            of its own, the name is the key.
        keys: by name, what each is called in the files; in an object graph the way to it.
    """

    format = "tensorflow"
    notices: tuple[str, ...] = ()

    def __init__(self, prefix: Path, index: Index) -> None:
        self.path = prefix
        self._index = index
        self._shards = _shards(prefix, index)
        graph = index.entries.get(GRAPH_KEY)
        self.from_object_graph = graph is not None and (graph.data_type, graph.shape, graph.slices) == (
            STRING,
            (),
            (),
        )
        names = self._variable_names(graph) if graph and self.from_object_graph else {}
        self.tensors: Mapping[str, Tensor] = dict(self._tensors(names))
        given = {decode_name(name): decode_name(key) for key, name in names.items()}
        self.keys: Mapping[str, str] = {name: given.get(name, name) for name in self.tensors}

    def close(self) -> None:
        """Close the data files."""
        for shard in self._shards.values():
            shard.close()

    def _variable_names(self, graph: BundleEntry) -> dict[bytes, bytes]:
        shard = self._shards[graph.shard]
        with blame(f"{shard.path}, in the object graph,"), closing(shard):
            if graph.size > _MAX_GRAPH_BYTES:
                raise MalformedError(f"its {graph.size} bytes are more than any has")
            text = decode_text(shard.read_stored(graph), graph.checksum, self._index.header.byteorder)
            return variable_names(text, self._index.entries.keys())

    def _tensors(self, names: Mapping[bytes, bytes]) -> Iterator[tuple[str, Tensor]]:
        hidden = BOOKKEEPING if self.from_object_graph else frozenset()
        slice_keys = {slice_key(key, part) for key, entry in self._index.entries.items() for part in entry.slices}
        for key, entry in self._index.entries.items():
            if key not in slice_keys and key not in hidden:
                name = decode_name(names.get(key, key))
                yield name, self._partitioned(key, name, entry) if entry.slices else self._tensor(name, entry)

    def _tensor(self, name: str, entry: BundleEntry) -> Tensor:
        dtype = BY_NUMBER[entry.data_type]
        shard = self._shards[entry.shard]
        if dtype.kind == "opaque":
            return Tensor(name, dtype, entry.shape, _refusal(shard.path, name, dtype))
        swap_width = _component_bytes(dtype) if self._index.header.big_endian else 1

        def stream(scratch: memoryview) -> Iterator[memoryview]:
            # Pieces of whole elements, whatever the length of the scratch space.
            whole = len(scratch) - len(scratch) % dtype.itemsize
            return shard.stream(name, entry, swap_width, scratch[:whole])

        return Tensor(name, dtype, entry.shape, stream, entry.checksum)

    def _partitioned(self, key: bytes, name: str, entry: BundleEntry) -> Tensor:
        where = f"{index_path(self.path)}, in the partitioned variable {shown(name)},"
        variable = TensorSpec(name, BY_NUMBER[entry.data_type], entry.shape)
        if variable.dtype.kind == "opaque":
            return Tensor(name, variable.dtype, entry.shape, _refusal(index_path(self.path), name, variable.dtype))
        with blame(where):
            parts = [self._part(slice_key(key, part), region(part, entry.shape), variable) for part in entry.slices]
            if sum(part.tensor.size for part in parts) != variable.size:
                raise MalformedError("the slices do not add up to the whole")
        return Tensor(name, variable.dtype, entry.shape, partial(_stream_parts, where, variable, parts))

    def _part(self, key: bytes, taken: tuple[slice, ...], variable: TensorSpec) -> Part:
        entry = self._index.entries.get(key)
        described = f"{list(region_shape(taken))} of {variable.dtype}"
        if entry is None:
            raise MalformedError(f"the slice {described} is missing")
        if entry.slices or entry.shape != region_shape(taken) or BY_NUMBER[entry.data_type] != variable.dtype:
            raise MalformedError(f"the slice {described} has the entry of another tensor")
        return Part(taken, self._tensor(f"a slice of {variable.name}", entry))


def open_source(prefix: Path) -> BundleSource:
    """Open a checkpoint at its prefix; its index is read, and of the data only TensorFlow 2's object graph.

    Raises:
        SourceError: there is no such checkpoint, or one in the V1 format.
        CorruptFileError: its index is damaged, or says something impossible.
    """
    try:
        index = read_index(index_path(prefix))
    except SourceError:
        if prefix.is_file() and not index_path(prefix).exists():
            refuse_v1(prefix)
        raise
    return BundleSource(prefix, index)


def _shards(prefix: Path, index: Index) -> dict[int, Shard]:
    entries: defaultdict[int, list[BundleEntry]] = defaultdict(list)
    for entry in index.entries.values():
        if not entry.slices:
            entries[entry.shard].append(entry)
    return {
        shard: Shard(data_path(prefix, shard, index.header.num_shards), entries[shard]) for shard in sorted(entries)
    }


def _component_bytes(dtype: DType) -> int:
    """The bytes that a big-endian machine stores in reverse: of a complex number each half."""
    return dtype.itemsize // 2 if dtype.kind == "complex" else dtype.itemsize


def _refusal(path: Path, name: str, dtype: DType) -> Callable[[memoryview], Iterator[memoryview]]:
    def stream(_: memoryview) -> Iterator[memoryview]:
        raise CorruptFileError(f"{path}: {shown(name)} holds {contents(dtype)}", "Leave this tensor out.")

    return stream


def _stream_parts(where: str, variable: TensorSpec, parts: list[Part], scratch: memoryview) -> Iterator[memoryview]:
    with blame(where):
        values = assemble(variable, parts).reshape(-1).view(np.uint8).data
    yield from stream_bytes(values, scratch)


class Shard:
    """A data file, opened when it is first wanted; several threads may use it at once."""

    def __init__(self, path: Path, entries: Sequence[BundleEntry]) -> None:
        self.path = path
        self._entries = entries
        self._lock = Lock()
        self._file: ReadFile | None = None

    def stream(self, name: str, entry: BundleEntry, swap_width: int, scratch: memoryview) -> Iterator[memoryview]:
        """Read a tensor's bytes piece by piece, those of every swap_width reversed; 1 leaves them as they are.

        Raises:
            SourceError: the file is missing.
            CorruptFileError: it is not the file the index describes, or the bytes do not match the checksum.
        """
        file = self._opened()
        found = 0
        for piece in file.pieces(scratch, entry.offset, entry.size):
            # The checksum is of the bytes as they are stored.
            found = crc32c(piece, found)
            yield piece if swap_width == 1 else _swapped(piece, swap_width)
        if found != entry.checksum:
            raise self._mismatch(file, name, entry, found)

    def read_stored(self, entry: BundleEntry) -> bytes:
        """Read an entry's bytes as they are stored; their checksum is left to the caller.

        Raises:
            SourceError: the file is missing.
            CorruptFileError: it is not the file the index describes.
        """
        return self._opened().read(entry.size, entry.offset)

    def close(self) -> None:
        """Close the file if it was opened."""
        with self._lock:
            if self._file:
                self._file.close()
            self._file = None

    def _opened(self) -> ReadFile:
        with self._lock:
            if self._file is None:
                file = self._open()
                try:
                    self._require_length(file)
                except BaseException:
                    file.close()
                    raise
                self._file = file
            return self._file

    def _open(self) -> ReadFile:
        try:
            return ReadFile(self.path)
        except SourceError as error:
            if self.path.exists():
                raise
            raise SourceError(
                error.message, f"The index says {len(self._entries)} tensors are in it. Put it beside the index."
            ) from error

    def _require_length(self, file: ReadFile) -> None:
        described = max(entry.offset + entry.size for entry in self._entries)
        if file.size == described or _is_padded(file, described):
            return
        state = "is empty" if file.size == 0 else f"has {file.size} bytes"
        cut_short = "it is cut short, or " if file.size < described else ""
        raise CorruptFileError(
            f"{self.path} {state}, the index describes {described}: {cut_short}the index is of another save", AGAIN
        )

    def _mismatch(self, file: ReadFile, name: str, entry: BundleEntry, found: int) -> CorruptFileError:
        message = (
            f"{self.path} is damaged: the bytes of {shown(name)} have CRC32C {found:08x}, "
            f"{entry.checksum:08x} is stored for them"
        )
        if self._others_fail(file, entry):
            message += "; others do not match either: the index is of another save than the data"
        return CorruptFileError(message, AGAIN)

    def _others_fail(self, file: ReadFile, failed: BundleEntry) -> bool:
        """Whether most of a few other small tensors fail as well."""
        small = [entry for entry in self._entries if 0 < entry.size <= PIECE_BYTES and entry is not failed]
        probes = sorted(small, key=lambda entry: entry.size)[:_PROBES]
        failures = sum(crc32c(file.read(entry.size, entry.offset)) != entry.checksum for entry in probes)
        return 2 * failures > len(probes)


def _swapped(piece: memoryview, width: int) -> memoryview:
    return np.frombuffer(piece, f"u{width}").byteswap().view(np.uint8).data


def _is_padded(file: ReadFile, described: int) -> bool:
    surplus = file.size - described
    return 0 < surplus < _MAX_PADDING and not any(file.read(surplus, described))
