"""Sentences with a label for each word: columns as of CoNLL, CoNLL-U, or rows of lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from electra_convert.errors import CorpusError, UsageError
from electra_convert.finetuning.data.examples import TaggedSentence
from electra_convert.finetuning.data.tables import DataFile, Row, column_of, data_rows
from electra_convert.pretraining.corpus.text import opened, read_lines

_WORDS = ("tokens", "words", "text", "sentence")
_LABELS = ("ner_tags", "tags", "labels", "pos_tags", "upos", "chunk_tags", "label")
# A word and its label; and more parts than any word has.
_LEAST, _PARTS = 2, 5
# https://universaldependencies.org/format.html: ID, FORM, LEMMA, UPOS, ...
_UNIVERSAL = (2, 4, 10)


def read_sentences(file: DataFile, words: str | None, labels: str | None) -> Iterator[TaggedSentence]:
    """Read tagged sentences.

    Args:
        file: columns in text, parted by tabs or spaces, a word a line and a blank line after each sentence; or JSON
            lines or Parquet with a list of words and one of labels in each row.
        words: the column of the words: a name, or a number from 1 in text; by default the first, in CoNLL-U the
            second.
        labels: that of the labels; by default the last, in CoNLL-U the fourth.

    Raises:
        CorpusError: a line or a row is not what it must be; says which.
    """
    if file.kind in ("JSON lines", "Parquet"):
        yield from _from_rows(data_rows(file), words, labels)
    elif file.kind == "CSV":
        raise CorpusError(
            f"{file.path} is CSV, in which words of a sentence have no place",
            "Give columns parted by tabs or spaces, a word a line, a blank line after each sentence; or JSON lines.",
        )
    else:
        yield from _from_columns(file.path, _number(words, "--text-column"), _number(labels, "--label-column"))


def _number(column: str | None, option: str) -> int | None:
    if column is not None and (not column.isdecimal() or column == "0"):
        raise UsageError(f"{option} is {column!r}; columns of words have no names, but numbers from 1 up")
    return None if column is None else int(column)


def _from_columns(path: Path, word: int | None, label: int | None) -> Iterator[TaggedSentence]:
    sentence: list[tuple[str, str]] = []
    began, columns = 0, 0
    with opened(path) as stream:
        for number, line in enumerate(read_lines(path, stream), start=1):
            where = f"{path}, line {number}"
            if not line.strip() or line.startswith("-DOCSTART-"):
                yield from _sentence(sentence, f"{path}, line {began}")
                sentence = []
                continue
            fields = _parted(line)
            if _is_comment(line, len(fields), columns, bool(sentence)):
                continue
            columns = columns or len(fields)
            if len(fields) != columns:
                raise CorpusError(
                    f"{where} has {len(fields)} columns, the first line has {columns}",
                    "Each word stands on a line with its columns; a blank line ends a sentence.",
                )
            universal = _is_universal(fields)
            if universal and not fields[0].isdecimal():
                continue  # several words written as one, or a word that is not written
            chosen = _chosen(fields, universal, word, label, where)
            if _is_header(chosen):
                continue
            began = began if sentence else number
            sentence.append(chosen)
    yield from _sentence(sentence, f"{path}, line {began}")


def _is_comment(line: str, fields: int, columns: int, within: bool) -> bool:
    """A line before a sentence that says something of it; a number sign with as many columns as all is a word."""
    if not line.startswith("# "):
        return False
    return "=" in line or (not within and fields != (columns or _LEAST))


def _is_header(chosen: tuple[str, str]) -> bool:
    """A line that says what the columns are."""
    return chosen[0].lower() in _WORDS and chosen[1].lower() in _LABELS


def _parted(line: str) -> list[str]:
    return [field.strip() for field in line.split("\t")] if "\t" in line else line.split()


def _is_universal(fields: Sequence[str]) -> bool:
    return len(fields) == _UNIVERSAL[2] and fields[0][:1].isdecimal()


def _chosen(
    fields: Sequence[str], universal: bool, word: int | None, label: int | None, where: str
) -> tuple[str, str]:
    usual = _UNIVERSAL[:2] if universal else (1, len(fields))
    places = (word or usual[0], label or usual[1])
    if places[0] == places[1] or max(places) > len(fields):
        raise CorpusError(
            f"{where} has {len(fields)} columns, expected a word in column {places[0]} and a label in {places[1]}",
            "Columns are parted by tabs or spaces; --text-column and --label-column say which they are.",
        )
    found = (fields[places[0] - 1], fields[places[1] - 1])
    if not all(found):
        raise CorpusError(f"{where} has no {'label' if found[0] else 'word'}")
    if len(found[0].split()) >= _PARTS:
        raise CorpusError(
            f"{where} has a text where a word is expected: {found[0][:40]!r}",
            "Give a word and its label on each line; one label for a whole text is of text-classification.",
        )
    return found


def _sentence(words: Sequence[tuple[str, str]], where: str) -> Iterator[TaggedSentence]:
    if words:
        forms, labels = zip(*words, strict=True)
        yield TaggedSentence(forms, labels, where)


def _from_rows(rows: Iterator[Row], words: str | None, labels: str | None) -> Iterator[TaggedSentence]:
    columns: tuple[str, str] | None = None
    for row in rows:
        if columns is None:
            columns = (
                column_of(row, words, _WORDS, "--text-column"),
                column_of(row, labels, _LABELS, "--label-column"),
            )
        forms, tags = (_list(row, column) for column in columns)
        if len(forms) != len(tags):
            raise CorpusError(f"{row.where} has {len(forms)} words and {len(tags)} labels")
        if forms:
            yield TaggedSentence(forms, tags, row.where)


def _list(row: Row, column: str) -> tuple[str, ...]:
    value = row.values.get(column)
    if isinstance(value, str):
        return tuple(value.split())
    if not isinstance(value, list) or not all(isinstance(one, str | int) for one in value):
        raise CorpusError(f"{row.where}: {column} is no list of words or labels")
    return tuple(str(one) for one in value)
