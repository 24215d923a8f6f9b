"""verify's report put into words and JSON for the command line; decides and computes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from electra_convert.cli.printing import as_text, table

if TYPE_CHECKING:
    from electra_convert.verification.forward import ForwardParity
    from electra_convert.verification.report import ModelParity, ParityReport
    from electra_convert.verification.settings import SettingParity
    from electra_convert.verification.weights import WeightsParity

_ROWS = 30  # rows of a table of weights


def parity_fields(report: ParityReport) -> dict[str, Any]:
    """What `verify --json` prints."""
    from electra_convert.verification.report import report_fields

    fields = report_fields(report)
    for side in (report.reference, report.candidate):
        fields["reference" if side is report.reference else "candidate"]["path"] = side.path
    return fields


def parity_text(report: ParityReport) -> str:
    """What `verify` prints: what was compared, then the verdict."""
    from electra_convert.verification.words import batch_words

    lines = [
        f"Reference: {report.reference.path} ({report.reference.format})",
        f"Candidate: {report.candidate.path} ({report.candidate.format})",
    ]
    if report.batches:
        lines += ["Inputs:", *table([(batch.name, batch_words(batch)) for batch in report.batches])]
    for role, model in report.models.items():
        lines += ["", role, *_model_lines(model)]
    lines += ["", report.summary]
    if not report.passed:
        lines += ["Reasons:", *(f"  {reason}" for reason in report.reasons)]
    return as_text(lines)


def _model_lines(model: ModelParity) -> list[str]:
    lines = []
    if model.weights is not None:
        lines += _weights_lines(model.weights)
    if model.settings:
        lines += _settings_lines(model.settings)
    lines += [f"  Not run: {reason}" for reason in (model.fault, model.obstacle) if reason is not None]
    if model.forward is not None:
        lines += _forward_lines(model.forward)
    return lines


def _weights_lines(weights: WeightsParity) -> list[str]:
    dtypes = sorted(set(weights.rounded.values()))
    how = f"after rounding to {', '.join(dtypes)}" if dtypes else "bit for bit"
    lines = [f"  Weights: {weights.equal} of {len(weights.tensors)} equal {how}"]
    if not weights.differing:
        return lines
    rows = weights.rows
    shown = [f"  {line}" for line in table(rows[:_ROWS])]
    return (
        lines + shown + ([f"    and {len(rows) - _ROWS} rows more (--json lists them all)"] if rows[_ROWS:] else [])
    )


def _settings_lines(settings: Sequence[SettingParity]) -> list[str]:
    odd = [setting for setting in settings if setting.state != "equal"]
    equal = len(settings) - len(odd)
    lines = [f"  Configuration: {equal} of {len(settings)} values equal"]
    rows = [
        (setting.key, str(setting.candidate), f"reference {setting.reference} ({setting.origin})", setting.state)
        for setting in odd
    ]
    return lines + [f"  {line}" for line in table(rows)]


def _forward_lines(forward: ForwardParity) -> list[str]:
    from electra_convert.verification.words import noticed_words, rounding_words

    header = ("", "max abs", "mean abs", "relative", "cosine", "limit", "reference*", "candidate*", "")
    rows = [
        (
            stage.name,
            *(f"{value:.2g}" for value in (stage.figures.max_abs, stage.figures.mean_abs, stage.figures.relative)),
            f"{stage.figures.cosine:.7f}",
            *(f"{value:.2g}" for value in (stage.limit, stage.reference_error, stage.candidate_error)),
            "" if stage.passed else "beyond the limit",
        )
        for stage in forward.stages
    ]
    lines = [f"  Reference run: {forward.reference}", f"  Candidate run: {forward.candidate}"]
    lines += [f"  {line}" for line in table([header, *rows])]
    lines.append("  * the largest distance from the candidate's run in float64")
    if forward.noticed is not None:
        lines.append(f"  {noticed_words(forward.noticed)}")
    if forward.rounding:
        lines.append(f"  {rounding_words(forward.rounding)}")
    if forward.blind:
        lines += ["  What this comparison cannot see:", *(f"    {line}" for line in forward.blind)]
    return lines
