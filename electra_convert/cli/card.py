"""electra-convert card, and its results in words and in JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from electra_convert.cli.guide import Guide, GuidedCommand
from electra_convert.cli.printing import as_text, one_line, print_json, print_message, print_result
from electra_convert.cli.shared import metadata_options, output_options
from electra_convert.cli.values import PATH

if TYPE_CHECKING:
    from electra_convert.hub.card.writing import Card

GUIDE = Guide(
    arguments={"FOLDER": "A transformers model, or a folder with a pair of them."},
    groups={"What the card says": "repo-id license language base-model", "Output": "dry-run json quiet"},
    examples=("electra-convert card my-electra --license apache-2.0 --language en",),
    page="docs/hub.md",
)


@click.command("card", cls=GuidedCommand, guide=GUIDE, short_help="Write the model card of a converted model.")
@click.argument("folder", type=PATH)
@click.option("--repo-id", metavar="OWNER/NAME", help="The model's name on the Hub, now or later.")
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
    """Write a model card, README.md, into FOLDER, which holds a transformers model or a pair of them.

    If there is a card already, only the sections between the tool's own markers (<!-- electra_convert:NAME -->) are
    rewritten, and keys missing from the front matter are added. Licences and languages are checked by
    the Hub, when the model is uploaded.
    """
    from electra_convert.hub.card.metadata import Metadata
    from electra_convert.hub.card.writing import write_cards

    cards = write_cards(folder, repo_id, Metadata(license, language, base_model), dry_run)
    if as_json:
        print_json(card_fields(cards, dry_run))
        return
    if quiet and not dry_run:
        print_result(as_text(str(card.path) for card in cards))
        return
    print_result(card_text(cards, dry_run))
    if not quiet:
        for card in cards:
            for line in card.notices:
                print_message("Note", line)


def card_fields(cards: Sequence[Card], dry_run: bool) -> dict[str, Any]:
    """What `card --json` prints."""
    return {
        "cards": [
            {
                "path": str(card.path),
                "changed": card.changed,
                "verification": card.verification,
                "text": card.text,
                "notices": card.notices,
            }
            for card in cards
        ],
        "dry_run": dry_run,
    }


def card_text(cards: Sequence[Card], dry_run: bool) -> str:
    """What `card` prints: where the cards are, or, of a dry run, the cards."""
    if dry_run:
        return "\n".join(f"{one_line(str(card.path))}\n\n{as_text(card.text.splitlines())}" for card in cards)
    return as_text(f"Wrote {card.path}" if card.changed else f"{card.path} is as it should be" for card in cards)
