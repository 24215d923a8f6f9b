"""The texts of a Parquet file, a column of strings, read batch by batch through pyarrow."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from electra_convert.errors import CorpusError, listing
from electra_convert.frameworks import import_pyarrow
from electra_convert.pretraining.corpus.files import Column
from electra_convert.pretraining.corpus.rows import checked_text, no_such_column
from electra_convert.pretraining.corpus.text import packer_of, unpacked

# Few enough that the longest texts there may be, of which a file may need one alone, fit into memory together.
_BATCH_ROWS = 16
# What a column may unpack to, and how many rows there may be, by the length of the file; text packs to a fifth.
_MOST_GROWTH = 100
_ALWAYS_UNPACKED = 1 << 24
_ALWAYS_ROWS = 1 << 20
_BUFFER = 1 << 20
_AGAIN = "Copy or download the file again."


def parquet_texts(path: Path, file: IO[bytes], column: Column) -> Iterator[str]:
    """Read the text of each row.

    Args:
        path: what the file is called in messages.
        file: the same, opened, at its beginning.
        column: which one.

    Yields:
        A text for each row, empty for null.

    Raises:
        CorpusError: it is damaged, or has no such column of strings.
        MissingPackageError: pyarrow is not installed.
    """
    name = str(column)
    with _table(path, file) as (pyarrow, table, place):
        _require_strings(pyarrow, path, table, name)
        _require_likely_sizes(path, table.metadata, name, place.length)
        for value in _values(table, [name]):
            yield checked_text(value[name], place.next(), column)


def parquet_rows(path: Path, file: IO[bytes]) -> Iterator[tuple[str, dict[str, object]]]:
    """Read whole rows, each with the place it stands at; the arguments and errors are those of parquet_texts."""
    with _table(path, file) as (_, table, place):
        for index in range(table.metadata.num_columns):
            _require_likely_sizes(path, table.metadata, table.schema.column(index).path, place.length)
        for row in _values(table, None):
            yield place.next(), row


def parquet_metadata(path: Path) -> dict[bytes, bytes]:
    """What a file says of itself beside its rows; the errors are those of parquet_texts."""
    with path.open("rb") as file, _table(path, file) as (_, table, _place):
        return dict(table.schema_arrow.metadata or {})


class _Place:
    """Where the row is that was read last, and how many bytes the whole file has."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.number = self.length = 0

    def next(self) -> str:
        """Go one row further."""
        self.number += 1
        return f"{self._path}, row {self.number}"


@contextmanager
def _table(path: Path, file: IO[bytes]) -> Iterator[tuple[Any, Any, _Place]]:
    """pyarrow, its ParquetFile, and the place of its rows; what goes wrong with it is told with that place."""
    pyarrow = import_pyarrow(f"to read {path.name}")
    place = _Place(path)
    try:
        with _whole(path, file) as whole:
            table = pyarrow.parquet.ParquetFile(whole, buffer_size=_BUFFER)
            place.length = whole.seek(0, os.SEEK_END)
            yield pyarrow, table, place
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise CorpusError(f"{path} cannot be read as Parquet after row {place.number}: {reason}", _AGAIN) from error


def require_column(path: Path, column: Column) -> None:
    """Refuse a file that has no such column of strings, without reading one of them.

    Raises:
        CorpusError: it has none, or is damaged.
    """
    with path.open("rb") as file:
        next(parquet_texts(path, file, column), None)


def _values(table: Any, names: list[str] | None) -> Iterator[dict[str, object]]:  # noqa: ANN401 - ParquetFile
    """Columns, row by row; what was read of a group of rows is held on to until all groups asked for are read."""
    for group in range(table.num_row_groups):
        for batch in table.iter_batches(_BATCH_ROWS, row_groups=[group], columns=names, use_threads=False):
            yield from batch.to_pylist()


@contextmanager
def _whole(path: Path, file: IO[bytes]) -> Iterator[IO[bytes]]:
    """A file that can be read from its end, which a packed one becomes on the disk."""
    start = file.read(6)
    file.seek(0)
    if packer_of(start) is None:
        yield file
        return
    with tempfile.TemporaryFile() as plain:
        shutil.copyfileobj(unpacked(path, file), plain, 1 << 20)
        plain.seek(0)
        yield plain


def _require_strings(pyarrow: Any, path: Path, table: Any, name: str) -> None:  # noqa: ANN401 - pyarrow
    schema = table.schema_arrow
    if schema.get_field_index(name) < 0:
        raise no_such_column(str(path), name, list(schema.names))
    texts = [field.name for field in schema if _is_text(pyarrow, field.type)]
    if name not in texts:
        raise CorpusError(
            f"{path}: its column {name} is of {schema.field(name).type}, expected strings",
            f"Columns of strings are {listing(texts)}." if texts else "It has no column of strings.",
        )


def _require_likely_sizes(path: Path, metadata: Any, name: str, length: int) -> None:  # noqa: ANN401 - pyarrow
    """Refuse a column that is far larger than the file, by what the file says of itself, before any of it is read."""
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    columns = [group.column(index) for group in groups for index in range(group.num_columns)]
    unpacked_size = sum(column.total_uncompressed_size for column in columns if column.path_in_schema == name)
    for found, always, what in (
        (unpacked_size, _ALWAYS_UNPACKED, f"bytes in its column {name}"),
        (metadata.num_rows, _ALWAYS_ROWS, "rows"),
    ):
        if found > always + _MOST_GROWTH * length:
            raise CorpusError(
                f"{path} states {found} {what}, far more than text in {length} bytes has",
                "If it is what it should be, write it again without compression.",
            )


def _is_text(pyarrow: Any, kind: Any) -> bool:  # noqa: ANN401 - pyarrow
    types = pyarrow.types
    if types.is_dictionary(kind):
        return _is_text(pyarrow, kind.value_type)
    return bool(
        types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind) or types.is_null(kind)
    )
