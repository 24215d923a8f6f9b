"""Questions about passages: SQuAD's JSON, 1.1 and 2.0, or rows with the same fields; each answer at its offset."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from electra_convert.errors import CorpusError
from electra_convert.finetuning.data.examples import Question
from electra_convert.finetuning.data.tables import DataFile, Row, data_rows
from electra_convert.pretraining.corpus.text import opened, unpacked

_OF_ANSWERS = ("text", "answer_start")
_BEGINS = re.compile(rb'\s*\{\s*"(data|version)"')
_HEAD = 1 << 16
_FORM = 'SQuAD\'s form is {"data": [{"paragraphs": [{"context": ..., "qas": [...]}]}]}.'


def read_questions(file: DataFile) -> Iterator[Question]:
    """Read questions with their passages and answers.

    Args:
        file: SQuAD's JSON, or JSON lines or Parquet with id, question, context and answers {text, answer_start}.

    Raises:
        CorpusError: it has another form, or an answer does not stand where its offset says; says of which question.
    """
    if file.kind == "Parquet" or (file.kind == "JSON lines" and not _is_squad(file.path)):
        for row in data_rows(file):
            name = str(row.values.get("id", row.where))
            yield _question(name, row.text("question"), row.text("context"), _of_row(row), row.where)
    else:
        yield from _squad(file.path)


def _of_row(row: Row) -> list[dict[str, Any]]:
    """The answers of a row as the library `datasets` has them: a list of texts, and one of places."""
    answers = row.values.get("answers")
    texts, starts = (answers.get(key) for key in _OF_ANSWERS) if isinstance(answers, dict) else (None, None)
    if not isinstance(texts, list) or not isinstance(starts, list) or len(texts) != len(starts):
        raise CorpusError(f"{row.where}: answers are no lists of {' and '.join(_OF_ANSWERS)}")
    return [{"text": text, "answer_start": start} for text, start in zip(texts, starts, strict=True)]


def _is_squad(path: Path) -> bool:
    """Whether a file named .json is one object of SQuAD's, and no row on each line."""
    with opened(path) as stream:
        head = unpacked(path, stream).read(_HEAD)
    return _BEGINS.match(head) is not None or b'"paragraphs"' in head


def _squad(path: Path) -> Iterator[Question]:
    try:
        with opened(path) as stream:
            data = json.loads(unpacked(path, stream).read())
    except (ValueError, RecursionError, OSError, EOFError) as error:
        raise CorpusError(f"{path} is not JSON: {error}", _FORM) from error
    try:
        for number, article in enumerate(data["data"], 1):
            for place, paragraph in enumerate(article["paragraphs"], 1):
                for asked in paragraph["qas"]:
                    where = f"{path}, article {number}, paragraph {place}, question {asked.get('id')}"
                    answers: Sequence[Mapping[str, Any]] = (
                        () if asked.get("is_impossible") else _answers(asked, where)
                    )
                    yield _question(str(asked["id"]), asked["question"], paragraph["context"], answers, where)
    except KeyError as error:
        raise CorpusError(f"{path} is not of SQuAD's form: something has no {error}", _FORM) from error
    except (TypeError, AttributeError) as error:
        raise CorpusError(f"{path} is not of SQuAD's form: {error}", _FORM) from error


def _answers(asked: Mapping[str, Any], where: str) -> Sequence[Mapping[str, Any]]:
    if not isinstance(asked.get("answers"), list):
        raise CorpusError(
            f"{where} has no answers",
            'Where a passage holds none, SQuAD 2.0 says "is_impossible": true and "answers": [].',
        )
    answers: Sequence[Mapping[str, Any]] = asked["answers"]
    return answers


def _question(name: str, question: str, passage: str, answers: Sequence[Mapping[str, Any]], where: str) -> Question:
    found = []
    for answer in answers:
        text, start = answer.get("text"), answer.get("answer_start")
        if not isinstance(text, str) or not isinstance(start, int) or not text:
            raise CorpusError(f"{where}: an answer has no text or no answer_start")
        if passage[start : start + len(text)] != text or start < 0:
            there = passage[max(start, 0) : max(start, 0) + len(text)]
            raise CorpusError(
                f"{where}: the answer {text!r} does not stand at character {start} of its passage, where there is "
                f"{there!r}",
                "answer_start counts characters (code points) from 0.",
            )
        found.append((text, start))
    if not question.strip() or not passage.strip():
        raise CorpusError(f"{where} has no {'question' if passage.strip() else 'passage'}")
    return Question(name, question, passage, tuple(found), where)
