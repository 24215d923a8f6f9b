"""The torch container: pickled state dicts, read without running any code in them."""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np

from electra_convert.errors import (
    CorruptFileError,
    ElectraConvertError,
    MissingPackageError,
    OutputError,
    SourceError,
    listing,
)
from electra_convert.formats.archives import checked_records, largest_content
from electra_convert.formats.files import Closing, ReadFile, WriteFile
from electra_convert.formats.names import SHARD_INDEX, TORCH_FILE
from electra_convert.formats.shards import ShardedSink, open_sharded
from electra_convert.formats.torch_state import WEIGHTS_ONLY, ZIP_MAGIC, find_state, inert_classes, refuse_code
from electra_convert.frameworks import import_torch
from electra_convert.tensors.spec import (
    DTYPES,
    PIECE_BYTES,
    Sink,
    Source,
    Tensor,
    TensorSpec,
    TensorWriter,
    pieces,
    stream_bytes,
)

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer as Buffer
    from torch import Tensor as TorchTensor

_AGAIN = "Copy or download the file again."


@dataclass(frozen=True)
class TorchSource(Closing):
    """One loaded state dict, its tensors in their order there."""

    path: Path
    tensors: dict[str, Tensor]
    notices: tuple[str, ...] = ()
    format: str = "torch"

    def close(self) -> None:
        """Let go of the tensors, and with them of the file they are mapped from."""
        self.tensors.clear()


def open_source(path: Path) -> Source:
    """Open a torch checkpoint: a `.bin`, `.pt` or `.pth` file, or the `.index.json` of a sharded one.

    Raises:
        SourceError: a file is missing or holds something else than a state dict.
        MissingPackageError: torch is not installed.
        CorruptFileError: a file is damaged.
    """
    return open_sharded(path, open_file) if path.name.endswith(SHARD_INDEX) else open_file(path)


def open_file(path: Path) -> TorchSource:
    """Open one file that torch.save wrote, a zip archive or the bare pickles it wrote before torch 1.6.

    All checksums are compared; the tensors of an uncompressed archive are mapped, not loaded.

    Raises:
        SourceError: it is missing, or holds something else than tensors by name.
        MissingPackageError: torch is not installed.
        CorruptFileError: it is damaged.
    """
    with ReadFile(path) as file:
        if file.is_outline:
            return _open_outline(file)
        is_archive = file.read(min(len(ZIP_MAGIC), file.size), 0) == ZIP_MAGIC
        whole = range(file.size + 1)
    torch = import_torch("to read PyTorch files")
    with _blaming(path):
        lengths, mappable = _check_archive(path) if is_archive else (whole, False)
        state = find_state(torch, path, _load(torch, path, mappable))
        _require_plain(torch, path, state.tensors)
        _check_storages(path, state.tensors, lengths)
    tensors = {name: _tensor(torch, name, values) for name, values in state.tensors.items()}
    return TorchSource(path, tensors, state.notices)


def _open_outline(file: ReadFile) -> TorchSource:
    """Read nothing but what a file says of its tensors, whose values are zeros; no checksum is compared."""
    torch = import_torch("to read PyTorch files")
    if not hasattr(torch.serialization, "skip_data"):
        raise MissingPackageError(
            f"{file.path}: this version of torch reads values where names are wanted", "Install torch 2.7 or later."
        )
    with _blaming(file.path), warnings.catch_warnings(), inert_classes(torch), torch.serialization.skip_data():
        warnings.simplefilter("ignore")
        loaded = torch.load(_Opened(file), map_location="cpu", weights_only=True)
        state = find_state(torch, file.path, loaded)
        _require_plain(torch, file.path, state.tensors)
    return TorchSource(file.path, dict(map(_zeros, state.tensors.items())), state.notices)


def _zeros(named: tuple[str, TorchTensor]) -> tuple[str, Tensor]:
    """A tensor as it is described, of zeros."""
    name, values = named
    spec = TensorSpec(name, DTYPES[_dtype_name(values)], tuple(values.shape))

    def stream(scratch: memoryview) -> Iterator[memoryview]:
        for _, window in pieces(scratch, spec.nbytes):
            window[:] = bytes(len(window))
            yield window

    return name, Tensor(name, spec.dtype, spec.shape, stream)


class _Opened(io.RawIOBase):
    """A file as torch.load wants it, read where it is asked for."""

    def __init__(self, file: ReadFile) -> None:
        super().__init__()
        self._file = file
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._file.size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer).cast("B")
        count = max(0, min(len(view), self._file.size - self._position))
        self._file.read_into(view[:count], self._position)
        self._position += count
        return count


@contextmanager
def _blaming(path: Path) -> Iterator[None]:
    """Turn whatever comes of reading a hostile file into an error about the file."""
    try:
        yield
    except ElectraConvertError:
        raise
    except Exception as error:  # the file says what its unpickling does, so it can raise anything
        code = re.search(r"(?:GLOBAL|function|class) ([\w.]+)", str(error))
        if code:
            raise refuse_code(path, code[1]) from error
        raise CorruptFileError(f"{path} cannot be read as a PyTorch file: {_reason(error)}", _AGAIN) from error


def _reason(error: Exception) -> str:
    if isinstance(error, RuntimeError | zipfile.BadZipFile):
        return str(error).partition("\n")[0][:200]
    return "it is not what torch.save writes"  # what an unpickler says of junk helps nobody


def _check_archive(path: Path) -> tuple[Container[int], bool]:
    """Compare every record's CRC-32, which torch.load does not; return their lengths, and if torch may map them."""
    with zipfile.ZipFile(path) as archive:
        records = checked_records(path, archive)
        for record in records:
            # torch.serialization.set_crc32_options(False) leaves 0 in the place of a checksum.
            if record.CRC:
                with archive.open(record) as content:
                    while content.read(PIECE_BYTES):
                        pass
    # torch maps a compressed record as if it were not compressed.
    mappable = all(record.compress_type == zipfile.ZIP_STORED for record in records)
    return {record.file_size for record in records}, mappable


def _load(torch: ModuleType, path: Path, mappable: bool) -> object:
    with warnings.catch_warnings(), inert_classes(torch):
        warnings.simplefilter("ignore")
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mappable)


def _require_plain(torch: ModuleType, path: Path, state: Mapping[str, TorchTensor]) -> None:
    refused = [f"{name!r} {fault}" for name, values in state.items() if (fault := _fault(torch, values))]
    if refused:
        raise SourceError(f"{path} holds tensors without plain values: {listing(refused)}", WEIGHTS_ONLY)


def _fault(torch: ModuleType, values: TorchTensor) -> str | None:
    if values.layout is not torch.strided or values.is_nested:
        return f"is not dense ({values.layout})"
    if values.is_quantized:
        return f"is quantised ({values.dtype})"
    if values.device.type != "cpu":
        return f"has no values (device {values.device})"
    if _dtype_name(values) not in DTYPES:
        return f"has elements of type {values.dtype}"
    return None


def _dtype_name(values: TorchTensor) -> str:
    return str(values.dtype).removeprefix("torch.")


def _check_storages(path: Path, state: Mapping[str, TorchTensor], lengths: Container[int]) -> None:
    """Refuse tensors that reach beyond their record, that no array can hold, or that repeat it without end."""
    stated, most = sum(values.nbytes for values in state.values()), largest_content(path.stat().st_size)
    if stated > most:
        name, values = max(state.items(), key=lambda item: item[1].nbytes)
        raise CorruptFileError(
            f"{path} states {stated} bytes of tensors, far more than the file holds; the largest, {name!r}, repeats "
            f"{values.untyped_storage().nbytes()} bytes to {values.nbytes}",
            _AGAIN,
        )
    for name, values in state.items():
        stored = values.untyped_storage().nbytes()
        if stored and stored not in lengths:
            raise CorruptFileError(f"{path}: tensor {name!r} states {stored} bytes, its record has others", _AGAIN)
        np.broadcast_to(np.zeros((), DTYPES[_dtype_name(values)].storage), tuple(values.shape))


def _tensor(torch: ModuleType, name: str, values: TorchTensor) -> Tensor:
    return Tensor(name, DTYPES[_dtype_name(values)], tuple(values.shape), partial(_stream, torch, values))


def _stream(torch: ModuleType, values: TorchTensor, scratch: memoryview) -> Iterator[memoryview]:
    content = _bytes_of(torch, values.detach().resolve_conj().resolve_neg().contiguous())
    return stream_bytes(content, scratch)


def _bytes_of(torch: ModuleType, contiguous: TorchTensor) -> memoryview:
    # numpy has no bfloat16 and no float8, so the tensor is handed over as bytes.
    return contiguous.reshape(-1).view(torch.uint8).numpy().data


def open_folder_sink(folder: Path, specs: Sequence[TensorSpec], max_bytes: int | None) -> Sink:
    """Open pytorch_model.bin for writing, or shards of at most so many bytes of tensors and their index.

    Raises:
        MissingPackageError: torch is not installed.
    """
    return ShardedSink(
        folder, specs, max_bytes, TORCH_FILE, partial(TorchSink, import_torch("to write PyTorch files"))
    )


class TorchSink:
    """One file being written, by torch.save when all tensors are there."""

    def __init__(self, torch: ModuleType, path: Path, specs: Sequence[TensorSpec]) -> None:
        self._torch = torch
        self._path = path
        self._state = OrderedDict((spec.name, self._allocate(spec)) for spec in specs)
        self._writers = {name: _BufferWriter(path, name, _bytes_of(torch, self._state[name])) for name in self._state}

    def _allocate(self, spec: TensorSpec) -> TorchTensor:
        dtype = getattr(self._torch, spec.dtype.name, None)
        if not isinstance(dtype, self._torch.dtype):
            raise OutputError(f"{self._path}: torch has no type for tensor {spec.name!r}, which is {spec.dtype}")
        try:
            values: TorchTensor = self._torch.empty(spec.shape, dtype=dtype)
            return values
        except RuntimeError as error:
            raise OutputError(f"{self._path}: no memory for tensor {spec.name!r}, {spec.nbytes} bytes") from error

    def writer(self, name: str) -> TensorWriter:
        """Return the writer of one declared tensor."""
        if name not in self._writers:
            raise OutputError(f"{self._path}: tensor {name!r} was not declared")
        return self._writers[name]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            return
        incomplete = [repr(name) for name, writer in self._writers.items() if len(writer.rest)]
        if incomplete:
            raise OutputError(f"{self._path}: tensors were not written whole: {listing(incomplete)}")
        try:
            with WriteFile(self._path) as file:
                self._torch.save(self._state, _Appender(file))
        except RuntimeError as error:  # torch's word for a write that failed before its last one
            raise OutputError(f"{self._path} cannot be written whole", "Is the disk full?") from error


class _BufferWriter:
    """Fills the memory of one tensor."""

    def __init__(self, path: Path, name: str, buffer: memoryview) -> None:
        self._where = f"{path}: tensor {name!r}"
        self._nbytes = len(buffer)
        self.rest = buffer

    def write(self, piece: memoryview) -> None:
        if len(piece) > len(self.rest):
            written = self._nbytes - len(self.rest) + len(piece)
            raise OutputError(f"{self._where} has {self._nbytes} bytes, {written} were written")
        self.rest[: len(piece)] = piece
        self.rest = self.rest[len(piece) :]


class _Appender:
    """A file as torch.save wants it: write and flush."""

    def __init__(self, file: WriteFile) -> None:
        self._file = file
        self._position = 0

    def write(self, data: memoryview | bytes) -> int:
        self._file.write_at(data, self._position)
        self._position += len(data)
        return len(data)

    def flush(self) -> None:
        pass
