"""The rows of what is scored, of lines, JSON lines, tables and Parquet, with what of them comes out as it stands."""

from __future__ import annotations

import csv
import io
import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, time
from itertools import chain
from pathlib import Path
from typing import IO, Any

from electra_convert.errors import CorpusError, UsageError, listing
from electra_convert.pretraining.corpus.files import Column, Kind, corpus_files, kind_by_content, kind_of_file
from electra_convert.pretraining.corpus.parquet import parquet_rows
from electra_convert.pretraining.corpus.rows import (
    Choice,
    checked_text,
    choose_column,
    json_row,
    no_such_column,
    require_columns,
    table_form,
    table_records,
)
from electra_convert.pretraining.corpus.text import opened, packer_of, read_lines, stream_lines

Fields = Mapping[str, object]
_TEXT = "text"
_PARQUET = b"PAR1"
_TABLES = {"CSV", "TSV"}


@dataclass(frozen=True)
class Columns:
    """Which columns hold the text, and what goes with each; None is the column text, and no column."""

    text: Column | None = None
    pair: Column | None = None


@dataclass(frozen=True)
class Row:
    """A row of the input.

    Attributes:
        where: its file and line.
        begin: what comes out before its scores: what it is made of, as it stands.
        text: what is scored, not looked at yet.
        pair: what goes with it.
        end: what ends its line.
        whole: whether begin is all that comes out: of a header, and of a blank line in a table or JSON lines.
        lacks: the column that it should have and has not.
    """

    where: str
    begin: str
    text: object = None
    pair: object = None
    end: str = "\n"
    whole: bool = False
    lacks: str = ""

    def checked(self) -> tuple[str, str | None]:
        """The text, and what goes with it; empty where there is none.

        Raises:
            CorpusError: one of them is no text, or not there.
        """
        if self.lacks:
            raise CorpusError(f"{self.where}: there is no {self.lacks}")
        text = checked_text(self.text, self.where, "its text")
        return text, None if self.pair is None else checked_text(self.pair, self.where, "what goes with it")


@dataclass(frozen=True)
class Input:
    """What is scored.

    Attributes:
        kind: what it is.
        rows: one after the other.
        finish: makes what comes out behind a row's begin, of its scores.
        waits: whether rows may come late, as through a pipe, so that those that are there are not to wait for them.
    """

    kind: Kind
    rows: Iterator[Row]
    finish: Callable[[Fields], str]
    waits: bool = False

    def record(self, row: Row, fields: Fields) -> str:
        """All that comes out for a row."""
        return row.begin + ("" if row.whole else self.finish(fields)) + row.end


@dataclass
class _Table:
    """How scores are written behind a row of a table: what parts its columns, which its first line tells."""

    delimiter: str = ","
    quoted: bool = True
    buffer: io.StringIO = field(default_factory=io.StringIO)

    def finish(self, fields: Fields) -> str:
        cells = ["", *map(_cell, fields.values())]
        if not self.quoted:
            return self.delimiter.join(cells)
        csv.writer(self.buffer, delimiter=self.delimiter, lineterminator="").writerow(cells)
        made = self.buffer.getvalue()
        self.buffer.seek(0)
        self.buffer.truncate()
        return made


@contextmanager
def opened_rows(source: Path | IO[bytes], columns: Columns, names: Sequence[str]) -> Iterator[Input]:
    """Open what is scored, for as long as the context lasts.

    Args:
        source: a file, a pipe that has a name, or a stream: standard input.
        columns: which of its columns hold the text and what goes with it.
        names: what the scores are called.

    Raises:
        CorpusError: there is no such file, it has no such column, or it is damaged.
        UsageError: it has no columns, and one was given.
    """
    if not isinstance(source, Path):
        yield _of_stream(Path("standard input"), source, columns, names)
    elif source.exists() and not source.is_file() and not source.is_dir():
        with opened(source) as stream:
            yield _of_stream(source, stream, columns, names)
    else:
        if source.is_dir():
            raise CorpusError(f"{source} is a folder", "Give one of the files in it.")
        kind, column = _kind_of(source, columns.text)
        with opened(source) as stream:
            if kind == "Parquet":
                rows = _parquet(source, stream, Columns(column, columns.pair), names)
                yield Input(kind, rows, _json_finish(names))
            else:
                lines = read_lines(source, stream)
                yield _of_lines(source, kind, lines, Columns(column, columns.pair), names)


def _kind_of(path: Path, column: Column | None) -> tuple[Kind, Column | None]:
    """What a file is, and which column of it holds the text: the one called text where none was given."""
    if column is None and path.is_file() and kind_of_file(path) is not None:
        column = _TEXT
    (file,) = corpus_files([path], column)
    if file.kind == "TFRecords":
        raise CorpusError(f"{path} holds TFRecords, which have no texts", "Give the texts they were made of.")
    return file.kind, file.column


def _of_stream(path: Path, stream: IO[bytes], columns: Columns, names: Sequence[str]) -> Input:
    """What comes without a name that tells what it is, and can be read once: its first line tells."""
    start = stream.peek(6)[:6] if isinstance(stream, io.BufferedReader) else b""
    if packer := packer_of(start):
        raise CorpusError(
            f"{path} is packed by {packer}", f"Unpack it on its way, with {packer} -dc; or give the file."
        )
    if start.startswith(_PARQUET):
        raise CorpusError(f"{path} is Parquet, which is read from its end", "Give the file.")
    lines = stream_lines(path, stream)
    first = next(lines, "")
    kind = kind_by_content(first)
    if kind is None:
        kind = "text" if columns.text is None else "TSV" if "\t" in first else "CSV"
    column = _TEXT if columns.text is None and kind != "text" else columns.text
    given = _of_lines(path, kind, chain([first] if first else [], lines), Columns(column, columns.pair), names)
    return replace(given, waits=not stat.S_ISREG(os.fstat(stream.fileno()).st_mode))


def _of_lines(path: Path, kind: Kind, lines: Iterator[str], columns: Columns, names: Sequence[str]) -> Input:
    if kind in _TABLES:
        table = _Table()
        return Input(kind, _table(path, kind, lines, columns, names, table), table.finish)
    if columns.pair is not None and kind == "text":
        raise UsageError(f"--pair-column is {columns.pair!r}, and {path} has no columns, as far as can be told")
    rows = _json(path, lines, columns, names) if kind == "JSON lines" else _text(path, lines, names)
    return Input(kind, rows, _json_finish(names))


# Rows that come out as objects


def _text(path: Path, lines: Iterator[str], names: Sequence[str]) -> Iterator[Row]:
    for number, line in enumerate(lines, start=1):
        text = line.removesuffix("\n").removesuffix("\r")
        yield Row(f"{path}, line {number}", _opened_object(_dumped({_TEXT: text}), names), text)


def _json(path: Path, lines: Iterator[str], columns: Columns, names: Sequence[str]) -> Iterator[Row]:
    first = True
    for number, line in enumerate(lines, start=1):
        where = f"{path}, line {number}"
        if line.isspace():
            yield Row(where, "", whole=True)
            continue
        values = json_row(line, where)
        yield _of_object(where, line.strip(), values, columns, names, first)
        first = False


def _parquet(path: Path, stream: IO[bytes], columns: Columns, names: Sequence[str]) -> Iterator[Row]:
    first = True
    for where, values in parquet_rows(path, stream):
        written = _dumped({key: _plain(value) for key, value in values.items()})
        yield _of_object(where, written, values, columns, names, first)
        first = False


def _of_object(
    where: str, written: str, values: dict[str, object], columns: Columns, names: Sequence[str], first: bool
) -> Row:
    """A row of objects; one without its text is faulty, but the first shows that the column is not there at all."""
    keys = [str(column) for column in (columns.text, columns.pair) if column is not None]
    lacks = next((key for key in keys if key not in values), "")
    if first and lacks:
        raise no_such_column(where, lacks, list(values))
    _refuse_taken(where, names, values)
    text, *pair = (values.get(key) for key in keys)
    return Row(where, _opened_object(written, names), text, pair[0] if pair else None, lacks=lacks)


def _opened_object(written: str, names: Sequence[str]) -> str:
    """An object without the bracket that closes it, and the name that is written next."""
    held = written[:-1].rstrip()
    return f"{held}{'' if held == '{' else ', '}{_dumped(names[0])}: "


def _json_finish(names: Sequence[str]) -> Callable[[Fields], str]:
    begun = len(f"{{{_dumped(names[0])}: ")
    return lambda fields: _dumped(fields)[begun:]


def _dumped(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _plain(value: object) -> Any:  # noqa: ANN401 - what JSON has
    """A value of a Parquet file as JSON has it: no NaN, dates and the like as text."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return value if value - value == 0 else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, date | time):
        return value.isoformat()
    return value.hex() if isinstance(value, bytes) else str(value)


def _refuse_taken(where: str, names: Sequence[str], taken: Sequence[str] | Mapping[str, object]) -> None:
    if both := [name for name in names if name in taken]:
        raise CorpusError(
            f"{where} has {listing(both)} among its columns already, as scores are called",
            "Rename these first, so that nothing of the input is lost.",
        )


# Tables


def _table(
    path: Path, kind: Kind, lines: Iterator[str], columns: Columns, names: Sequence[str], table: _Table
) -> Iterator[Row]:
    first = next(lines, "")
    assert columns.text is not None
    table.delimiter, table.quoted = table_form(first, kind, columns.text)
    choices: list[Choice] = []
    for record in table_records(path, chain([first] if first else [], lines), table.delimiter, table.quoted):
        body = record.raw.rstrip("\r\n")
        end = record.raw[len(body) :] or "\n"
        if record.fields in ([], [""]):
            yield Row(record.where, body, end=end, whole=True)
            continue
        if not choices:
            wanted = [column for column in (columns.text, columns.pair) if column is not None]
            choices = [choose_column(record.where, record.fields, column) for column in wanted]
            if choices[0].is_header:
                _refuse_taken(record.where, names, record.fields)
                yield Row(record.where, table.delimiter.join([body, *names]), end=end, whole=True)
                continue
        require_columns(record.where, record.fields, choices[0])
        text, *pair = (record.fields[choice.index] for choice in choices)
        yield Row(record.where, body, text, pair[0] if pair else None, end)


def _cell(value: object) -> str:
    """A score in a table: nothing where there is none, in one line, and what has parts as JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return " ".join(value.split())
    return _dumped(value)
