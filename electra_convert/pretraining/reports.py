"""What a run reports: metrics.jsonl, TensorBoard's event files, and the curves as a picture; measures nothing."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from electra_convert.errors import unwritable
from electra_convert.frameworks import import_matplotlib_figure
from electra_convert.output import replace_file
from electra_convert.pretraining.events import EventsFile

METRICS_FILE = "metrics.jsonl"
CURVES_FILE = "curves.png"
_EVENTS = "tensorboard"
_PANELS = (
    ("masked_lm_loss", "generator loss"),
    ("disc_loss", "discriminator loss"),
    ("disc_auc", "discriminator AUC (held out)"),
    ("learning_rate", "learning rate"),
)


class MetricsLog:
    """The reports of a run, appended as they come.

    Args:
        folder: the run's folder.
        step: where the run begins or is resumed; reports of later steps are from before it was interrupted, and go.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self._path = folder / METRICS_FILE
        kept = [row for row in read_metrics(self._path) if row["step"] <= step]
        replace_file(self._path, "".join(_line(row) for row in kept).encode())
        self._events = EventsFile(folder / _EVENTS, step)

    def write(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        """Append a report.

        Args:
            kind: train or eval.
            step: the global step after the update.
            values: numbers by name.

        Raises:
            OutputError: it cannot be written.
        """
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(_line({"kind": kind, "step": step, **values}))
        except OSError as error:
            raise unwritable(self._path, error) from error
        self._events.write(step, {f"{kind}/{name}": value for name, value in values.items()})


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Read the reports of a run.

    Args:
        path: metrics.jsonl, which need not be there.

    Returns:
        Its rows; one that was not finished, or is damaged, is left out.
    """
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    return [row for row in map(_row, lines) if row is not None]


def _row(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or not isinstance(row.get("kind"), str) or type(row.get("step")) is not int:
        return None
    values = [value for key, value in row.items() if key != "kind"]
    return row if all(value is None or isinstance(value, int | float) for value in values) else None


def last_evaluation(folder: Path) -> dict[str, float]:
    """The metrics that a run last reported of the held-out sequences.

    Args:
        folder: the run's folder.

    Returns:
        The metrics by name; empty where there are none.
    """
    rows = [row for row in read_metrics(folder / METRICS_FILE) if row["kind"] == "eval"]
    last = rows[-1] if rows else {}
    return {name: value for name, value in last.items() if name not in ("kind", "step") and value is not None}


def draw_curves(folder: Path) -> None:
    """Draw the curves of a run, training and evaluation, as curves.png.

    Args:
        folder: the run's folder, with metrics.jsonl.

    Raises:
        OutputError: it cannot be written.
    """
    figures = import_matplotlib_figure("to draw the curves")
    rows = read_metrics(folder / METRICS_FILE)
    figure = figures.Figure(figsize=(10, 6.5), layout="constrained")
    for place, (name, title) in zip(figure.subplots(2, 2).flat, _PANELS, strict=True):
        for kind, style in (("train", "-"), ("eval", "o--")):
            points = [(row["step"], row[name]) for row in rows if row["kind"] == kind and row.get(name) is not None]
            if points:
                place.plot(*zip(*points, strict=True), style, label="trained on" if kind == "train" else "held out")
        place.set_title(title)
        place.set_xlabel("step")
        place.grid(alpha=0.3)
        if place.lines:
            place.legend()
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    replace_file(folder / CURVES_FILE, picture.getvalue())


def _line(row: Mapping[str, Any]) -> str:
    plain = {
        name: value if not isinstance(value, float) or math.isfinite(value) else None for name, value in row.items()
    }
    return json.dumps(plain) + "\n"
