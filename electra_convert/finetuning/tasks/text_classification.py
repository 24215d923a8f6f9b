"""A class of a text, or of two; or a number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from electra_convert.errors import CorpusError
from electra_convert.finetuning.data.examples import LabelledText
from electra_convert.finetuning.encoding import IGNORED, Row, TextEncoder
from electra_convert.finetuning.metrics import accuracy, macro_f1, majority_accuracy, matthews, pearson, spearman
from electra_convert.finetuning.tasks.task import Metrics, cross_entropy, id_of, label_ids, named
from electra_convert.frameworks import import_torch

if TYPE_CHECKING:
    import torch

# Whole numbers are classes, such as 0 and 1, as long as there are no more than these; else they are a scale.
_CLASSES = 20


def is_scale(labels: Sequence[str]) -> bool:
    """Whether labels are numbers to estimate: all are numbers, and some are no whole ones, or they are very many.

    >>> is_scale(["0", "1"]), is_scale(["0.5", "3"]), is_scale(["good", "bad"])
    (False, True, False)
    """
    numbers = [_number(label) for label in labels]
    if any(number is None for number in numbers):
        return False
    return len(set(labels)) > _CLASSES or not all(_is_whole(label) for label in labels)


def require_numbers(examples: Sequence[LabelledText]) -> None:
    """Refuse labels of which some are no numbers, where the others can only be a scale: they would all be classes.

    Raises:
        CorpusError: names the first that is none.
    """
    strays = [example for example in examples if _number(example.label) is None]
    others = [example.label for example in examples if _number(example.label) is not None]
    # nan and inf are read as numbers everywhere else.
    are_lost = all(_is_float(example.label) for example in strays)
    is_mostly_scale = len(others) > len(strays) and not all(_is_whole(label) for label in others)
    if strays and others and (are_lost or is_mostly_scale):
        raise CorpusError(
            f"{strays[0].where}: the label is {strays[0].label!r}, expected a number, as {len(others):,} of "
            f"{len(examples):,} labels are",
            "Take the row out, or give it a number.",
        )


def _is_whole(label: str) -> bool:
    return label.lstrip("+-").isdecimal()


def _is_float(label: str) -> bool:
    try:
        float(label)
    except ValueError:
        return False
    return True


def _number(label: str) -> float | None:
    return float(label) if _is_float(label) and isfinite(float(label)) else None


class _OfTexts:
    """What both have in common: a row for each text, and one output."""

    name = "text-classification"
    auto_class = "AutoModelForSequenceClassification"

    def rows(self, examples: Sequence[LabelledText], encoder: TextEncoder) -> list[Row]:
        """A row for each text, the end of a long one cut off."""
        rows = []
        for number, example in enumerate(examples):
            label = self.label(example)
            window = encoder.cut(example.text, example.pair)
            rows.append(Row(window.ids, encoder.types(window), label, number))
        return rows

    def label(self, example: LabelledText) -> int | float:
        """What is asked for."""
        raise NotImplementedError

    def outputs(self, outputs: Any) -> torch.Tensor:  # noqa: ANN401 - transformers' ModelOutput
        """The logits, [rows, classes]."""
        logits: torch.Tensor = outputs.logits
        return logits

    def kept(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The logits: answers are read off them."""
        return outputs


class TextClassification(_OfTexts):
    """Classes.

    Args:
        examples: what is trained on, of which the labels are taken.
    """

    main = "accuracy"

    def __init__(self, examples: Sequence[LabelledText]) -> None:
        self._ids = label_ids([one.label for one in examples])
        if len(self._ids) < 2:
            raise CorpusError(
                f"{examples[0].where} and on: every text has the label {next(iter(self._ids))!r}",
                "There is nothing to tell apart.",
            )
        self._labels = list(self._ids)

    @property
    def config(self) -> Mapping[str, Any]:
        """Its labels."""
        return {**named(self._ids), "problem_type": "single_label_classification"}

    def label(self, example: LabelledText) -> int:
        """The number of its class."""
        return id_of(example.label, self._ids, example.where)

    def loss(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Cross-entropy."""
        loss: torch.Tensor = cross_entropy(import_torch("to train"), outputs, labels)
        return loss

    def answers(self, examples: Sequence[LabelledText], rows: Sequence[Row], outputs: Sequence[Any]) -> list[str]:
        """The likeliest class."""
        return [self._labels[int(logits.argmax())] for logits in outputs]

    def metrics(self, examples: Sequence[LabelledText], answers: Sequence[str]) -> Metrics:
        """Accuracy, macro F1, Matthews' correlation."""
        gold = [example.label for example in examples]
        return {
            "accuracy": accuracy(gold, answers),
            "majority_accuracy": majority_accuracy(gold),
            "macro_f1": macro_f1(gold, answers),
            "matthews": matthews(gold, answers),
        }

    def written(self, example: LabelledText, answer: str) -> dict[str, Any]:
        """The text, its label, and the model's."""
        return {**_texts(example), "label": example.label, "prediction": answer}


class TextRegression(_OfTexts):
    """Numbers."""

    main = "pearson"

    @property
    def config(self) -> Mapping[str, Any]:
        """One number."""
        return {"num_labels": 1, "problem_type": "regression"}

    def label(self, example: LabelledText) -> float:
        """The number."""
        number = _number(example.label)
        if number is None or number == IGNORED:
            raise CorpusError(
                f"{example.where}: the label is {example.label!r}, expected a number",
                "The training data have numbers; -100 is none of them, since it stands for nothing here.",
            )
        return number

    def loss(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Squared differences."""
        squares = (outputs.float().squeeze(-1) - labels) ** 2
        return squares[labels != IGNORED].sum()

    def answers(self, examples: Sequence[LabelledText], rows: Sequence[Row], outputs: Sequence[Any]) -> list[float]:
        """The number."""
        return [float(logits[0]) for logits in outputs]

    def metrics(self, examples: Sequence[LabelledText], answers: Sequence[float]) -> Metrics:
        """Pearson's and Spearman's correlation, and the mean of squared differences."""
        gold, found = np.asarray([self.label(example) for example in examples]), np.asarray(answers, np.float64)
        return {
            "pearson": pearson(gold, found),
            "spearman": spearman(gold, found),
            "mean_squared_error": float(((gold - found) ** 2).mean()),
        }

    def written(self, example: LabelledText, answer: float) -> dict[str, Any]:
        """The text, its number, and the model's."""
        return {**_texts(example), "label": self.label(example), "prediction": answer}


def _texts(example: LabelledText) -> dict[str, str]:
    return {"text": example.text, **({} if example.pair is None else {"pair": example.pair})}
