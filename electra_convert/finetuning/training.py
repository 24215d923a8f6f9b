"""One run of transformers' Trainer: its loss, its rows, when it is saved; what is learned is the task's."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import ceil
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from electra_convert.errors import TrainingError
from electra_convert.finetuning.encoding import Row, batches, collated, filled
from electra_convert.finetuning.optimizer import google_optimizer, google_schedule
from electra_convert.finetuning.recipe import Recipe
from electra_convert.finetuning.tasks.task import Task
from electra_convert.frameworks import import_accelerate, import_torch, import_transformers, quiet_transformers
from electra_convert.pretraining.pauses import ENDS, Pause, Pauses

_PATIENCE = timedelta(days=2)
_REPORTS = 100
_KEPT = 2


class Rows(Protocol):
    """What is trained on: a row for each number, another one in each pass where the task says so."""

    epoch: int

    def __len__(self) -> int:
        """How many there are, those that fill up the last batch included."""

    def __getitem__(self, index: int) -> Row:
        """One of them."""


class SameRows:
    """Rows that are the same in every pass."""

    def __init__(self, rows: Sequence[Row], batch: int) -> None:
        self._rows = filled(rows, batch)
        self.epoch = 0

    def __len__(self) -> int:
        """How many there are."""
        return len(self._rows)

    def __getitem__(self, index: int) -> Row:
        """One of them."""
        return self._rows[index]


@dataclass(frozen=True)
class Told:
    """Who is told what happens.

    Attributes:
        stepped: the step, all steps, and the values of a report.
        passed: a pass over the data is over; told the step.
        saved: the run can be resumed.
    """

    stepped: Callable[[int, int, Mapping[str, float]], None]
    passed: Callable[[int], None]
    saved: Callable[[], None]


class Training:
    """One run.

    Args:
        model: of transformers.
        task: what it learns.
        rows: what it learns from.
        recipe: how.
        folder: where checkpoints go.
        seed: of the order and of dropout.
        padding: the id of padding.
        save_steps: steps between checkpoints, None for once a pass.
    """

    def __init__(
        self,
        model: Any,  # noqa: ANN401 - transformers.PreTrainedModel
        task: Task[Any],
        rows: Rows,
        recipe: Recipe,
        folder: Path,
        seed: int,
        padding: int,
        save_steps: int | None = None,
    ) -> None:
        self._transformers = import_transformers("to fine-tune")
        self._model, self._task, self._rows, self._recipe = model, task, rows, recipe
        self._padding = padding
        self.a_pass = len(rows) // recipe["batch_size"]
        self.steps = max(1, ceil(recipe["epochs"] * self.a_pass))
        self._save_steps = save_steps or self.a_pass
        self._arguments = arguments(self._transformers, folder, recipe, self.steps, seed)

    def run(self, told: Told, pauses: Pauses, checkpoint: Path | None = None) -> Pause | None:
        """Train, from a checkpoint or from the beginning.

        Returns:
            What ended the run before its last step, None where it is done.

        Raises:
            TrainingError: the loss is no number any more.
        """
        watch = _Watch(self, self._rows, told, pauses)
        trainer = self._trainer()
        trainer.add_callback(watch)
        watch.accelerator = trainer.accelerator
        with quiet_transformers(self._transformers):
            trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
        return watch.pause

    def _trainer(self) -> Any:  # noqa: ANN401 - transformers.Trainer
        optimizers = (None, None)
        if not self._recipe["bias_correction"]:
            optimizer = google_optimizer(
                self._model.named_parameters(), self._model.config.num_hidden_layers, self._recipe
            )
            optimizers = (optimizer, google_schedule(optimizer, self.steps, self._recipe["warmup"]))
        with quiet_transformers(self._transformers):
            trainer = self._transformers.Trainer(
                model=self._model,
                args=self._arguments,
                data_collator=self._collate,
                train_dataset=self._rows,
                compute_loss_func=self._loss,
                optimizers=optimizers,
            )
        for printer in ("PrinterCallback", "ProgressCallback"):
            trainer.remove_callback(getattr(self._transformers, printer))
        # Sums over rows and processes are divided by our own count; a model's own loss would divide again.
        trainer.model_accepts_loss_kwargs = False
        return trainer

    def _collate(self, rows: Sequence[Row]) -> dict[str, Any]:
        return tensors(collated(rows, self._padding), self._model)

    def _loss(self, outputs: Any, labels: Any, num_items_in_batch: Any = None) -> Any:  # noqa: ANN401 - torch's
        """The losses of a process, divided by the number of labels in all of them."""
        return self._task.loss(self._task.outputs(outputs), labels) / num_items_in_batch

    def is_due(self, step: int) -> bool:
        """Whether a checkpoint is to be saved after a step."""
        return step % self._save_steps == 0 or step == self.steps


class _Watch:
    """What the Trainer calls between steps, a TrainerCallback by its methods."""

    def __init__(self, training: Training, rows: Rows, told: Told, pauses: Pauses) -> None:
        self._training, self._rows, self._told, self._pauses = training, rows, told, pauses
        self.accelerator: Any = None
        self.pause: Pause | None = None

    def __getattr__(self, name: str) -> Callable[..., None]:
        if not name.startswith("on_"):
            raise AttributeError(name)
        return lambda *_, **__: None

    def on_epoch_begin(self, _: Any, state: Any, __: Any, **___: Any) -> None:  # noqa: ANN401 - the Trainer's
        """Another pass has other masks."""
        self._rows.epoch = state.global_step // self._training.a_pass

    def on_step_end(self, _: Any, state: Any, control: Any, **__: Any) -> None:  # noqa: ANN401 - the Trainer's
        """Save, or end."""
        due = self._pauses.due(self.accelerator)
        if due in ENDS and state.global_step < self._training.steps:
            self.pause = due
            control.should_training_stop = True
        control.should_save = due is not None or self._training.is_due(state.global_step)

    def on_epoch_end(self, _: Any, state: Any, control: Any, **__: Any) -> None:  # noqa: ANN401 - the Trainer's
        """Evaluate after whole passes, and at the end."""
        control.should_save = False
        step = state.global_step
        if self.pause is None and (step % self._training.a_pass == 0 or step == self._training.steps):
            self._told.passed(step)

    def on_save(self, *_: Any, **__: Any) -> None:  # noqa: ANN401 - the Trainer's
        """A checkpoint stands."""
        self._pauses.saved()
        self._told.saved()

    def on_log(self, _: Any, state: Any, __: Any, logs: Mapping[str, float], **___: Any) -> None:  # noqa: ANN401
        """Report what the steps since the last report gave."""
        if "loss" not in logs:
            return
        if not np.isfinite(logs["loss"]):
            raise TrainingError(
                f"the loss of step {state.global_step} is no number any more",
                "Start anew with a lower --learning-rate.",
            )
        values = {"loss": logs["loss"], "learning_rate": logs["learning_rate"]}
        if "grad_norm" in logs:
            values["gradient_norm"] = logs["grad_norm"]
        self._told.stepped(state.global_step, self._training.steps, values)


def joined() -> Any:  # noqa: ANN401 - accelerate.PartialState
    """Join the processes that accelerate or torchrun has started; one by itself where they have not."""
    accelerate = import_accelerate("to fine-tune")
    # Of a run before in the same process.
    accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)
    # The others wait for the first process while it evaluates and writes; by default their patience ends in minutes.
    return accelerate.PartialState(cpu=_on_processors(), **({"timeout": _PATIENCE} if _shared() else {}))


def _shared() -> bool:
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def _on_processors() -> bool:
    """Whether several processes are to compute without devices, which accelerate does not find out by itself."""
    asked = os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true", "yes")
    return asked or (_shared() and not import_torch("to fine-tune").cuda.is_available())


def arguments(transformers: Any, folder: Path, recipe: Recipe, steps: int, seed: int) -> Any:  # noqa: ANN401
    """transformers' TrainingArguments of a run.

    Raises:
        TrainingError: a batch cannot be shared by the processes.
    """
    given = {
        "output_dir": str(folder),
        "max_steps": steps,
        "learning_rate": recipe["learning_rate"],
        "weight_decay": recipe["weight_decay"],
        "adam_epsilon": recipe["adam_epsilon"],
        "warmup_steps": recipe["warmup"],
        "seed": seed,
        "data_seed": seed,
        "logging_steps": max(1, steps // _REPORTS),
        "logging_nan_inf_filter": False,
        "save_strategy": "no",
        "save_total_limit": _KEPT,
        "report_to": "none",
        "disable_tqdm": True,
        "remove_unused_columns": False,
        "label_names": ["labels"],
        "dataloader_pin_memory": False,
        "use_cpu": _on_processors(),
        "ddp_timeout": int(_PATIENCE.total_seconds()),
    }
    first = transformers.TrainingArguments(**given)
    share, rest = divmod(recipe["batch_size"], first.world_size * max(1, first.n_gpu))
    if rest or not share:
        raise TrainingError(
            f"a batch of {recipe['batch_size']} rows cannot be split evenly among {first.world_size} processes",
            f"--batch-size counts the rows of all processes; make it a multiple of {first.world_size}.",
        )
    return transformers.TrainingArguments(**given, per_device_train_batch_size=share)


def tensors(arrays: Mapping[str, Any], model: Any) -> dict[str, Any]:  # noqa: ANN401 - transformers' model
    """Arrays as tensors, without token types for a model that knows none."""
    torch = import_torch("to fine-tune")
    known = "token_type_ids" in model.forward.__code__.co_varnames
    return {name: torch.from_numpy(array) for name, array in arrays.items() if known or name != "token_type_ids"}


def outputs_of(
    model: Any,  # noqa: ANN401 - transformers' model
    task: Task[Any],
    rows: Sequence[Row],
    padding: int,
    batch: int,
    evaluated: Callable[[int, int], None] = lambda *_: None,
) -> list[Any]:
    """Run a model on rows, without dropout.

    Args:
        model: of transformers, wherever it is.
        task: says what is kept of its outputs, for each row.
        rows: what it is given.
        padding: the id of padding.
        batch: how many rows at a time.
        evaluated: told how many rows of how many are done.

    Returns:
        For each row an array.
    """
    torch = import_torch("to fine-tune")
    was_training = model.training
    model.eval()
    found: list[Any] = [None] * len(rows)
    done = 0
    with torch.no_grad():
        for chosen in batches(rows, batch):
            inputs = tensors(collated([rows[index] for index in chosen], padding), model)
            labels = inputs.pop("labels").to(model.device)
            outputs = task.outputs(model(**{name: one.to(model.device) for name, one in inputs.items()}))
            values = task.kept(outputs, labels).float().cpu().numpy()
            for index, value in zip(chosen, values, strict=True):
                found[index] = value
            done += len(chosen)
            evaluated(done, len(rows))
    model.train(was_training)
    return found
