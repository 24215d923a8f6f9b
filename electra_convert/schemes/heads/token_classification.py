"""Tagging: a label for each word, read off its first piece."""

from __future__ import annotations

from electra_convert.schemes.heads.computing import Computing, V
from electra_convert.schemes.heads.head import Head
from electra_convert.schemes.mapping import dense


def compute(model: Computing[V], states: V) -> tuple[V, ...]:
    """ElectraForTokenClassification of transformers: [batch, length, labels]."""
    return (model.dense("classifier", states),)


# finetune/tagging/tagging_tasks.py, TaggingTask.get_prediction_module: one dense layer, without dropout. featurize
# gives every real token segment 1.
TOKEN_CLASSIFICATION = Head(
    "token_classification",
    "discriminator",
    "ForTokenClassification",
    rules=dense("task_specific/{task}/dense", "classifier", "hidden", "labels"),
    kind="token-classification",
    tag="token-classification",
    segment=1,
    compute=compute,
    in_bert=True,
)
