"""One fine-tuning from its data to its model, its parts put together in their order; decides nothing itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from electra_convert.finetuning.data.reading import read_data
from electra_convert.finetuning.options import FinetuneOptions, TaskName
from electra_convert.finetuning.preparation import Preparation, prepare
from electra_convert.finetuning.published import publish
from electra_convert.finetuning.run_folder import (
    CHECKPOINTS,
    EVALUATION,
    MODEL,
    RECORD,
    described,
    last_checkpoint,
    read_json,
    require_place,
    require_same,
    step_of,
    write_json,
)
from electra_convert.finetuning.seeds import Context, SeedRun
from electra_convert.finetuning.starting import Start, opened
from electra_convert.finetuning.training import joined
from electra_convert.frameworks import (
    import_matplotlib_figure,
    import_transformers,
    require_packages,
)
from electra_convert.output import locked
from electra_convert.pretraining.pauses import Pause, Pauses, deliver
from electra_convert.pretraining.processes import told_of
from electra_convert.pretraining.progress import Relay, Reporter, Silent
from electra_convert.pretraining.run_folder import begun, identity


@dataclass(frozen=True, repr=False)
class Finetuning:
    """What a run left behind.

    Attributes:
        output: the run's folder.
        model: the model folder.
        task: what it does.
        metrics: of each split that was evaluated; of several seeds those of the model that was kept.
        before: of fill-mask, the same metrics before the adaptation.
        seeds: the main metric of every seed, and how it is spread: median, least and most.
        filled: of fill-mask, sentences with a mask, the word that stood there, and candidates before and after.
        step: how many steps were taken.
        finished: whether all of them were.
        notes: what a reader may want to know.
        warnings: what may not be as it was meant.
        is_main_process: whether this process is the first of its run, which alone writes.
    """

    output: Path
    model: Path
    task: str
    metrics: Mapping[str, Mapping[str, float]]
    before: Mapping[str, Mapping[str, float]]
    seeds: Mapping[str, Any]
    filled: tuple[Mapping[str, Any], ...]
    step: int
    finished: bool
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    is_main_process: bool = True

    def __repr__(self) -> str:
        firsts = {split: next(iter(one.items())) for split, one in self.metrics.items()}
        shown = ", ".join(f"{split} {name} {value:.3f}" for split, (name, value) in firsts.items())
        return f"<Finetuning {str(self.output)!r}: {self.task}, {shown or 'not evaluated'}>"


def run_finetuning(
    name: TaskName, source: str | Path, train: str | Path, output: Path, options: FinetuneOptions, reporter: Reporter
) -> Finetuning:
    """Fine-tune, with the options already in one place.

    Raises:
        ElectraConvertError: as finetune.
    """
    options.check(name)
    # The other processes of a run come when the first may already have made its folder.
    rank = int(os.environ.get("RANK", "0"))
    if not rank:
        require_place(output, [source, train, options.dev, options.test, options.vocab], options)
    require_packages("pretrain", "to fine-tune", "torch", "transformers", "accelerate", "matplotlib")
    told = Relay(Silent() if rank else reporter)
    data = read_data(name, train, options, told)
    with opened(source, name, options.vocab, told.noticed) as start:
        for line in start.notices:
            told.warned(line)
        preparation = prepare(name, start, data, options, told)
        told.noticed(f"Trained with {preparation.recipe.line}.")
        try:
            return _run(preparation, start, output, options, told)
        except RuntimeError as error:
            known = told_of(error, rank, "Give a smaller --batch-size or --max-length.")
            if known is None:
                raise
            raise known from error


def _run(preparation: Preparation, start: Start, output: Path, options: FinetuneOptions, told: Relay) -> Finetuning:
    import_transformers("to fine-tune")
    # Used at the very end, which is no time to learn that it is missing.
    import_matplotlib_figure("to draw the curves of a run")
    record = described(preparation, start, options)
    processes = joined()
    first = bool(processes.is_main_process)
    pauses = Pauses(options.time_limit, told.noticed)
    with (
        TemporaryDirectory(prefix="electra_convert-") as scratch,
        _standing(output, record, options, first) as settle,
    ):
        processes.wait_for_everyone()
        context = Context(preparation, start, options, told, pauses, first, settle, Path(scratch))
        pause, runs = _all_seeds(context, output)
        if pause is None and first:
            publish(runs, preparation.task.main, output, record, told)
        processes.wait_for_everyone()
    if pause is not None:
        _end(pause, told)
    return _result(preparation, runs, output, pause, told, first)


@contextmanager
def _standing(
    output: Path, record: Mapping[str, Any], options: FinetuneOptions, first: bool
) -> Iterator[Callable[[], None]]:
    """Keep a run's folder for as long as the context lasts; yields what is called once it can be resumed."""
    if options.resume:
        require_same(output, record)
    if not first:
        yield _nothing
    elif options.resume:
        with locked(output):
            yield _nothing
    else:
        standing = identity(output) if options.overwrite else None
        with begun(output, standing, lambda folder: write_json(folder / RECORD, record)) as new:
            yield new.settle


def _nothing() -> None:
    """A run that is resumed, and a process that does not write, have nothing to settle."""


def _all_seeds(context: Context, output: Path) -> tuple[Pause | None, list[SeedRun]]:
    """Run every seed that is not done yet, in a folder of its own where there are several."""
    options = context.options
    runs: list[SeedRun] = []
    for seed in range(options.seed, options.seed + options.seeds):
        folder = output if options.seeds == 1 else output / f"seed-{seed}"
        folder.mkdir(exist_ok=True)
        runs.append(SeedRun(seed, folder, context))
        if (folder / EVALUATION).is_file():
            continue
        if options.seeds > 1:
            context.reporter.noticed(f"Seed {seed}, {len(runs)} of {options.seeds}.")
        pause = runs[-1].run(last_checkpoint(folder / CHECKPOINTS) if options.resume else None)
        if pause is not None:
            return pause, runs
    return None, runs


def _end(pause: Pause, told: Relay) -> None:
    try:
        deliver(pause)
    except KeyboardInterrupt as interrupt:
        interrupt.add_note("The run is saved, and --resume continues it.")
        raise
    told.noticed("The time is up: the run is saved, and --resume continues it.")


def _result(
    preparation: Preparation, runs: list[SeedRun], output: Path, pause: Pause | None, told: Relay, first: bool
) -> Finetuning:
    done = read_json(output / EVALUATION) if pause is None and first else {}
    last = runs[-1].folder / CHECKPOINTS
    return Finetuning(
        output=output,
        model=output / MODEL,
        task=preparation.task.name,
        metrics=done.get("metrics", {}),
        before=done.get("before", {}),
        seeds=done.get("seeds", {}),
        filled=tuple(done.get("filled", ())),
        step=done.get("step", step_of(last_checkpoint(last))),
        finished=pause is None,
        notes=tuple(told.notes),
        warnings=tuple(told.warnings),
        is_main_process=first,
    )
