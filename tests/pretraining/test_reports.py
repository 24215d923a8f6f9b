"""TensorBoard's event files hold what was reported, as TensorFlow reads them; a full disk is told of at once."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from electra_convert.errors import OutputError
from electra_convert.pretraining.reports import EventsFile


def test_scalars_are_read_back_from_the_file(tmp_path):
    from electra_convert.formats.wire import fields, messages
    from electra_convert.pretraining.corpus.tfrecords import _records

    EventsFile(tmp_path / "events", 0).write(20, {"train/disc_loss": 0.5, "train/learning_rate": 0.0})
    [file] = (tmp_path / "events").iterdir()
    version, start, scalars = _records(file)
    assert list(messages(version, 3)) == [b"brain.Event:2"]
    assert dict(fields(start))[2] == 1
    [summary] = messages(scalars, 5)
    found = [dict(fields(value)) for value in messages(summary, 1)]
    assert found == [{1: b"train/disc_loss", 2: 0x3F000000}, {1: b"train/learning_rate", 2: 0}]


@pytest.mark.slow
def test_tensorflow_reads_every_part_of_a_run_in_its_order(tmp_path, imported_tensorflow):
    from tensorflow.core.util.event_pb2 import SessionLog
    from tensorflow.python.summary.summary_iterator import summary_iterator

    for step, value in ((0, 0.25), (7, 0.0)):
        EventsFile(tmp_path / "events", step).write(step + 2, {"eval/disc_auc": value})
    found = [event for path in sorted((tmp_path / "events").iterdir()) for event in summary_iterator(str(path))]
    assert [(event.step, event.session_log.status == SessionLog.START) for event in found] == [
        (0, False), (1, True), (2, False), (0, False), (8, True), (9, False),
    ]  # fmt: skip
    values = [value for event in found for value in event.summary.value]
    assert all(value.HasField("simple_value") for value in values)
    assert [(value.tag, value.simple_value) for value in values] == [("eval/disc_auc", 0.25), ("eval/disc_auc", 0.0)]
    assert all(event.wall_time > 1.7e9 for event in found)


def test_a_full_disk_is_an_error_that_names_the_file(tmp_path, monkeypatch):
    events = EventsFile(tmp_path / "events", 0)

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(OutputError, match=r"events\.out\.tfevents\.\d+\.step-0 cannot be written: No space left"):
        events.write(1, {"train/disc_loss": 1.0})


@pytest.mark.slow
@pytest.mark.parametrize(("reports", "panels"), [(0, 0), (1, 2), (2, 4)])
def test_curves_have_a_title_and_units_and_only_what_is_known(tmp_path, monkeypatch, reports, panels):
    """After one report of the generator's, and after one of both."""
    from matplotlib.figure import Figure

    from electra_convert.pretraining.reports import MetricsLog, draw_curves

    drawn = []
    genuine = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda *given, **more: (drawn.append(given[0]), genuine(*given, **more))[1]
    )
    log = MetricsLog(tmp_path, 0)
    for step in range(20, 20 + 20 * reports, 20):
        log.write("train", step, {"masked_lm_loss": 5.0, "learning_rate": 1e-3})
    if reports == 2:
        log.write("eval", 40, {"disc_loss": 0.4, "disc_auc": 0.6, "frequency_auc": 0.5})
    draw_curves(tmp_path)
    [figure] = drawn
    assert figure.get_suptitle() == f"Pretraining of {tmp_path.name}, up to step {20 * reports}"
    assert len(figure.axes) == panels
    for place in figure.axes:
        assert place.get_title()
        assert place.get_xlabel() == "step"
        assert place.get_ylabel()
        # A single point is seen by its marker.
        assert all(line.get_marker() == "o" for line in place.lines)
