"""Scored texts as one HTML page that needs no network and no script; writes no file."""

from __future__ import annotations

from collections.abc import Sequence

from electra_convert.demo.evaluation import Evaluation, MarkedText
from electra_convert.pages import page_file, render


def scores_page(
    texts: Sequence[MarkedText], threshold: float, model: str | None = None, evaluation: Evaluation | None = None
) -> str:
    """Make the page of some texts, one at least, all marked by the same unit at the same threshold."""
    return render(
        "electra_convert.demo",
        "scores.html",
        styles=page_file("electra_convert.demo", "scores.css"),
        texts=texts,
        unit=texts[0].unit,
        threshold=threshold,
        model=model,
        labelled=any(text.labelled for text in texts),
        evaluation=evaluation,
    )
