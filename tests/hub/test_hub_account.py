"""inspect of a whole account on the Hub: every row is right, little is read, and what fails stops nothing."""

from __future__ import annotations

import json

import pytest
from support.fake_hub.account import kinds

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def every_kind(tmp_path_factory):
    return kinds(tmp_path_factory.mktemp("kinds"))


def fill(hub, every_kind, each):
    for number in range(each):
        for name, kind in every_kind.items():
            kind.put(hub, f"alice/{name}-{number}")


def wrong_rows(rows, every_kind):
    """What is not said of a model as it should be."""
    expected = {row["name"]: every_kind[row["name"].partition("/")[2].rpartition("-")[0]].expected for row in rows}
    return {
        (row["name"], key): (row[key], value, row["error"], row["why"])
        for row in rows
        for key, value in expected[row["name"]].items()
        if row[key] != value
    }


def test_every_row_is_right_and_less_than_a_hundredth_is_read(hub, every_kind):
    fill(hub, every_kind, 1)
    before = len(hub.record)
    ran = hub.run("inspect", "hf://alice", "--json")
    assert (ran.code, ran.err) == (0, "")
    rows = json.loads(ran.out)["models"]
    assert len(rows) == len(every_kind)
    assert not wrong_rows(rows, every_kind)
    sent = sum(one["sent"] for one in hub.record[before:])
    assert sent < sum(kind.size for kind in every_kind.values()) / 100
    assert {one["method"] for one in hub.record[before:]} == {"GET"}
