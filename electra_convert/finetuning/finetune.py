"""finetune: what a Python caller gives, put in one place; the work is done elsewhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

from electra_convert.errors import UsageError, arguments_for_options, warn_caller, with_arguments
from electra_convert.finetuning.options import FinetuneOptions, TaskName
from electra_convert.finetuning.run import Finetuning, run_finetuning
from electra_convert.hub.download import as_source
from electra_convert.pretraining.pauses import read_duration
from electra_convert.pretraining.progress import Reporter, default_reporter


@arguments_for_options()
def finetune(
    task: TaskName,
    model: str | Path,
    train: str | Path,
    output: str | Path,
    *,
    dev: str | Path | None = None,
    test: str | Path | None = None,
    text_column: str | int | None = None,
    pair_column: str | int | None = None,
    label_column: str | int | None = None,
    vocab: str | Path | None = None,
    epochs: float | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    max_length: int | None = None,
    samples: int | None = None,
    seed: int = 0,
    seeds: int = 1,
    google_head: bool = False,
    save_steps: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    time_limit: str | float | None = None,
    reporter: Reporter | None = None,
) -> Finetuning:
    """Fine-tune a model for a task, and leave a model folder with its record, predictions and curves.

    >>> data = "fixtures/finetuning/reviews"
    >>> result = finetune("text-classification", "fixtures/default", f"{data}-train.tsv", "my-classifier",
    ...                   dev=f"{data}-dev.tsv", vocab="fixtures/vocab.txt", epochs=1)
    >>> list(result.metrics["dev"]), result.finished
    (['accuracy', 'majority_accuracy', 'macro_f1', 'matthews'], True)

    Args:
        task: token-classification, text-classification (numbers as labels: regression), question-answering, or
            fill-mask, which adapts a masked language model to the text of a domain.
        model: anything that convert takes, or a model of another architecture that transformers has a class of.
        train: what is learned from: a file, or hf://datasets/OWNER/NAME/CONFIG/SPLIT.
        output: the folder of the run; the model is in model/.
        dev: what is evaluated on after every pass.
        test: what is evaluated on at the end.
        text_column: the column of the text or the words: a name, or a number from 1 where there is no header.
        pair_column: that of a second text.
        label_column: that of the label or the labels.
        vocab: the vocabulary of a checkpoint that has none beside it.
        epochs: passes over the training data.
        batch_size: rows a step, in all processes together.
        learning_rate: the highest rate.
        max_length: tokens a row; longer texts are cut, sentences and passages read in windows.
        samples: of fill-mask, how many chunks are trained on.
        seed: what all random numbers follow from.
        seeds: how many runs there are, each with its own seed; the model nearest to their median is kept.
        google_head: the head as Google's code has it, so that the model converts back to TensorFlow with it.
        save_steps: steps between checkpoints; by default once a pass.
        resume: continue the run in output.
        overwrite: replace it.
        time_limit: save the run and end after this long: seconds, or text such as "2h".
        reporter: told how it goes.

    Returns:
        What was left behind.

    Raises:
        ElectraConvertError: the message says why.
    """
    if task not in get_args(TaskName):
        raise UsageError(f"the task is {task!r}, expected one of {', '.join(get_args(TaskName))}")
    options = FinetuneOptions(
        dev=None if dev is None else as_source(dev),
        test=None if test is None else as_source(test),
        text_column=_column(text_column),
        pair_column=_column(pair_column),
        label_column=_column(label_column),
        vocab=None if vocab is None else Path(vocab),
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        max_length=max_length,
        samples=samples,
        seed=seed,
        seeds=seeds,
        google_head=google_head,
        save_steps=save_steps,
        resume=resume,
        overwrite=overwrite,
        time_limit=read_duration(time_limit),
    )
    listener = reporter or default_reporter()
    result = run_finetuning(task, as_source(model), as_source(train), Path(output), options, listener)
    for line in result.warnings:
        warn_caller(line)
    notes, warnings = (tuple(map(with_arguments, lines)) for lines in (result.notes, result.warnings))
    return replace(result, notes=notes, warnings=warnings)


def _column(given: str | int | None) -> str | None:
    return None if given is None else str(given)
