"""The rows of JSON lines, CSV and TSV, of which one column is text; nothing of what a document is made into."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from electra_convert.errors import CorpusError, listing, nearest
from electra_convert.formats.json_objects import decode_json
from electra_convert.pretraining.corpus.files import Column
from electra_convert.pretraining.corpus.text import LONGEST_LINE

_ARRAY = "Write one object on each line: jq -c '.[]' FILE > FILE.jsonl"
# A sign that a column or a row is not what was meant.
_DELIMITERS = {"CSV": ",;\t", "TSV": "\t,;"}


def json_texts(path: Path, lines: Iterable[str], column: Column) -> Iterator[str]:
    """Read the text of each row of JSON lines: an object on each line, with the text under one key.

    Args:
        path: what the file is called in messages.
        lines: of the file.
        column: the key.

    Yields:
        A text for each row, empty for null.

    Raises:
        CorpusError: a line is no such object.
    """
    key = str(column)
    for where, row in json_rows(path, lines):
        if key not in row:
            raise no_such_column(where, key, list(row))
        yield checked_text(row[key], where, key)


def json_rows(path: Path, lines: Iterable[str]) -> Iterator[tuple[str, dict[str, object]]]:
    """Read the rows of JSON lines, each with the place it stands at; blank lines are passed over.

    Raises:
        CorpusError: a line is no JSON object.
    """
    for number, line in enumerate(lines, start=1):
        if not line.isspace():
            where = f"{path}, line {number}"
            yield where, json_row(line, where)


def json_row(line: str, where: str) -> dict[str, object]:
    """Read one row of JSON lines.

    Raises:
        CorpusError: it is no JSON object.
    """
    try:
        row = decode_json(line)
    except ValueError as error:
        hint = _ARRAY if line.lstrip().startswith("[") else "JSON lines have an object on each line."
        raise CorpusError(f"{where} is not JSON: {error}", hint) from error
    if isinstance(row, dict):
        return row
    raise CorpusError(f"{where} is a {type(row).__name__}, expected an object with the text under a key", _ARRAY)


def checked_text(value: object, where: str, column: Column) -> str:
    """The text of a row; none where it is null.

    Raises:
        CorpusError: it is something else, or no Unicode.
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        raise CorpusError(f"{where}: {column} is a {type(value).__name__}, expected a text")
    if len(value) > LONGEST_LINE:
        raise CorpusError(f"{where}: {column} has more than {LONGEST_LINE >> 20} million letters", "Split it.")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        hint = "It stands for no letter; mend it."
        raise CorpusError(f"{where}: {column} has half of a surrogate pair", hint) from error
    return value


def no_such_column(where: str, column: str, names: list[str]) -> CorpusError:
    """The error to raise where a column is not among the names there are."""
    meant = nearest(column, names)
    hint = f"Did you mean --text-column {meant}?" if meant else "--text-column says which one holds the text."
    return CorpusError(f"{where} has no {column!r} among its columns: {listing(names) or 'none'}", hint)


# Tables


def table_texts(path: Path, kind: str, lines: Iterable[str], column: Column) -> Iterator[str]:
    """Read the text of each row of a table.

    Args:
        path: what the file is called in messages.
        kind: CSV or TSV.
        lines: of the file, with what ends them.
        column: a name in the first row; or a number from 1, where all rows are text. Of a TSV without header,
            quotation marks are letters, as in the corpora of Leipzig.

    Yields:
        A text for each row.

    Raises:
        CorpusError: there is no such column, or a row has another number of columns than the first.
    """
    rest = iter(lines)
    first = next(rest, "")
    delimiter, quoted = table_form(first, kind, column)
    yield from _chosen(table_records(path, chain([first] if first else [], rest), delimiter, quoted), column)


def table_form(first: str, kind: str, column: Column) -> tuple[str, bool]:
    """What parts the columns of a CSV or TSV, which its first line tells, and whether they may stand in quotation
    marks."""
    if isinstance(column, int) and kind == "TSV":
        return "\t", False
    return _delimiter(first, column, _DELIMITERS[kind]), True


def _delimiter(line: str, column: Column, candidates: str) -> str:
    """The one by which the first line has the column."""
    for delimiter in candidates:
        fields = _fields(line, delimiter)
        if column in fields if isinstance(column, str) else 1 < len(fields) >= column:
            return delimiter
    return candidates[0]


def _fields(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


class _Rows:
    """Lines that are counted, and refused where a row has too many."""

    def __init__(self, path: Path, lines: Iterator[str]) -> None:
        self._path, self._lines = path, lines
        self._raw: list[str] = []
        self._letters = self._line = 0
        self.first = 1

    def __iter__(self) -> _Rows:
        return self

    def __next__(self) -> str:
        self._raw.append(next(self._lines))
        line = _without_returns(self._raw[-1])
        self._line += 1
        self._letters += len(line)
        if self._letters > LONGEST_LINE:
            raise CorpusError(
                f"{self.where} begins a row of more than {LONGEST_LINE >> 20} MB",
                "Is a quotation mark missing? Of a TSV without header, whose columns have numbers, they are letters.",
            )
        return line

    @property
    def where(self) -> str:
        """Where the row is that is being read."""
        return f"{self._path}, line {self.first}"

    def end_row(self) -> str:
        """Begin another row with the next line, and give the last one as it stands in the file."""
        raw = "".join(self._raw)
        self.first, self._letters, self._raw = self._line + 1, 0, []
        return raw


def _without_returns(line: str) -> str:
    """A line with spaces for carriage returns within it, which some programs write without the quotation marks that
    the csv module wants around them."""
    body = line.rstrip("\r\n")
    return body.replace("\r", " ") + line[len(body) :] if "\r" in body else line


def _parsed(lines: _Rows, delimiter: str) -> Iterator[list[str]]:
    try:
        yield from csv.reader(lines, delimiter=delimiter, strict=True)
    except csv.Error as error:
        raise CorpusError(
            f"{lines.where} is no row of a table: {error}",
            "A text with quotation marks or line breaks stands in quotation marks, and those in it are doubled.",
        ) from error


@dataclass(frozen=True)
class Record:
    """A row of a table: where it begins, its fields, and how it stands in the file."""

    where: str
    fields: list[str]
    raw: str


def table_records(path: Path, lines: Iterable[str], delimiter: str, quoted: bool = True) -> Iterator[Record]:
    """Read the rows of a table, blank lines too; quoted says whether quotation marks are more than letters.

    Raises:
        CorpusError: a row is none, or far too long.
    """
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_LINE))
    counted = _Rows(path, iter(lines))
    rows = _parsed(counted, delimiter) if quoted else (line.rstrip("\r\n").split(delimiter) for line in counted)
    for row in rows:
        where = counted.where
        yield Record(where, row, counted.end_row())


def table_rows(path: Path, lines: Iterable[str], delimiter: str) -> Iterator[tuple[str, list[str]]]:
    """Read the rows of a table, each with the place where it begins; rows of nothing are passed over.

    Raises:
        CorpusError: a row is none, or far too long.
    """
    return ((one.where, one.fields) for one in table_records(path, lines, delimiter) if any(one.fields))


def _chosen(records: Iterable[Record], column: Column) -> Iterator[str]:
    """The column of each row; rows of nothing are passed over."""
    choice: Choice | None = None
    for record in records:
        if not any(record.fields):
            continue
        if choice is None:
            choice = choose_column(record.where, record.fields, column)
            if choice.is_header:
                continue
        require_columns(record.where, record.fields, choice)
        yield checked_text(record.fields[choice.index], record.where, column)


@dataclass(frozen=True)
class Choice:
    """Which field of each row a column is, how many there are, and whether the first row is of names."""

    index: int
    columns: int
    is_header: bool


def require_columns(where: str, row: list[str], choice: Choice) -> None:
    """Refuse a row of more or fewer columns than the first."""
    if len(row) != choice.columns:
        raise CorpusError(
            f"{where} has {len(row)} columns, the first row has {choice.columns}",
            "A text that holds what parts the columns stands in quotation marks.",
        )


def choose_column(where: str, row: list[str], column: Column) -> Choice:
    """Find a column, by the first row.

    Raises:
        CorpusError: there is none of its name, or are several, or there are fewer than its number.
    """
    if isinstance(column, str):
        if row.count(column) != 1:
            raise (
                no_such_column(where, column, row)
                if column not in row
                else CorpusError(f"{where} has {row.count(column)} columns of the name {column}", "Name them apart.")
            )
        return Choice(row.index(column), len(row), True)
    if column > len(row):
        raise CorpusError(f"{where} has {len(row)} columns, and --text-column is {column}", "They count from 1.")
    return Choice(column - 1, len(row), False)
