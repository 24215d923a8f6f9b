"""What a run reports: metrics.jsonl, TensorBoard's event files, and the curves as a picture; measures nothing.

An event file is TFRecords of tensorflow.Event (tensorflow/core/util/event.proto). Only the fields that scalars need
are written, so no package is needed; and at once, so that what cannot be written is an error and nothing waits.
"""

from __future__ import annotations

import io
import json
import math
import struct
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from electra_convert.errors import OutputError, unwritable
from electra_convert.formats.json_objects import decode_json
from electra_convert.formats.wire import encode_content, encode_number
from electra_convert.frameworks import import_matplotlib_figure
from electra_convert.output import replace_file
from electra_convert.pretraining.corpus.tfrecords import frame

_METRICS, CURVES = "metrics.jsonl", "curves.png"
_EVENTS = "tensorboard"
_EVENT_VERSION = b"brain.Event:2"
# The numbers of fields; those of doubles and floats with their wire types, as they stand in a file.
_WALL_TIME = b"\x09"  # 1, a double
_STEP, _FILE_VERSION, _SUMMARY, _SESSION_LOG = 2, 3, 5, 7
_VALUE, _TAG = 1, 1
_SIMPLE_VALUE = b"\x15"  # 2, a float
_STATUS, _START = 1, 1
# What is drawn: a title, the unit, and reports of either kind with what each is.
Panel = tuple[str, str, tuple[tuple[str, str, str], ...]]
_PANELS: tuple[Panel, ...] = (
    (
        "Generator: masked_lm_loss",
        "nats a token",
        (
            ("train", "masked_lm_loss", "trained on"),
            ("eval", "masked_lm_loss", "held out"),
            ("eval", "frequency_masked_lm_loss", "frequency alone"),
        ),
    ),
    (
        "Discriminator: disc_loss",
        "nats a token",
        (("train", "disc_loss", "trained on"), ("eval", "disc_loss", "held out")),
    ),
    (
        "Discriminator: disc_auc",
        "area under the ROC curve (0.5 is chance)",
        (("eval", "disc_auc", "held out"), ("eval", "frequency_auc", "frequency alone")),
    ),
    ("Learning rate", "rate of a step", (("train", "learning_rate", "rate"),)),
)
_STYLES = {"trained on": "C0", "rate": "C0", "held out": "C1", "frequency alone": "C7"}
# Where points are no more than these, each is marked.
_FEW = 40


class MetricsLog:
    """The reports of a run, appended as they come.

    Args:
        folder: the run's folder.
        step: where the run begins or is resumed; reports of later steps are from before it was interrupted, and go.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self._path = folder / _METRICS
        kept = [row for row in read_metrics(self._path) if row["step"] <= step]
        replace_file(self._path, "".join(_line(row) for row in kept).encode())
        self._events = EventsFile(folder / _EVENTS, step)

    def write(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        """Append a report.

        Args:
            kind: train or eval.
            step: the global step after the update.
            values: numbers by name; what is not finite is written as null.

        Raises:
            OutputError: it cannot be written.
        """
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(_line({"kind": kind, "step": step, **values}))
        except OSError as error:
            raise unwritable(self._path, error) from error
        self._events.write(step, {f"{kind}/{name}": value for name, value in values.items()})


class EventsFile:
    """TensorBoard's scalars of a run, or of a part of it.

    Args:
        folder: TensorBoard's folder, made where it is missing; files of earlier parts stay in it.
        step: where the part begins; what earlier files have of later steps is passed over by TensorBoard.

    Raises:
        OutputError: it cannot be written.
    """

    def __init__(self, folder: Path, step: int) -> None:
        # TensorBoard reads files in the order of their names.
        self._path = folder / f"events.out.tfevents.{int(time.time()):010d}.step-{step}"
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder} cannot be made: {error.strerror}") from error
        version = encode_content(_FILE_VERSION, _EVENT_VERSION)
        start = encode_content(_SESSION_LOG, encode_number(_STATUS, _START))
        self._append(_event(version), _event(encode_number(_STEP, step + 1) + start))

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Append scalars by their tags.

        Raises:
            OutputError: they cannot be written.
        """
        summary = b"".join(encode_content(_VALUE, _scalar(tag, value)) for tag, value in values.items())
        self._append(_event(encode_number(_STEP, step) + encode_content(_SUMMARY, summary)))

    def _append(self, *events: bytes) -> None:
        try:
            with self._path.open("ab") as file:
                file.write(b"".join(map(frame, events)))
        except OSError as error:
            raise unwritable(self._path, error) from error


def _event(fields: bytes) -> bytes:
    return _WALL_TIME + struct.pack("<d", time.time()) + fields


def _scalar(tag: str, value: float) -> bytes:
    return encode_content(_TAG, tag.encode()) + _SIMPLE_VALUE + struct.pack("<f", value)


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Read the rows of a metrics.jsonl, which need not be there; one that is unfinished or damaged is left out."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    return [row for row in map(_row, lines) if row is not None]


def _row(line: str) -> dict[str, Any] | None:
    try:
        row = decode_json(line)
    except ValueError:
        return None
    if not isinstance(row, dict) or not isinstance(row.get("kind"), str) or type(row.get("step")) is not int:
        return None
    values = [value for key, value in row.items() if key != "kind"]
    return row if all(value is None or isinstance(value, int | float) for value in values) else None


def last_evaluation(folder: Path) -> dict[str, float]:
    """The metrics that the run in a folder last reported of the held-out sequences; empty where there are none."""
    rows = [row for row in read_metrics(folder / _METRICS) if row["kind"] == "eval"]
    last = rows[-1] if rows else {}
    return {name: value for name, value in last.items() if name not in ("kind", "step") and value is not None}


def draw_curves(folder: Path, panels: Sequence[Panel] = _PANELS, what: str = "Pretraining") -> None:
    """Draw the curves of the run in a folder, training and evaluation, as curves.png.

    Args:
        folder: of the run.
        panels: each a title, a unit, and reports of either kind with what each is: trained on, held out, rate.
        what: the run is.

    Raises:
        OutputError: it cannot be written.
    """
    figures = import_matplotlib_figure("to draw the curves")
    rows = read_metrics(folder / _METRICS)
    drawn = [panel for panel in panels if any(_points(rows, kind, name) for kind, name, _ in panel[2])]
    across, down = min(2, len(drawn)) or 1, -(-len(drawn) // 2) or 1
    figure = figures.Figure(figsize=(5.5 * across, 3.75 * down), layout="constrained")
    last = max((row["step"] for row in rows), default=0)
    figure.suptitle(f"{what} of {folder.resolve().name}, up to step {last:,}")
    for number, (title, unit, curves) in enumerate(drawn, 1):
        place = figure.add_subplot(down, across, number)
        for kind, name, label in curves:
            _draw(place, _points(rows, kind, name), label)
        _label(place, title, unit, last)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    replace_file(folder / CURVES, picture.getvalue())


def _points(rows: list[dict[str, Any]], kind: str, name: str) -> list[tuple[int, float]]:
    return [(row["step"], row[name]) for row in rows if row["kind"] == kind and row.get(name) is not None]


def _draw(place: Any, points: list[tuple[int, float]], label: str) -> None:  # noqa: ANN401 - matplotlib's Axes
    if points:
        marker = "o" if len(points) <= _FEW else None
        dashed = "--" if label == "frequency alone" else "-"
        steps, values = zip(*points, strict=True)
        place.plot(steps, values, dashed, color=_STYLES[label], marker=marker, markersize=4, label=label)


def _label(place: Any, title: str, unit: str, last: int) -> None:  # noqa: ANN401 - matplotlib's Axes
    place.set_title(title)
    place.set_xlabel("step")
    place.set_ylabel(unit)
    # From the beginning, so that few reports stand where they belong.
    place.set_xlim(0, max(1, last) * 1.03)
    place.xaxis.get_major_locator().set_params(integer=True)
    place.ticklabel_format(axis="y", useOffset=False)
    place.grid(alpha=0.3)
    if len(place.lines) > 1:
        place.legend()


def _line(row: Mapping[str, Any]) -> str:
    plain = {
        name: value if not isinstance(value, float) or math.isfinite(value) else None for name, value in row.items()
    }
    return json.dumps(plain) + "\n"
