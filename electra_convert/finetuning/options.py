"""What fine-tuning is told, and what of it does not go together; opens nothing."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Literal

from electra_convert.errors import UsageError

TaskName = Literal["token-classification", "text-classification", "question-answering", "fill-mask"]
_POSITIVE = ("epochs", "batch_size", "learning_rate", "max_length", "samples", "seeds", "save_steps")

# Of NumPy's and torch's generators.
_LAST_SEED = 2**32 - 1


@dataclass(frozen=True)
class FinetuneOptions:
    """What a run is told; None is for what follows from the model and the task.

    Attributes:
        dev: data to evaluate on after every epoch.
        test: data to evaluate on at the end.
        text_column: the column of the text or the words.
        pair_column: that of a second text.
        label_column: that of the label or the labels.
        vocab: the vocabulary of a model that has none beside it.
        epochs: passes over the training data; may be a fraction.
        batch_size: rows a step, in all processes together.
        learning_rate: the highest.
        max_length: the longest row, in tokens.
        samples: of fill-mask, how many chunks are trained on.
        seed: what all random numbers follow from.
        seeds: how many runs, each with a seed of its own, the first the seed.
        google_head: the head as Google's code has it.
        save_steps: steps between checkpoints; by default once an epoch.
        resume: continue the run in the output.
        overwrite: replace it.
        time_limit: in seconds.
    """

    dev: str | Path | None = None
    test: str | Path | None = None
    text_column: str | None = None
    pair_column: str | None = None
    label_column: str | None = None
    vocab: Path | None = None
    epochs: float | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    max_length: int | None = None
    samples: int | None = None
    seed: int = 0
    seeds: int = 1
    google_head: bool = False
    save_steps: int | None = None
    resume: bool = False
    overwrite: bool = False
    time_limit: float | None = None

    def __post_init__(self) -> None:
        for name in _POSITIVE:
            value = getattr(self, name)
            if value is not None and not 0 < value < inf:
                raise UsageError(
                    f"--{name.replace('_', '-')} is {value}, expected more than 0, and no infinite number"
                )
        if not 0 <= self.seed <= _LAST_SEED - self.seeds + 1:
            raise UsageError(f"--seed is {self.seed}, expected 0 to {_LAST_SEED}, every one of --seeds included")
        if self.max_length is not None and self.max_length < 8:
            raise UsageError(f"--max-length is {self.max_length}, expected at least 8")
        if self.resume and self.overwrite:
            raise UsageError("--resume continues a run and --overwrite replaces it", "Give one of them.")

    def check(self, task: TaskName) -> None:
        """Refuse what a task has no use for; raises UsageError."""
        idle = {
            "--samples": self.samples is not None and task != "fill-mask",
            "--google-head": self.google_head and task == "fill-mask",
            "--pair-column": self.pair_column is not None and task != "text-classification",
            "--label-column": self.label_column is not None and task in ("question-answering", "fill-mask"),
            "--text-column": self.text_column is not None and task == "question-answering",
        }
        if wrong := [option for option, is_idle in idle.items() if is_idle]:
            raise UsageError(f"{wrong[0]} means nothing for {task}", "Leave it out.")
