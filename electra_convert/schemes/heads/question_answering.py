"""Reading: where in a passage an answer begins and ends."""

from __future__ import annotations

from electra_convert.schemes.heads.computing import Computing, V
from electra_convert.schemes.heads.head import Head
from electra_convert.schemes.mapping import stacked


def compute(model: Computing[V], states: V) -> tuple[V, ...]:
    """ElectraForQuestionAnswering of transformers: where answers begin and end, twice [batch, length]."""
    return model.columns(model.dense("qa_outputs", states), 2)


# finetune/qa/qa_tasks.py, QATask.get_prediction_module with joint_prediction false: one dense layer for the start,
# one for the end. dense_2 and dense_3 say that there is no answer (answerable_classifier), from [CLS] alone or with
# the start; with joint_prediction, Google's default, the end depends on the start, and no class of transformers has
# that.
QUESTION_ANSWERING = Head(
    "question_answering",
    "discriminator",
    "ForQuestionAnswering",
    rules=stacked(("task_specific/{task}/dense", "task_specific/{task}/dense_1"), "qa_outputs", "hidden", "one"),
    kind="question-answering",
    tag="question-answering",
    has_pipeline=False,
    beside=tuple(f"task_specific/{{task}}/dense_{number}/{part}" for number in (2, 3) for part in ("kernel", "bias")),
    beside_is="what says that there is no answer",
    outputs=("start_logits", "end_logits"),
    compute=compute,
    in_bert=True,
)
# What a checkpoint with joint_prediction has, and no other.
JOINT_LAYER = "qa_hidden"
