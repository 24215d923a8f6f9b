"""Rows with named columns, out of JSON lines, CSV, TSV and Parquet, here or in a data set of the Hub."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from electra_convert.errors import CorpusError, UsageError, listing, nearest
from electra_convert.hub.datasets import Datasets, is_dataset
from electra_convert.pretraining.corpus.files import Kind, kind_of_file
from electra_convert.pretraining.corpus.parquet import parquet_metadata, parquet_rows
from electra_convert.pretraining.corpus.places import Listener
from electra_convert.pretraining.corpus.rows import json_rows, table_rows
from electra_convert.pretraining.corpus.text import opened, read_lines

# Letters of what may be a text, where a file has no header.
_SHOWN = 40
_DELIMITERS = {"CSV": ",;\t", "TSV": "\t"}


@dataclass(frozen=True)
class DataFile:
    """A file of labelled data, and what it is; None is text."""

    path: Path
    kind: Kind | None


@dataclass(frozen=True)
class Row:
    """The values of a row by the names of their columns, and where it stands."""

    where: str
    values: Mapping[str, object]

    def text(self, column: str) -> str:
        """A value that must be a text.

        Raises:
            CorpusError: the row lacks it, or it is something else.
        """
        value = self.values.get(column)
        if isinstance(value, str):
            return value
        found = "nothing" if value is None else f"a {type(value).__name__}"
        raise CorpusError(f"{self.where}: {column} is {found}, expected a text")


def data_files(place: str | Path, listener: Listener) -> tuple[DataFile, ...]:
    """Find the files at a place: a file, or a data set of the Hub, which is downloaded.

    Raises:
        CorpusError: there is no such file, or it is empty.
        HubError: the data set cannot be downloaded.
    """
    if is_dataset(place):
        datasets = Datasets(listener.noticed)
        split = datasets.find(str(place))
        listener.noticed(split.description)
        return tuple(DataFile(path, "Parquet") for path in datasets.download(split, list(split.sizes)))
    path = Path(place)
    if path.is_dir():
        raise CorpusError(f"{path} is a folder, expected a file of labelled data", "Give one of the files in it.")
    if not path.is_file():
        raise CorpusError(f"{path} does not exist", "Give a file, or hf://datasets/OWNER/NAME/CONFIG/SPLIT.")
    if not path.stat().st_size:
        raise CorpusError(f"{path} is empty", "Give a file that holds examples.")
    return (DataFile(path, kind_of_file(path)),)


def data_rows(file: DataFile, columns: Sequence[str] = ()) -> Iterator[Row]:
    """Read the rows of a table.

    Args:
        file: JSON lines, CSV, TSV or Parquet.
        columns: those that were asked for; where they are numbers, the table has no header, and its columns are
            called by their numbers from 1.

    Raises:
        CorpusError: the file is none of these, or a row of it is damaged; names the line.
    """
    with opened(file.path) as stream:
        if file.kind == "Parquet":
            names = _class_names(file.path)
            for where, values in parquet_rows(file.path, stream):
                yield Row(where, {**values, **_named(values, names, where)})
        elif file.kind == "JSON lines":
            for where, values in json_rows(file.path, read_lines(file.path, stream)):
                yield Row(where, values)
        elif file.kind in _DELIMITERS:
            yield from _table(file, iter(read_lines(file.path, stream)), columns)
        else:
            raise CorpusError(
                f"{file.path} is no table, as far as can be told",
                "Name it .csv, .tsv, .jsonl or .parquet, and give it a header, or columns by number.",
            )


def _table(file: DataFile, lines: Iterator[str], columns: Sequence[str]) -> Iterator[Row]:
    first = next(lines, "")
    assert file.kind is not None
    delimiter = max(_DELIMITERS[file.kind], key=lambda one: len(_fields(first, one)))
    rows = table_rows(file.path, chain([first], lines), delimiter)
    numbered = any(column.isdecimal() for column in columns)
    where, header = next(rows, (str(file.path), []))
    names = [str(number) for number in range(1, len(header) + 1)] if numbered else [name.strip() for name in header]
    if twice := [name for name in names if names.count(name) > 1]:
        raise CorpusError(f"{where} has {names.count(twice[0])} columns called {twice[0]!r}", "Name them apart.")
    for place, fields in chain([(where, header)] if numbered else [], rows):
        if len(fields) != len(names):
            raise CorpusError(
                f"{place} has {len(fields)} columns, the first row has {len(names)}",
                "A text that holds what parts the columns stands in quotation marks.",
            )
        yield Row(place, dict(zip(names, fields, strict=True)))


def _fields(line: str, delimiter: str) -> list[str]:
    with suppress(csv.Error):
        return next(csv.reader([line], delimiter=delimiter), [])
    return []


def _class_names(path: Path) -> dict[str, list[str]]:
    """What the classes of columns are called, where the library `datasets` has written it into a Parquet file."""
    with suppress(ValueError, KeyError, AttributeError):
        features = json.loads(parquet_metadata(path)[b"huggingface"])["info"]["features"]
        kinds = {name: feature.get("feature", feature) for name, feature in features.items()}
        return {name: kind["names"] for name, kind in kinds.items() if kind.get("_type") == "ClassLabel"}
    return {}


def _named(values: Mapping[str, object], names: Mapping[str, list[str]], where: str) -> dict[str, object]:
    named: dict[str, object] = {}
    for column in names.keys() & values.keys():
        value = values[column]
        try:
            named[column] = (
                _name(value, names[column])
                if isinstance(value, int)
                else [
                    _name(one, names[column])
                    for one in value  # type: ignore[attr-defined]
                ]
            )
        except (TypeError, IndexError) as error:
            raise CorpusError(f"{where}: {column} is {value!r}, which names no class") from error
    return named


def _name(index: object, names: Sequence[str]) -> str | None:
    """The name of a class; -1 is what data sets have where a label is withheld."""
    if not isinstance(index, int):
        raise TypeError
    return None if index < 0 else names[index]


def column_of(row: Row, asked: str | None, usual: Sequence[str], option: str) -> str:
    """Which column of a table holds something.

    Args:
        row: the first of the table.
        asked: the column that was asked for, or None.
        usual: what it is usually called.
        option: what asks for it, for messages.

    Raises:
        CorpusError: there is no such column.
        UsageError: nothing says which it is.
    """
    names = list(row.values)
    place = row.where.rpartition(",")[0] or row.where
    if asked is not None:
        if asked in names:
            return asked
        meant = nearest(asked, names)
        raise CorpusError(
            f"{place} has no {asked!r} among its columns: {listing(names)}",
            f"Did you mean {option} {meant}?" if meant else f"{option} says which one it is.",
        )
    found = next((name for name in usual if name in names), None)
    if found is None:
        shown = listing([name[:_SHOWN] + "..." * (len(name) > _SHOWN) for name in names])
        raise UsageError(
            f"{place}: which column is meant by {option}? "
            + (f"There are {shown}" if len(names) > 1 else f"There is one, {shown}"),
            f"Say it: {option} NAME; or a number from 1 where the file has no header."
            if len(names) > 1
            else "Part the columns of .csv by commas, semicolons or tabs, of .tsv by tabs.",
        )
    return found
