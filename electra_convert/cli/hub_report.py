"""Cards and uploads put into words and JSON for the command line; decides and computes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from electra_convert.cli.printing import as_text, one_line, table
from electra_convert.errors import counted

if TYPE_CHECKING:
    from electra_convert.hub.card.contents import PublishedFile
    from electra_convert.hub.card.writing import Card
    from electra_convert.hub.uploading import Upload


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
        return "\n".join(f"{one_line(str(card.path))}\n\n{_escaped(card.text)}" for card in cards)
    return as_text(f"Wrote {card.path}" if card.changed else f"{card.path} is as it should be" for card in cards)


def plan_text(plan: Upload) -> str:
    """What is shown of an upload before its first byte is sent."""
    shipment = plan.shipment
    lines = [
        f"{shipment.repo_id}, {plan.revision}, {_visibility(plan)}",
        shipment.proof.line,
        *table([(f"{file.size:,}", file.name, _state(plan, file)) for file in shipment.files]),
        *(f"  removes {name}, of the model before" for name in plan.removed),
        *(f"  leaves {name}" for name in shipment.folder.strays),
    ]
    return as_text(lines)


def upload_text(done: Sequence[Upload]) -> str:
    """What `upload` prints."""
    return "\n\n".join(_dry(one) if one.dry_run else _done(one) for one in done)


def upload_fields(done: Sequence[Upload]) -> dict[str, Any]:
    """What `upload --json` prints."""
    return {"uploads": [_fields(one) for one in done]}


def _fields(one: Upload) -> dict[str, Any]:
    shipment = one.shipment
    return {
        "repo_id": shipment.repo_id,
        "role": shipment.folder.role,
        "revision": one.revision,
        "private": one.private,
        "new": one.new,
        "verification": shipment.proof.state,
        "files": {file.name: file.size for file in shipment.files},
        "sent": one.sent,
        "removed": one.removed,
        "left": shipment.folder.strays,
        "commit": one.commit,
        "url": one.url,
        "notices": shipment.notices,
        "dry_run": one.dry_run,
    }


def _dry(plan: Upload) -> str:
    return f"Would upload to {plan_text(plan)}\n\n{_escaped(plan.shipment.card.text)}"


def _done(one: Upload) -> str:
    checked = f"all {counted(len(one.shipment.files), 'file')} found there by size and hash"
    what = f"{counted(len(one.sent), 'file')} sent, {checked}" if one.sent or one.removed else "nothing to do"
    if what == "nothing to do":
        what = f"no commit, nothing changed: {checked}"
    return as_text([one.url, f"  {one.shipment.repo_id} at {one.commit}: {what}"])


def _visibility(plan: Upload) -> str:
    if plan.new is None:
        return "a repository that was not looked up (offline)"
    shown = {True: "private", False: "public", None: "visible as the account's default has it"}[plan.private]
    return f"a new repository, {shown}" if plan.new else f"a repository that is there, {shown}"


def _state(plan: Upload, file: PublishedFile) -> str:
    """What is not to be expected of a file; a link may lead to what nobody meant to publish."""
    words = [] if file.name in plan.sent else ["there already"]
    if isinstance(file.source, Path) and file.source.is_symlink():
        words.append(f"a link to {file.source.resolve()}")
    return f"({', '.join(words)})" if words else ""


def _escaped(text: str) -> str:
    return "\n".join(one_line(line) for line in text.splitlines())
