"""What a run writes while it goes on, and at its end: in which order, and in which process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from electra_convert.formats.names import VOCABULARY_FILE
from electra_convert.pretraining.options import PretrainOptions
from electra_convert.pretraining.outputs import checkpoints
from electra_convert.pretraining.outputs.exchange import Trained
from electra_convert.pretraining.outputs.export import Tokens, write_models, write_tensorflow
from electra_convert.pretraining.outputs.metrics import MetricsLog, draw_curves, last_evaluation
from electra_convert.pretraining.outputs.place import Start
from electra_convert.pretraining.outputs.records import Pretraining
from electra_convert.pretraining.preparation import Preparation, described
from electra_convert.pretraining.reporting import Reporter
from electra_convert.pretraining.training.loop import LOSSES, Losses
from electra_convert.pretraining.training.optimizer import learning_rate

CHECKPOINTS, MODEL, TENSORFLOW = "checkpoints", "model", "tensorflow"


class RunFiles:
    """The files of a run; all processes call the methods, and the first one writes.

    Args:
        output: the folder of the run.
        trained: the networks and their optimiser.
        preparation: what the run is decided by.
        options: what was asked for.
        accelerator: which process this is.
        reporter: told what is written down.
        new: the run's place until it has a checkpoint, None for a run that is resumed.
    """

    def __init__(
        self,
        output: Path,
        trained: Trained,
        preparation: Preparation,
        options: PretrainOptions,
        accelerator: Any,  # noqa: ANN401 - accelerate.Accelerator
        reporter: Reporter,
        new: Start | None,
    ) -> None:
        self._new = new
        self._output, self._trained, self._settings = output, trained, preparation.settings
        self._options, self._accelerator, self._reporter = options, accelerator, reporter
        self._described = described(preparation, options)
        pieces = preparation.pieces
        self._tokens = Tokens(output / VOCABULARY_FILE, pieces.lower_case, pieces.strip_accents)
        self._log: MetricsLog | None = None
        self._metrics: dict[str, float] = {}
        self._step = 0

    def open(self, step: int) -> None:
        """Begin to report, from a step on."""
        self._step = step
        if self._accelerator.is_main_process:
            self._log = MetricsLog(self._output, step)
            # Of a run that is finished nothing is evaluated again.
            self._metrics = last_evaluation(self._output)

    def report(self, step: int, losses: Losses, tokens_per_second: float) -> None:
        """Write down the losses since the last report."""
        means = torch.tensor(losses, dtype=torch.float64).mean(0).tolist()
        values = dict(zip(LOSSES, means, strict=True)) | {"learning_rate": learning_rate(self._settings, step - 1)}
        if "discriminator" not in self._trained.networks:
            del values["disc_loss"]
        if self._log is not None:
            self._log.write("train", step, {**values, "tokens_per_second": tokens_per_second})
        self._reporter.stepped(
            step, self._settings.num_train_steps, {**values, "tokens_per_second": tokens_per_second}
        )

    def evaluated(self, step: int, metrics: dict[str, float]) -> None:
        """Write down the metrics of the held-out sequences."""
        self._metrics = metrics
        if self._log is not None and metrics:
            self._log.write("eval", step, metrics)
        self._reporter.evaluated(step, metrics)

    def save(self, step: int, pending: Losses) -> None:
        """Write a checkpoint."""
        self._step = step
        if self._accelerator.is_main_process:
            keep = self._settings.keep_checkpoint_max
            folder = self._output / CHECKPOINTS
            checkpoints.save(folder, self._trained, step, self._tokens, self._described, pending, keep)
            self._settle()
        self._accelerator.wait_for_everyone()

    def _settle(self) -> None:
        if self._new is not None:
            self._new.settle()

    def finish(self) -> Pretraining:
        """Write the models, the TensorFlow checkpoint where it is wanted, and the curves."""
        tensorflow = self._output / TENSORFLOW if self._options.export_tf else None
        model = self._output / MODEL
        if self._log is not None:
            write_models(self._trained, self._step, self._tokens, self._described, model)
            if tensorflow is not None:
                write_tensorflow(self._trained, self._step, self._tokens, tensorflow)
            draw_curves(self._output)
            self._settle()
        self._accelerator.wait_for_everyone()
        if self._accelerator.num_processes > 1:
            self._accelerator.end_training()
        return Pretraining(self._output, model, tensorflow, self._step, self._metrics, self._log is not None)
