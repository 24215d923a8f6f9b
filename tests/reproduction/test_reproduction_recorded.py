"""A record that anybody may have written is read, or refused in words; it never leads anywhere else."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from electra_convert.conversion.recorded_options import read_options
from electra_convert.errors import ElectraConvertError
from electra_convert.reproduction.recorded import Recorded, read_recorded, with_hashes_of_parity

FILE = {"name": "model.ckpt-1.index", "size": 7, "sha256": "0" * 64}
GOOD = {
    "repository": "alice/run",
    "commit": "0" * 40,
    "path": "a/b",
    "files": [FILE],
    "options": {"dtype": "float16"},
}
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
NAMES = st.sampled_from(["..", "/etc/passwd", "a/../b", "C:\\x", "vocab.txt", "alice/run", "f" * 64, "e" * 40])
KEYS = st.sampled_from(
    [*GOOD, *FILE, "vocab", "hparams", "config", "labels", "task", "values", "folder", "generator"]
)
ANYTHING = st.recursive(
    LEAVES | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)


def read(folder: Path, provenance: object) -> Recorded:
    record = {"schema": 1, "tool": {"version": "0.1.0"}, "config": {"generator": {}}, "provenance": provenance}
    (folder / "conversion.json").write_text(json.dumps(record))
    return read_recorded(folder / "conversion.json", "here")


def test_a_good_record_is_read(tmp_path: Path):
    found = read(tmp_path, GOOD)
    assert found.place.address == f"hf://alice/run@{'0' * 40}/a/b"
    assert (found.version, found.model) == ("0.1.0", (frozenset({"generator"}), None))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(provenance=ANYTHING | st.dictionaries(KEYS, ANYTHING).map(lambda change: {**GOOD, **change}))
def test_any_record_is_read_or_refused(tmp_path: Path, provenance: Any):
    with suppress(ElectraConvertError):
        found = read(tmp_path, provenance)
        places = [found.place, *([found.generator] if found.generator else [])]
        for name in (file.name for place in places for file in place.files):
            assert (tmp_path / name).resolve().is_relative_to(tmp_path)
        (tmp_path / "made").mkdir(exist_ok=True)
        with suppress(ElectraConvertError):
            read_options(found.options, lambda _: None, tmp_path / "made")
        assert {path.name for path in tmp_path.iterdir()} == {"conversion.json", "made"}


@pytest.mark.parametrize(
    ("row", "expected"),
    [({**FILE, "sha256": "1" * 64}, "1" * 64), ({**FILE, "size": 8}, None), ({**FILE, "name": "other"}, None)],
)
def test_a_hash_is_taken_from_parity_json_only_of_the_same_file(
    tmp_path: Path, row: dict[str, Any], expected: str | None
):
    place = read(tmp_path, {**GOOD, "files": [{**FILE, "sha256": None}]}).place
    (tmp_path / "parity.json").write_text(json.dumps({"provenance": {"files": [row]}}))
    (file,) = with_hashes_of_parity(place, tmp_path / "parity.json").files
    assert file.sha256 == expected
