"""Checkpoints that Google's code fine-tuned, and the plain texts that its recordings are of."""

from __future__ import annotations

from pathlib import Path

import numpy as np

TUNED = Path(__file__).parent.parent.parent / "fixtures" / "finetuned"
VOCABULARY = TUNED.parent / "vocab.txt"
TAGS = ["B-LOC", "B-PER", "E-LOC", "E-PER", "I-PER", "O", "S-LOC", "S-PER"]
# Folder, task, the folder of the task in the output, its class, and its labels.
TASKS = [
    ("mnli", "mnli", ".", "ElectraForSequenceClassification", ["contradiction", "entailment", "neutral"]),
    ("rte", "rte", ".", "ElectraForSequenceClassification", ["entailment", "not_entailment"]),
    ("sst", "sst", ".", "ElectraForSequenceClassification", ["0", "1"]),
    ("chunk", "chunk", ".", "ElectraForTokenClassification", TAGS),
    ("mrpc_chunk", "mrpc", "mrpc", "ElectraForSequenceClassification", ["0", "1"]),
    ("mrpc_chunk", "chunk", "chunk", "ElectraForTokenClassification", TAGS),
    ("squadv1_independent", "squadv1", ".", "ElectraForQuestionAnswering", None),
    ("squad_answerable", "squad", ".", "ElectraForQuestionAnswering", None),
]

# The rows of a recording that stand for texts; the last one is of random WordPieces, which no text gives.
WRITTEN = 5


def texts_of(golden: np.lib.npyio.NpzFile, row: int) -> list[str]:
    """The plain texts of a recorded row: its WordPieces joined to words, one text per segment."""
    pieces = VOCABULARY.read_text(encoding="utf-8").split("\n")
    kept = golden["input_ids"][row][golden["input_mask"][row] == 1]
    joined = " ".join(pieces[index] for index in kept).replace(" ##", "")
    return [text.strip() for text in joined.removeprefix("[CLS]").removesuffix("[SEP]").split("[SEP]")]
