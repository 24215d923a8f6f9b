"""The report as a page that needs nothing else: verdict, tables and pictures; decides and computes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape

from electra_convert.pages import CLOSED_POLICY, page_file
from electra_convert.verification.compare import OutputsParity
from electra_convert.verification.pictures import errors_by_layer, logits_side_by_side
from electra_convert.verification.report import ModelParity, ParityReport, SideReport
from electra_convert.verification.words import agreement_words, batch_words, rounding_words
from electra_convert.version import __version__

_STAGE_HEADER = ("stage", "max abs", "mean abs", "relative", "cosine", "limit", "reference*", "candidate*", "")
_ERRORS_KEY = (
    '<span class="key key-0"><i>●</i> reference to candidate</span>'
    '<span class="key key-1"><i>●</i> reference to float64</span>'
    '<span class="key key-2"><i>●</i> candidate to float64</span>'
    '<span class="key key-limit"><i>- -</i> limit</span>'
)
_LOGITS_KEY = '<span class="key key-1"><i>○</i> reference</span><span class="key key-0"><i>●</i> candidate</span>'


def report_page(report: ParityReport) -> str:
    """Make the page.

    Args:
        report: what verify found.

    Returns:
        HTML, complete in itself.
    """
    body = [_verdict(report), _sides(report.reference, report.candidate)]
    body += [_model(role, model) for role, model in report.models.items()]
    body += [_inputs(report), _list("What the reader should know", report.notes)]
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    styles = page_file("electra_convert.pages", "style.css") + page_file("electra_convert.verification", "report.css")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{CLOSED_POLICY}">
<title>{escape(f"{report.title}: {report.candidate.name}")}</title>
<style>
{styles}</style>
</head>
<body>
<main>
<h1 class="soft">electra_convert parity report</h1>
{"".join(body)}
<footer>electra_convert {__version__}{", " if versions else ""}{escape(versions)}.</footer>
</main>
</body>
</html>
"""


def _verdict(report: ParityReport) -> str:
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in report.reasons)
    told = f"<ul>{reasons}</ul>" if reasons else escape(report.summary)
    return f'<section class="verdict {report.verdict}" id="verdict"><strong>{report.title}</strong>{told}</section>'


def _sides(reference: SideReport, candidate: SideReport) -> str:
    cards = (
        f'<div class="side"><b>{name}</b>{escape(side.name)} ({escape(side.format)})</div>'
        for name, side in (("Reference", reference), ("Candidate", candidate))
    )
    return f'<div class="sides">{"".join(cards)}</div>'


def _model(role: str, model: ModelParity) -> str:
    parts = [f"<h2>{role}</h2>"]
    parts += [f"<p>Not run: {escape(reason)}</p>" for reason in (model.fault, model.not_run) if reason is not None]
    if model.outputs is not None:
        parts.append(_outputs(model.outputs))
    if model.settings:
        parts.append("<h3>Configuration values that change what is computed</h3>" + _settings(model))
    if model.weights is not None:
        weights = model.weights
        told = f"{weights.equal} of {len(weights.tensors)} weights equal"
        rows = _table(("weight", "found"), weights.rows, {0: "name"}, lambda row: _marked(row[1].startswith("equal")))
        opened = " open" if weights.differing else ""
        parts.append(f"<h3>Weights</h3><details{opened}><summary>{told}</summary>{rows}</details>")
    return f"<section>{''.join(parts)}</section>"


def _outputs(outputs: OutputsParity) -> str:
    figures = [_figure(errors_by_layer(outputs), f"Largest absolute difference by layer. {_ERRORS_KEY}")]
    if outputs.sample is not None:
        told = f"Logits side by side. {escape(outputs.sample.what)}. {_LOGITS_KEY}"
        figures.append(_figure(logits_side_by_side(outputs.sample), told))
    rows = [
        (
            stage.name,
            *(f"{value:.2g}" for value in (stage.figures.max_abs, stage.figures.mean_abs, stage.figures.relative)),
            f"{stage.figures.cosine:.7f}",
            *(f"{value:.2g}" for value in (stage.limit, stage.reference_error, stage.candidate_error)),
            "within the limit" if stage.passed else "beyond the limit",
        )
        for stage in outputs.stages
    ]
    numbers = dict.fromkeys(range(1, 8), "number")
    agreement = "" if outputs.agreement is None else f"<p>{escape(agreement_words(outputs.agreement))}</p>"
    rounding = f"<p>{escape(rounding_words(outputs.rounding))}</p>" if outputs.rounding else ""
    return (
        f"<p>{escape(outputs.candidate)} against {escape(outputs.reference)}, {outputs.positions:,} positions, "
        f"float32 on the CPU.</p>{agreement}{rounding}"
        f'<div class="pictures">{"".join(figures)}</div><h3>Stage by stage</h3>'
        + _table(_STAGE_HEADER, rows, numbers, lambda row: _marked(row[-1].startswith("within")))
        + "<p>* the largest distance from the candidate's run in float64</p>"
        + _list("What this comparison cannot see", outputs.not_covered)
    )


def _figure(picture: str, caption: str) -> str:
    return f"<figure>{picture}<figcaption>{caption}</figcaption></figure>"


def _settings(model: ModelParity) -> str:
    rows = [
        (setting.key, str(setting.reference), setting.origin, str(setting.candidate), setting.state)
        for setting in model.settings
    ]
    header = ("value", "reference", "from", "candidate", "")
    return _table(header, rows, {0: "name"}, lambda row: _marked(row[-1] == "equal"))


def _inputs(report: ParityReport) -> str:
    rows = [(batch.name, batch_words(batch)) for batch in report.batches]
    return "<h2>Inputs</h2>" + _table(("batch", "rows"), rows, {}, lambda _: "") if rows else ""


def _marked(good: bool) -> str:
    return "equal" if good else "bad"


def _table(
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    classes: Mapping[int, str],
    last: Callable[[Sequence[str]], str],
) -> str:
    """A table; classes of its columns by their places, and of the last cell by what the row says."""
    heads = "".join(f'<th class="{classes.get(place, "")}">{escape(name)}</th>' for place, name in enumerate(header))
    lines = []
    for row in rows:
        names = [*(classes.get(place, "") for place in range(len(row) - 1)), last(row)]
        lines.append(
            "".join(f'<td class="{name}">{escape(cell)}</td>' for name, cell in zip(names, row, strict=True))
        )
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'


def _list(title: str, lines: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<h3>{title}</h3><ul>{items}</ul>" if items else ""
