"""electra-convert card."""

from __future__ import annotations

from pathlib import Path

import click

from electra_convert.cli.shared import PATH, metadata_options, output_options


@click.command("card")
@click.argument("folder", type=PATH)
@click.option("--repo-id", metavar="OWNER/NAME", help="Where the model is or will be on the Hub.")
@metadata_options
@click.option("--dry-run", is_flag=True, help="Print the card, and write nothing.")
@output_options
def command(
    folder: Path,
    repo_id: str | None,
    license: str | None,
    language: tuple[str, ...],
    base_model: str | None,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write README.md, the model card, into FOLDER: a transformers model, or a pair of them.

    Of a card that is there, only the sections between <!-- electra_convert:NAME --> and their ends are written anew,
    and what the front matter lacks is added.
    """
    from electra_convert.card.writing import write_card
    from electra_convert.cli.hub_report import card_fields, card_text
    from electra_convert.cli.printing import print_message, print_result
    from electra_convert.cli.report import print_json

    cards = write_card(folder, repo_id, license, language, base_model, dry_run)
    if as_json:
        print_json(card_fields(cards, dry_run))
        return
    print_result(card_text(cards, dry_run))
    if not quiet:
        for card in cards:
            for line in card.notices:
                print_message("Note", line)
