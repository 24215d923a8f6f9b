"""Cards and uploads put into words and JSON for the command line; decides and computes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from electra_convert.cli.printing import as_text, one_line, table
from electra_convert.errors import counted

if TYPE_CHECKING:
    from electra_convert.hub.card.model_folder import PublishedFile
    from electra_convert.hub.card.writing import Card
    from electra_convert.hub.upload import Upload


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


def plan_text(upload: Upload) -> str:
    """What is shown of an upload before its first byte is sent."""
    plan, folder = upload.plan, upload.plan.facts.folder
    lines = [
        f"{plan.repo_id}, {upload.revision}, {_visibility(upload)}",
        plan.facts.proof.line,
        *table([(f"{file.size:,}", file.name, _state(upload, file)) for file in plan.files]),
        *(f"  removes {name}, of the model before" for name in upload.removed),
        *(f"  leaves {name}" for name in folder.left),
    ]
    return as_text(lines)


def upload_text(done: Sequence[Upload]) -> str:
    """What `upload` prints."""
    return "\n\n".join(_dry(one) if one.dry_run else _done(one) for one in done)


def upload_fields(done: Sequence[Upload]) -> dict[str, Any]:
    """What `upload --json` prints."""
    return {"uploads": [_fields(one) for one in done]}


def _fields(one: Upload) -> dict[str, Any]:
    plan, folder = one.plan, one.plan.facts.folder
    return {
        "repo_id": plan.repo_id,
        "role": folder.role,
        "revision": one.revision,
        "private": one.private,
        "new": one.new,
        "verification": plan.facts.proof.state,
        "files": {file.name: file.size for file in plan.files},
        "sent": one.sent,
        "removed": one.removed,
        "left": folder.left,
        "commit": one.commit,
        "url": one.url,
        "notices": plan.card.notices,
        "dry_run": one.dry_run,
    }


def _dry(upload: Upload) -> str:
    return f"Would upload to {plan_text(upload)}\n\n{as_text(upload.plan.card.text.splitlines())}"


def _done(one: Upload) -> str:
    checked = f"all {counted(len(one.plan.files), 'file')} found there by size and hash"
    if one.sent or one.removed:
        what = f"{counted(len(one.sent), 'file')} sent, {checked}"
    else:
        what = f"no commit, nothing changed: {checked}"
    return as_text([one.url, f"  {one.plan.repo_id} at {one.commit}: {what}"])


def _visibility(upload: Upload) -> str:
    if upload.new is None:
        return "a repository that was not looked up (offline)"
    shown = {True: "private", False: "public", None: "visible as the account's default has it"}[upload.private]
    return f"a new repository, {shown}" if upload.new else f"a repository that is there, {shown}"


def _state(upload: Upload, file: PublishedFile) -> str:
    """What is not to be expected of a file; a link may lead to what nobody meant to publish."""
    words = [] if file.name in upload.sent else ["there already"]
    if isinstance(file.source, Path) and file.source.is_symlink():
        words.append(f"a link to {file.source.resolve()}")
    return f"({', '.join(words)})" if words else ""
