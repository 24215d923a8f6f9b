"""The msgpack container of flax: nested maps of arrays, which are located and read when asked for; writes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from electra_convert.errors import CorruptFileError, SourceError, listing
from electra_convert.formats.files import Closing, ReadFile
from electra_convert.formats.msgpack import Binary, Extension, MsgpackReader, Value
from electra_convert.formats.names import SHARD_INDEX
from electra_convert.formats.shards import open_sharded
from electra_convert.tensors.spec import DTYPES, Source, Tensor, TensorSpec, fits_an_array, pieces

# The types that flax.serialization gives its own codes (flax/serialization.py, _MsgpackExtType): an array and a numpy
# scalar, which are packed alike. It has a third for Python's complex numbers, which no model holds.
_ARRAYS = (1, 3)
# What it makes of an array of more than 2**30 bytes: a map of this, the shape, and flat pieces (_chunk).
_CHUNKED = "__msgpack_chunked_array__"
_LONGEST_NAME = 1024
_AGAIN = "Copy or download the file again."


@dataclass(frozen=True)
class MsgpackSource(Closing):
    """One opened file of flax, its arrays by the keys that lead to them, with / between, in the file's order."""

    path: Path
    tensors: Mapping[str, Tensor]
    notices: tuple[str, ...]
    file: ReadFile
    format: str = "msgpack"

    def close(self) -> None:
        """Close the file."""
        self.file.close()


def open_source(path: Path) -> Source:
    """Open a flax checkpoint: a `.msgpack` file, or the `.index.json` of a sharded one.

    Raises:
        SourceError: a file is missing, or holds a type of elements that this tool does not carry.
        CorruptFileError: a file is damaged.
    """
    return open_sharded(path, open_file) if path.name.endswith(SHARD_INDEX) else open_file(path)


def open_file(path: Path) -> MsgpackSource:
    """Open one file that flax.serialization wrote, of which everything but the arrays' values is read.

    Raises:
        SourceError: it is missing, or holds a type of elements that this tool does not carry.
        CorruptFileError: it is damaged, or not what flax writes.
    """
    with ExitStack() as opened:
        file = opened.enter_context(ReadFile(path))
        found = _Arrays(file)
        found.add(MsgpackReader(file).read(0, file.size), "")
        opened.pop_all()
    others = listing(sorted(found.others))
    notices = (f"Left out, values that are no arrays: {others}.",) if found.others else ()
    return MsgpackSource(path, found.tensors, notices, file)


@dataclass(frozen=True)
class _Piece:
    """An array as flax packs it: what it is, and where its bytes lie."""

    spec: TensorSpec
    start: int


class _Arrays:
    """Finds the arrays in what a file holds."""

    def __init__(self, file: ReadFile) -> None:
        self._file = file
        self._reader = MsgpackReader(file)
        self.tensors: dict[str, Tensor] = {}
        self.others: list[str] = []

    def add(self, value: Value, name: str) -> None:
        """Add what stands under a name: an array, one in chunks, a map of more, or something else."""
        if len(name) > _LONGEST_NAME:
            raise CorruptFileError(f"{self._file.path} has names of more than {_LONGEST_NAME} characters", _AGAIN)
        if isinstance(value, dict) and _CHUNKED in value:
            self._add(name, *self._chunks(value, name))
        elif isinstance(value, dict):
            for key, inner in value.items():
                self.add(inner, f"{name}/{key}" if name else key)
        elif not name:
            raise CorruptFileError(f"{self._file.path} is no map of arrays by their names", _AGAIN)
        elif isinstance(value, Extension) and value.code in _ARRAYS:
            piece = self._piece(value, name)
            self._add(name, piece.spec, [piece])
        else:
            self.others.append(name)

    def _add(self, name: str, spec: TensorSpec, parts: Sequence[_Piece]) -> None:
        if name in self.tensors:
            raise CorruptFileError(f"{self._file.path} holds two arrays that go by the name {name!r:.100}", _AGAIN)
        stream = partial(_stream, self._file, [(part.start, part.spec.nbytes) for part in parts])
        self.tensors[name] = Tensor(name, spec.dtype, spec.shape, stream)

    def _piece(self, value: Extension, name: str) -> _Piece:
        """An array: its shape, the name of its type, and its bytes."""
        packed = self._reader.read(value.start, value.start + value.length)
        match packed:
            case [list(shape), str(dtype), Binary(start, length)] if _are_naturals(shape):
                pass
            case _:
                raise self._reader.damaged(value.start, f"array {name!r:.100} is no shape, type and bytes")
        if dtype not in DTYPES or DTYPES[dtype].kind == "opaque":
            raise SourceError(
                f"{self._file.path}: array {name!r:.100} has elements of type {dtype!r:.100}, which is not read",
                "Cast it to float32 in the program that made it.",
            )
        spec = TensorSpec(name, DTYPES[dtype], _shape(shape))
        if not fits_an_array(spec):
            raise self._reader.damaged(start, f"array {name!r:.100} has a shape no array can have: {shape!r:.200}")
        if length != spec.nbytes:
            told = f"array {name!r:.100}, {dtype} of shape {shape!r:.200}, needs {spec.nbytes} bytes, it has {length}"
            raise self._reader.damaged(start, told)
        return _Piece(spec, start)

    def _chunks(self, value: Mapping[str, Value], name: str) -> tuple[TensorSpec, list[_Piece]]:
        """An array in flat pieces, and those; flax numbers them, and the dimensions, as the keys of maps."""
        shape, chunks = _numbered(value.get("shape")), _numbered(value.get("chunks"))
        if not _are_naturals(shape) or not chunks or not all(isinstance(chunk, Extension) for chunk in chunks):
            raise CorruptFileError(
                f"{self._file.path}: array {name!r:.100} is not in chunks as flax has them", _AGAIN
            )
        found = [self._piece(chunk, name) for chunk in chunks if isinstance(chunk, Extension)]
        spec = TensorSpec(name, found[0].spec.dtype, _shape(shape))
        whole = fits_an_array(spec) and sum(piece.spec.nbytes for piece in found) == spec.nbytes
        if not whole or any(piece.spec.dtype != spec.dtype for piece in found):
            raise CorruptFileError(
                f"{self._file.path}: the chunks of {name!r:.100} do not make an array of shape {shape!r:.200}", _AGAIN
            )
        return spec, found


def _numbered(value: Value) -> list[Value]:
    """A list, or the values of a map whose keys are 0, 1, 2, ..., in their order."""
    if isinstance(value, list):
        return value
    keys = [str(index) for index in range(len(value))] if isinstance(value, dict) else []
    return [value[key] for key in keys] if isinstance(value, dict) and value.keys() == set(keys) else []


def _are_naturals(values: Sequence[Value]) -> bool:
    return all(type(value) is int and value >= 0 for value in values)


def _shape(values: Sequence[Value]) -> tuple[int, ...]:
    return tuple(value for value in values if isinstance(value, int))


def _stream(file: ReadFile, ranges: Sequence[tuple[int, int]], scratch: memoryview) -> Iterator[memoryview]:
    """The bytes of ranges one after the other; of one alone as the file shows them, without a copy."""
    if len(ranges) == 1:
        yield from file.pieces(scratch, *ranges[0])
        return
    rest = list(reversed(ranges))
    for _, window in pieces(scratch, sum(nbytes for _, nbytes in ranges)):
        filled = 0
        while filled < len(window):
            start, nbytes = rest.pop()
            count = min(nbytes, len(window) - filled)
            file.read_into(window[filled : filled + count], start)
            filled += count
            if count < nbytes:
                rest.append((start + count, nbytes - count))
        yield window
