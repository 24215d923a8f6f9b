"""A model measured on the splits of a run, and what it answers there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from electra_convert.finetuning.preparation import Preparation
from electra_convert.finetuning.training import outputs_of
from electra_convert.pretraining.progress import Reporter
from electra_convert.pretraining.reports import Panel

_AT_ONCE = 16
_TITLES = {
    "perplexity": ("Perplexity on the same masks", "perplexity"),
    "f1": ("F1", "share"),
    "accuracy": ("Accuracy", "share"),
    "pearson": ("Pearson's correlation", "correlation"),
}


class Evaluation:
    """Measures a model.

    Args:
        model: of transformers, as it is at each call.
        preparation: the run.
        reporter: told how far it is.

    Attributes:
        answers: what the model last said, by split.
    """

    def __init__(self, model: Any, preparation: Preparation, reporter: Reporter) -> None:  # noqa: ANN401
        self._model, self._preparation, self._reporter = model, preparation, reporter
        self.answers: dict[str, list[Any]] = {}

    def of(self, split: str) -> dict[str, float]:
        """The metrics of a split; empty where there is none."""
        preparation = self._preparation
        rows = preparation.rows.get(split)
        if not rows:
            return {}
        outputs = outputs_of(
            self._model, preparation.task, rows, preparation.padding, _AT_ONCE, self._reporter.evaluating
        )
        examples = preparation.data.of(split)
        self.answers[split] = preparation.task.answers(examples, rows, outputs)
        return preparation.task.metrics(examples, self.answers[split])

    def all(self) -> dict[str, dict[str, float]]:
        """The metrics of what is held out, by split."""
        found = {split: self.of(split) for split in ("dev", "test")}
        return {split: metrics for split, metrics in found.items() if metrics}

    def written(self, split: str) -> list[dict[str, Any]]:
        """The lines of a split's file of predictions."""
        task, examples = self._preparation.task, self._preparation.data.of(split)
        return [task.written(*pair) for pair in zip(examples, self.answers[split], strict=True)]


def doubts(metrics: Mapping[str, Mapping[str, float]]) -> list[str]:
    """What is to be said of a model that does no better than always saying the commonest label, by split.

    >>> [len(doubts({"dev": {"accuracy": accuracy, "majority_accuracy": 0.26}})) for accuracy in (0.25, 0.26, 0.27)]
    [1, 1, 0]
    """
    return [
        f"On {split}, always saying the commonest label would have {one['majority_accuracy']:.3f}, and the model has "
        f"{one['accuracy']:.3f}: it has learned nothing. More --epochs or a higher --learning-rate may help."
        for split, one in metrics.items()
        if "majority_accuracy" in one and one["accuracy"] <= one["majority_accuracy"]
    ]


def panels(main: str) -> tuple[Panel, ...]:
    """What the curves of a run show."""
    title, unit = _TITLES[main]
    return (
        (
            "Loss",
            "nats a label, or squared difference",
            (("train", "loss", "trained on"), ("eval", "loss", "held out")),
        ),
        (title, unit, (("eval", main, "held out"),)),
        ("Learning rate", "rate of a step", (("train", "learning_rate", "rate"),)),
    )


def main_of(metrics: Mapping[str, Mapping[str, float]], main: str) -> float | None:
    """The metric by which runs are compared: on dev, or else on test."""
    return next((one[main] for one in metrics.values() if main in one), None)
