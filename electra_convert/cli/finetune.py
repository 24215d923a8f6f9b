"""electra-convert finetune, with its results in words and in JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from electra_convert.cli.guide import Guide, GuidedCommand
from electra_convert.cli.printing import as_text, one_line, print_json, print_result, table
from electra_convert.cli.shared import output_options, prepare_hub
from electra_convert.cli.training_display import training_display
from electra_convert.cli.values import PATH, SOURCE

if TYPE_CHECKING:
    from electra_convert.finetuning.run import Finetuning

GUIDE = Guide(
    arguments={
        "TASK": "token-classification (tags, names), text-classification (classes, or numbers), question-answering, "
        "or fill-mask, which adapts a masked language model to text.",
        "MODEL": "Anything that convert takes, a TensorFlow checkpoint too; or a model of another architecture.",
        "TRAIN": "What is learned from: columns of words and labels as of CoNLL; .csv, .tsv, .jsonl or .parquet with "
        "named columns; SQuAD's JSON; text for fill-mask; or hf://datasets/OWNER/NAME[@REVISION][/CONFIG/SPLIT].",
        "OUTPUT": "The folder of the run: the model in model/, and what --resume needs in checkpoints/.",
    },
    groups={
        "Data": "dev test text-column label-column",
        "The run": "epochs batch-size learning-rate seeds resume overwrite",
        "Output": "json quiet",
    },
    examples=(
        "electra-convert finetune text-classification my-electra a.tsv out --dev b.tsv",
        "electra-convert finetune fill-mask my-electra reviews.txt adapted --seeds 3",
    ),
    page="docs/finetuning.md",
)


@click.command("finetune", cls=GuidedCommand, guide=GUIDE, short_help="Fine-tune a model for a task.")
@click.argument(
    "task",
    metavar="TASK",
    type=click.Choice(["token-classification", "text-classification", "question-answering", "fill-mask"]),
)
@click.argument("model", type=SOURCE)
@click.argument("train", type=SOURCE)
@click.argument("output", type=PATH)
@click.option("--dev", type=SOURCE, metavar="FILE", help="Evaluate on this after every pass.")
@click.option("--test", type=SOURCE, metavar="FILE", help="Evaluate on this at the end.")
@click.option(
    "--text-column",
    metavar="NAME|NUMBER",
    help="The column of the text or the words: a name, or a number from 1 where there is no header.",
)
@click.option("--pair-column", metavar="NAME|NUMBER", help="The column of a second text.")
@click.option("--label-column", metavar="NAME|NUMBER", help="The column of the label, or of the labels.")
@click.option(
    "--vocab", type=PATH, metavar="FILE|FOLDER", help="The vocabulary of a checkpoint that has none beside it."
)
@click.option("--epochs", type=float, help="Passes over TRAIN; by default as Google's code for the task, 2 or 3.")
@click.option("--batch-size", type=int, help="Rows a step, in all processes together; by default the recipe's.")
@click.option("--learning-rate", type=float, help="The highest rate; by default the paper's for the model's size.")
@click.option("--max-length", type=int, help="Tokens a row; longer sentences and passages are read in windows.")
@click.option("--samples", type=int, help="Of fill-mask, how many chunks of --max-length are trained on.")
@click.option("--seed", type=int, default=0, show_default=True, help="The seed of all random numbers.")
@click.option(
    "--seeds", type=int, default=1, show_default=True, help="Runs, each with its own seed; median and range are told."
)
@click.option("--google-head", is_flag=True, help="The head as Google's code has it, which converts back to it.")
@click.option("--save-steps", type=int, help="Steps between checkpoints; by default once a pass.")
@click.option("--resume", is_flag=True, help="Continue the run in OUTPUT from its last good checkpoint.")
@click.option("--overwrite", is_flag=True, help="Replace the run in OUTPUT.")
@click.option(
    "--time-limit", metavar="TIME", help="Save the run and end after this long, such as 90m; --resume continues it."
)
@output_options
def command(
    task: Any,  # noqa: ANN401 - one of the choices
    model: str | Path,
    train: str | Path,
    output: Path,
    time_limit: str | None,
    as_json: bool,
    quiet: bool,
    **given: Any,  # noqa: ANN401 - the fields of FinetuneOptions
) -> None:
    """Fine-tune MODEL for TASK on TRAIN, and keep the run in the folder OUTPUT.

    ELECTRA is trained by Google's recipe, other models by transformers' defaults; each value is told with its origin.
    """
    from electra_convert.finetuning.options import FinetuneOptions
    from electra_convert.finetuning.run import run_finetuning
    from electra_convert.pretraining.pauses import read_duration

    prepare_hub(quiet or as_json)
    options = FinetuneOptions(time_limit=read_duration(time_limit), **given)
    with training_display(quiet or as_json) as display:
        result = run_finetuning(task, model, train, output, options, display)
    if not result.is_main_process:
        return
    if as_json:
        print_json(finetuning_fields(result))
    elif quiet:
        print_result(one_line(str(result.model)))
    else:
        print_result(finetuning_text(result))


def finetuning_fields(result: Finetuning) -> dict[str, Any]:
    """What `finetune --json` prints."""
    return {
        "output": str(result.output),
        "model": str(result.model),
        "task": result.task,
        "step": result.step,
        "finished": result.finished,
        "metrics": result.metrics,
        "before": result.before,
        "seeds": result.seeds,
        "filled": result.filled,
        "notices": result.notes,
        "warnings": result.warnings,
    }


def finetuning_text(result: Finetuning) -> str:
    """What `finetune` prints."""
    if not result.finished:
        return as_text([f"Trained to step {result.step}.", f"The run is kept in {result.output}"])
    lines = [f"Trained to step {result.step}."]
    for split, metrics in result.metrics.items():
        before = result.before.get(split, {})
        rows = [(f"{value:.4f}", f"{name}{_was(before.get(name))}") for name, value in metrics.items()]
        lines += [f"On {split}:", *table(rows)]
    if seeds := result.seeds:
        lines.append(
            f"Of {len(seeds['by_seed'])} seeds, {seeds['metric']}: median {seeds['median']:.4f}, from "
            f"{seeds['least']:.4f} to {seeds['most']:.4f}."
        )
    for one in result.filled:
        sides = [(when, _shown(one[when])) for when in ("before", "after")]
        lines += ["", one["text"], *table([("text", one["word"]), *sides])]
    return as_text([*lines, "", f"Wrote {result.model}"])


def _was(before: float | None) -> str:
    return "" if before is None else f", before {before:.4f}"


def _shown(candidates: Any) -> str:  # noqa: ANN401 - of a record
    return ", ".join(f"{piece} {share:.2f}" for piece, share in candidates)
