"""A checkpoint of a run whose state has its checksum and says something else is passed over for an older one."""

from __future__ import annotations

import json

import pytest
from crc32c import crc32c

pytestmark = pytest.mark.slow
WHOLE = {"schema": 1, "step": 4, "pending": [[7.5, 0.7, 48.0]], "files": {}}


def write_state(folder, step, content):
    checksum = f"{crc32c(json.dumps(content, sort_keys=True).encode()):08x}"
    (folder / f"step-{step}").mkdir()
    (folder / f"step-{step}" / "state.json").write_text(json.dumps({"crc32c": checksum, **content}))


@pytest.mark.parametrize(
    "change",
    [
        {"files": 1 << 64},
        {"files": None},
        {"files": ["model/config.json"]},
        {"files": {"model/config.json": 1}},
        {"pending": 7},
        {"pending": [7.5]},
        {"pending": [["7.5"]]},
        {"step": 1 << 64},
        {"step": None},
    ],
    ids=str,
)
def test_a_state_of_another_kind_is_damaged_and_passed_over(tmp_path, change):
    from electra_convert.pretraining.checkpoints import latest

    write_state(tmp_path, 2, {**WHOLE, "step": 2})
    write_state(tmp_path, 4, {**WHOLE, **change})
    saved, damaged = latest(tmp_path)
    assert saved is not None
    assert saved.step == 2
    [line] = damaged
    assert "step-4 is damaged and passed over: " in line
