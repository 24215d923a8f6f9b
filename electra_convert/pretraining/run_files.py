"""What a run writes while it goes on, and at its end: in which order, and in which process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from electra_convert.conversion.options import Options
from electra_convert.formats.names import VOCABULARY_FILE
from electra_convert.output import remove_replaced
from electra_convert.pretraining import checkpoints
from electra_convert.pretraining.corpus.vocabulary import Pieces, WordPieces
from electra_convert.pretraining.loop import LOSSES, Pace
from electra_convert.pretraining.optimizer import learning_rate
from electra_convert.pretraining.options import PretrainOptions
from electra_convert.pretraining.preparation import Preparation, described
from electra_convert.pretraining.progress import Reporter
from electra_convert.pretraining.reports import MetricsLog, draw_curves, last_evaluation
from electra_convert.pretraining.run_folder import CHECKPOINTS, MODEL, TENSORFLOW, TOKENIZER, Start
from electra_convert.pretraining.train_state import Losses, TrainState
from electra_convert.pretraining.watch import Watch
from electra_convert.tokenizer.of_checkpoint import TokenizerOptions


class RunFiles:
    """The files of a run, and the hooks of its loop; all processes call the methods, and the first one writes.

    Args:
        output: the folder of the run.
        preparation: what the run is decided by.
        options: what was asked for.
        accelerator: which process this is.
        reporter: told what is written down.
        new: the run's place until it has a checkpoint, None for a run that is resumed.
        step: where the run begins, or goes on.

    Attributes:
        metrics: the last of the held-out sequences; empty where there are none.
    """

    def __init__(
        self,
        output: Path,
        preparation: Preparation,
        options: PretrainOptions,
        accelerator: Any,  # noqa: ANN401 - accelerate.Accelerator
        reporter: Reporter,
        new: Start | None,
        step: int,
    ) -> None:
        self._output, self._settings, self._new = output, preparation.settings, new
        self._accelerator, self._reporter = accelerator, reporter
        self._described = described(preparation, options)
        self._conversion = Options(tokenizer=_tokenizer(output, preparation.pieces), optimizer=True)
        self._discriminates = "discriminator" in preparation.configs
        self._log = MetricsLog(output, step) if accelerator.is_main_process else None
        # Of a run that is finished nothing is evaluated again.
        self.metrics = last_evaluation(output) if accelerator.is_main_process else {}
        vocabulary = preparation.rows if "generator" in preparation.configs else None
        # A run that is resumed has begun before.
        self._watch = Watch(preparation.settings, vocabulary, step if new else 0, reporter.warned)
        self._watch.evaluated(step, self.metrics)

    def report(self, step: int, losses: Losses, pace: Pace) -> None:
        """Write down the means of the losses since the last report."""
        means = torch.tensor(losses, dtype=torch.float64).mean(0).tolist()
        values = dict(zip(LOSSES, means, strict=True)) | {"learning_rate": learning_rate(self._settings, step - 1)}
        if not self._discriminates:
            del values["disc_loss"]
        values |= pace._asdict()
        if self._log is not None:
            self._log.write("train", step, values)
        self._reporter.stepped(step, self._settings.num_train_steps, values)
        self._watch.reported(step, values)

    def evaluating(self, done: int, total: int) -> None:
        """Show how far an evaluation is."""
        self._reporter.evaluating(done, total)

    def evaluated(self, step: int, metrics: dict[str, float]) -> None:
        """Write down the metrics of the held-out sequences."""
        self.metrics = metrics
        if self._log is not None and metrics:
            self._log.write("eval", step, metrics)
        self._reporter.evaluated(step, metrics)
        self._watch.evaluated(step, metrics)

    def save(self, state: TrainState) -> None:
        """Write a checkpoint."""
        if self._accelerator.is_main_process:
            keep = self._settings.keep_checkpoint_max
            checkpoints.save(self._output / CHECKPOINTS, state, self._conversion, self._described, keep)
            self._settle()
        self._accelerator.wait_for_everyone()

    def finish(self, state: TrainState, export_tf: bool) -> None:
        """Write the models, the TensorFlow checkpoint where it is wanted, and the curves."""
        if state.step == self._settings.num_train_steps:
            self._watch.ended()
        if self._accelerator.is_main_process:
            checkpoints.write_models(state, self._conversion, self._described, self._output / MODEL)
            if export_tf:
                checkpoints.write_tensorflow(state, self._conversion, self._output / TENSORFLOW)
            draw_curves(self._output)
            self._settle()
        self._accelerator.wait_for_everyone()
        if self._accelerator.num_processes > 1:
            self._accelerator.end_training()

    def _settle(self) -> None:
        if self._new is not None:
            self._new.settle()
        # Of a run that was killed before its first checkpoint, and is resumed.
        remove_replaced(self._output)


def _tokenizer(output: Path, pieces: Pieces) -> TokenizerOptions:
    """How the tokenizer of a run is written beside its models."""
    if not isinstance(pieces, WordPieces):
        return TokenizerOptions(kept=output / TOKENIZER)
    settings = pieces.settings
    # A vocabulary shorter than the embeddings was accepted, with a notice, when the run began.
    return TokenizerOptions(
        vocab=output / VOCABULARY_FILE,
        lower_case=settings.lower_case,
        strip_accents=settings.strips,
        tokenize_chinese_chars=None if settings.tokenize_chinese_chars else False,
        added_tokens=settings.added_tokens or None,
        max_word_length=settings.longest_word,
        pad_vocab=True,
    )
