"""The report as a page that needs nothing else, filled into report.html, and where its pictures have their marks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from electra_convert.pages import render
from electra_convert.verification.compare import STAGE_HEADER, OutputsParity, Sample
from electra_convert.version import __version__

_WIDTH, _HEIGHT = 640, 356
_LEFT, _RIGHT, _TOP, _BOTTOM = 72, 14, 34, 90
_MOST_LABELS = 14
_SMALLEST = 1e-10  # what a logarithmic axis shows a difference of nothing as


def report_page(report: object) -> str:
    """The page of a ParityReport, which makes its own page and is therefore not imported here."""
    return render(
        "electra_convert.verification",
        "report.html",
        report=report,
        stage_header=STAGE_HEADER,
        errors_by_layer=errors_by_layer,
        logits_side_by_side=logits_side_by_side,
        version=__version__,
    )


@dataclass(frozen=True)
class Dot:
    """A mark: its place and radius in pixels, the class of its colour, and what pointing at it shows."""

    x: float
    y: float
    radius: float
    style: str
    title: str


@dataclass(frozen=True)
class Chart:
    """A picture.

    Attributes:
        ticks: the height in pixels and the label of each line of its grid.
        labels: the place in pixels and the text of each column that is named.
        lines: the class and the points of each line, as SVG writes them.
        marked: the place in pixels of the column that is pointed at, and what is said of it.
    """

    title: str
    ticks: Sequence[tuple[float, str]]
    labels: Sequence[tuple[float, str]]
    lines: Sequence[tuple[str, str]]
    dots: Sequence[Dot]
    marked: tuple[float, str] | None = None

    width, height, left, right, top = _WIDTH, _HEIGHT, _LEFT, _WIDTH - _RIGHT, _TOP
    foot = _HEIGHT - _BOTTOM + 12


@dataclass(frozen=True)
class _Axis:
    """A vertical axis: values on a line from the bottom to the top of the picture."""

    low: float
    high: float

    def place(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / ((self.high - self.low) or 1.0)
        return round(_HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM), 1)


def errors_by_layer(outputs: OutputsParity) -> Chart:
    """The largest differences of every stage, on a logarithmic scale."""
    names = [stage.name for stage in outputs.stages]
    series = {
        "reference to candidate": [stage.figures.max_abs for stage in outputs.stages],
        "reference to float64": [stage.reference_error for stage in outputs.stages],
        "candidate to float64": [stage.candidate_error for stage in outputs.stages],
    }
    limits = [_logarithm(stage.limit) for stage in outputs.stages]
    heights = [[_logarithm(value) for value in values] for values in series.values()]
    every = [value for values in (limits, *heights) for value in values]
    axis = _Axis(math.floor(min(every)), math.ceil(max(every) + 0.1))
    columns = _columns(len(names))
    dots = [
        Dot(x, axis.place(height), 3.5, f"series-{number}", f"{stage}, {name}: {value:.3g}")
        for number, (name, values) in enumerate(series.items())
        for x, height, stage, value in zip(columns, heights[number], names, values, strict=True)
    ]
    return Chart(
        "Largest absolute difference by layer, on a logarithmic scale",
        [(axis.place(power), f"1e{power}") for power in range(int(axis.low), int(axis.high) + 1)],
        _labels(names, columns),
        [
            ("limit", _points(limits, columns, axis)),
            *((f"series series-{number}", _points(line, columns, axis)) for number, line in enumerate(heights)),
        ],
        dots,
        next(
            (
                (x, f"{stage.name} is the first beyond the limit")
                for x, stage in zip(columns, outputs.stages, strict=True)
                if not stage.passed
            ),
            None,
        ),
    )


def logits_side_by_side(sample: Sample) -> Chart:
    """Logits of both sides in the same places: rings for the reference, dots for the candidate."""
    every = [value for value in (*sample.reference, *sample.candidate) if math.isfinite(value)] or [0.0]
    margin = 0.06 * (max(every) - min(every)) or 1.0
    axis = _Axis(min(every) - margin, max(every) + margin)
    columns = _columns(len(sample.labels))
    dots = []
    for label, x, one, other in zip(sample.labels, columns, sample.reference, sample.candidate, strict=True):
        told = f"{label}: reference {one:.6g}, candidate {other:.6g}"
        marks = ((one, 6, "ring"), (other, 3.5, "series-0"))
        dots += [Dot(x, axis.place(value), size, style, told) for value, size, style in marks if math.isfinite(value)]
    return Chart(
        f"{sample.what}: logits of the reference and of the candidate",
        [(axis.place(tick), f"{tick:g}") for tick in _ticks(axis)],
        _labels(sample.labels, columns),
        [],
        dots,
    )


def _ticks(axis: _Axis) -> list[float]:
    """Round numbers within an axis: multiples of 1, 2 or 5 times a power of ten."""
    span = axis.high - axis.low
    power = 10.0 ** math.floor(math.log10(span / 4))
    step = next(step for step in (power, 2 * power, 5 * power, 10 * power) if span / step <= 6)
    first = math.ceil(axis.low / step)
    return [round(place * step, 12) for place in range(first, math.floor(axis.high / step) + 1)]


def _logarithm(value: float) -> float:
    return math.log10(max(value, _SMALLEST)) if math.isfinite(value) else 2.0


def _columns(count: int) -> list[float]:
    step = (_WIDTH - _LEFT - _RIGHT) / count
    return [round(_LEFT + step * (place + 0.5), 1) for place in range(count)]


def _labels(names: Sequence[str], columns: Sequence[float]) -> list[tuple[float, str]]:
    """The last name, and as many of those before it as can be read beside each other."""
    step = max(1, math.ceil(len(names) / _MOST_LABELS))
    last = len(names) - 1
    shown = [place for place in range(len(names)) if (place % step == 0 and last - place >= step) or place == last]
    return [(columns[place], names[place]) for place in shown]


def _points(values: Sequence[float], columns: Sequence[float], axis: _Axis) -> str:
    if len(columns) == 1:  # a line from side to side
        values, columns = [*values, *values], [_LEFT, _WIDTH - _RIGHT]
    return " ".join(f"{column},{axis.place(value)}" for column, value in zip(columns, values, strict=True))
