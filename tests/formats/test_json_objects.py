"""JSON that anyone may have written: bounded in depth and length, and refused as such."""

from __future__ import annotations

import json

import pytest

from electra_convert.errors import CorruptFileError, SourceError
from electra_convert.formats.files import LARGEST_SMALL_FILE
from electra_convert.formats.json_objects import DEEPEST, decode_json, decode_object, read_object


def nested(depth, opening="[", closing="]"):
    return opening * depth + closing * depth


@pytest.mark.parametrize(
    "text", ["{}", "[]", "1", nested(DEEPEST), '{"a":' * (DEEPEST - 1) + "{}" + "}" * (DEEPEST - 1)]
)
def test_what_nests_as_files_of_models_do_is_decoded_as_json_decodes_it(text):
    assert decode_json(text) == decode_json(text.encode()) == json.loads(text)


@pytest.mark.parametrize("depth", [DEEPEST + 1, 900, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":[', "]}")])
def test_what_nests_deeper_is_refused(depth, opening, closing):
    text = nested(depth, opening, closing)
    with pytest.raises(ValueError, match=f"nests deeper than {DEEPEST} levels"):
        decode_json(text)
    with pytest.raises(CorruptFileError, match=f"record is not valid JSON: it nests deeper than {DEEPEST} levels"):
        decode_object(b'{"a": ' + text.encode() + b"}", "record")


def test_a_file_far_larger_than_any_record_is_not_read(tmp_path):
    with (tmp_path / "run.json").open("wb") as file:
        file.truncate(LARGEST_SMALL_FILE + 1)
    with pytest.raises(SourceError, match=r"run\.json cannot be read: it is longer than 16 MB"):
        read_object(tmp_path / "run.json")


def test_a_file_that_is_missing_or_no_object_is_refused(tmp_path):
    with pytest.raises(SourceError, match=r"run\.json cannot be read: No such file"):
        read_object(tmp_path / "run.json")
    (tmp_path / "run.json").write_text("[]")
    with pytest.raises(CorruptFileError, match=r"run\.json is not a JSON object but a list"):
        read_object(tmp_path / "run.json")
