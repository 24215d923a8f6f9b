"""What a task is: from examples to rows, from a model's outputs to answers, and what is counted; knows none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from electra_convert.errors import CorpusError, listing, nearest
from electra_convert.finetuning.encoding import IGNORED, Row, TextEncoder

if TYPE_CHECKING:
    import torch

Example = TypeVar("Example", contravariant=True)
Metrics = dict[str, float]


class Task(Protocol, Generic[Example]):
    """One of transformers' tasks, settled on the labels of its training data.

    Attributes:
        name: what transformers calls its pipeline.
        auto_class: transformers' class that finds a model's class for it.
        main: the metric by which runs are compared.
    """

    name: str
    auto_class: str
    main: str

    @property
    def config(self) -> Mapping[str, Any]:
        """What config.json says of the task."""

    def rows(self, examples: Sequence[Example], encoder: TextEncoder) -> list[Row]:
        """What the model is given."""

    def outputs(self, outputs: Any) -> torch.Tensor:  # noqa: ANN401 - transformers' ModelOutput
        """What is kept of a model's outputs: [rows, length or nothing, classes]."""

    def kept(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """What of these an evaluation keeps, a row's along the first axis."""

    def loss(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The sum of the losses of all that is asked; outputs as above, labels as collated."""

    def answers(self, examples: Sequence[Example], rows: Sequence[Row], outputs: Sequence[Any]) -> list[Any]:
        """An answer for each example, from arrays of outputs, one for each row."""

    def metrics(self, examples: Sequence[Example], answers: Sequence[Any]) -> Metrics:
        """How good they are."""

    def written(self, example: Example, answer: Any) -> dict[str, Any]:  # noqa: ANN401 - of answers
        """A line of the file of predictions."""


def cross_entropy(torch: Any, logits: Any, labels: Any) -> Any:  # noqa: ANN401 - torch's module and tensors
    """The summed cross-entropy of logits [..., classes], in float32, where labels ask for one."""
    return torch.nn.functional.cross_entropy(
        logits.float().flatten(0, -2), labels.flatten(), ignore_index=IGNORED, reduction="sum"
    )


def label_ids(labels: Sequence[str]) -> dict[str, int]:
    """Labels numbered as they are sorted."""
    return {label: index for index, label in enumerate(sorted(set(labels), key=_as_numbers))}


def _as_numbers(label: str) -> tuple[int, float, str]:
    """Numbers by their value, before names."""
    return (0, float(label), label) if label.isdecimal() else (1, 0.0, label)


def id_of(label: str, ids: Mapping[str, int], where: str) -> int:
    """The number of a label.

    Raises:
        CorpusError: it does not occur in the training data.
    """
    if label in ids:
        return ids[label]
    meant = nearest(label, ids)
    raise CorpusError(
        f"{where}: the label {label!r} does not occur in the training data, which has {listing(ids)}",
        f"Is {meant} meant?" if meant else "A model cannot learn what it is never shown.",
    )


def named(ids: Mapping[str, int]) -> dict[str, Any]:
    """Labels as config.json has them."""
    return {
        "num_labels": len(ids),
        "id2label": {index: label for label, index in ids.items()},
        "label2id": dict(ids),
    }
