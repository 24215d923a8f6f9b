"""The run of one seed, and which of several is kept: the one nearest to their median."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from electra_convert.finetuning.evaluation import Evaluation, main_of, panels
from electra_convert.finetuning.filled import Masked, candidates, masked_sentences
from electra_convert.finetuning.metrics import median_and_range
from electra_convert.finetuning.models import load, write_model
from electra_convert.finetuning.options import FinetuneOptions
from electra_convert.finetuning.preparation import Preparation
from electra_convert.finetuning.run_folder import (
    CHECKPOINTS,
    EVALUATION,
    MODEL,
    PREDICTIONS,
    read_json,
    step_of,
    write_json,
    write_lines,
)
from electra_convert.finetuning.starting import Start
from electra_convert.finetuning.training import Told, Training
from electra_convert.output import staging_folder
from electra_convert.pretraining.pauses import Pause, Pauses
from electra_convert.pretraining.progress import Reporter
from electra_convert.pretraining.reports import MetricsLog, draw_curves


@dataclass(frozen=True)
class Context:
    """What all seeds of a run have in common.

    Attributes:
        preparation: what was decided.
        start: the model they begin with.
        options: what was asked for.
        reporter: told how it goes.
        pauses: when a run is saved or ends.
        writes: whether this is the process that writes.
        settle: called once the run can be resumed.
        scratch: a folder for what is not kept.
    """

    preparation: Preparation
    start: Start
    options: FinetuneOptions
    reporter: Reporter
    pauses: Pauses
    writes: bool
    settle: Callable[[], None]
    scratch: Path


@dataclass(frozen=True)
class Before:
    """What a masked language model was before its adaptation.

    Attributes:
        metrics: of what is held out.
        sentences: some of it, masked.
        filled: what the model would put there.
    """

    metrics: Mapping[str, float]
    sentences: Sequence[Masked]
    filled: Sequence[Any]

    def beside(self, after: Sequence[Any]) -> list[dict[str, Any]]:
        """Both sides of each sentence."""
        rows = zip(self.sentences, self.filled, after, strict=True)
        return [{"text": one.text, "word": one.word, "before": old, "after": new} for one, old, new in rows]


class SeedRun:
    """One of a run's seeds.

    Args:
        seed: its number.
        folder: where its checkpoints, reports and results are.
        context: what it shares with the others.
    """

    def __init__(self, seed: int, folder: Path, context: Context) -> None:
        self.seed, self.folder, self._context = seed, folder, context

    def run(self, checkpoint: Path | None) -> Pause | None:
        """Train, evaluate, and write what came of it; gives what ended it early, or None."""
        context, preparation = self._context, self._context.preparation
        model = load(context.start, preparation.task, self.seed, context.options.google_head)
        evaluation = Evaluation(model, preparation, context.reporter)
        log = MetricsLog(self.folder, step_of(checkpoint)) if context.writes else None
        training = Training(
            model,
            preparation.task,
            preparation.training_rows(self.seed),
            preparation.recipe,
            self.folder / CHECKPOINTS,
            self.seed,
            preparation.padding,
            context.options.save_steps,
        )
        before = self._before(model, evaluation, log if checkpoint is None else None)
        told = _Listener(evaluation, log, context, step_of(checkpoint))
        with context.pauses:
            pause = training.run(Told(told.stepped, told.passed, context.settle), context.pauses, checkpoint)
        if pause is None and context.writes:
            self._write(model, evaluation, before, training.steps)
            context.settle()
        return pause

    def _before(self, model: Any, evaluation: Evaluation, log: MetricsLog | None) -> Before | None:  # noqa: ANN401
        preparation = self._context.preparation
        if preparation.task.name != "fill-mask":
            return None
        mask = self._context.start.tokenizer.special["[MASK]"]
        sentences = masked_sentences(preparation.lines, preparation.encoder, mask)
        metrics = evaluation.of("dev")
        if log is not None:
            log.write("eval", 0, metrics)
            self._context.reporter.evaluated(0, metrics)
        return Before(metrics, sentences, self._filled(model, sentences))

    def _filled(self, model: Any, sentences: Sequence[Masked]) -> list[Any]:  # noqa: ANN401
        pieces = self._context.start.tokenizer.vocabulary.pieces
        return list(candidates(model, self._context.preparation.encoder, sentences, pieces))

    def _write(self, model: Any, evaluation: Evaluation, before: Before | None, steps: int) -> None:  # noqa: ANN401
        """The model, predictions, curves, and last what they come to, by which the seed is done."""
        preparation = self._context.preparation
        metrics = evaluation.all()
        filled = None if before is None else before.beside(self._filled(model, before.sentences))
        for split in metrics if filled is None else ("dev",):
            rows = evaluation.written(split) if filled is None else filled
            write_lines(self.folder / PREDICTIONS.format(split=split), rows)
        with staging_folder(self.folder / MODEL) as place:
            write_model(model, self._context.start, place / MODEL, place, preparation.segment)
            # One that was killed right here has left it.
            shutil.rmtree(self.folder / MODEL, ignore_errors=True)
            (place / MODEL).rename(self.folder / MODEL)
        draw_curves(self.folder, panels(preparation.task.main), "Fine-tuning")
        result: dict[str, Any] = {"seed": self.seed, "step": steps, "metrics": metrics}
        if before is not None:
            result |= {"before": {"dev": before.metrics}, "filled": filled}
        write_json(self.folder / EVALUATION, result)


class _Listener:
    """Writes down and hands on what a run reports."""

    def __init__(self, evaluation: Evaluation, log: MetricsLog | None, context: Context, step: int) -> None:
        self._evaluation, self._log, self._reporter = evaluation, log, context.reporter
        self._last = (step, monotonic())

    def stepped(self, step: int, total: int, values: Mapping[str, float]) -> None:
        """Steps were taken."""
        before, since = self._last
        self._last = (step, monotonic())
        paced = {**values, "seconds_per_step": (self._last[1] - since) / max(1, step - before)}
        if self._log is not None:
            self._log.write("train", step, paced)
        self._reporter.stepped(step, total, paced)

    def passed(self, step: int) -> None:
        """A pass is over."""
        metrics = self._evaluation.of("dev")
        if self._log is not None and metrics:
            self._log.write("eval", step, metrics)
        self._reporter.evaluated(step, metrics)
        self._last = (step, monotonic())


def results(runs: Sequence[SeedRun], main: str) -> tuple[SeedRun, dict[str, Any]]:
    """What the seeds of a run came to.

    Args:
        runs: those that are done.
        main: the metric they are compared by.

    Returns:
        The run nearest to the median, and what is recorded: its evaluation, and of several the spread of all.
    """
    found = [read_json(run.folder / EVALUATION) for run in runs]
    values = [main_of(one["metrics"], main) for one in found]
    scored = [value for value in values if value is not None]
    if len(runs) == 1 or len(scored) < len(runs):
        return runs[0], found[0]
    median, least, most = median_and_range(scored)
    nearest = min(range(len(runs)), key=lambda index: abs(scored[index] - median))
    spread = {
        "metric": main,
        "median": median,
        "least": least,
        "most": most,
        "by_seed": {str(run.seed): value for run, value in zip(runs, scored, strict=True)},
    }
    return runs[nearest], {**found[nearest], "seeds": spread}
