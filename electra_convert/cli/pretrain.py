"""electra-convert pretrain, with its results in words and in JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from electra_convert.cli.guide import Guide, GuidedCommand
from electra_convert.cli.printing import (
    as_text,
    one_line,
    print_json,
    print_message,
    print_result,
    table,
)
from electra_convert.cli.shared import output_options, prepare_hub, tokenizer_options
from electra_convert.cli.training_display import training_display
from electra_convert.cli.values import PATH, SOURCE, TEXT_OR_FILE

if TYPE_CHECKING:
    from electra_convert.pretraining.run import Pretraining

GUIDE = Guide(
    arguments={
        "CORPUS...": "UTF-8 text in which blank lines separate documents; .jsonl, .csv, .tsv or .parquet with "
        "--text-column, a document in each row; any of these as .gz or .zst; folders of them; a data set of the Hub, "
        "hf://datasets/OWNER/NAME[@REVISION][/CONFIG/SPLIT]; or TFRecords of Google's build_pretraining_dataset.py.",
        "OUTPUT": "The folder of the run: the trained pair in model/, and what --resume needs in checkpoints/.",
    },
    groups={
        "Vocabulary": "vocab train-vocab cased",
        "The run": "model-size steps batch-size init-from resume overwrite",
        "Output": "export json quiet",
    },
    examples=(
        "electra-convert pretrain corpus/ my-run --train-vocab 30000",
        "electra-convert pretrain corpus/ my-run --train-vocab 30000 --resume",
    ),
    page="docs/pretraining.md",
)


@click.command("pretrain", cls=GuidedCommand, guide=GUIDE, short_help="Pretrain a generator and a discriminator.")
@click.argument("corpus", type=SOURCE, nargs=-1, required=True)
@click.argument("output", type=PATH)
@click.option(
    "--vocab", type=PATH, metavar="FILE|FOLDER", help="Use this vocabulary: a vocab.txt, or a tokenizer's folder."
)
@click.option("--train-vocab", type=int, metavar="SIZE", help="Train a vocabulary of this many tokens on the corpus.")
@click.option(
    "--tokenizer",
    metavar="KIND|FOLDER",
    help="wordpiece, the default; whitespace, where each word between spaces is a token, such as the id of an item; "
    "characters, as of proteins; or a folder with any tokenizer.json, taken as it is.",
)
@click.option(
    "--words-file",
    type=PATH,
    metavar="FILE",
    help="The words of a script without spaces, one on each line, for the hparam whole_word_masking.",
)
@tokenizer_options
@click.option(
    "--text-column",
    metavar="NAME|NUMBER",
    help="The column that holds the text: a name, or a number from 1 in files without a header.",
)
@click.option(
    "--split-long-lines",
    is_flag=True,
    help="Split lines longer than a sequence, at the ends of sentences, then words: no text is cut off.",
)
@click.option(
    "--one-sentence-per-line",
    is_flag=True,
    help="Blank lines and rows do not end a document, as in subtitles, a sentence on each line. By default, they do.",
)
@click.option(
    "--model-size", type=click.Choice(["small", "base", "large"]), help="The discriminator's size; small by default."
)
@click.option("--steps", type=int, help="The length of the whole run (num_train_steps); 1,000,000 by default.")
@click.option("--epochs", type=float, help="The length of the whole run in passes over CORPUS, in place of --steps.")
@click.option("--warmup-steps", type=int, help="The length of the warm-up (num_warmup_steps); 10,000 by default.")
@click.option(
    "--batch-size", type=int, help="Sequences a step, in all processes together (train_batch_size); 128 by default."
)
@click.option(
    "--learning-rate",
    type=float,
    help="The highest learning rate; by default that of the paper: 0.0005 for small models, 0.0002 for larger ones.",
)
@click.option("--max-length", type=int, help="The length of a sequence in tokens (max_seq_length); 128 by default.")
@click.option("--save-steps", type=int, help="Steps between checkpoints (save_checkpoints_steps); 1,000 by default.")
@click.option(
    "--hparams",
    type=TEXT_OR_FILE,
    metavar="JSON|FILE",
    help="These and all other hparams, as Google's run_pretraining.py takes them.",
)
@click.option(
    "--generator",
    type=TEXT_OR_FILE,
    metavar="JSON|FILE",
    help="The generator's configuration: a config.json of transformers of any architecture, or sizes.",
)
@click.option(
    "--discriminator", type=TEXT_OR_FILE, metavar="JSON|FILE", help="The discriminator's configuration, likewise."
)
@click.option(
    "--init-from",
    type=SOURCE,
    metavar="SOURCE",
    help="Start from a checkpoint: a pair, whose run continues if it has optimiser slots, or a discriminator or "
    "fine-tuned model alone.",
)
@click.option(
    "--init-generator",
    type=SOURCE,
    metavar="SOURCE",
    help="Take the generator from here, where --init-from is a discriminator alone. By default a new one is made.",
)
@click.option(
    "--extend-vocabulary",
    type=PATH,
    metavar="FILE",
    help="Add rows to the embeddings of --init-from for new pieces: one a line, or a vocabulary that ends with them.",
)
@click.option(
    "--extend-positions",
    type=int,
    metavar="N",
    help="Add rows to the position embeddings of --init-from, up to N; sequences are as long without --max-length.",
)
@click.option(
    "--reset-optimizer", is_flag=True, help="Take only the weights of --init-from, and begin a new schedule."
)
@click.option("--resume", is_flag=True, help="Continue the run in OUTPUT from its last good checkpoint.")
@click.option("--overwrite", is_flag=True, help="Replace the run in OUTPUT.")
@click.option("--export", type=click.Choice(["tf"]), help="Also write a TensorFlow checkpoint, with slots and step.")
@click.option("--seed", type=int, default=0, show_default=True, help="The seed of all random numbers.")
@click.option(
    "--held-out",
    type=float,
    help="The share of sequences held out for evaluation; 0.01 by default, none with --eval-corpus.",
)
@click.option(
    "--eval-corpus",
    type=SOURCE,
    metavar="CORPUS",
    help="Evaluate on another corpus, whose columns are those of CORPUS, in place of a share of CORPUS.",
)
@click.option(
    "--accumulate",
    type=int,
    default=1,
    show_default=True,
    help="Compute each batch in this many parts, to save memory.",
)
@click.option(
    "--memory-limit",
    metavar="SIZE",
    help="Compute each batch in as many parts as keep a process below this, such as 2GB.",
)
@click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16"]),
    default="float32",
    show_default=True,
    help="The precision of matrix products; weights and optimiser stay float32.",
)
@click.option("--compile", is_flag=True, help="Compile the model with torch.compile.")
@click.option(
    "--evaluate-only", is_flag=True, help="Train nothing: evaluate what --init-from or --resume finds, and end."
)
@click.option(
    "--time-limit",
    metavar="TIME",
    help="Save the run and end after this long, such as 90m or 2h; --resume continues it.",
)
@click.option("--log-steps", type=int, default=20, show_default=True, help="Steps between reports.")
@click.option(
    "--cache",
    type=PATH,
    metavar="FOLDER",
    help="Where tokenised corpora are kept. By default, the user's cache folder.",
)
@output_options
def command(
    corpus: tuple[str | Path, ...],
    output: Path,
    cased: bool | None,
    export: str | None,
    init_from: str | Path | None,
    time_limit: str | None,
    memory_limit: str | None,
    init_generator: str | Path | None,
    as_json: bool,
    quiet: bool,
    **given: Any,  # noqa: ANN401 - the fields of PretrainOptions, and hparams
) -> None:
    """Pretrain an ELECTRA generator and discriminator on CORPUS, and keep the run in the folder OUTPUT."""
    from electra_convert.conversion.options import read_size
    from electra_convert.hub.download import local_source
    from electra_convert.pretraining.corpus.cache import default_cache
    from electra_convert.pretraining.options import PretrainOptions
    from electra_convert.pretraining.pauses import read_duration
    from electra_convert.pretraining.run import run_pretraining

    prepare_hub(quiet or as_json)
    options = PretrainOptions(
        lower_case=None if cased is None else not cased,
        export_tf=export == "tf",
        init_from=None if init_from is None else local_source(init_from),
        time_limit=read_duration(time_limit),
        memory_limit=read_size(memory_limit),
        init_generator=None if init_generator is None else local_source(init_generator),
        **given,
    )
    with training_display(quiet or as_json) as display:
        result = run_pretraining(corpus, output, options, display)
    if not result.is_main_process:
        return
    if as_json:
        print_json(pretraining_fields(result))
        return
    if quiet:
        print_result(one_line(str(result.model)))
        return
    print_result(pretraining_text(result))
    print_message("Note", f"The tokenised corpus is kept in {options.cache or default_cache()}.")


def pretraining_fields(result: Pretraining) -> dict[str, Any]:
    """What `pretrain --json` prints."""
    return {
        "output": str(result.output),
        "model": str(result.model),
        "tensorflow": None if result.tensorflow is None else str(result.tensorflow),
        "step": result.step,
        "finished": result.finished,
        "metrics": result.metrics,
        "notices": result.notes,
        "warnings": result.warnings,
    }


def pretraining_text(result: Pretraining) -> str:
    """What `pretrain` prints."""
    lines = [
        f"{'Evaluated at' if result.evaluated_only else 'Trained to'} step {result.step}.",
        *table([(f"{value:.4f}", name) for name, value in result.metrics.items()]),
    ]
    written = [
        (f"{_size(path):,}", f"{path.name}/" if path.is_dir() else path.name)
        for path in sorted(result.output.iterdir())
    ]
    lines += ["", f"Wrote {result.model}"]
    lines += [] if result.tensorflow is None else [f"Wrote {result.tensorflow}"]
    return as_text([*lines, f"All of {result.output}, the run's folder:", *table(written)])


def _size(path: Path) -> int:
    """The bytes of a file, or of all files in a folder."""
    return sum(one.stat().st_size for one in ([path] if path.is_file() else path.rglob("*")) if one.is_file())
