"""How a model is fine-tuned: each value with where it comes from. Google's for ELECTRA, otherwise transformers'.

google-research/electra 8a46635, configure_finetuning.py; rates by size from the paper (Clark et al., 2020, table 7).
Of fill-mask, huggingface/course, chapter 7, part 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from electra_convert.config.resolve import Value
from electra_convert.finetuning.options import FinetuneOptions, TaskName

_GOOGLE = "google-research/electra"
_PAPER = "the paper"
_COURSE = "the course"
_TRAINER = "transformers' Trainer"
_OPTION = "option"
# Hidden widths from which a model counts as base, and as large.
_BASE, _LARGE = 768, 1024
_EPOCHS = {"question-answering": 2.0}
_LENGTHS = {"token-classification": 256, "question-answering": 384}


@dataclass(frozen=True)
class Recipe:
    """The values of a run, by name, each with its origin.

    Attributes:
        values: learning_rate, layer_decay (0 for none), warmup (a share of the steps), weight_decay, batch_size,
            epochs, max_length, adam_epsilon and bias_correction.
    """

    values: Mapping[str, Value]

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - numbers of several kinds
        return self.values[name].value

    @property
    def described(self) -> dict[str, dict[str, Any]]:
        """As JSON."""
        return {name: {"value": one.value, "origin": one.origin} for name, one in self.values.items()}

    @property
    def line(self) -> str:
        """The same in a line, values of one origin together."""
        origins: dict[str, list[str]] = {}
        for name, one in self.values.items():
            origins.setdefault(one.origin, []).append(f"{name} {one.value:g}")
        return "; ".join(f"{', '.join(values)} ({origin})" for origin, values in origins.items())


def recipe_of(
    task: TaskName, config: Mapping[str, Any], is_electra: bool, longest: int, options: FinetuneOptions
) -> Recipe:
    """Choose the values of a run.

    Args:
        task: what the model is to do.
        config: the model's config.json.
        is_electra: whether it is one.
        longest: the longest row that the model takes.
        options: what was asked for.
    """
    chosen = _chosen(task, int(config.get("hidden_size") or config.get("dim") or 0), is_electra)
    length = chosen["max_length"]
    if length.value > longest:
        chosen["max_length"] = Value(longest, "the model's positions")
    asked = {name: getattr(options, name) for name in ("learning_rate", "batch_size", "epochs", "max_length")}
    return Recipe({**chosen, **{name: Value(one, _OPTION) for name, one in asked.items() if one is not None}})


def _chosen(task: TaskName, width: int, is_electra: bool) -> dict[str, Value]:
    if task == "fill-mask":
        return {
            "learning_rate": Value(2e-5, _COURSE),
            "batch_size": Value(64, _COURSE),
            "epochs": Value(3.0, _COURSE),
            "max_length": Value(128, _COURSE),
            "weight_decay": Value(0.01, _COURSE),
            **_plain(),
        }
    if not is_electra:
        return {
            "learning_rate": Value(5e-5, _TRAINER),
            "batch_size": Value(8, _TRAINER),
            "epochs": Value(3.0, _TRAINER),
            "max_length": Value(_LENGTHS.get(task, 128), _GOOGLE),
            "weight_decay": Value(0.0, _TRAINER),
            **_plain(),
        }
    is_large = width >= _LARGE
    rate = 5e-5 if is_large else 1e-4 if width >= _BASE else 3e-4
    return {
        "learning_rate": Value(rate, _PAPER),
        "layer_decay": Value(0.9 if is_large else 0.8, _GOOGLE),
        "warmup": Value(0.1, _GOOGLE),
        "weight_decay": Value(0.01, _GOOGLE),
        "batch_size": Value(32, _GOOGLE),
        "epochs": Value(_EPOCHS.get(task, 3.0), _GOOGLE),
        "max_length": Value(_LENGTHS.get(task, 128), _GOOGLE),
        "adam_epsilon": Value(1e-6, _GOOGLE),
        "bias_correction": Value(False, _GOOGLE),
    }


def _plain() -> dict[str, Value]:
    return {
        "layer_decay": Value(0.0, _TRAINER),
        "warmup": Value(0.0, _TRAINER),
        "adam_epsilon": Value(1e-8, _TRAINER),
        "bias_correction": Value(True, _TRAINER),
    }
