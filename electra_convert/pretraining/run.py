"""One run in one process, its parts put together in their order; every decision is made elsewhere.

Importing it imports no framework: PyTorch is imported once a run begins.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from electra_convert.errors import MissingPackageError, TrainingError
from electra_convert.formats.names import DETECTOR_RECORD
from electra_convert.frameworks import (
    import_accelerate,
    import_matplotlib_figure,
    import_torch,
    import_transformers,
    require_packages,
)
from electra_convert.output import locked
from electra_convert.pretraining.batches import Batches
from electra_convert.pretraining.corpus.places import Place
from electra_convert.pretraining.memory import gigabytes, peak
from electra_convert.pretraining.obeyed import obeyed
from electra_convert.pretraining.options import PretrainOptions, Settings, training_settings
from electra_convert.pretraining.pauses import Pauses, deliver
from electra_convert.pretraining.preparation import Preparation
from electra_convert.pretraining.prepare import prepare
from electra_convert.pretraining.processes import accelerator_of, check_split, computed_by, told_of
from electra_convert.pretraining.progress import Relay, Reporter, Silent
from electra_convert.pretraining.run_folder import (
    CHECKPOINTS,
    MODEL,
    TENSORFLOW,
    begun,
    identity,
    require_place,
)
from electra_convert.pretraining.run_record import changed, read_run, require_same, require_same_tokenizer, write_run
from electra_convert.pretraining.starting.start import Start, opened
from electra_convert.processor import multiplies_in_bfloat16, share_processor

if TYPE_CHECKING:
    from electra_convert.pretraining.checkpoints import Saved
    from electra_convert.pretraining.run_files import RunFiles
    from electra_convert.pretraining.train_state import TrainState

_TRANSFORMERS = 5
# What the short form of a result tells of its metrics.
_SHOWN = ("masked_lm_loss", "disc_auc")
_SMALLER = "Compute each batch in parts with --accumulate, or give a smaller --batch-size or --max-length."


@dataclass(frozen=True, repr=False)
class Pretraining:
    """What a run left behind.

    Attributes:
        output: the run's folder.
        model: the folder of the trained model or pair within it.
        tensorflow: the folder of the TensorFlow checkpoint, or None.
        step: the global step of the models.
        metrics: of the held-out sequences at the end; empty where none are held out.
        notes: what a reader may want to know.
        warnings: what may not be as it was meant.
        is_main_process: whether this is the first of the processes that trained, which wrote it.
        finished: whether that is its last step; a run that is out of time can be resumed.
        evaluated_only: whether nothing was trained.
    """

    output: Path
    model: Path
    tensorflow: Path | None
    step: int
    metrics: Mapping[str, float]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    is_main_process: bool = True
    finished: bool = True
    evaluated_only: bool = False

    def __repr__(self) -> str:
        shown = [f"{name} {self.metrics[name]:.3f}" for name in _SHOWN if name in self.metrics]
        return f"<Pretraining {str(self.model)!r}: {', '.join([f'step {self.step:,}', *shown])}>"


def run_pretraining(
    places: Sequence[Place], output: Path, options: PretrainOptions, reporter: Reporter
) -> Pretraining:
    """Pretrain, with the options already in one place.

    Raises:
        ElectraConvertError: as pretrain.
    """
    options, notes = obeyed(options)
    # The other processes of a run come when the first may already have made its folder.
    rank = int(os.environ.get("RANK", "0"))
    if not rank:
        require_place(places, output, options)
    share_processor()
    require_packages("pretrain", "to pretrain", "torch", "transformers", "accelerate", "matplotlib")
    import_torch("to pretrain")
    _require_recent(import_transformers("to pretrain").__version__)
    import_accelerate("to pretrain")
    # Used at the very end, which is no time to learn that it is missing.
    import_matplotlib_figure("to draw the curves of a run")
    try:
        return _run(places, output, options, notes, reporter)
    except RuntimeError as error:
        told = told_of(error, rank, _SMALLER, options.compile)
        if told is None:
            raise
        raise told from error


def _require_recent(transformers_version: str) -> None:
    """transformers 4 knows only its own ways to compute ELECTRA's attention."""
    if int(transformers_version.partition(".")[0]) < _TRANSFORMERS:
        raise MissingPackageError(
            f"transformers {transformers_version} is too old to pretrain with; {_TRANSFORMERS} is needed",
            "pip install -U 'electra-convert[pretrain]'",
        )


@dataclass(frozen=True)
class _Process:
    """One process of a run: what it was asked for, and whom it tells."""

    places: Sequence[Place]
    output: Path
    options: PretrainOptions
    accelerator: Any
    told: Relay

    @property
    def is_first(self) -> bool:
        """Whether it is the one that tells and writes."""
        return bool(self.accelerator.is_main_process)


def _run(
    places: Sequence[Place], output: Path, options: PretrainOptions, notes: Sequence[str], reporter: Reporter
) -> Pretraining:
    from electra_convert.pretraining.fitting import as_the_first
    from electra_convert.pretraining.run_files import RunFiles

    accelerator = accelerator_of(options)
    told = Relay(reporter if accelerator.is_main_process else Silent())
    process = _Process(places, output, options, accelerator, told)
    pauses = Pauses(options.time_limit, told.noticed)
    for line in notes:
        told.noticed(line)
    with ExitStack() as stack:
        saved = _last_checkpoint(process) if options.resume else None
        start = _opened(process, saved, stack)
        standing = identity(output) if options.overwrite else None
        if options.resume and process.is_first:
            stack.enter_context(locked(output))
        # Nothing is written before all is known to fit; the other processes read what the first one writes.
        with accelerator.main_process_first():
            preparation = _prepared(process, start)
            check_split(preparation, options, accelerator)
            state, batches = _made(process, preparation, saved), _batches(preparation, options)
            process = _fitted(process, state, batches, preparation)
            new = None
            if process.is_first and not options.resume:
                how = computed_by(process.options, accelerator)
                fill = partial(write_run, preparation=preparation, options=process.options, computed=how)
                new = stack.enter_context(begun(output, standing, fill))
        process = replace(process, options=as_the_first(process.options, accelerator))
        if options.resume:
            for line in changed(read_run(output)[0], computed_by(process.options, accelerator)):
                told.warned(line)
        files = RunFiles(output, preparation, process.options, accelerator, told, new, state.step)
        with _end_told(output):
            _train(process, state, batches, preparation, files, pauses)
        files.finish(state, options.export_tf)
    return _left_behind(process, state, preparation.settings, files.metrics)


def _last_checkpoint(process: _Process) -> Saved | None:
    """The last good checkpoint of a run that is resumed; tells of damaged ones."""
    from electra_convert.pretraining.checkpoints import latest

    saved, damaged = latest(process.output / CHECKPOINTS)
    for line in damaged:
        process.told.warned(line)
    return saved


def _opened(process: _Process, saved: Saved | None, stack: ExitStack) -> Start | None:
    """What the run starts from, open for as long as the stack is."""
    # A checkpoint of models of any architecture is read once these are made.
    if saved is not None and (saved.models / "discriminator" / DETECTOR_RECORD).is_file():
        return None
    start = stack.enter_context(opened(saved.models if saved else None, process.options))
    if process.options.evaluate_only and start is None:
        process.told.warned(
            "No checkpoint was given (--init-from, --resume): what is evaluated has never been trained."
        )
    return start


def _prepared(process: _Process, start: Start | None) -> Preparation:
    """The first process decides on a new run and writes it down; the others, and a resumed run, read it there."""
    from electra_convert.pretraining.architectures import require_possible

    places, options, told = process.places, process.options, process.told
    if process.is_first and not options.resume:
        if options.designs:
            require_possible(options.designs, training_settings(options.given_hparams).max_seq_length)
        return prepare(places, options, start, None, told)
    record, decided = read_run(process.output)
    if options.resume:
        require_same_tokenizer(record, decided.pieces, options)
    preparation = prepare(places, options, start, decided, told)
    require_same(record, preparation, options)
    return preparation


def _made(process: _Process, preparation: Preparation, saved: Saved | None) -> TrainState:
    """The models and their optimiser, with what they begin with."""
    from electra_convert.pretraining.train_state import begin, begin_any, make_state

    options, told = process.options, process.told
    state = make_state(preparation, process.accelerator.device, options.compile, options.seed)
    if preparation.designs:
        folder, step = (saved.models, saved.step) if saved else (None, 0)
        begin_any(state, folder, step, preparation.settings, told)
    else:
        begin(state, preparation.start, preparation.settings, options, told)
    state.pending = saved.pending if saved else []
    return state


def _batches(preparation: Preparation, options: PretrainOptions) -> Batches:
    ids = preparation.pieces.special_ids
    settings, share = preparation.settings, options.held_out_share
    return Batches(preparation.corpus, ids, settings, options.seed, share, preparation.evaluated, preparation.rows)


def _fitted(process: _Process, state: TrainState, batches: Batches, preparation: Preparation) -> _Process:
    """The first process with as many parts a batch as the limit of memory takes; the others learn it there."""
    from electra_convert.pretraining.fitting import within_memory

    options, accelerator = process.options, process.accelerator
    if not process.is_first or options.memory_limit is None:
        return process
    before = read_run(process.output)[0]["computed"] if options.resume else {}
    settings, told = preparation.settings, process.told
    fitting = within_memory(options.memory_limit, state, batches, settings, options, before, accelerator, told)
    return replace(process, options=fitting)


def _train(
    process: _Process,
    state: TrainState,
    batches: Batches,
    preparation: Preparation,
    files: RunFiles,
    pauses: Pauses,
) -> None:
    """Train from where the state is to the end or a pause; or evaluate, where that is all that was asked for."""
    from electra_convert.pretraining.fitting import estimated
    from electra_convert.pretraining.loop import evaluate_alone, train

    options, accelerator, told, settings = process.options, process.accelerator, process.told, preparation.settings
    if options.evaluate_only:
        evaluate_alone(state, batches, settings, options, accelerator, files)
        return
    if state.step >= settings.num_train_steps:
        return
    _tell_of_precision(options, accelerator, told)
    if process.is_first and options.memory_limit is None:
        taken = estimated(state, batches, settings, options, accelerator)
        told.noticed(f"Training takes about {gigabytes(taken)} of memory.")
    with pauses:
        pause = train(state, batches, settings, options, accelerator, files, pauses)
    told.noticed(f"It has taken {gigabytes(peak(accelerator.device))} of memory at the most.")
    if pause is not None:
        deliver(pause)
        told.noticed(
            f"The time is up: the run is saved at step {state.step:,} of {settings.num_train_steps:,}, "
            "and --resume continues it from there."
        )


def _left_behind(
    process: _Process, state: TrainState, settings: Settings, metrics: Mapping[str, float]
) -> Pretraining:
    output, options, told = process.output, process.options, process.told
    return Pretraining(
        output=output,
        model=output / MODEL,
        tensorflow=output / TENSORFLOW if options.export_tf else None,
        step=state.step,
        metrics=metrics,
        notes=tuple(told.notes),
        warnings=tuple(told.warnings),
        is_main_process=process.is_first,
        finished=state.step == settings.num_train_steps,
        evaluated_only=options.evaluate_only,
    )


def _tell_of_precision(options: PretrainOptions, accelerator: Any, reporter: Reporter) -> None:  # noqa: ANN401
    """A run that is resumed has its precision."""
    slow = options.precision == "float32" and accelerator.device.type == "cpu" and not options.resume
    if slow and multiplies_in_bfloat16():
        reporter.noticed("This processor multiplies in bfloat16: --precision bfloat16 is nearly twice as fast.")


@contextmanager
def _end_told(output: Path) -> Iterator[None]:
    """Say of a run that does not go on what is left of it."""
    from electra_convert.pretraining.checkpoints import last_step
    from electra_convert.pretraining.loop import NotFiniteError

    try:
        yield
    except KeyboardInterrupt as interrupt:
        last = last_step(output / CHECKPOINTS)
        kept = "The run had no checkpoint yet." if last is None else f"--resume continues the run from step {last}."
        interrupt.add_note(kept)
        raise
    except NotFiniteError as error:
        last = last_step(output / CHECKPOINTS)
        anew = "start anew with a lower --learning-rate or a longer warm-up"
        raise TrainingError(
            error.message,
            f"The run had no checkpoint yet, so that nothing of it is left; {anew}."
            if last is None
            else f"The run's checkpoints, the last of step {last}, are from before it. Start from one of them "
            f"(--init-from) with a lower --learning-rate, or {anew}.",
        ) from error
