"""An HDF5 file as a source of tensors: its groups walked through, its datasets' bytes where the file says they lie;
everything bounded before it is believed, and nothing read but what one process needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import NoReturn

from electra_convert.errors import CorruptFileError, SourceError
from electra_convert.formats.files import Closing, ReadFile
from electra_convert.formats.hdf5.encoding import (
    CONTINUATION,
    DATASPACE,
    DATATYPE,
    EXTERNAL_FILES,
    FILTERS,
    LAYOUT,
    LINK,
    LINK_INFO,
    OPAQUE,
    SIGNATURE,
    SUPERBLOCK_BYTES,
    SYMBOL_TABLE,
    Fields,
    MalformedError,
    Place,
    Superblock,
    UnsupportedError,
    decode_dtype,
    decode_link,
    decode_place,
    decode_shape,
    decode_superblock,
    decode_symbols,
    decode_tree_node,
    messages,
    require_links_here,
)
from electra_convert.formats.names import SHARD_INDEX
from electra_convert.formats.shards import open_sharded, without_model_name
from electra_convert.tensors.spec import DType, Source, Tensor, stream_bytes

# ELECTRA-Large has some 400 datasets in as many groups, and 200 kB of descriptions; these bound hostile files.
_MOST_OBJECTS = 20_000
_MOST_BYTES = 1 << 26
_MOST_BLOCKS = 10 * _MOST_OBJECTS
_LARGEST_BLOCK = 1 << 22
_DEEPEST = 32
_LONGEST_NAME = 4096
_AGAIN = "Copy or download the file again."
_RESAVE = "Rewrite it as Keras does, with the tool of the HDF5 library: h5repack -n -f NONE -l CONTI FILE NEW_FILE"


@dataclass(frozen=True, eq=False)
class Hdf5Source(Closing):
    """One opened HDF5 file: its datasets by their paths, without the first slash, in the order of its groups."""

    path: Path
    tensors: dict[str, Tensor]
    file: ReadFile
    format: str = "hdf5"
    notices: tuple[str, ...] = ()

    def close(self) -> None:
        """Close the file."""
        self.file.close()


def open_source(path: Path) -> Source:
    """Open an HDF5 file, or the `.index.json` of a model that transformers saved in several.

    Raises:
        SourceError: a file is missing, is not of the form that Keras writes, or holds nothing that can be read.
        CorruptFileError: a file is damaged.
    """
    if path.name.endswith(SHARD_INDEX):
        return open_sharded(path, open_file, without_model_name)
    return open_file(path)


def open_file(path: Path) -> Hdf5Source:
    """Open one HDF5 file, of which no values are read.

    Raises:
        SourceError: it is missing, or not of the form that Keras writes.
        CorruptFileError: it is damaged.
    """
    with ExitStack() as opened:
        file = opened.enter_context(ReadFile(path))
        with _naming(path):
            walk = _Walk(file, _superblock(file))
            datasets = list(walk.datasets())
            walk.require_apart()
        opened.pop_all()
    return Hdf5Source(path, {dataset.name: _tensor(file, dataset) for dataset in datasets}, file)


@contextmanager
def _naming(path: Path, where: str = "") -> Iterator[None]:
    """Say in which file, and of what in it, an error of the encoding is."""
    place = f"{path}, {where}," if where else f"{path}"
    try:
        yield
    except MalformedError as error:
        raise CorruptFileError(f"{place} is damaged: {error.message}", _AGAIN) from error
    except UnsupportedError as error:
        raise SourceError(f"{place} is not as Keras writes it: {error.message}", _RESAVE) from error


def _superblock(file: ReadFile) -> Superblock:
    start = file.read(min(file.size, SUPERBLOCK_BYTES), 0)
    if not start.startswith(SIGNATURE):
        raise CorruptFileError(f"{file.path} is not an HDF5 file: it begins with {start[:8]!r}", _AGAIN)
    found = decode_superblock(start)
    if found.end > file.size:
        raise CorruptFileError(
            f"{file.path} is cut short: it says that it is {found.end} bytes long, it is {file.size}", _AGAIN
        )
    return found


@dataclass(frozen=True)
class _Dataset:
    name: str
    dtype: DType
    shape: tuple[int, ...]
    place: Place


class _Walk:
    """One pass through the groups of a file, which meets every object once."""

    def __init__(self, file: ReadFile, superblock: Superblock) -> None:
        self._file = file
        self._superblock = superblock
        self._read = 0
        self._blocks = 0
        self._names: set[str] = set()
        self._met: set[int] = set()
        self._taken: list[tuple[int, int, str]] = []

    def datasets(self) -> Iterator[_Dataset]:
        """Every dataset, by its path."""
        waiting = [("", self._superblock.root)]
        while waiting:
            name, address = waiting.pop()
            with _naming(self._file.path, name and f"in {name}"):
                found = self._messages(address)
                if found.keys() & {SYMBOL_TABLE, LINK_INFO}:
                    waiting += reversed([self._named(name, *link) for link in self._links(found)])
                else:
                    yield self._dataset(name, {kind: fields[0] for kind, fields in found.items()})

    def require_apart(self) -> None:
        """Refuse datasets that lie in the same bytes."""
        taken = sorted(self._taken)
        for (_, end, name), (start, _, other) in pairwise(taken):
            if start < end:
                raise MalformedError(f"{name} and {other} lie in the same bytes")

    def _named(self, group: str, link: str, address: int) -> tuple[str, int]:
        """An object by its path, of which there is no other."""
        name = f"{group}/{link}" if group else link
        if name in self._names:
            raise MalformedError(f"it has {link} more than once")
        self._names.add(name)
        if len(self._names) > _MOST_OBJECTS:
            raise MalformedError(f"it has more than {_MOST_OBJECTS} groups and datasets, as no model has")
        if len(name) > _LONGEST_NAME or name.count("/") > _DEEPEST:
            raise MalformedError("its groups lie deeper, or have longer names, than of any model")
        return name, address

    def _block(self, address: int, length: int) -> bytes:
        if address + length > self._superblock.end:
            raise MalformedError(f"{length} bytes at {address} are beyond its end at {self._superblock.end}")
        self._read += length
        self._blocks += 1
        if length > _LARGEST_BLOCK or self._read > _MOST_BYTES or self._blocks > _MOST_BLOCKS:
            raise MalformedError("what it says of its groups and datasets is longer than of any model")
        return self._file.read(length, address)

    def _messages(self, address: int) -> dict[int, list[Fields]]:
        """The messages of an object header, by type."""
        if address in self._met:
            raise MalformedError(f"the object at {address} is linked to more than once")
        self._met.add(address)
        width = self._superblock.width
        start = Fields(self._block(address, 16))
        if (version := start.number(1)) != 1:
            raise UnsupportedError(f"an object of it has a header of another version ({version})")
        start.take(7)
        blocks = [(address + 16, start.number(4))]
        found: dict[int, list[Fields]] = {}
        for place, length in blocks:
            for kind, fields in messages(self._block(place, length)):
                if kind == CONTINUATION:
                    blocks.append((fields.number(width), fields.number(width)))
                else:
                    found.setdefault(kind, []).append(fields)
        return found

    def _links(self, found: Mapping[int, Sequence[Fields]]) -> Iterator[tuple[str, int]]:
        """The links of a group: names, and the addresses of objects."""
        width = self._superblock.width
        for fields in found.get(LINK_INFO, ()):
            require_links_here(fields, width)
        for fields in found.get(LINK, ()):
            name, address = decode_link(fields, width)
            yield _decoded(name), address
        for fields in found.get(SYMBOL_TABLE, ()):
            yield from self._in_table(fields.number(width), fields.number(width))

    def _in_table(self, tree: int, heap: int) -> Iterator[tuple[str, int]]:
        """The links of a group that has a tree of them, and a heap of their names."""
        width = self._superblock.width
        fields = Fields(self._block(heap, 8 + 3 * width))
        fields.expect(b"HEAP")
        fields.take(4)
        length, _, place = (fields.number(width) for _ in range(3))
        names = self._block(place, length)
        nodes: list[tuple[int, int | None]] = [(tree, None)]
        seen: set[int] = set()
        while nodes:
            address, below = nodes.pop()
            if address in seen:
                raise MalformedError("its B-tree comes back to itself")
            seen.add(address)
            if below == 0:
                yield from ((_name(names, start), object_) for start, object_ in self._symbols(address))
                continue
            level, children = self._node(address)
            if below is not None and level != below - 1:
                raise MalformedError(f"a B-tree node of level {level} below one of level {below}")
            nodes += [(child, level) for child in reversed(children)]

    def _node(self, address: int) -> tuple[int, list[int]]:
        width = self._superblock.width
        fields = Fields(self._block(address, 8))
        fields.expect(b"TREE")
        fields.take(2)
        used = fields.number(2)
        whole = Fields(self._block(address, 8 + 2 * width + (2 * used + 1) * width), 4)
        return decode_tree_node(whole, width)

    def _symbols(self, address: int) -> list[tuple[int, int]]:
        width = self._superblock.width
        fields = Fields(self._block(address, 8))
        fields.expect(b"SNOD")
        fields.take(2)
        count = fields.number(2)
        return decode_symbols(Fields(self._block(address, 8 + count * (2 * width + 24)), 4), width)

    def _dataset(self, name: str, found: dict[int, Fields]) -> _Dataset:
        if not {DATASPACE, DATATYPE, LAYOUT} <= found.keys():
            raise MalformedError("it is neither a group nor a dataset with a shape, a type and a place")
        if FILTERS in found or EXTERNAL_FILES in found:
            where = "is compressed" if FILTERS in found else "lies in other files"
            raise UnsupportedError(f"it {where}")
        dtype = decode_dtype(found[DATATYPE])
        if dtype == OPAQUE:
            return _Dataset(name, dtype, (), Place(0, 0))
        width = self._superblock.width
        shape, place = decode_shape(found[DATASPACE], width), decode_place(found[LAYOUT], width)
        if (expected := prod(shape) * dtype.itemsize) != place.length:
            raise MalformedError(f"{place.length} bytes are stored for {list(shape)} of {dtype}, expected {expected}")
        if place.content is None and place.length:
            self._require_inside(place)
            self._taken.append((place.address, place.address + place.length, name))
        return _Dataset(name, dtype, shape, place)

    def _require_inside(self, place: Place) -> None:
        if place.address == self._superblock.undefined:
            raise MalformedError("its values were never written")
        if place.address + place.length > self._superblock.end:
            raise MalformedError(
                f"its {place.length} bytes at {place.address} are beyond the end at {self._superblock.end}"
            )


def _name(names: bytes, start: int) -> str:
    """A name in a group's heap of them, which ends with a zero."""
    end = names.find(b"\0", start, start + _LONGEST_NAME)
    if end <= start:
        raise MalformedError(f"no name ends near byte {start} of the names of a group")
    return _decoded(names[start:end])


def _decoded(stored: bytes) -> str:
    try:
        name = stored.decode()
    except UnicodeDecodeError as error:
        raise MalformedError(f"the name {stored[:40]!r} is not UTF-8") from error
    if not name or "/" in name or not name.isprintable():
        raise MalformedError(f"{name[:40]!a} cannot be a name")
    return name


def _tensor(file: ReadFile, dataset: _Dataset) -> Tensor:
    if dataset.dtype == OPAQUE:
        return Tensor(dataset.name, dataset.dtype, (), partial(_refuse, file.path, dataset.name))
    if dataset.place.content is not None:
        return Tensor(dataset.name, dataset.dtype, dataset.shape, partial(stream_bytes, dataset.place.content))
    stream: Callable[[memoryview], Iterator[memoryview]] = partial(
        file.pieces, offset=dataset.place.address, nbytes=dataset.place.length
    )
    return Tensor(dataset.name, dataset.dtype, dataset.shape, stream)


def _refuse(path: Path, name: str, _: memoryview) -> NoReturn:
    raise CorruptFileError(f"{path}: {name} holds no numbers", "Leave this dataset out.")
