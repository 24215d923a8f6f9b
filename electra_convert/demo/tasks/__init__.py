"""What fine-tuned models are asked and answer, each kind in a file here that says which head it is for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from electra_convert.demo.tasks.question_answering import QUESTION_ANSWERING, Reads
from electra_convert.demo.tasks.regression import REGRESSION, Estimates
from electra_convert.demo.tasks.sequence_classification import SEQUENCE_CLASSIFICATION, Classifies
from electra_convert.demo.tasks.task import Answer, Answers, AnswerT, Asked, Task, answers_page
from electra_convert.demo.tasks.token_classification import TOKEN_CLASSIFICATION, Tags

__all__ = ["TASKS", "Answer", "AnswerT", "Answers", "Asked", "Methods", "Task", "answers_page"]

# By the names of their heads.
TASKS: Mapping[str, Task[Any]] = {
    task.head.name: task for task in (SEQUENCE_CLASSIFICATION, REGRESSION, TOKEN_CLASSIFICATION, QUESTION_ANSWERING)
}


class Methods(Classifies, Estimates, Tags, Reads):
    """What a fine-tuned model can be asked, a method for each task."""
