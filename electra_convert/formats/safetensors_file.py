"""The safetensors container: a JSON header and the tensors' bytes behind it; no torch, and no copy of a whole tensor.

The format is that of https://github.com/huggingface/safetensors (README.md and safetensors/src/tensor.rs).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeGuard

from electra_convert.errors import CorruptFileError, OutputError, SourceError, listing
from electra_convert.formats.files import Closing, ReadFile, RegionWriter, WriteFile
from electra_convert.formats.json_objects import decode_object
from electra_convert.formats.names import SAFETENSORS_FILE, SHARD_INDEX
from electra_convert.formats.shards import ShardedSink, open_sharded, without_model_name
from electra_convert.tensors.spec import DTYPES, DType, Sink, Source, Tensor, TensorSpec, TensorWriter, fits_an_array

_METADATA = "__metadata__"
_LENGTH_BYTES = 8
_ALIGNMENT = 8
_MAX_HEADER_BYTES = 100_000_000

# In the order of the library's enumeration, by which the tensors of a file are sorted: the last come first.
_TYPES = (
    "BOOL=bool U8=uint8 I8=int8 F8_E5M2=float8_e5m2 F8_E4M3=float8_e4m3fn F8_E4M3FNUZ=float8_e4m3fnuz "
    "F8_E5M2FNUZ=float8_e5m2fnuz I16=int16 U16=uint16 F16=float16 BF16=bfloat16 I32=int32 U32=uint32 "
    "F32=float32 C64=complex64 F64=float64 I64=int64 U64=uint64"
)
_CODES: Mapping[str, DType] = {
    code: DTYPES[name] for code, _, name in (pair.partition("=") for pair in _TYPES.split())
}
_CODE_OF: Mapping[DType, str] = {dtype: code for code, dtype in _CODES.items()}


@dataclass(frozen=True)
class SafetensorsSource(Closing):
    """One opened safetensors file, its tensors in the order of their bytes, its metadata as its writer left it."""

    path: Path
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]
    file: ReadFile
    notices: tuple[str, ...] = ()
    format: str = "safetensors"

    def close(self) -> None:
        """Close the file."""
        self.file.close()


def open_source(path: Path) -> Source:
    """Open a safetensors checkpoint: a `.safetensors` file, or the `.index.json` of a sharded one.

    Raises:
        SourceError: a file is missing, or holds a type of elements this tool does not carry.
        CorruptFileError: a file is damaged.
    """
    return open_sharded(path, open_file, _stored_as) if path.name.endswith(SHARD_INDEX) else open_file(path)


def _stored_as(name: str) -> str:
    """What a tensor of an index is called in its shard; a variable of TensorFlow's loses the model's name."""
    return without_model_name(name) if name.endswith(":0") else name


def open_file(path: Path) -> SafetensorsSource:
    """Open one safetensors file, of which nothing but the header is read.

    Raises:
        SourceError: it is missing, or holds a type of elements this tool does not carry.
        CorruptFileError: it is damaged: the header is not what the format allows, or does not fit the file.
    """
    with ExitStack() as opened:
        file = opened.enter_context(ReadFile(path))
        text = _read_header(file)
        header = decode_object(text, f"{path}: the header")
        metadata = _decode_metadata(file, header.pop(_METADATA, None))
        tensors = _locate(file, header, _LENGTH_BYTES + len(text))
        opened.pop_all()
    return SafetensorsSource(path, tensors, metadata, file)


def _read_header(file: ReadFile) -> bytes:
    if file.size < _LENGTH_BYTES:
        raise _damaged(file, f"{file.size} bytes are too few for a safetensors file")
    length = int.from_bytes(file.read(_LENGTH_BYTES, 0), "little")
    room = min(file.size - _LENGTH_BYTES, _MAX_HEADER_BYTES)
    if length > room:
        raise _damaged(file, f"it states a header of {length} bytes, at most {room} are possible")
    text = file.read(length, _LENGTH_BYTES)
    if not text.startswith(b"{"):
        raise _damaged(file, f"its header begins with {text[:1]!r}, expected b'{{'")
    return text


def _damaged(file: ReadFile, what: str) -> CorruptFileError:
    return CorruptFileError(f"{file.path} is damaged: {what}", "Copy or download the file again.")


def _decode_metadata(file: ReadFile, metadata: object) -> Mapping[str, str]:
    if metadata is None:
        return {}
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise _damaged(file, f"{_METADATA} in its header is not an object of texts")
    return metadata


def _locate(file: ReadFile, header: Mapping[str, object], start: int) -> dict[str, Tensor]:
    """Return the tensors of a header, which cover everything behind the start without a hole or an overlap."""
    entries = [_decode_entry(file, name, entry) for name, entry in header.items()]
    position = 0
    tensors: dict[str, Tensor] = {}
    for spec, begin, end in sorted(entries, key=lambda entry: entry[1:]):
        if (begin, end) != (position, position + spec.nbytes):
            expected = f"bytes {position} to {position + spec.nbytes} of the data"
            raise _damaged(file, f"tensor {spec.name!r} should be {expected}, its header says {begin} to {end}")
        stream = partial(file.pieces, offset=start + begin, nbytes=spec.nbytes)
        tensors[spec.name] = Tensor(spec.name, spec.dtype, spec.shape, stream)
        position = end
    if start + position != file.size:
        raise _damaged(file, f"by its header it should be {start + position} bytes long, it is {file.size}")
    return tensors


def _decode_entry(file: ReadFile, name: str, entry: object) -> tuple[TensorSpec, int, int]:
    """Return a tensor and where its bytes begin and end in the data."""
    fields = entry if isinstance(entry, dict) else {}
    code, shape, offsets = (fields.get(key) for key in ("dtype", "shape", "data_offsets"))
    if not isinstance(code, str) or not _is_naturals(shape) or not _is_naturals(offsets) or len(offsets) != 2:
        raise _damaged(file, f"tensor {name!r} needs dtype, shape and two data_offsets, found {entry!r:.200}")
    if code not in _CODES:
        raise SourceError(
            f"{file.path}: tensor {name!r} has elements of type {code!r:.200}, expected one of {', '.join(_CODES)}",
            "Convert the tensor to one of these types with the tool that wrote it.",
        )
    spec = TensorSpec(name, _CODES[code], tuple(shape))
    if not fits_an_array(spec):
        raise _damaged(file, f"tensor {name!r} has a shape no array can have: {shape!r:.200}")
    return spec, offsets[0], offsets[1]


def _is_naturals(value: object) -> TypeGuard[list[int]]:
    # type() and not isinstance(): in Python true is an integer, in the format it is not.
    return isinstance(value, list) and all(type(number) is int and number >= 0 for number in value)


def open_folder_sink(folder: Path, specs: Sequence[TensorSpec], max_bytes: int | None) -> Sink:
    """Open model.safetensors for writing, or shards of at most so many bytes of tensors and their index."""
    # transformers asks which framework's tensors a file holds, and refuses one that does not say.
    open_shard = partial(open_sink, metadata={"format": "pt"})
    return ShardedSink(folder, specs, max_bytes, SAFETENSORS_FILE, open_shard)


def open_sink(path: Path, specs: Sequence[TensorSpec], metadata: Mapping[str, str]) -> SafetensorsSink:
    """Open one new safetensors file for writing, its bytes those that safetensors 0.8 writes for the same tensors.

    Raises:
        OutputError: the file cannot be made, or the format cannot hold a tensor.
    """
    foreign = [f"{spec.name!r} ({spec.dtype})" for spec in specs if spec.dtype not in _CODE_OF]
    if foreign:
        raise OutputError(f"{path} cannot hold elements of these types: {listing(foreign)}")
    ranks = list(_CODE_OF)
    ordered = sorted(specs, key=lambda spec: (-ranks.index(spec.dtype), spec.name))
    header = _encode_header(path, ordered, metadata)
    file = WriteFile(path, len(header) + sum(spec.nbytes for spec in ordered))
    writers: dict[str, RegionWriter] = {}
    position = len(header)
    for spec in ordered:
        writers[spec.name] = RegionWriter(file, spec, position)
        position += spec.nbytes
    return SafetensorsSink(file, header, writers)


def _encode_header(path: Path, specs: Sequence[TensorSpec], metadata: Mapping[str, str]) -> bytes:
    """Return the bytes before the data, for tensors that lie there in the order given."""
    entries: dict[str, object] = {_METADATA: dict(sorted(metadata.items()))} if metadata else {}
    position = 0
    for spec in specs:
        if spec.name in entries or spec.name == _METADATA:
            raise OutputError(f"{path} cannot have two entries named {spec.name!r}")
        offsets = [position, position + spec.nbytes]
        entries[spec.name] = {"dtype": _CODE_OF[spec.dtype], "shape": list(spec.shape), "data_offsets": offsets}
        position += spec.nbytes
    try:
        text = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError as error:
        raise OutputError(f"{path} cannot hold a name that is not Unicode: {error}") from error
    text += b" " * (-len(text) % _ALIGNMENT)
    if len(text) > _MAX_HEADER_BYTES:
        raise OutputError(f"{path} would need a header of {len(text)} bytes, the format allows {_MAX_HEADER_BYTES}")
    return len(text).to_bytes(_LENGTH_BYTES, "little") + text


class SafetensorsSink:
    """One safetensors file being written; made by open_sink."""

    def __init__(self, file: WriteFile, header: bytes, writers: Mapping[str, RegionWriter]) -> None:
        self._file = file
        self._header = header
        self._writers = writers

    def writer(self, name: str) -> TensorWriter:
        """Return the writer of one declared tensor."""
        if name not in self._writers:
            raise OutputError(f"{self._file.path}: tensor {name!r} was not declared")
        return self._writers[name]

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            opened.enter_context(self._file).write_at(self._header, 0)
            opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        incomplete = [repr(name) for name, writer in self._writers.items() if writer.missing]
        if kind is None and incomplete:
            error = OutputError(f"{self._file.path}: tensors were not written whole: {listing(incomplete)}")
            self._file.__exit__(OutputError, error, None)
            raise error
        self._file.__exit__(kind, error, trace)
