"""electra-convert inspect."""

from __future__ import annotations

from pathlib import Path

import click

from electra_convert.cli.guide import Guide, GuidedCommand
from electra_convert.cli.shared import SOURCE_IS, config_options, exclude_option, output_options, prepare_hub
from electra_convert.cli.values import SOURCE

GUIDE = Guide(
    arguments={"SOURCE": SOURCE_IS},
    groups={"Options": "check hparams config json quiet"},
    examples=("electra-convert inspect data/models/my-run", "electra-convert inspect hf://OWNER/REPO --check"),
    page="docs/converting.md",
)


@click.command("inspect", cls=GuidedCommand, guide=GUIDE, short_help="Show what a checkpoint holds.")
@click.argument("source", type=SOURCE)
@click.option(
    "--check", is_flag=True, help="Read every tensor: verify all checksums, and refuse NaN and infinite weights."
)
@config_options
@exclude_option
@output_options
def command(
    source: str | Path,
    check: bool,
    hparams: str | None,
    config: Path | None,
    exclude: tuple[str, ...],
    as_json: bool,
    quiet: bool,
) -> None:
    """Show what SOURCE holds: its format, its layout, and each model's configuration with the origin of every value.

    Only the index of the checkpoint is read, and the head of a fine-tuned model, unless --check is given.
    """
    from electra_convert.cli.printing import print_json, print_messages, print_result, progress_bar
    from electra_convert.cli.report import inspection_fields, inspection_text
    from electra_convert.conversion.inspect import run_inspection

    prepare_hub(quiet or as_json)
    with progress_bar("Checking", quiet or as_json) as progress:
        result = run_inspection(source, check, hparams, config, progress, None, exclude)
    if as_json:
        print_json(inspection_fields(result))
        return
    print_result(inspection_text(result))
    if not quiet:
        print_messages([], result.warnings)
