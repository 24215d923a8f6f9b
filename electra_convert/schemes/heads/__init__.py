"""Heads: what stands on an encoder, and everything that depends on it; each of them a file here."""

from __future__ import annotations

from collections.abc import Mapping

from electra_convert.schemes.heads.head import Head, carried, none
from electra_convert.schemes.heads.masked_lm import MASKED_LM
from electra_convert.schemes.heads.question_answering import JOINT_LAYER, QUESTION_ANSWERING
from electra_convert.schemes.heads.replaced_token_detection import REPLACED_TOKEN_DETECTION
from electra_convert.schemes.heads.sequence_classification import REGRESSION, SEQUENCE_CLASSIFICATION
from electra_convert.schemes.heads.token_classification import TOKEN_CLASSIFICATION
from electra_convert.schemes.mapping import Role

__all__ = [
    "HEADS",
    "JOINT_LAYER",
    "MASKED_LM",
    "NONE",
    "PAIRED",
    "PRETRAINING",
    "QUESTION_ANSWERING",
    "REGRESSION",
    "REPLACED_TOKEN_DETECTION",
    "SEQUENCE_CLASSIFICATION",
    "TASKS",
    "TOKEN_CLASSIFICATION",
    "Head",
    "carried",
    "kinds",
    "of_class",
    "with_labels",
]

NONE = none()
# By name, in the order in which their kinds are listed.
HEADS: Mapping[str, Head] = {
    head.name: head
    for head in (
        REPLACED_TOKEN_DETECTION,
        MASKED_LM,
        SEQUENCE_CLASSIFICATION,
        REGRESSION,
        TOKEN_CLASSIFICATION,
        QUESTION_ANSWERING,
    )
}
# What a task of google-research/electra is, which only its name tells (finetune/task_builder.py): classification,
# regression and tagging have the same variables.
TASKS: Mapping[str, Head] = {
    **dict.fromkeys(("cola", "mrpc", "mnli", "sst", "rte", "qnli", "qqp"), SEQUENCE_CLASSIFICATION),
    "sts": REGRESSION,
    "chunk": TOKEN_CLASSIFICATION,
    **dict.fromkeys(("squad", "squadv1", "newsqa", "naturalqs", "triviaqa", "searchqa"), QUESTION_ANSWERING),
}
# Those of them whose examples are two texts (finetune/classification/classification_tasks.py).
PAIRED = frozenset({"mrpc", "mnli", "rte", "qnli", "qqp", "sts"})
# What each model is pretrained with.
PRETRAINING: Mapping[Role, Head] = {"discriminator": REPLACED_TOKEN_DETECTION, "generator": MASKED_LM}


def kinds() -> dict[str, Head]:
    """What a task may be said to be, where its name does not tell."""
    return {head.kind: head for head in HEADS.values() if head.kind is not None}


def of_class(architecture: str) -> Head | None:
    """The head with which a model is of a class of transformers, no head included; None where none here is."""
    return next((head for head in (*HEADS.values(), NONE) if head.architecture() == architecture), None)


def with_labels(head: Head, labels: int) -> Head:
    """Of the heads with the same parameters, the one that has this number of labels."""
    same = [other for other in HEADS.values() if other.parameters == head.parameters] or [head]
    return min((other for other in same if other.labels in (labels, None)), key=lambda other: other.labels is None)
