"""What fine-tuned models are asked and answer, each kind in a file here, by the name of its head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from electra_convert.demo.tasks.question_answering import QUESTION_ANSWERING
from electra_convert.demo.tasks.regression import REGRESSION
from electra_convert.demo.tasks.sequence_classification import SEQUENCE_CLASSIFICATION
from electra_convert.demo.tasks.task import Answer, Answers, Asked, Task, answers_page, answers_part, asked_of
from electra_convert.demo.tasks.token_classification import TOKEN_CLASSIFICATION

__all__ = ["TASKS", "Answer", "Answers", "Asked", "Task", "answers_page", "answers_part", "asked_of"]

TASKS: Mapping[str, Task[Any]] = {
    "question_answering": QUESTION_ANSWERING,
    "regression": REGRESSION,
    "sequence_classification": SEQUENCE_CLASSIFICATION,
    "token_classification": TOKEN_CLASSIFICATION,
}
