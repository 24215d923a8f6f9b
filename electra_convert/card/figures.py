"""The section on parity: what was compared, what was found, how to find it again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from electra_convert.card.facts import Facts
from electra_convert.card.tables import code, plain, table

_MEASURES = (
    ("max_abs", "largest difference"),
    ("mean_abs", "mean difference"),
    ("relative", "relative"),
    ("cosine", "cosine"),
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
    forward = _object(parity.get("forward"))
    parts = [
        "## Verification",
        plain(parity.get("summary", facts.proof.line)),
        _compared(parity, forward),
        _figures(_object(forward.get("figures"))),
        _reproduce(facts, _object(parity.get("reference"))),
    ]
    return "\n\n".join(part for part in parts if part)


def _without_parity(facts: Facts) -> str:
    if facts.proof.state == "pretrained":
        return "This model was trained here and not converted: there is no other model it has to be equal to."
    return (
        "**Not verified.** That these weights compute what the model they were converted from computes has not been "
        "shown."
    )


def _compared(parity: Mapping[str, Any], forward: Mapping[str, Any]) -> str:
    weights = _object(parity.get("weights"))
    tensors, equal, rounded = weights.get("tensors"), weights.get("equal"), weights.get("rounded_to")
    sentences = []
    if tensors is not None and equal is not None:
        exact = f"{plain(equal)} of {plain(tensors)} tensors are equal bit by bit"
        sentences.append(f"{exact} once rounded to {plain(rounded)}." if rounded else f"{exact}.")
    if forward:
        sentences.append(
            f"{plain(forward.get('reference'))} and {plain(forward.get('candidate'))} were given the same "
            f"{plain(forward.get('positions'))} tokens; differences up to {plain(forward.get('tolerance'))} were "
            "allowed."
        )
    return " ".join(sentences)


def _figures(figures: Mapping[str, Any]) -> str:
    measures = [(key, label) for key, label in _MEASURES if any(key in _object(row) for row in figures.values())]
    if not measures:
        return ""
    rows = [[plain(name), *_numbers(_object(row), measures)] for name, row in figures.items()]
    return table(["", *(label for _, label in measures)], rows)


def _numbers(row: Mapping[str, Any], measures: Sequence[tuple[str, str]]) -> list[str]:
    values = [row.get(key) for key, _ in measures]
    return [f"{value:.6g}" if isinstance(value, int | float) else "" for value in values]


def _reproduce(facts: Facts, reference: Mapping[str, Any]) -> str:
    candidate = f"hf://{facts.repo_id}" if facts.repo_id else "."
    command = shlex.join(["electra-convert", "verify", str(reference.get("name", "REFERENCE")), candidate])
    return (
        f"With {code(reference.get('name', 'the source'))} at hand, the same comparison is made again by\n\n"
        f"```sh\n{command}\n```"
    )


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
