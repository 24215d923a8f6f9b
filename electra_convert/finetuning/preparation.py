"""All decisions before anything is trained: the task with its labels, the recipe, and the rows of every split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from electra_convert.errors import ConfigError, CorpusError, UsageError, listing
from electra_convert.finetuning.data.examples import Chunk, LabelledText
from electra_convert.finetuning.data.reading import SPLITS, Data
from electra_convert.finetuning.encoding import Row, TextEncoder, filler
from electra_convert.finetuning.options import FinetuneOptions, TaskName
from electra_convert.finetuning.recipe import Recipe, recipe_of
from electra_convert.finetuning.starting import Start
from electra_convert.finetuning.tasks.fill_mask import FillMask, chunks_of
from electra_convert.finetuning.tasks.question_answering import QuestionAnswering
from electra_convert.finetuning.tasks.task import Task
from electra_convert.finetuning.tasks.text_classification import (
    TextClassification,
    TextRegression,
    is_scale,
    require_numbers,
)
from electra_convert.finetuning.tasks.token_classification import TokenClassification
from electra_convert.finetuning.training import Rows, SameRows
from electra_convert.pretraining.progress import Reporter

# Of fill-mask, a tenth is held out as in the course.
_HELD_OUT = 10


@dataclass(frozen=True)
class Preparation:
    """A run as it is decided.

    Attributes:
        task: what is learned.
        recipe: how.
        encoder: the model's tokenizer.
        data: the examples.
        rows: what the model is given of each split; of fill-mask's training data nothing yet, since masks change.
        lines: of fill-mask, the texts that are held out, or all.
        segment: the token type of a text by itself, where the task sets one.
    """

    task: Task[Any]
    recipe: Recipe
    encoder: TextEncoder
    data: Data[Any]
    rows: Mapping[str, Sequence[Row]]
    lines: Sequence[str] = ()
    segment: int = 0

    @property
    def padding(self) -> int:
        """The id of padding."""
        return self.encoder.special["[PAD]"]

    def training_rows(self, seed: int) -> Rows:
        """What a run with a seed is trained on."""
        batch = self.recipe["batch_size"]
        if isinstance(self.task, FillMask):
            return MaskedRows(self.task, self.data.train, seed, batch)
        return SameRows(self.rows["train"], batch)


class MaskedRows:
    """Chunks with other masks in every pass, drawn from the seed, the pass and the chunk alone.

    Args:
        task: masks them.
        chunks: what is trained on.
        seed: of the run.
        batch: rows a step; the last step is filled up with chunks of which nothing is asked.
    """

    def __init__(self, task: FillMask, chunks: Sequence[Chunk], seed: int, batch: int) -> None:
        self._task, self._chunks, self._seed = task, chunks, seed
        self._length = -(-len(chunks) // batch) * batch
        self.epoch = 0

    def __len__(self) -> int:
        """How many rows there are."""
        return self._length

    def __getitem__(self, index: int) -> Row:
        """A chunk with its masks of this pass."""
        chosen = min(index, len(self._chunks) - 1)
        row = self._task.masked(self._chunks[chosen], chosen, (0, self._seed, self.epoch, chosen))
        return row if index < len(self._chunks) else filler(row)


def prepare(
    name: TaskName, start: Start, data: Data[Any], options: FinetuneOptions, reporter: Reporter
) -> Preparation:
    """Decide on a run.

    Raises:
        CorpusError: labels, answers or texts are not what can be learned.
        ConfigError: the rows would be longer than the model takes.
        UsageError: an option is for ELECTRA alone.
    """
    if options.max_length is not None and options.max_length > start.longest:
        raise ConfigError(
            f"--max-length is {options.max_length}, and {start.base['name']} takes {start.longest} tokens",
            "Longer texts are cut, or read in windows.",
        )
    if options.google_head and not start.is_electra:
        raise UsageError(f"--google-head is ELECTRA's, and {start.base['name']} is none", "Leave it out.")
    recipe = recipe_of(name, start.config, start.is_electra, start.longest, options)
    segment = 1 if options.google_head and name == "token-classification" else 0
    encoder = TextEncoder(start.tokenizer, recipe["max_length"], segment)
    if name == "fill-mask":
        return _of_text(encoder, recipe, data, options, reporter)
    task = _task(name, data, reporter)
    rows = {split: task.rows(data.of(split), encoder) for split in SPLITS if data.of(split)}
    _tell_of_lengths(data.train, rows["train"], encoder, reporter)
    if len(rows) == 1:
        reporter.noticed("Nothing is evaluated: --dev and --test say on what.")
    return Preparation(task, recipe, encoder, data, rows, (), segment)


def _task(name: TaskName, data: Data[Any], reporter: Reporter) -> Task[Any]:
    if name == "token-classification":
        return TokenClassification(data.train)
    if name == "question-answering":
        return QuestionAnswering()
    require_numbers(data.train)
    labels = [example.label for example in data.train]
    if is_scale(labels):
        reporter.noticed(
            f"The labels are numbers, from {min(labels, key=float)} to {max(labels, key=float)}: a number is "
            "estimated, not a class."
        )
        return TextRegression()
    if all(label.isdecimal() for label in labels):
        reporter.noticed(
            f"The labels {listing(sorted(set(labels), key=int), 5)} are taken for classes, not for a scale."
        )
    return TextClassification(data.train)


def _tell_of_lengths(examples: Sequence[Any], rows: Sequence[Row], encoder: TextEncoder, reporter: Reporter) -> None:
    full = [examples[row.example] for row in rows if len(row.ids) == encoder.longest]
    cut = sum(encoder.is_cut(one.text, one.pair) for one in full if isinstance(one, LabelledText))
    if cut:
        reporter.noticed(f"{cut:,} of {len(examples):,} texts are cut off at {encoder.longest} tokens.")


def _of_text(
    encoder: TextEncoder, recipe: Recipe, data: Data[Any], options: FinetuneOptions, reporter: Reporter
) -> Preparation:
    chunks = {split: chunks_of(data.of(split), encoder, name) for split, name in data.names.items()}
    for split, found in chunks.items():
        if not found:
            raise CorpusError(f"{data.names[split]} has no text that becomes tokens", "Give a file of text.")
    train, dev = chunks["train"], chunks.get("dev", [])
    order = np.random.default_rng(options.seed).permutation(len(train)).tolist()
    if not dev:
        wanted = max(1, min(len(train), (options.samples or len(train))) // _HELD_OUT)
        if len(train) < 2:
            raise CorpusError(
                f"{data.names['train']} has too little text: {len(train)} chunk of {encoder.longest} tokens",
                "Give more, or --dev, or a smaller --max-length.",
            )
        dev, order = [train[index] for index in order[:wanted]], order[wanted:]
        reporter.noticed(f"{len(dev):,} chunks of {data.names['train']} are held out to evaluate on.")
    train = [train[index] for index in sorted(order[: options.samples])]
    task = FillMask(encoder)
    whole = data.with_examples(train=train, dev=dev, test=chunks.get("test", []))
    rows = {split: task.rows(whole.of(split), encoder) for split in ("dev", "test") if whole.of(split)}
    return Preparation(task, recipe, encoder, whole, rows, data.dev or data.train)
