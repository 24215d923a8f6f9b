"""electra-convert convert, and its result in words and in JSON."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from electra_convert.cli.guide import Guide, GuidedCommand
from electra_convert.cli.printing import (
    as_text,
    one_line,
    print_json,
    print_messages,
    print_result,
    progress_bar,
    source_line,
    table,
    wrapped,
)
from electra_convert.cli.shared import (
    SOURCE_IS,
    config_options,
    exclude_option,
    model_name,
    output_options,
    prepare_hub,
    task_options,
    tokenizer_options,
)
from electra_convert.cli.values import PATH, SOURCE
from electra_convert.errors import counted

if TYPE_CHECKING:
    from electra_convert.config.resolve import Value
    from electra_convert.conversion.convert import Conversion
    from electra_convert.conversion.options import Target

GUIDE = Guide(
    arguments={
        "SOURCE": SOURCE_IS,
        "OUTPUT": "The folder to make. Of two models each gets a folder within it. With --to onnx, also a folder of "
        "the same model, which is added to.",
    },
    groups={
        "What to write": "model to optimizer",
        "What the weights do not tell": "vocab cased hparams",
        "Checks": "verify dry-run overwrite",
        "Output": "json quiet",
    },
    examples=(
        "electra-convert convert data/models/my-run my-electra --vocab data/vocab.txt",
        "electra-convert convert my-electra back-in-tensorflow --optimizer",
        "electra-convert convert my-electra my-page --to web",
    ),
    page="docs/converting.md",
)


@click.command("convert", cls=GuidedCommand, guide=GUIDE, short_help="Convert a checkpoint, in either direction.")
@click.argument("source", type=SOURCE)
@click.argument("output", type=PATH)
@click.option(
    "--model",
    type=click.Choice(["discriminator", "generator", "both"]),
    help="Which model to write. By default, every one there is; of two, each gets a folder within OUTPUT.",
)
@click.option(
    "--to",
    type=click.Choice(["safetensors", "torch", "tf", "onnx", "web"]),
    help="The format to write; web is a page that runs the model in a browser. By default, tf from a transformers "
    "model, and safetensors from anything else.",
)
@click.option(
    "--model-type",
    type=click.Choice(["electra", "bert"]),
    default="electra",
    help="By whose names to write a transformers model: bert for programs that know BERT and not ELECTRA.",
)
@click.option(
    "--generator",
    type=SOURCE,
    metavar="FOLDER",
    help="The generator that goes with SOURCE, when SOURCE is a discriminator alone.",
)
@config_options
@click.option(
    "--vocab",
    type=PATH,
    metavar="FILE|FOLDER",
    help="The vocabulary, or a tokenizer's folder. By default, vocab.txt beside the checkpoint.",
)
@click.option(
    "--pad-vocab", is_flag=True, help="Accept a vocabulary with fewer pieces than the embeddings have rows."
)
@tokenizer_options
@click.option(
    "--no-tokenizer",
    "tokenizer",
    flag_value=False,
    default=True,
    help="Write no tokenizer files, and carry vocab.txt as it is, whatever it holds.",
)
@task_options
@click.option(
    "--dtype",
    type=click.Choice(["float32", "float16", "bfloat16"]),
    help="Round the weights to this dtype. By default, they stay as they are.",
)
@click.option(
    "--quantize",
    type=click.Choice(["int8"]),
    help="Write a model of 8-bit weights too, and measure how far it is from float32 (to onnx).",
)
@click.option(
    "--max-shard-size",
    metavar="SIZE",
    help="Split the weights into files of at most this size, such as 2GB. By default, one file.",
)
@click.option("--optimizer", is_flag=True, help="Carry over the optimiser's slots and the global step.")
@click.option(
    "--zero-optimizer",
    is_flag=True,
    help="Write slots of zeros, so that Google's pretraining can start from it (to tf).",
)
@click.option(
    "--prefix", metavar="NAME", help="What the checkpoint's files are called. By default, model.ckpt (to tf)."
)
@exclude_option
@click.option(
    "--keep-custom-code",
    is_flag=True,
    help="Carry the Python code of a transformers folder, and the auto_map that names it. By default, neither.",
)
@click.option("--allow-nonfinite", is_flag=True, help="Convert NaN and infinite weights rather than refuse them.")
@click.option(
    "--verify",
    is_flag=True,
    help="Verify the result, as the verify command does, before it gets its name; write nothing if it fails.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be written, and write nothing.")
@click.option("--overwrite", is_flag=True, help="Replace OUTPUT if it exists, as soon as the new one is complete.")
@output_options
def command(
    source: str | Path,
    output: Path,
    vocab: Path | None,
    pad_vocab: bool,
    cased: bool | None,
    strip_accents: bool | None,
    tokenize_chinese_chars: bool | None,
    added_tokens: Path | None,
    tokenizer: bool,
    max_shard_size: str | None,
    task: str | None,
    to: Target | Literal["web"] | None,
    as_json: bool,
    quiet: bool,
    **given: Any,  # noqa: ANN401 - the fields of Options
) -> None:
    """Convert SOURCE into a new folder, OUTPUT, which appears complete or not at all.

    A TensorFlow checkpoint becomes a transformers model, or a pair of them: a discriminator and a generator. A
    transformers model, or such a pair, becomes a TensorFlow checkpoint that Google's code can load. Whatever is
    guessed, changed or left out is reported. With --to onnx, the models are written for ONNX' runtimes and browsers.
    """
    from electra_convert.conversion.convert import run_conversion
    from electra_convert.conversion.options import Options, read_size
    from electra_convert.hub.download import brought_source
    from electra_convert.schemes.layouts import read_task
    from electra_convert.tokenizer.of_checkpoint import TokenizerOptions

    prepare_hub(quiet or as_json)
    if given["generator"] is not None:
        given["generator"], given["generator_origin"] = brought_source(given["generator"])
    options = Options(
        tokenizer=TokenizerOptions(
            vocab=vocab,
            pad_vocab=pad_vocab,
            lower_case=None if cased is None else not cased,
            strip_accents=strip_accents,
            tokenize_chinese_chars=tokenize_chinese_chars,
            added_tokens=added_tokens,
            no_tokenizer=not tokenizer,
        ),
        max_shard_size=read_size(max_shard_size),
        task=read_task(task),
        to="onnx" if to == "web" else to,
        **given,
    )
    with progress_bar("Converting", quiet or as_json) as progress:
        if to == "web":
            # What makes pages takes as long to import as a small conversion.
            from electra_convert.site.build import run_site

            result = run_site(source, output, model_name(source).removeprefix("hf://"), options, progress)
        else:
            result = run_conversion(source, output, options, progress)
    done = None if options.dry_run else "What was converted before is complete."
    if as_json:
        print_json(conversion_fields(result), done)
        return
    print_result(one_line(str(output)) if quiet else conversion_text(result), done)
    if not quiet:
        print_messages(result.notices, result.warnings)


def conversion_fields(result: Conversion) -> dict[str, Any]:
    """What `convert --json` prints."""
    from electra_convert.config.record import described

    return {
        "source": str(result.source),
        "output": str(result.output),
        "format": result.format,
        "to": result.to,
        "model_type": result.model_type,
        "variant": result.layout,
        "step": result.step,
        "models": {
            role: {"config": described(config), "parameters": result.parameters[role]}
            for role, config in result.models.items()
        },
        "files": result.files,
        "notices": result.notices,
        "warnings": result.warnings,
        "dry_run": result.dry_run,
        **({"int8": {role: rounded.fields for role, rounded in result.rounding.items()}} if result.rounding else {}),
    }


def conversion_text(result: Conversion) -> str:
    """What `convert` prints."""
    verb = "Would write" if result.dry_run else "Wrote"
    lines = [source_line(result.format, result.layout, result.step)]
    for role, config in result.models.items():
        lines += wrapped(_model_line(role, result.parameters[role], config))
    for role, rounded in result.rounding.items():
        lines += wrapped(f"{role}, int8: on the built-in inputs, {rounded}")
    files = [(f"{size:,}", name) for name, size in result.files.items()]
    return as_text([*lines, f"{verb} {result.output}", *table(files)])


def _model_line(name: str, parameters: int, config: Mapping[str, Value]) -> str:
    """What a model is, with the origin of what its weights do not tell."""
    layers, width = (config[key].value for key in ("num_hidden_layers", "hidden_size"))
    heads, activation = config["num_attention_heads"], config["hidden_act"]
    return (
        f"{name}: {parameters:,} parameters, {counted(layers, 'layer')} of width {width}, "
        f"{counted(heads.value, 'head')} ({heads.origin}), {activation.value} ({activation.origin})"
    )
