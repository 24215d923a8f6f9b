"""electra-convert pretrain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from electra_convert.cli.shared import PATH, output_options, parse_source, prepare_hub


@click.command("pretrain", short_help="Pretrain a generator and a discriminator.")
@click.argument("corpus", type=PATH, nargs=-1, required=True)
@click.argument("output", type=PATH)
@click.option(
    "--vocab", type=PATH, metavar="FILE|FOLDER", help="Use this vocabulary: a vocab.txt, or a tokenizer's folder."
)
@click.option("--train-vocab", type=int, metavar="SIZE", help="Train a vocabulary of this many pieces on the corpus.")
@click.option(
    "--cased/--uncased",
    "cased",
    default=None,
    help="Whether the tokenizer keeps upper case. By default, the hparams decide, or else the vocabulary.",
)
@click.option(
    "--strip-accents/--no-strip-accents",
    default=None,
    help="Whether the tokenizer strips accents. By default, as in Google's code: whenever it lower-cases.",
)
@click.option(
    "--one-sentence-per-line",
    is_flag=True,
    help="Blank lines do not end a document, as in subtitles with one sentence per line. By default, they do.",
)
@click.option(
    "--model-size", type=click.Choice(["small", "base", "large"]), help="The discriminator's size; small by default."
)
@click.option("--steps", type=int, help="The length of the whole run (num_train_steps); 1,000,000 by default.")
@click.option("--warmup-steps", type=int, help="The length of the warm-up (num_warmup_steps); 10,000 by default.")
@click.option(
    "--batch-size", type=int, help="Sequences a step, in all processes together (train_batch_size); 128 by default."
)
@click.option("--learning-rate", type=float, help="The highest learning rate; 0.0005 by default.")
@click.option("--max-length", type=int, help="The length of a sequence in tokens (max_seq_length); 128 by default.")
@click.option("--save-steps", type=int, help="Steps between checkpoints (save_checkpoints_steps); 1,000 by default.")
@click.option(
    "--hparams", metavar="JSON|FILE", help="These and all other hparams, as Google's run_pretraining.py takes them."
)
@click.option(
    "--init-from",
    type=parse_source,
    metavar="SOURCE",
    help="Start from a checkpoint. If it has optimiser slots, its run continues where it stopped.",
)
@click.option(
    "--reset-optimizer", is_flag=True, help="Take only the weights of --init-from, and begin a new schedule."
)
@click.option("--resume", is_flag=True, help="Continue the run in OUTPUT from its last good checkpoint.")
@click.option("--overwrite", is_flag=True, help="Replace the run in OUTPUT.")
@click.option("--export", type=click.Choice(["tf"]), help="Also write a TensorFlow checkpoint, with slots and step.")
@click.option("--seed", type=int, default=0, show_default=True, help="The seed of all random numbers.")
@click.option(
    "--held-out", type=float, default=0.01, show_default=True, help="The share of sequences held out for evaluation."
)
@click.option(
    "--accumulate",
    type=int,
    default=1,
    show_default=True,
    help="Compute each batch in this many parts, to save memory.",
)
@click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16"]),
    default="float32",
    show_default=True,
    help="The precision of matrix products; weights and optimiser stay float32.",
)
@click.option("--compile", is_flag=True, help="Compile the model with torch.compile.")
@click.option("--log-steps", type=int, default=20, show_default=True, help="Steps between reports.")
@click.option(
    "--cache",
    type=PATH,
    metavar="FOLDER",
    help="Where tokenised corpora are kept. By default, the user's cache folder.",
)
@output_options
def command(
    corpus: tuple[Path, ...],
    output: Path,
    cased: bool | None,
    export: str | None,
    as_json: bool,
    quiet: bool,
    **given: Any,  # noqa: ANN401 - the fields of PretrainOptions, and hparams
) -> None:
    """Pretrain an ELECTRA generator and discriminator on CORPUS..., and keep the run in the folder OUTPUT.

    The corpus is UTF-8 text (or .gz) in which blank lines separate documents, or TFRecords from Google's
    build_pretraining_dataset.py. OUTPUT/model will hold the trained pair, and OUTPUT/checkpoints what --resume
    continues from.
    """
    from electra_convert.cli.printing import print_json, print_message, print_result
    from electra_convert.cli.report import pretraining_fields, pretraining_text
    from electra_convert.cli.training import training_display
    from electra_convert.pretraining.options import make_pretrain_options
    from electra_convert.pretraining.run import run_pretraining

    prepare_hub(quiet or as_json)
    options = make_pretrain_options(
        {**given, "lower_case": None if cased is None else not cased, "export_tf": export == "tf"}
    )
    with training_display(quiet or as_json) as display:
        result = run_pretraining(corpus, output, options, display)
    if not result.is_main_process:
        return
    if as_json:
        print_json(pretraining_fields(result))
        return
    print_result(pretraining_text(result))
    if not quiet:
        print_message("Note", f"The curves are in {output / 'curves.png'}.")
