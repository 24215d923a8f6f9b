"""electra-convert score: rows of any number, out again with what a model says of each."""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click
from click.core import ParameterSource

from electra_convert.cli.guide import Guide, GuidedCommand
from electra_convert.cli.printing import on_terminal, print_message, print_result
from electra_convert.cli.shared import SOURCE_IS, config_options, prepare_hub, task_options, tokenizer_options
from electra_convert.cli.values import PATH, SOURCE
from electra_convert.errors import UsageError, counted
from electra_convert.version import __version__

if TYPE_CHECKING:
    from electra_convert.demo.model import LoadedModel
    from electra_convert.demo.opening import FineTuned
    from electra_convert.scoring.rows import Row
    from electra_convert.scoring.score import Sink, Totals
    from electra_convert.tokenizer.of_checkpoint import TokenizerOptions

GUIDE = Guide(
    arguments={
        "MODEL": f"{SOURCE_IS} It need not be converted first.",
        "INPUT": "Lines of text, JSON lines, CSV, TSV or Parquet, packed by gzip or zstd or not; - stands for "
        "standard input, which is also the default.",
    },
    groups={
        "Columns": "text-column pair-column",
        "Scores": "tokens question",
        "Output": "output resume overwrite quiet",
        "Where": "engine threads device",
        "Vocabulary": "vocab",
    },
    examples=(
        "electra-convert score my-electra lines.txt -o scored.jsonl",
        "electra-convert score my-classifier reviews.csv --text-column review",
        "electra-convert score my-tagger many.parquet -o tagged.jsonl --resume",
    ),
    page="docs/scoring.md",
)
# Options that say what an ONNX model's folder says already, or where PyTorch computes.
_OF_TORCH = (
    *("vocab", "cased", "strip_accents", "tokenize_chinese_chars", "added_tokens"),
    *("hparams", "config", "task", "labels", "device"),
)
_TOLD = 10  # faulty rows
_EVERY = 0.5  # seconds between two looks at the speed


@click.command("score", cls=GuidedCommand, guide=GUIDE, short_help="Score any number of lines or rows with a model.")
@click.argument("model", type=SOURCE)
@click.argument("given", metavar="[INPUT]", type=PATH, default="-")
@click.option(
    "--text-column",
    metavar="NAME",
    help="The column of a table that holds the text, or its number from 1 where there is no header. By default, the "
    "one called text.",
)
@click.option(
    "--pair-column",
    metavar="NAME",
    help="The column of what goes with each text: a second one for a classifier of two, or a question.",
)
@click.option("--tokens", is_flag=True, help="Also tell of every token and every word how likely it was replaced.")
@click.option("--question", metavar="TEXT", help="The question that is answered in the words of every text.")
@click.option(
    "-o",
    "--output",
    type=PATH,
    metavar="FILE",
    help="Where the scored rows go. It has its name once it is whole, and until then FILE.partial. By default, "
    "standard output.",
)
@click.option("--resume", is_flag=True, help="Go on with an output that was cut off, or begin one that is not there.")
@click.option("--overwrite", is_flag=True, help="Replace the output if it exists.")
@click.option(
    "--engine",
    type=click.Choice(["torch", "onnx"]),
    default="torch",
    show_default=True,
    help="What runs the model: PyTorch, or onnxruntime: the onnx/model.onnx of a folder, or a .onnx file.",
)
@click.option(
    "--threads",
    type=click.IntRange(1),
    metavar="N",
    help="How many threads compute. By default, as many as the cores this process may use.",
)
@click.option(
    "--device", default="cpu", show_default=True, metavar="NAME", help="Where PyTorch computes, such as cuda."
)
@click.option("-q", "--quiet", is_flag=True, help="Print the scores alone: no progress, notes or warnings.")
@click.option(
    "--vocab",
    type=PATH,
    metavar="FILE|FOLDER",
    help="The vocabulary, or a tokenizer's folder. By default, the one beside the model.",
)
@task_options
@tokenizer_options
@config_options
def command(
    model: str | Path,
    given: Path,
    text_column: str | None,
    pair_column: str | None,
    tokens: bool,
    question: str | None,
    output: Path | None,
    resume: bool,
    overwrite: bool,
    engine: str,
    threads: int | None,
    device: str,
    quiet: bool,
    vocab: Path | None,
    hparams: str | None,
    config: Path | None,
    cased: bool | None,
    strip_accents: bool | None,
    tokenize_chinese_chars: bool | None,
    added_tokens: Path | None,
    task: str | None,
    labels: str | None,
) -> None:
    """Score every line or row of INPUT with MODEL: one comes out for each, in their order.

    A discriminator says how likely the tokens of each text were replaced; a fine-tuned model gives its classes, tags
    or answers. Lines and Parquet come out as JSON lines, other tables as they are with columns added. However long
    INPUT is, no more of it is held than is scored at once.
    """
    from electra_convert.demo.opening import FineTuned
    from electra_convert.pretraining.corpus.files import parse_column
    from electra_convert.schemes.layouts import read_task
    from electra_convert.scoring.asking import scorer_of
    from electra_convert.scoring.rows import Columns, opened_rows
    from electra_convert.scoring.score import score_rows
    from electra_convert.tokenizer.of_checkpoint import TokenizerOptions

    columns = Columns(parse_column(text_column), parse_column(pair_column))
    _refuse_contradictions(output, resume, overwrite)
    source = _source(given, resume)
    _refuse_same_file(source, output)
    options = TokenizerOptions(
        vocab=vocab,
        lower_case=None if cased is None else not cased,
        strip_accents=strip_accents,
        tokenize_chinese_chars=tokenize_chinese_chars,
        added_tokens=added_tokens,
    )
    fine_tuned = FineTuned(read_task(task), labels)
    if engine == "onnx":
        loaded = _run_by_onnxruntime(model, threads)
    else:
        loaded = _run_by_torch(model, threads, quiet, options, hparams, config, device, fine_tuned)
    for notice in () if quiet else loaded.notices:
        print_message("Note", notice)
    scorer = scorer_of(loaded, tokens, question, columns.pair is not None)
    begun_with = {
        "version": __version__,
        "engine": engine,
        "model": loaded.fingerprint(),
        "text_column": columns.text,
        "pair_column": columns.pair,
        "question": question,
        "tokens": tokens,
    }
    listener = Display(quiet, to_file=output is not None)
    with opened_rows(source, columns, scorer.names) as rows:
        _require_ending(output, rows.kind)
        with _sink(output, begun_with, resume, overwrite, not rows.waits) as sink:
            totals = score_rows(rows, scorer, sink, listener)
    listener.close(totals, output)


def _run_by_torch(
    model: str | Path,
    threads: int | None,
    quiet: bool,
    options: TokenizerOptions,
    hparams: str | None,
    config: Path | None,
    device: str,
    fine_tuned: FineTuned,
) -> LoadedModel:
    from electra_convert.demo.network import use_threads
    from electra_convert.demo.opening import load
    from electra_convert.frameworks import require_packages
    from electra_convert.processor import keep_no_kernels, share_processor

    if Path(model).suffix == ".onnx":
        raise UsageError(f"{model} is an ONNX model, which PyTorch does not run", "Add --engine onnx.")
    require_packages("torch", "to run a model", "torch")
    prepare_hub(quiet)
    share_processor()
    keep_no_kernels()
    use_threads(threads)
    return load(model, "discriminator", None, options, hparams, config, device, fine_tuned)


def _run_by_onnxruntime(model: str | Path, threads: int | None) -> LoadedModel:
    """The model with what lies in its folder, which no option changes; PyTorch is not imported."""
    from electra_convert.demo.onnx_models import load_onnx
    from electra_convert.frameworks import require_packages

    context = click.get_current_context()
    given = [name for name in _OF_TORCH if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    if given:
        raise UsageError(
            f"--{given[0].replace('_', '-')} is for models that PyTorch runs: with --engine onnx the files of the "
            "model's folder are taken as they are",
            "Leave out one of the two.",
        )
    require_packages("onnx", "to run ONNX models", "onnxruntime")
    return load_onnx(model, threads)


def _refuse_contradictions(output: Path | None, resume: bool, overwrite: bool) -> None:
    for name, given in (("--resume", resume), ("--overwrite", overwrite)):
        if given and output is None:
            raise UsageError(f"{name} does nothing without --output")
    if resume and overwrite:
        raise UsageError("--resume goes on with an output, --overwrite begins it anew: give one of them")


def _source(given: Path, resume: bool) -> Path | IO[bytes]:
    """A file, or standard input: a stream of its own, since Python ends only once nobody reads sys.stdin."""
    if given != Path("-"):
        if resume and given.exists() and not given.is_dir() and not given.is_file():
            raise _gone(str(given))
        return given
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError("there is nothing to score", "Give a file: electra-convert score MODEL lines.txt")
    if resume and not stat.S_ISREG(os.fstat(sys.stdin.fileno()).st_mode):
        raise _gone("standard input")
    return open(sys.stdin.fileno(), "rb", closefd=False)


def _refuse_same_file(source: Path | IO[bytes], output: Path | None) -> None:
    """Refuse to write where the input is read, or where a file lies while it is written."""
    from electra_convert.scoring.partial import files_of

    if output is None or (isinstance(source, Path) and not source.exists()):
        return
    read = source.stat() if isinstance(source, Path) else os.fstat(source.fileno())
    if same := [path for path in files_of(output) if path.exists() and os.path.samestat(read, path.stat())]:
        raise UsageError(f"{same[0]} is the input, and would be written over", "Give --output another name.")


def _gone(name: str) -> UsageError:
    return UsageError(f"--resume reads the input from its beginning, and {name} comes only once", "Give a file.")


def _require_ending(output: Path | None, kind: str) -> None:
    """Refuse a name that promises something else than what comes out."""
    from electra_convert.pretraining.corpus.files import KINDS, PACKED

    made = kind if kind in {"CSV", "TSV"} else "JSON lines"
    ending = "" if output is None else output.suffix.lower()
    said = "packed" if ending in PACKED else KINDS.get(ending)
    if output is not None and said not in {None, made}:
        raise UsageError(
            f"{output} is called as if it were {said}, and {kind} comes out as {made}",
            f"Call it {output.with_suffix('.jsonl' if made == 'JSON lines' else f'.{made.lower()}').name}.",
        )


@contextmanager
def _sink(
    output: Path | None, begun_with: Mapping[str, object], resume: bool, overwrite: bool, again: bool
) -> Iterator[Sink]:
    from electra_convert.scoring.partial import partial_file

    if output is None:
        yield StandardOutput()
        return
    with partial_file(output, begun_with, resume=resume, overwrite=overwrite, again=again) as sink:
        yield sink


class StandardOutput:
    """Scored rows printed as they come."""

    def has(self, _: Sequence[Row]) -> bool:
        """None are there."""
        return False

    def write(self, text: str) -> None:
        """Print rows."""
        print_result(text.removesuffix("\n"))


class Display:
    """Tells of faulty rows, and on a terminal how fast it goes.

    Args:
        quiet: whether nothing is told.
        to_file: whether the rows go to a file, and not to where a reader sees them.
    """

    def __init__(self, quiet: bool, to_file: bool) -> None:
        self._quiet = quiet
        self._shows: bool = not quiet and on_terminal(sys.stderr) and (to_file or not on_terminal(sys.stdout))
        self._start = self._shown = time.monotonic()
        self._faulty = 0

    def faulty(self, reason: str) -> None:
        """Tell of a row without scores, as long as they are few."""
        self._faulty += 1
        if self._quiet or self._faulty > _TOLD:
            return
        self._clear()
        print_message("Warning", f"{reason}; it gets no scores.")
        if self._faulty == _TOLD:
            print_message("Warning", "more such rows are counted at the end.")

    def done(self, totals: Totals) -> None:
        """Show how far it is."""
        if self._shows and time.monotonic() - self._shown > _EVERY:
            self._shown = time.monotonic()
            click.echo(f"\r\x1b[K{totals.rows:,} rows, {self._speed(totals)}", err=True, nl=False)

    def close(self, totals: Totals, output: Path | None) -> None:
        """Tell what was done."""
        self._clear()
        if self._quiet:
            return
        if totals.faulty > _TOLD:
            print_message("Warning", f"{totals.faulty:,} rows got no scores.")
        if totals.long:
            told = "is" if totals.long == 1 else "are"
            print_message("Note", f"{counted(totals.long, 'text')} {told} longer than the model's input.")
        if output is not None:
            before = f", {totals.resumed:,} of them before" if totals.resumed else ""
            print_message("Note", f"Wrote {output}: {counted(totals.rows, 'row')}{before}, {self._speed(totals)}.")

    def _speed(self, totals: Totals) -> str:
        seconds = max(time.monotonic() - self._start, 1e-9)
        return f"{(totals.rows - totals.resumed) / seconds:,.0f} a second"

    def _clear(self) -> None:
        if self._shows:
            click.echo("\r\x1b[K", err=True, nl=False)
