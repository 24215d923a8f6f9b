"""Damage to what a run reported does not keep it from going on; what is told of damage is for people."""

from __future__ import annotations

import errno
import fcntl
import json
import os

import pytest
from support.pretraining import TINY

from electra_convert.errors import OutputError
from electra_convert.output import locked
from electra_convert.pretraining.reports import last_evaluation, read_metrics

pytestmark = pytest.mark.slow

GOOD = {"kind": "eval", "step": 2, "disc_auc": 0.5}
DAMAGE = {
    "bytes that are no text": b"\xff\xfe\x00",
    "half a row": b'{"kind": "train", "st',
    "no object": b"[1, 2]",
    "no kind": b'{"step": 3}',
    "a kind that is none": b'{"kind": [], "step": 3}',
    "no step": b'{"kind": "train"}',
    "a step that is none": b'{"kind": "train", "step": true}',
    "a value that is no number": b'{"kind": "train", "step": 3, "disc_loss": "low"}',
    "nested without end": b"[" * 200_000,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_rows_are_passed_over_and_the_others_kept(tmp_path, damage):
    row = json.dumps(GOOD).encode()
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b"\n".join([row, DAMAGE[damage], row, b""]))
    assert read_metrics(path) == [GOOD, GOOD]


def test_a_run_with_damaged_reports_is_resumed_and_tells_its_last_evaluation(pretrained, tmp_path):
    given = {"hparams": {**TINY, "num_train_steps": 1}}
    ended = pretrained(**given)
    assert ended.metrics
    path = tmp_path / "run" / "metrics.jsonl"
    good = path.read_bytes()
    path.write_bytes(b"\n".join([*DAMAGE.values(), good]))
    resumed = pretrained(**given, resume=True)
    assert (resumed.step, resumed.metrics) == (1, ended.metrics)
    assert path.read_bytes() == good
    assert last_evaluation(tmp_path) == {}


def test_a_file_of_another_length_or_content_is_told_in_words(finished_run):
    from electra_convert.pretraining.checkpoints import latest

    place = finished_run / "checkpoints"
    weights = place / "step-12" / "model" / "generator" / "model.safetensors"
    whole = weights.read_bytes()
    os.truncate(weights, len(whole) - 3)
    _, [notice] = latest(place)
    assert f"model.safetensors has {len(whole) - 3:,} bytes, expected {len(whole):,}." in notice
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    _, [notice] = latest(place)
    assert "model.safetensors has checksum " in notice


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (BlockingIOError(errno.EWOULDBLOCK, "busy"), "is being written to by another run"),
        (OSError(errno.ENOLCK, "No locks available"), "cannot be locked: No locks available"),
    ],
)
def test_only_a_lock_that_is_taken_speaks_of_another_run(tmp_path, monkeypatch, error, said):
    def refuse(*_):
        raise error

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OutputError, match=said), locked(tmp_path):
        pass
