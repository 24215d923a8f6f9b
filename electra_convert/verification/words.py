"""Findings in words, the same in the terminal and on the page; decides nothing."""

from __future__ import annotations

from collections.abc import Mapping

from electra_convert.verification.inputs import Batch
from electra_convert.verification.metrics import Agreement, Figures


def batch_words(batch: Batch) -> str:
    """The rows of a batch in words."""
    shown = ", ".join(batch.rows[:8]) + (f" and {len(batch.rows) - 8} more" if batch.rows[8:] else "")
    return f"{len(batch.rows)} x {batch.length} positions: {shown}"


def agreement_words(agreement: Agreement) -> str:
    """What a user would notice, in words."""
    if agreement.decisions is not None:
        return f"Replaced or original: {agreement.decisions:.2%} of {agreement.positions:,} decisions alike."
    return (
        f"Likeliest token alike: {agreement.top_1:.2%}, five likeliest: {agreement.top_5:.2%} "
        f"of {agreement.positions:,} positions; largest KL divergence {agreement.divergence:.2g} nats."
    )


def rounding_words(rounding: Mapping[str, Figures]) -> str:
    """What the rounding to a declared dtype does by itself to the last stage, in words."""
    name, figures = list(rounding.items())[-1]
    return f"The rounding itself moves the {name} by up to {figures.max_abs:.2g} (not part of the verdict)."
