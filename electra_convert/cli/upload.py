"""electra-convert upload."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from electra_convert.cli.shared import PATH, metadata_options, output_options, prepare_hub


@click.command("upload")
@click.argument("repo_id")
@click.argument("folder", type=PATH)
@click.option(
    "--revision", default="main", metavar="BRANCH", help="The branch to commit to, made where it is missing."
)
@click.option("--create-pr", is_flag=True, help="Open a pull request, or add to the one that an earlier run opened.")
@click.option(
    "--private/--public",
    "private",
    default=None,
    help="Who sees a new repository; by default as the account has it.",
)
@metadata_options
@click.option("--commit-message", metavar="TEXT", help="The title of the commit, and of a pull request.")
@click.option("--include-optimizer", is_flag=True, help="Upload optimizer.safetensors too.")
@click.option("--include-pickles", is_flag=True, help="Upload pytorch_model.bin too.")
@click.option("--unverified", is_flag=True, help="Upload without a passed parity.json; the card will say so.")
@click.option(
    "--overwrite-card", is_flag=True, help="Let lines of the card on the Hub go that README.md of FOLDER has not."
)
@click.option(
    "--token",
    metavar="TOKEN",
    help="Better not: others may read it off the list of processes. Set HF_TOKEN, or use `hf auth login`.",
)
@click.option("--dry-run", is_flag=True, help="Say what would go where, and send nothing.")
@output_options
def command(
    repo_id: str,
    folder: Path,
    license: str | None,
    language: tuple[str, ...],
    base_model: str | None,
    include_optimizer: bool,
    include_pickles: bool,
    unverified: bool,
    overwrite_card: bool,
    as_json: bool,
    quiet: bool,
    **request: Any,  # noqa: ANN401 - the fields of Request
) -> None:
    """Upload FOLDER, a verified transformers model, to REPO_ID (OWNER/NAME) on the Hugging Face Hub.

    The models of a pair go to REPO_ID-discriminator and REPO_ID-generator. One commit takes all files of a model, or
    none; afterwards each is looked up there by size and hash. Running the command again goes on where it stopped, and
    does nothing where nothing changed.
    """
    from electra_convert.card.front_matter import Metadata
    from electra_convert.cli.hub_report import plan_text, upload_fields, upload_text
    from electra_convert.cli.printing import print_message, print_result
    from electra_convert.cli.report import print_json
    from electra_convert.hub.shipment import Choice
    from electra_convert.hub.uploading import Request, Upload, run_upload

    def tell(text: str) -> None:
        if not quiet:
            print_message("Note", text)

    def show(plan: Upload) -> None:
        if not quiet and not as_json and not request["dry_run"]:
            click.echo(plan_text(plan), err=True)

    prepare_hub(quiet or as_json)
    metadata = Metadata(license, language, base_model)
    choice = Choice(metadata, include_optimizer, include_pickles, unverified, overwrite_card)
    done = run_upload(repo_id, folder, choice, Request(**request), show, tell)
    if as_json:
        print_json(upload_fields(done))
        return
    print_result(upload_text(done))
    for one in done:
        for line in one.shipment.notices:
            tell(line)
