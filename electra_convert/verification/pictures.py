"""The report's two pictures as SVG, coloured by the page's style sheet; decides nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from electra_convert.verification.compare import OutputsParity, Sample

_WIDTH, _HEIGHT = 640, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 14, 14, 90
_SMALLEST = 1e-10  # what a logarithmic axis shows a difference of nothing as


@dataclass(frozen=True)
class _Axis:
    """A vertical axis: values on a line from the bottom to the top of the picture."""

    low: float
    high: float

    def place(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / ((self.high - self.low) or 1.0)
        return round(_HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM), 1)


def errors_by_layer(outputs: OutputsParity) -> str:
    """Draw the largest differences of every stage on a logarithmic scale.

    Args:
        outputs: the runs of one model.

    Returns:
        An svg element.
    """
    series = {
        "reference to candidate": [stage.figures.max_abs for stage in outputs.stages],
        "reference to float64": [stage.reference_error for stage in outputs.stages],
        "candidate to float64": [stage.candidate_error for stage in outputs.stages],
    }
    limits = [_logarithm(stage.limit) for stage in outputs.stages]
    heights = {name: [_logarithm(value) for value in values] for name, values in series.items()}
    every = [value for values in heights.values() for value in values] + limits
    axis = _Axis(math.floor(min(every)), math.ceil(max(every) + 0.1))
    names = [stage.name for stage in outputs.stages]
    columns = _columns(len(names))
    body = [_grid(axis, [(power, f"1e{power}") for power in range(int(axis.low), int(axis.high) + 1)])]
    body += [_labels(names, columns), _line(limits, columns, axis, "limit")]
    for number, (name, values) in enumerate(heights.items()):
        body.append(_line(values, columns, axis, f"series series-{number}"))
        body += [
            _dot(column, axis.place(value), f"series-{number}", f"{stage}, {name}: {series[name][place]:.3g}")
            for place, (column, value, stage) in enumerate(zip(columns, values, names, strict=True))
        ]
    return _svg("Largest absolute difference by layer, on a logarithmic scale", body)


def logits_side_by_side(sample: Sample) -> str:
    """Draw logits of both sides in the same places: rings for the reference, dots for the candidate.

    Args:
        sample: some logits.

    Returns:
        An svg element.
    """
    every = [value for value in (*sample.reference, *sample.candidate) if math.isfinite(value)] or [0.0]
    margin = 0.06 * (max(every) - min(every)) or 1.0
    axis = _Axis(min(every) - margin, max(every) + margin)
    columns = _columns(len(sample.labels))
    body = [_grid(axis, [(tick, f"{tick:g}") for tick in _ticks(axis)]), _labels(sample.labels, columns)]
    for label, column, one, other in zip(sample.labels, columns, sample.reference, sample.candidate, strict=True):
        told = f"{label}: reference {one:.6g}, candidate {other:.6g}"
        if math.isfinite(one):
            body.append(_dot(column, axis.place(one), "ring", told))
        if math.isfinite(other):
            body.append(_dot(column, axis.place(other), "series-0", told))
    return _svg(f"{sample.what}: logits of the reference and of the candidate", body)


def _ticks(axis: _Axis) -> list[float]:
    """Round numbers within an axis: multiples of 1, 2 or 5 times a power of ten."""
    span = axis.high - axis.low
    power = 10.0 ** math.floor(math.log10(span / 4))
    step = next(step for step in (power, 2 * power, 5 * power, 10 * power) if span / step <= 6)
    first = math.ceil(axis.low / step)
    return [round(place * step, 12) for place in range(first, math.floor(axis.high / step) + 1)]


def _logarithm(value: float) -> float:
    if not math.isfinite(value):
        return 2.0
    return math.log10(max(value, _SMALLEST))


def _columns(count: int) -> list[float]:
    step = (_WIDTH - _LEFT - _RIGHT) / count
    return [round(_LEFT + step * (place + 0.5), 1) for place in range(count)]


def _grid(axis: _Axis, ticks: Sequence[tuple[float, str]]) -> str:
    lines = []
    for value, label in ticks:
        place = axis.place(value)
        lines.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{place}" y2="{place}"/>')
        lines.append(f'<text x="{_LEFT - 8}" y="{place + 4}" text-anchor="end">{escape(label)}</text>')
    return "".join(lines)


def _labels(names: Sequence[str], columns: Sequence[float]) -> str:
    step = max(1, math.ceil(len(names) / 16))
    last = len(names) - 1
    shown = [place for place in range(len(names)) if (place % step == 0 and last - place >= step) or place == last]
    top = _HEIGHT - _BOTTOM + 12
    return "".join(
        f'<text transform="translate({columns[place] + 4} {top}) rotate(-40)" text-anchor="end">'
        f"{escape(names[place])}</text>"
        for place in shown
    )


def _line(values: Sequence[float], columns: Sequence[float], axis: _Axis, style: str) -> str:
    points = " ".join(f"{column},{axis.place(value)}" for column, value in zip(columns, values, strict=True))
    if len(columns) == 1:
        points = f"{_LEFT},{axis.place(values[0])} {_WIDTH - _RIGHT},{axis.place(values[0])}"
    return f'<polyline class="{style}" points="{points}"/>'


def _dot(x: float, y: float, style: str, title: str) -> str:
    radius = 6 if style == "ring" else 3.5
    return f'<circle class="{style}" cx="{x}" cy="{y}" r="{radius}"><title>{escape(title)}</title></circle>'


def _svg(title: str, body: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{''.join(body)}</svg>"
    )
