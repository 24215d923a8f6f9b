"""The documents of a corpus, whatever its files are, as lines of which an empty one ends a document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import IO

from electra_convert.pretraining.corpus.files import CorpusFile
from electra_convert.pretraining.corpus.parquet import parquet_texts
from electra_convert.pretraining.corpus.rows import json_texts, table_texts
from electra_convert.pretraining.corpus.text import opened, read_lines


def read_documents(file: CorpusFile, stream: IO[bytes]) -> Iterator[str]:
    """Read the lines of a file's documents, without white space around them.

    Args:
        file: text, in which blank lines end documents; or rows, each of which is one.
        stream: the same, opened, at its beginning.

    Yields:
        The lines; an empty one ends a document.

    Raises:
        CorpusError: as read_lines, json_texts, table_texts and parquet_texts.
    """
    if file.kind == "text":
        return (line.strip() for line in read_lines(file.path, stream))
    return (line for text in _texts(file, stream) for line in lines_of_document(text))


def lines_of_corpus(files: Iterable[CorpusFile]) -> Iterator[str]:
    """Read the lines of all documents of a corpus, one file after the other.

    Raises:
        CorpusError: as read_documents.
    """
    for file in files:
        with opened(file.path) as stream:
            yield from read_documents(file, stream)


def lines_of_document(text: str) -> Iterator[str]:
    """The lines of a document that is one text, and the empty one that ends it.

    >>> list(lines_of_document("The birds sing.\\n\\n They are small."))
    ['The birds sing.', 'They are small.', '']

    Zero bytes, which a text file has none of and a tokenizer passes over, are left out.
    """
    for line in text.replace("\0", "").split("\n"):
        if stripped := line.strip():
            yield stripped
    yield ""


def _texts(file: CorpusFile, stream: IO[bytes]) -> Iterator[str]:
    assert file.column is not None  # files.py gives rows a column
    if file.kind == "Parquet":
        return parquet_texts(file.path, stream, file.column)
    lines = read_lines(file.path, stream)
    if file.kind == "JSON lines":
        return json_texts(file.path, lines, file.column)
    return table_texts(file.path, file.kind, lines, file.column)
