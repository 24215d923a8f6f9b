"""A report as one HTML page that needs no network and no script; writes no file."""

from __future__ import annotations

from html import escape

from electra_convert.demo.evaluation import Evaluation
from electra_convert.demo.results import LEVELS, Judged, Mark, Report, Segment, level, marks, segments
from electra_convert.pages import CLOSED_POLICY, page_file

_COLUMNS = ("Probability", "", "Says", "Text")


def report_page(report: Report) -> str:
    """Make the page.

    Args:
        report: the scored texts.

    Returns:
        HTML, complete in itself.
    """
    styles = page_file("electra_convert.pages", "style.css") + page_file("electra_convert.demo", "scores.css")
    title = f"Which {report.unit}s were replaced?"
    texts = "\n".join(_text(judged, report) for judged in report.judged)
    figures = "" if report.evaluation is None else _evaluation(report.evaluation)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{CLOSED_POLICY}">
<title>{title} {escape(report.model)}</title>
<style>
{styles}</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p class="lead">ELECTRA learnt to tell the words of a text from words that another model had put in their place. Here
<strong>{escape(report.model)}</strong> gives every {report.unit} the probability that it was replaced; what
is above {report.threshold:g} it calls replaced. Point at a {report.unit}, or move to it with Tab, for its number.</p>
{_legend(any(one.truth is not None for one in report.judged))}
{figures}{texts}
</main>
</body>
</html>
"""


def _legend(judged: bool) -> str:
    bounds = [f"{100 * step // LEVELS}\u2013{100 * (step + 1) // LEVELS}" for step in range(LEVELS)]
    bounds[0], bounds[-1] = f"{bounds[0]}%", f"{bounds[-1]}%"
    steps = "".join(f'<li class="level-{step}">{bound}</li>' for step, bound in enumerate(bounds))
    missed = '<span class="missed">replaced, and missed</span>' if judged else ""
    return (
        f'<div class="legend"><span>Probability of being replaced</span><ul>{steps}</ul>'
        f'<span class="called">called replaced</span>{missed}</div>'
    )


def _text(judged: Judged, report: Report) -> str:
    shown = marks(judged, report.unit, report.threshold)
    body = "".join(_segment(segment) for segment in segments(judged.scored.text, shown))
    parts = (
        f'<p class="soft">Longer than the model\'s input: scored in {judged.scored.windows} overlapping windows.</p>'
        if judged.scored.windows > 1
        else ""
    )
    return f"""<section class="card">
<p class="text" dir="auto">{body}</p>
{parts}<details><summary>All {len(shown)} {report.unit}s</summary>
{_table(shown, judged.truth is not None)}
</details>
</section>"""


def _segment(segment: Segment) -> str:
    text = escape(segment.text)
    if not segment.marks:
        return text
    mark = segment.strongest
    called = any(one.called for one in segment.marks)
    says = "replaced" if called else "original"
    fate = "" if mark.outcome in {None, "passed"} else f", {mark.outcome}"
    before = "" if mark.before is None else f"was {escape(mark.before)}"
    missed = any(one.outcome == "miss" for one in segment.marks)
    classes = f"token level-{level(mark.probability)}" + (" called" if called else " missed" if missed else "")
    told = f"{says}{fate}{before and ', '}{before}"
    unseen = f'<span class="unseen"> ({told}) </span>' if called or fate else ""
    tag = "mark" if called else "span"
    tip = f'<span class="tip" dir="ltr">{mark.probability:.3f}{fate}{before and chr(10)}{before}</span>'
    return f'<{tag} class="{classes}" tabindex="0">{text}{unseen}{tip}</{tag}>'


def _table(shown: tuple[Mark, ...], judged: bool) -> str:
    columns = [*_COLUMNS[:3], *(["Truth"] if judged else []), _COLUMNS[3]]
    head = "".join(f'<th scope="col">{name or "<span class=unseen>Bar</span>"}</th>' for name in columns)
    rows = "\n".join(_row(mark) for mark in shown)
    return f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table></div>'


def _row(mark: Mark) -> str:
    says = "<strong>replaced</strong>" if mark.called else "original"
    fate = ""
    if mark.outcome is not None:
        kind = "" if mark.outcome == "passed" else mark.outcome
        fate = f'<td class="{kind.replace(" ", "-")}">{kind}</td>'
    before = "" if mark.before is None else f' <span class="soft">was <bdi>{escape(mark.before)}</bdi></span>'
    bar = f'<span class="bar" aria-hidden="true"><span style="width:{mark.probability:.1%}"></span></span>'
    return (
        f"<tr><td>{mark.probability:.3f}</td><td>{bar}</td><td>{says}</td>{fate}"
        f"<td><bdi>{escape(mark.name)}</bdi>{before}</td></tr>"
    )


def _evaluation(evaluation: Evaluation) -> str:
    figures = {
        "Accuracy": evaluation.accuracy,
        "Precision": evaluation.precision,
        "Recall": evaluation.recall,
        "AUC": evaluation.auc,
    }
    head = "".join(f'<th scope="col">{name}</th>' for name in figures)
    cells = "".join(f"<td>{'none' if value is None else f'{value:.3f}'}</td>" for value in figures.values())
    return f"""<section class="card">
<p>{evaluation.replaced:,} of {evaluation.tokens:,} tokens were replaced.</p>
<table class="figures"><thead><tr>{head}</tr></thead><tbody><tr>{cells}</tr></tbody></table>
</section>
"""
