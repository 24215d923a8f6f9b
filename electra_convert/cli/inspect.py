"""electra-convert inspect, and what it found in words and in JSON."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from electra_convert.cli.guide import Guide, GuidedCommand
from electra_convert.cli.printing import (
    as_text,
    print_json,
    print_messages,
    print_result,
    progress_bar,
    source_line,
    table,
)
from electra_convert.cli.shared import SOURCE_IS, config_options, exclude_option, output_options, prepare_hub
from electra_convert.cli.values import PATH, SOURCE
from electra_convert.errors import UsageError

if TYPE_CHECKING:
    from electra_convert.config.resolve import Value
    from electra_convert.conversion.inspect import Inspection

GUIDE = Guide(
    arguments={"SOURCE": f"{SOURCE_IS} Or many of them: hf://OWNER, or a folder."},
    groups={"One model": "check hparams config", "Many models": "csv plan", "Output": "json quiet"},
    examples=(
        "electra-convert inspect hf://OWNER/REPO --check",
        "electra-convert inspect hf://OWNER --plan plan.json",
    ),
    page="docs/converting.md",
)


@click.command("inspect", cls=GuidedCommand, guide=GUIDE, short_help="Show what a checkpoint holds.")
@click.argument("source", type=SOURCE)
@click.option(
    "--check", is_flag=True, help="Read every tensor: verify all checksums, and refuse NaN and infinite weights."
)
@click.option("--csv", "as_csv", is_flag=True, help="Of many models: print a table in CSV and nothing else.")
@click.option("--plan", type=PATH, metavar="FILE", help="Of many models: write what upload --plan FILE is to do.")
@config_options
@exclude_option
@output_options
def command(
    source: str | Path,
    check: bool,
    as_csv: bool,
    plan: Path | None,
    hparams: str | None,
    config: Path | None,
    exclude: tuple[str, ...],
    as_json: bool,
    quiet: bool,
) -> None:
    """Show what SOURCE holds: its format, its layout, and each model's configuration with the origin of every value.

    Only the index of the checkpoint is read, and the head of a fine-tuned model, unless --check is given. Of many
    models, which are an account (hf://OWNER) or a folder of them, it shows in a line each what should be done.
    """
    from electra_convert.cli.account import inspect_many, is_many
    from electra_convert.conversion.inspect import run_inspection

    if as_json and as_csv:
        raise UsageError("--json and --csv are both given: one of them says what is printed")
    if is_many(source) or as_csv or plan is not None:
        given = {"--check": check, "--hparams": hparams, "--config": config, "--exclude": exclude}
        if names := [name for name, value in given.items() if value]:
            raise UsageError(f"{names[0]} is for one model; {source} is many, or is to be written as many are")
        inspect_many(source, as_json, as_csv, plan, quiet)
        return
    prepare_hub(quiet or as_json)
    with progress_bar("Checking", quiet or as_json) as progress:
        result = run_inspection(source, check, hparams, config, progress, None, exclude)
    if as_json:
        print_json(inspection_fields(result))
        return
    print_result(inspection_text(result))
    if not quiet:
        print_messages([], result.warnings)


def inspection_fields(result: Inspection) -> dict[str, Any]:
    """What `inspect --json` prints."""
    from electra_convert.config.record import described

    fields = {
        "source": str(result.source),
        "format": result.format,
        "variant": result.layout,
        "step": result.step,
        "slots": result.slots,
        "models": {
            role: {
                "architecture": model.architecture,
                "config": described(model.config),
                "parameters": model.parameters,
            }
            for role, model in result.models.items()
        },
        "unmapped": result.unmapped,
        "warnings": result.warnings,
    }
    return fields if result.checked is None else {**fields, "checked_bytes": result.checked}


def inspection_text(result: Inspection) -> str:
    """What `inspect` prints."""
    lines = [str(result.source), source_line(result.format, result.layout, result.step)]
    lines.append(f"Optimiser slots: {result.slots}.")
    for role, model in result.models.items():
        lines += ["", f"{role}: {model.architecture}, {model.parameters:,} parameters", *_config_lines(model.config)]
    if result.unmapped:
        lines += ["", "Not part of any model this tool knows:", *(f"  {name}" for name in result.unmapped)]
    if result.checked is not None:
        # safetensors files hold no checksums.
        sound = "every checksum that the files hold is right, and every weight is finite"
        lines += ["", f"Checked: {result.checked:,} bytes read; {sound}."]
    return as_text(lines)


def _config_lines(config: Mapping[str, Value]) -> list[str]:
    return table([(key, str(value.value), f"({value.origin})") for key, value in config.items()])
