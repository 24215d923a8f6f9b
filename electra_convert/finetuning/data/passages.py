"""Questions about passages: SQuAD's JSON, 1.1 and 2.0, or rows with the same fields; each answer at its offset."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from electra_convert.errors import CorpusError
from electra_convert.finetuning.data.examples import Question
from electra_convert.finetuning.data.tables import DataFile, data_rows

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
            answers = row.values.get("answers")
            texts, starts = ((answers or {}).get(key) for key in ("text", "answer_start"))  # type: ignore[attr-defined]
            given = [{"text": one, "answer_start": start} for one, start in zip(texts or (), starts or (), strict=False)]
            yield _question(name, row.text("question"), row.text("context"), given, row.where)
    else:
        yield from _squad(file.path)


def _is_squad(path: Path) -> bool:
    with path.open("rb") as file:
        return b'"data"' in file.read(1 << 12) and b'"qas"' in path.read_bytes()


def _squad(path: Path) -> Iterator[Question]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError) as error:
        raise CorpusError(f"{path} is not JSON: {error}", _FORM) from error
    try:
        for number, article in enumerate(data["data"], 1):
            for place, paragraph in enumerate(article["paragraphs"], 1):
                for asked in paragraph["qas"]:
                    where = f"{path}, article {number}, paragraph {place}, question {asked.get('id')}"
                    answers: Sequence[Mapping[str, Any]] = () if asked.get("is_impossible") else asked["answers"]
                    yield _question(str(asked["id"]), asked["question"], paragraph["context"], answers, where)
    except (KeyError, TypeError, AttributeError) as error:
        raise CorpusError(f"{path} is not of SQuAD's form: {error}", _FORM) from error


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
