"""What verify of one model prints: whether it is what convert makes of its source, file by file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from electra_convert.cli.printing import (
    as_text,
    print_json,
    print_message,
    print_messages,
    print_result,
    progress_bar,
    table,
    wants_colour,
    wrapped,
)

if TYPE_CHECKING:
    from electra_convert.reproduction.reproduce import Reproduction


def show_reproduction(model: str | Path, source: str | Path | None, as_json: bool, quiet: bool) -> bool:
    """Repeat the conversion of a model, print what came of it, and tell whether it passed."""
    from electra_convert.reproduction.reproduce import run_reproduction

    is_silent = quiet or as_json
    with progress_bar("Converting again", is_silent) as progress:
        tell = (lambda _: None) if is_silent else (lambda text: print_message("Note", text))
        found = run_reproduction(model, source, progress, tell=tell)
    if as_json:
        print_json(reproduction_fields(found))
    elif quiet:
        print_result(_verdict(found))
    else:
        print_result(reproduction_text(found))
        print_messages(found.notes, [])
    return found.passed


def reproduction_fields(found: Reproduction) -> dict[str, Any]:
    """What `verify --json` prints of one model."""
    from electra_convert.version import __version__

    return {
        "verdict": "reproduced" if found.passed else "not reproduced",
        "model": found.model,
        "commit": found.commit,
        "source": found.source,
        "files": {name: {"state": file.state, "told": file.told} for name, file in found.files.items()},
        "reasons": found.reasons,
        "notes": found.notes,
        "versions": {"recorded": found.recorded_version, "this": __version__},
    }


def reproduction_text(found: Reproduction) -> str:
    """What `verify` prints of one model: the verdict and why, then every file."""
    rows = [(file.state, name) for name, file in found.files.items()]
    at = f" at commit {found.commit}" if found.commit else ""
    lines = [f"Model: {found.model}{at}", f"Source: {found.source}", *table(rows)]
    reasons = [line for reason in found.reasons for line in wrapped(reason, "  ")]
    return "\n".join([_verdict(found), *reasons, "", as_text(lines)])


def _verdict(found: Reproduction) -> str:
    text = "Reproduced: every file is what convert makes of its source" if found.passed else "Not reproduced"
    return click.style(text, fg="green" if found.passed else "red", bold=True) if wants_colour() else text
