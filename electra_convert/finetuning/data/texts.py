"""Texts, or pairs of them, with a class or a number: rows of JSON lines, CSV, TSV or Parquet."""

from __future__ import annotations

from collections.abc import Iterator

from electra_convert.errors import CorpusError
from electra_convert.finetuning.data.examples import LabelledText
from electra_convert.finetuning.data.tables import DataFile, column_of, data_rows

_TEXT = ("text", "sentence", "sentence1", "premise", "question1", "question", "review", "content", "document")
_PAIRS = {"sentence1": "sentence2", "premise": "hypothesis", "question1": "question2", "question": "sentence"}
_LABEL = ("label", "labels", "class", "category", "sentiment", "target", "score", "stars")


def read_texts(file: DataFile, text: str | None, pair: str | None, label: str | None) -> Iterator[LabelledText]:
    """Read labelled texts.

    Args:
        file: a table.
        text: the column of the text; by default what it is usually called.
        pair: that of a second text; by default the one that usually goes with the first, such as hypothesis with
            premise, and otherwise none.
        label: that of the class, or of the number.

    Raises:
        CorpusError: a row lacks one of them; says which.
    """
    columns: tuple[str, str | None, str] | None = None
    for row in data_rows(file, [one for one in (text, pair, label) if one]):
        if columns is None:
            first = column_of(row, text, _TEXT, "--text-column")
            second = column_of(row, pair, (), "--pair-column") if pair else _PAIRS.get(first)
            columns = (
                first,
                second if second in row.values else None,
                column_of(row, label, _LABEL, "--label-column"),
            )
        value = row.values.get(columns[2])
        if value is None or (isinstance(value, str) and not value.strip()):
            raise CorpusError(f"{row.where} has no {columns[2]}", "Take the row out, or give it a label.")
        if not isinstance(value, str | int | float):
            raise CorpusError(f"{row.where}: {columns[2]} is a {type(value).__name__}, expected a class or a number")
        body = row.text(columns[0])
        if not body.strip():
            raise CorpusError(f"{row.where}: {columns[0]} is empty", "Take the row out.")
        yield LabelledText(body, None if columns[1] is None else row.text(columns[1]), str(value).strip(), row.where)
