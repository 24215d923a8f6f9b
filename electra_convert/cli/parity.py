"""verify's report put into words and JSON for the command line; decides and computes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from electra_convert.cli.printing import as_text, table, wants_colour, wrapped

if TYPE_CHECKING:
    from electra_convert.verification.compare import OutputsParity
    from electra_convert.verification.report import ModelParity, ParityReport
    from electra_convert.verification.weights import WeightsParity

_ROWS = 30  # rows of a table of weights
_COLOURS = {"same": "green", "different": "red", "unproven": "yellow"}


def parity_fields(report: ParityReport) -> dict[str, Any]:
    """What `verify --json` prints."""
    from electra_convert.verification.record import report_fields

    fields = report_fields(report)
    for side in (report.reference, report.candidate):
        fields["reference" if side is report.reference else "candidate"]["path"] = side.path
    return fields


def verdict_text(report: ParityReport) -> str:
    """The verdict in a line; coloured on a terminal."""
    text = report.title
    if report.passed:
        text += f": {' and '.join(report.models)}"
    return click.style(text, fg=_COLOURS[report.verdict], bold=True) if wants_colour() else text


def parity_text(report: ParityReport) -> str:
    """What `verify` prints: the verdict and why, then what was compared."""
    why = report.grounds if report.passed else report.reasons
    sides = [
        f"Reference: {report.reference.path} ({report.reference.format})",
        f"Candidate: {report.candidate.path} ({report.candidate.format})",
    ]
    if report.batches:
        sides += ["Inputs:", *table([batch.cells for batch in report.batches])]
    models = [line for role, model in report.models.items() for line in ("", role, *_model_lines(model))]
    told = [line for reason in why for line in wrapped(reason, "  ")]
    return "\n".join([verdict_text(report), *told, "", as_text([*sides, *models])])


def _model_lines(model: ModelParity) -> list[str]:
    lines = []
    if model.weights is not None:
        lines += _weights_lines(model.weights)
    if model.settings:
        # Those that are not equal are among the reasons.
        equal = sum(setting.state == "equal" for setting in model.settings)
        lines.append(f"  Configuration: {equal} of {len(model.settings)} values equal")
    return lines if model.outputs is None else lines + _outputs_lines(model.outputs)


def _weights_lines(weights: WeightsParity) -> list[str]:
    from electra_convert.verification.report import SHOWN, differing_rows

    dtypes = sorted(set(weights.rounded.values()))
    how = f"after rounding to {', '.join(dtypes)}" if dtypes else "bit for bit"
    lines = [f"  Weights: {weights.equal} of {len(weights.tensors)} equal {how}"]
    rows = differing_rows(weights)
    if len(rows) <= SHOWN:  # the reason has named them
        return lines
    rest = [f"    and {len(rows) - _ROWS} rows more (--json lists them all)"] if rows[_ROWS:] else []
    return [*lines, *(f"  {line}" for line in table(rows[:_ROWS])), *rest]


def _outputs_lines(outputs: OutputsParity) -> list[str]:
    from electra_convert.verification.compare import STAGE_HEADER

    rows = [(*stage.cells[:-1], "" if stage.passed else stage.cells[-1]) for stage in outputs.stages]
    lines = [f"  Reference run: {outputs.reference}", f"  Candidate run: {outputs.candidate}"]
    lines += [f"  {line}" for line in table([("", *STAGE_HEADER[1:]), *rows])]
    lines.append("  * the largest distance from the candidate's run in float64")
    lines += [f"  {line}" for line in outputs.remarks]
    if outputs.not_covered:
        lines += ["  What this comparison cannot see:", *(f"    {line}" for line in outputs.not_covered)]
    return lines
