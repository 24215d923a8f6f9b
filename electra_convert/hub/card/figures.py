"""The section on parity: what was compared, what was found, how to find it again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from electra_convert.hub.card.facts import Facts
from electra_convert.hub.card.proof import rounding_of, stages_of
from electra_convert.hub.card.tables import bullets, code, plain, table

# The key of a figure, what it is called, and how it is written.
_MEASURES = (
    ("max_abs", "largest difference", ".2g"),
    ("mean_abs", "mean difference", ".2g"),
    ("relative", "relative difference", ".2g"),
    ("cosine", "cosine similarity", ".7f"),
    ("limit", "limit", "g"),
)

_ROUNDED = (
    "Both were run with the rounded weights. The last column is by how much, at most, the rounding itself changed "
    "what the model computes."
)


def verification(facts: Facts) -> str:
    """Write what is known of a model's parity.

    Args:
        facts: what is known of the model.

    Returns:
        The section, in Markdown.
    """
    parity = facts.proof.parity
    if parity is None:
        return f"## Verification\n\n{_without_parity(facts)}"
    role = facts.folder.role
    rounding = rounding_of(parity, role)
    parts = [
        "## Verification",
        plain(facts.proof.line),
        _notes(parity.get("notes")),
        _figures(stages_of(parity, role), rounding),
        _ROUNDED if rounding else "",
        _reproduce(facts, parity.get("reference")),
    ]
    return "\n\n".join(part for part in parts if part)


def _without_parity(facts: Facts) -> str:
    if facts.proof.state == "pretrained":
        return "This model was pretrained with electra_convert, not converted: no other has to be equal to it."
    if facts.conversion is None:
        return "**Not verified.** These weights have not been compared with those of any other copy of the model."
    return (
        "**Not verified.** It has not been shown that this model computes the same as the one it was converted from."
    )


def _notes(notes: object) -> str:
    """What was not compared must not look as if it had been."""
    return bullets(plain(note) for note in notes) if isinstance(notes, list) else ""


def _figures(stages: Mapping[str, Mapping[str, Any]], rounding: Mapping[str, Mapping[str, Any]]) -> str:
    measures = [measure for measure in _MEASURES if any(measure[0] in figures for figures in stages.values())]
    if not measures:
        return ""
    rows = [
        [
            plain(name),
            *(_number(figures.get(key), form) for key, _, form in measures),
            *([_number(rounding.get(name, {}).get("max_abs"), ".2g")] if rounding else []),
        ]
        for name, figures in stages.items()
    ]
    return table(["", *(label for _, label, _ in measures), *(["by rounding"] if rounding else [])], rows)


def _number(value: object, form: str) -> str:
    return format(value, form) if isinstance(value, int | float) else plain(value or "")


def _reproduce(facts: Facts, reference: object) -> str:
    known = reference if isinstance(reference, dict) else {}
    name = str(known.get("name", "REFERENCE"))
    options = ["--golden"] if known.get("format") == "npz" else []
    command = shlex.join(["electra-convert", "verify", *options, name, _address(facts)])
    return (
        f"If you have {code(name)}, which it was compared with, this compares the two again:\n\n```sh\n{command}\n```"
    )


def _address(facts: Facts) -> str:
    if facts.repo_id is None:
        return "."
    # A slash of its own would end the revision, and begin a path within the repository.
    return f"hf://{facts.repo_id}" + (f"@{quote(facts.revision, safe='')}" if facts.revision else "")
