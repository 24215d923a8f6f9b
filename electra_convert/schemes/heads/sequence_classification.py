"""Classes, or a number, of a text: one dense layer on [CLS] in Google's code, in transformers two with a gelu."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from electra_convert.schemes.heads.computing import Computing, V
from electra_convert.schemes.heads.head import Head
from electra_convert.schemes.mapping import dense

if TYPE_CHECKING:
    from electra_convert.tensors.weight import Weight


class Pairs:
    """The algebra of pairs.py, imported where a tensor is made of others: what a head is called needs no numpy."""

    def forward(self, weights: Mapping[str, Weight]) -> dict[str, Weight]:
        """The four parameters of transformers' head: [h, h], [h], [C, h], [C]; raises NamesError where 2C > h."""
        from electra_convert.schemes.heads import pairs

        return pairs.forward(weights)

    def remark(self, labels: int, hidden: int) -> str:
        """How many units do what."""
        from electra_convert.schemes.heads import pairs

        return pairs.remark(labels, hidden)

    def backward(self, weights: Mapping[str, Weight]) -> dict[str, Weight] | None:
        """Google's kernel [C, h] and bias [C], or None where the four parameters are not what forward makes."""
        from electra_convert.schemes.heads import pairs

        return pairs.backward(weights)


def compute(model: Computing[V], states: V) -> tuple[V, ...]:
    """ElectraClassificationHead of transformers, which has gelu whatever hidden_act is: [batch, labels]."""
    seen = model.gelu(model.dense("classifier.dense", model.first(states)))
    return (model.dense("classifier.out_proj", seen),)


_RULES = dense("task_specific/{task}/dense", "classifier", "hidden", "labels")
_UNLIKE_BERT = "its pooler has a tanh where ELECTRA's head has a gelu"
_MADE = (
    *dense("classifier.dense", "classifier.dense", "hidden", "hidden"),
    *dense("classifier.out_proj", "classifier.out_proj", "hidden", "labels"),
)
# finetune/classification/classification_tasks.py, ClassificationTask and RegressionTask.get_prediction_module; the
# other side is ElectraClassificationHead of transformers' models/electra/modeling_electra.py.
SEQUENCE_CLASSIFICATION = Head(
    "sequence_classification",
    "discriminator",
    "ForSequenceClassification",
    rules=_RULES,
    kind="text-classification",
    tag="text-classification",
    algebra=Pairs(),
    made=_MADE,
    problem_type="single_label_classification",
    compute=compute,
    unlike_bert=_UNLIKE_BERT,
)
REGRESSION = Head(
    "regression",
    "discriminator",
    "ForSequenceClassification",
    rules=_RULES,
    kind="regression",
    tag="text-classification",
    algebra=Pairs(),
    made=_MADE,
    labels=1,
    problem_type="regression",
    compute=compute,
    unlike_bert=_UNLIKE_BERT,
)
