"""The files of a corpus: which there are, what each is, and which column of it holds the text; reads no document."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from electra_convert.errors import CorpusError, UsageError, listing
from electra_convert.formats.json_objects import decode_json
from electra_convert.formats.locate import similar
from electra_convert.pretraining.corpus.text import opened, unpacked
from electra_convert.pretraining.corpus.tfrecords import is_tfrecords

Kind = Literal["text", "JSON lines", "CSV", "TSV", "Parquet", "TFRecords"]
# A column by its name, or by its number from 1 where the file has no header.
Column = str | int
_GIVE = "Give a text file, or a folder of them."
PACKED = {".gz", ".zst", ".zstd"}
KINDS: dict[str, Kind] = {
    ".jsonl": "JSON lines",
    ".ndjson": "JSON lines",
    ".json": "JSON lines",
    ".csv": "CSV",
    ".tsv": "TSV",
    ".tab": "TSV",
    ".parquet": "Parquet",
}
_PARQUET = b"PAR1"
_HEAD = 1 << 16
_LOOKED_AT = 20  # lines
_NUMBERED = re.compile(r"\d+(\t[^\t]*)+")
_OBJECT = re.compile(r'\s*\{\s*"(?:[^"\\]|\\.)*"\s*:')
_HEADING = re.compile(r"[A-Za-z_][\w.-]*")
_USUAL = ("text", "content", "document", "article", "sentence", "body")


@dataclass(frozen=True)
class CorpusFile:
    """A file of a corpus.

    Attributes:
        path: where it is.
        kind: what it is, whatever packed it.
        column: which column holds the text; None where there are none.
    """

    path: Path
    kind: Kind
    column: Column | None = None


def corpus_files(places: Sequence[Path], column: Column | None = None) -> tuple[CorpusFile, ...]:
    """List the files of a corpus, each once, in the order of their names; empty ones are text.

    Args:
        places: files, and folders that are searched to the bottom, through links too; hidden files are passed over.
        column: which column of them holds the text; None for text and TFRecords.

    Raises:
        CorpusError: a place is not there, holds no file, or has a link that leads nowhere; or a file has columns and
            none was given, or the opposite.
    """
    found: dict[Path, None] = {}
    for place in places:
        found |= dict.fromkeys(_files_at(place))
    return tuple(_recognised(path, column) for path in found)


def parse_column(given: str | int | None) -> Column | None:
    """A column as --text-column takes it: a text of digits is a number.

    Raises:
        UsageError: it is 0 or less, or no text at all.
    """
    if given is None or (isinstance(given, str) and given and not given.isdecimal()):
        return given
    if given == "" or int(given) < 1:
        raise UsageError(f"--text-column is {given!r}, expected a name, or a number from 1 up")
    return int(given)


def _files_at(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    if place.exists() and not place.is_dir():
        raise CorpusError(
            f"{place} is neither a file nor a folder",
            "A corpus is read several times; write what a pipe gives to a file.",
        )
    if not place.is_dir():
        meant = similar(place)
        raise CorpusError(f"{place} does not exist", f"Did you mean {meant}?" if meant else _GIVE)
    if not (found := sorted(_files_below(place, set()))):
        raise CorpusError(f"{place} holds no files", _GIVE)
    return found


def _files_below(folder: Path, seen: set[tuple[int, int]]) -> Iterator[Path]:
    """The files of a folder and of those in it; a folder that links lead to again is passed over."""
    try:
        status = folder.stat()
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise CorpusError(f"{folder} cannot be read: {error.strerror}") from error
    if (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _files_below(entry, seen)
        elif entry.is_file():
            yield entry
        else:
            what = "a link that leads nowhere" if entry.is_symlink() else "neither a file nor a folder"
            raise CorpusError(f"{entry} is {what}", "Remove it from the corpus, or mend it.")


# What a file is


def kind_of_file(path: Path) -> Kind | None:
    """What a file is by its first bytes, its name, or else its first lines; None for text.

    Raises:
        CorpusError: it cannot be opened.
    """
    with opened(path) as file:
        start = file.read(len(_PARQUET))
    if start == _PARQUET:
        return "Parquet"
    return _kind_by_name(path) or kind_by_content(_head(path))


def _recognised(path: Path, column: Column | None) -> CorpusFile:
    with opened(path) as file:
        start = file.read(len(_PARQUET))
    if not start:
        return CorpusFile(path, "text")
    if is_tfrecords(path):
        if column is not None:
            raise CorpusError(f"{path} holds TFRecords, which have no column {column!r}", "Leave --text-column out.")
        return CorpusFile(path, "TFRecords")
    kind = "Parquet" if start == _PARQUET else _kind_by_name(path)
    head = "" if kind == "Parquet" else _head(path)
    kind = kind or kind_by_content(head)
    if column is None:
        if kind is not None:
            raise _no_column(path, kind, head)
        return CorpusFile(path, "text")
    if kind is None and (isinstance(column, int) or column in _headings(head, "\t")):
        kind = "TSV"
    if kind is None:
        raise CorpusError(
            f"{path} has no columns, as far as can be told, and --text-column is {column!r}",
            "Leave --text-column out for text; name tables .jsonl, .csv, .tsv or .parquet.",
        )
    return CorpusFile(path, kind, column)


def _kind_by_name(path: Path) -> Kind | None:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    while suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
    return KINDS.get(suffixes[-1]) if suffixes else None


def _head(path: Path) -> str:
    """Its first lines, whole ones where there are several; nothing where it cannot be unpacked."""
    try:
        with opened(path) as file:
            head = unpacked(path, file).read(_HEAD)
    except OSError:
        return ""
    text = head.decode("utf-8-sig", errors="replace")
    return (text.rpartition("\n")[0] or text) if len(head) == _HEAD else text


def kind_by_content(head: str) -> Kind | None:
    """What a file without a name that tells it is, by its first lines; None for text."""
    lines = [line for line in head.splitlines()[:_LOOKED_AT] if line.strip()]
    if not lines:
        return None
    if _OBJECT.match(lines[0]):
        return "JSON lines"
    counts = {line.count("\t") for line in lines}
    if len(lines) > 1 and len(counts) == 1 and all(map(_NUMBERED.fullmatch, lines)):
        return "TSV"
    tables: dict[str, Kind] = {",": "CSV", ";": "CSV", "\t": "TSV"}
    return next((kind for delimiter, kind in tables.items() if _is_table(lines, delimiter)), None)


def _is_table(lines: list[str], delimiter: str) -> bool:
    """Whether lines are names of columns, and then rows of as many."""
    names = _headings(lines[0], delimiter)
    if len(names) < 2 or not all(map(_HEADING.fullmatch, names)):
        return False
    counts: list[int] = []
    # The last of the rows may go on in lines that were not looked at.
    with suppress(csv.Error):
        counts.extend(map(len, csv.reader([f"{line}\n" for line in lines], delimiter=delimiter, strict=True)))
    return len(counts) > 2 and set(counts) == {len(names)}


def _headings(head: str, delimiter: str) -> list[str]:
    lines = head.splitlines()[:1]
    try:
        return next(csv.reader(lines, delimiter=delimiter, strict=True), [])
    except csv.Error:
        return []


def _keys(line: str) -> list[str]:
    try:
        row = decode_json(line)
    except ValueError:
        return []
    return list(row) if isinstance(row, dict) else []


# What to do where no column was given


def _no_column(path: Path, kind: Kind, head: str) -> CorpusError:
    names = _names(kind, head)
    usual = next((name for name in _USUAL if name in names), names[-1] if names else None)
    told = f" Its columns are {listing(names)}." if names else ""
    if kind == "TSV" and _NUMBERED.fullmatch(head.partition("\n")[0].rstrip("\r")):
        usual, told = "2", " Columns are counted from 1 where a file has no header."
    example = f"--text-column {usual or 'text'}"
    return CorpusError(f"{path} is {kind}, not text", f"Say which column holds the text, such as {example}.{told}")


def _names(kind: Kind, head: str) -> list[str]:
    readers: dict[Kind, Callable[[], list[str]]] = {
        "JSON lines": lambda: _keys(head.lstrip().partition("\n")[0]),
        "CSV": lambda: max((_headings(head, delimiter) for delimiter in ",;\t"), key=len),
        "TSV": lambda: _headings(head, "\t"),
    }
    names = readers[kind]() if kind in readers else []
    return [name for name in names if name.strip()]
