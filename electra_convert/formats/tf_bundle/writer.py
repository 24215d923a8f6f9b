"""A V2 checkpoint as a sink of tensors, written as TensorFlow's own Saver writes it; knows nothing of models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from crc32c import crc32c

from electra_convert.errors import OutputError
from electra_convert.formats.files import RegionWriter, WriteFile
from electra_convert.formats.tf_bundle.entries import (
    HEADER_KEY,
    TO_NUMBER,
    BundleEntry,
    BundleHeader,
    encode_entry,
    encode_header,
)
from electra_convert.formats.tf_bundle.index import data_path, index_path
from electra_convert.formats.tf_bundle.table import encode_table
from electra_convert.formats.wire import encode_name, shown
from electra_convert.tensors.spec import TensorSpec


class BundleWriter(RegionWriter):
    """Writes one tensor at its place in the data file, in order, and makes its entry."""

    def __init__(self, file: WriteFile, spec: TensorSpec, offset: int) -> None:
        super().__init__(file, spec, offset)
        self._offset = offset
        self._checksum = 0

    def write(self, piece: memoryview) -> None:
        """Append the next bytes of the tensor, as RegionWriter does."""
        super().write(piece)
        self._checksum = crc32c(piece, self._checksum)

    def entry(self) -> BundleEntry:
        """Make the entry of the tensor.

        Raises:
            OutputError: the tensor was not written whole.
        """
        if self.missing:
            raise self.wrong_length(self.spec.nbytes - self.missing)
        dtype = TO_NUMBER[self.spec.dtype]
        return BundleEntry(
            dtype, self.spec.shape, offset=self._offset, size=self.spec.nbytes, checksum=self._checksum
        )


class BundleSink:
    """A checkpoint being written: one data file, then the index; made by open_sink()."""

    def __init__(self, prefix: Path, specs: Mapping[bytes, TensorSpec]) -> None:
        self._prefix = prefix
        self._data = WriteFile(data_path(prefix, 0, 1), sum(spec.nbytes for spec in specs.values()))
        self._writers: dict[bytes, BundleWriter] = {}
        offset = 0
        for key in sorted(specs):
            self._writers[key] = BundleWriter(self._data, specs[key], offset)
            offset += specs[key].nbytes

    def writer(self, name: str) -> BundleWriter:
        """The writer of one declared tensor; several threads may write different tensors at once."""
        try:
            return self._writers[encode_name(name)]
        except (KeyError, UnicodeEncodeError) as error:
            raise OutputError(f"{self._prefix}: tensor {shown(name)} was not declared") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._data.__exit__(kind, error, trace)
        if kind is None:
            self._write_index()

    def _write_index(self) -> None:
        entries = [(key, encode_entry(writer.entry())) for key, writer in self._writers.items()]
        table = encode_table([(HEADER_KEY, encode_header(BundleHeader(num_shards=1))), *entries])
        with WriteFile(index_path(self._prefix)) as file:
            file.write_at(table, 0)


def open_sink(prefix: Path, specs: Sequence[TensorSpec]) -> BundleSink:
    """Begin a new checkpoint of one data file, the tensors in the order of their names' UTF-8 bytes.

    Raises:
        OutputError: the data file cannot be made, or a tensor cannot be in a checkpoint.
    """
    keys: dict[bytes, TensorSpec] = {}
    for spec in specs:
        key = _key(prefix, spec)
        if key in keys:
            raise OutputError(f"{prefix}: two tensors are called {shown(spec.name)}")
        if spec.dtype not in TO_NUMBER:
            raise OutputError(f"{prefix}: {shown(spec.name)} is of type {spec.dtype}, which is not written")
        keys[key] = spec
    return BundleSink(prefix, keys)


def _key(prefix: Path, spec: TensorSpec) -> bytes:
    try:
        key = encode_name(spec.name)
    except UnicodeEncodeError as error:
        raise OutputError(f"{prefix}: the name {shown(spec.name)} cannot be encoded in UTF-8") from error
    if key == HEADER_KEY:
        raise OutputError(f"{prefix}: a tensor has no name")
    return key
