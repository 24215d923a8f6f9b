"""pretrain: one run in one process, its parts put together in their order; every decision is made elsewhere.

Importing it imports no framework: PyTorch is imported once a run begins.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from electra_convert.conversion.options import lowers_case, read_added_tokens, read_path, read_size
from electra_convert.errors import (
    MissingPackageError,
    TrainingError,
    arguments_for_options,
    warn_caller,
    with_arguments,
)
from electra_convert.formats.names import DETECTOR_RECORD
from electra_convert.frameworks import (
    import_accelerate,
    import_matplotlib_figure,
    import_torch,
    import_transformers,
    require_packages,
)
from electra_convert.hub.download import as_source, local_source
from electra_convert.output import locked
from electra_convert.pretraining.batches import Batches
from electra_convert.pretraining.corpus.places import Place, as_places
from electra_convert.pretraining.memory import gigabytes, peak
from electra_convert.pretraining.obeyed import obeyed
from electra_convert.pretraining.options import (
    ModelSize,
    Precision,
    PretrainOptions,
    exports_tensorflow,
)
from electra_convert.pretraining.pauses import Pauses, deliver, read_duration
from electra_convert.pretraining.prepare import Preparation, prepare
from electra_convert.pretraining.processes import accelerator_of, check_split, computed_by
from electra_convert.pretraining.processor import multiplies_in_bfloat16, share_processor
from electra_convert.pretraining.progress import Relay, Reporter, Silent, default_reporter
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

_TRANSFORMERS = 5
# What the short form of a result tells of its metrics.
_SHOWN = ("masked_lm_loss", "disc_auc")
# What gloo and NCCL say where another process has ended.
_PEER_GONE = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "remote process exited")


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


@arguments_for_options()
def pretrain(
    corpus: str | Path | Sequence[str | Path] | Iterable[str],
    output: str | Path,
    reporter: Reporter | None = None,
    *,
    vocab: str | Path | None = None,
    train_vocab: int | None = None,
    cased: bool | None = None,
    uncased: bool | None = None,
    strip_accents: bool | None = None,
    tokenize_chinese_chars: bool | None = None,
    added_tokens: str | Path | Sequence[str] | None = None,
    tokenizer: str | Path | None = None,
    words_file: str | Path | None = None,
    text_column: str | int | None = None,
    one_sentence_per_line: bool = False,
    split_long_lines: bool = False,
    model_size: ModelSize | None = None,
    steps: int | None = None,
    epochs: float | None = None,
    warmup_steps: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    max_length: int | None = None,
    save_steps: int | None = None,
    hparams: str | Path | Mapping[str, Any] | None = None,
    generator: str | Path | Mapping[str, Any] | None = None,
    discriminator: str | Path | Mapping[str, Any] | None = None,
    init_from: str | Path | None = None,
    init_generator: str | Path | None = None,
    extend_vocabulary: str | Path | None = None,
    extend_positions: int | None = None,
    reset_optimizer: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    export: Literal["tf", "tensorflow"] | None = None,
    seed: int = 0,
    held_out: float | None = None,
    eval_corpus: str | Path | None = None,
    accumulate: int = 1,
    memory_limit: int | str | None = None,
    precision: Precision = "float32",
    compile: bool = False,
    evaluate_only: bool = False,
    time_limit: float | str | None = None,
    log_steps: int = 20,
    cache: str | Path | None = None,
) -> Pretraining:
    """Pretrain an ELECTRA generator and discriminator.

    >>> from electra_convert import pretrain
    >>> tiny = {"model_hparam_overrides": {"hidden_size": 64, "num_hidden_layers": 3}, "generator_layers": 0.34}
    >>> run = pretrain("fixtures/corpus", "my-electra", vocab="fixtures/vocab.txt", steps=4, warmup_steps=2,
    ...     batch_size=4, max_length=64, hparams=tiny, cache="cache")
    >>> run
    <Pretraining 'my-electra/model': step 4, masked_lm_loss ..., disc_auc ...>
    >>> run.notes[0]
    'The corpus has ... tokens in ... sequences.'

    Args:
        corpus: files of text, JSON lines, CSV, TSV, Parquet or TFRecords of google-research/electra, folders of them,
            hf://datasets/OWNER/NAME; or documents: a text each, from anything that can be iterated over. A list is of
            documents where none of its texts is the name of a file, and one has a space in it.
        output: the folder of the run, with its checkpoints, reports and models.
        reporter: told how the run goes; by default a display in a notebook, and nobody elsewhere.
        vocab: a vocab.txt, or a tokenizer's folder, to borrow the vocabulary of.
        train_vocab: train a vocabulary of so many tokens on the corpus.
        cased: whether the tokenizer keeps upper case; by default the hparams decide, or else the vocabulary.
        uncased: the opposite of cased, for those who would rather say it so.
        strip_accents: whether the tokenizer strips accents; by default whenever it lower-cases.
        tokenize_chinese_chars: whether each ideograph is a word of its own; by default it is, as in Google's code.
        added_tokens: pieces of the vocabulary that are matched whole: a list, or a file with one on each line.
        tokenizer: "wordpiece", the default; "whitespace", each word between spaces a token; "characters"; or the
            folder of a tokenizer of any kind, which is taken as it is.
        words_file: a file with a word on each line, of a script without spaces, for the hparam whole_word_masking.
        text_column: the column of JSON lines, CSV, TSV and Parquet that holds the text: a name, or a number from 1
            where there is no header.
        one_sentence_per_line: blank lines and rows end no document.
        split_long_lines: split lines that are longer than a sequence, so that no text is cut off.
        model_size: the discriminator's size; small by default.
        steps: the length of the whole run in optimiser steps; 1,000,000 by default.
        epochs: the length of the whole run in passes over the corpus, in place of steps; may be a fraction.
        warmup_steps: the length of the warm-up in steps; 10,000 by default.
        batch_size: sequences a step, in all processes together; 128 by default.
        learning_rate: the highest rate; by default the paper's: 0.0005 for small models, 0.0002 for larger ones.
        max_length: tokens a sequence, special ones included; 128 by default.
        save_steps: steps from one checkpoint to the next; 1,000 by default.
        hparams: all hparams of run_pretraining.py: a dictionary, JSON, or a file that holds it.
        generator: the generator's configuration: a config.json of transformers, of any architecture that has a masked
            language model, or sizes such as {"embedding_size": 128, "hidden_size": 64, "num_hidden_layers": 12}.
        discriminator: the discriminator's, of any architecture that has an encoder.
        init_from: a checkpoint to start from, hf:// addresses included; one with optimiser slots is continued.
        init_generator: a generator to go with the discriminator, or encoder, that init_from is.
        extend_vocabulary: a file of new pieces, or a longer vocabulary, for which rows are added to init_from's.
        extend_positions: how many positions init_from is to have; sequences are as long unless max_length says else.
        reset_optimizer: take only the weights of init_from, and begin a new schedule.
        resume: continue the run in output from its last good checkpoint.
        overwrite: replace the run in output.
        export: "tf" to write a TensorFlow checkpoint too, with slots and step.
        seed: what all random numbers follow from.
        held_out: the share of sequences held out for evaluation, from 0 up and below 1; 0.01 by default, and 0 with
            eval_corpus.
        eval_corpus: another corpus to evaluate on.
        accumulate: compute each batch in so many parts, to take less memory.
        memory_limit: compute each batch in as many parts as keep a process below this: bytes, or text such as "2GB".
        precision: of matrix products; weights and optimiser stay float32.
        compile: compile the model with torch.compile.
        evaluate_only: train nothing, and evaluate what init_from or resume finds.
        time_limit: save the run and end after this long: seconds, or text such as "2h"; resume continues it.
        log_steps: steps from one report of the losses to the next.
        cache: the folder of tokenised corpora; by default in the user's cache folder.

    Returns:
        What was left behind. Warnings are in it, and issued as ElectraWarning when they arise.

    Raises:
        ElectraConvertError: the message says why; a run that had begun can be resumed from its last checkpoint.
    """
    options = PretrainOptions(
        hparams=hparams,
        generator=generator,
        discriminator=discriminator,
        model_size=model_size,
        steps=steps,
        epochs=epochs,
        warmup_steps=warmup_steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        max_length=max_length,
        save_steps=save_steps,
        vocab=None if vocab is None else Path(vocab),
        train_vocab=train_vocab,
        lower_case=lowers_case(cased, uncased),
        strip_accents=strip_accents,
        tokenize_chinese_chars=tokenize_chinese_chars,
        added_tokens=read_added_tokens(added_tokens),
        tokenizer=tokenizer,
        words_file=read_path("words-file", words_file),
        text_column=text_column,
        one_sentence_per_line=one_sentence_per_line,
        split_long_lines=split_long_lines,
        init_from=None if init_from is None else local_source(init_from),
        init_generator=None if init_generator is None else local_source(init_generator),
        extend_vocabulary=None if extend_vocabulary is None else Path(extend_vocabulary),
        extend_positions=extend_positions,
        reset_optimizer=reset_optimizer,
        resume=resume,
        overwrite=overwrite,
        seed=seed,
        held_out=held_out,
        eval_corpus=None if eval_corpus is None else as_source(eval_corpus),
        accumulate=accumulate,
        memory_limit=read_size(memory_limit),
        precision=precision,
        compile=compile,
        evaluate_only=evaluate_only,
        time_limit=read_duration(time_limit),
        log_steps=log_steps,
        export_tf=exports_tensorflow(export),
        cache=None if cache is None else Path(cache),
    )
    told = _Warning(reporter or default_reporter())
    result = run_pretraining(as_places(corpus), Path(output), options, told)
    notes, warnings = (tuple(map(with_arguments, lines)) for lines in (result.notes, result.warnings))
    return replace(result, notes=notes, warnings=warnings)


class _Warning(Relay):
    """Issues what a reporter is warned of as Python's warnings too."""

    def noticed(self, line: str) -> None:
        """Tell it, of arguments where it speaks of options."""
        super().noticed(with_arguments(line))

    def warned(self, line: str) -> None:
        """Tell it likewise, and point at the line that called pretrain."""
        super().warned(with_arguments(line))
        warn_caller(line)


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
        told = _told(error, rank, options.compile)
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


def _told(error: RuntimeError, rank: int, compiled: bool) -> TrainingError | None:
    """What a user can do something about among torch's errors; None for the others."""
    said, kind = str(error), type(error)
    line = said.strip().partition("\n")[0]
    if kind.__name__ == "OutOfMemoryError" or "can't allocate memory" in said:
        return TrainingError(
            f"memory ran out: {line}",
            "Compute each batch in parts with --accumulate, or give a smaller --batch-size or --max-length.",
        )
    if rank and any(sign in said for sign in _PEER_GONE):
        return TrainingError(f"process {rank} ends because another has", "What that one says tells why.")
    if compiled and kind.__module__.startswith(("torch._dynamo", "torch._inductor")):
        return TrainingError(
            f"torch.compile failed: {line}", "Leave --compile out; on a processor it needs a C++ compiler."
        )
    return None


def _run(
    places: Sequence[Place], output: Path, options: PretrainOptions, notes: Sequence[str], reporter: Reporter
) -> Pretraining:
    from electra_convert.pretraining.checkpoints import latest
    from electra_convert.pretraining.fitting import as_the_first, estimated, within_memory
    from electra_convert.pretraining.loop import evaluate_alone, train
    from electra_convert.pretraining.run_files import RunFiles
    from electra_convert.pretraining.train_state import begin, begin_any, make_state

    accelerator = accelerator_of(options)
    first = bool(accelerator.is_main_process)
    told = Relay(reporter if first else Silent())
    pauses = Pauses(options.time_limit, told.noticed)
    for line in notes:
        told.noticed(line)
    with ExitStack() as stack:
        saved, damaged = latest(output / CHECKPOINTS) if options.resume else (None, [])
        for line in damaged:
            told.warned(line)
        # A checkpoint of models of any architecture is read once these are made.
        any_models = saved is not None and (saved.models / "discriminator" / DETECTOR_RECORD).is_file()
        start = None if any_models else stack.enter_context(opened(saved.models if saved else None, options))
        standing = identity(output) if options.overwrite else None
        if options.resume and first:
            stack.enter_context(locked(output))
        if options.evaluate_only and start is None:
            told.warned("No checkpoint was given (--init-from, --resume): what is evaluated has never been trained.")
        # Nothing is written before all is known to fit; the other processes read what the first one writes.
        with accelerator.main_process_first():
            preparation = _prepared(places, output, options, start, told, accelerator)
            check_split(preparation, options, accelerator)
            state = make_state(preparation, accelerator.device, options.compile, options.seed)
            if preparation.designs:
                folder, step = (saved.models, saved.step) if saved else (None, 0)
                begin_any(state, folder, step, preparation.settings, told)
            else:
                begin(state, preparation.start, preparation.settings, options, told)
            batches, settings = _batches(preparation, options), preparation.settings
            if first and options.memory_limit is not None:
                before = read_run(output)[0]["computed"] if options.resume else {}
                options = within_memory(
                    options.memory_limit, state, batches, settings, options, before, accelerator, told
                )
            new = None
            if first and not options.resume:
                how = computed_by(options, accelerator)
                fill = partial(write_run, preparation=preparation, options=options, computed=how)
                new = stack.enter_context(begun(output, standing, fill))
        options = as_the_first(options, accelerator)
        if options.resume:
            for line in changed(read_run(output)[0], computed_by(options, accelerator)):
                told.warned(line)
        state.pending = saved.pending if saved else []
        files = RunFiles(output, preparation, options, accelerator, told, new, state.step)
        with _end_told(output):
            if options.evaluate_only:
                evaluate_alone(state, batches, settings, options, accelerator, files)
            elif state.step < settings.num_train_steps:
                _tell_of_precision(options, accelerator, told)
                if first and options.memory_limit is None:
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
        files.finish(state, options.export_tf)
    return Pretraining(
        output=output,
        model=output / MODEL,
        tensorflow=output / TENSORFLOW if options.export_tf else None,
        step=state.step,
        metrics=files.metrics,
        notes=tuple(told.notes),
        warnings=tuple(told.warnings),
        is_main_process=first,
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


def _prepared(
    places: Sequence[Place],
    output: Path,
    options: PretrainOptions,
    start: Start | None,
    reporter: Reporter,
    accelerator: Any,  # noqa: ANN401
) -> Preparation:
    """The first process decides on a new run and writes it down; the others, and a resumed run, read it there."""
    if accelerator.is_main_process and not options.resume:
        return prepare(places, options, start, None, reporter)
    record, decided = read_run(output)
    if options.resume:
        require_same_tokenizer(record, decided.pieces, options)
    preparation = prepare(places, options, start, decided, reporter)
    require_same(record, preparation, options)
    return preparation


def _batches(preparation: Preparation, options: PretrainOptions) -> Batches:
    ids = preparation.pieces.special_ids
    settings, share = preparation.settings, options.held_out_share
    return Batches(preparation.corpus, ids, settings, options.seed, share, preparation.evaluated, preparation.rows)
