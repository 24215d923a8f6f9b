"""What classes are called: found where Google's code keeps it, given, or made up with a warning; never run."""

from __future__ import annotations

import os
import pickle
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from electra_convert.config.labels import GOOGLE_LABELS, configured_labels, find_labels, read_mapping
from electra_convert.errors import ConfigError
from electra_convert.schemes.heads import REGRESSION, SEQUENCE_CLASSIFICATION, TOKEN_CLASSIFICATION

TAGS = {"B-LOC": 0, "O": 1, "I-LOC": 2}


@pytest.mark.parametrize("task", GOOGLE_LABELS)
def test_googles_tasks_have_the_labels_of_googles_code(task: str, tmp_path: Path):
    found = find_labels(tmp_path, task, SEQUENCE_CLASSIFICATION, len(GOOGLE_LABELS[task]), None)
    assert (found.names, found.warning) == (GOOGLE_LABELS[task], None)
    assert list(found.values["label2id"].value.values()) == list(range(len(found.names)))


@pytest.mark.parametrize("place", ["finetuning_models/chunk_model_1", "finetuning_tfrecords/chunk_tfrecords"])
def test_a_taggers_table_is_found_beside_it_and_where_google_keeps_it(place: str, tmp_path: Path):
    checkpoint = tmp_path / "models" / "m" / "finetuning_models" / "chunk_model_1"
    for folder in (checkpoint, tmp_path / "models" / "m" / place):
        folder.mkdir(parents=True, exist_ok=True)
    mapping = tmp_path / "models" / "m" / place / "chunk_label_mapping.pkl"
    mapping.write_bytes(pickle.dumps(TAGS, pickle.HIGHEST_PROTOCOL))
    found = find_labels(checkpoint, "chunk", TOKEN_CLASSIFICATION, 3, None)
    assert found.names == ("B-LOC", "O", "I-LOC")


@pytest.mark.parametrize(
    ("config", "names"),
    [
        ({"id2label": {"0": "no", "1": "yes"}}, ("no", "yes")),
        ({"id2label": {"1": "yes"}}, ("None", "yes")),
        ({"id2label": {"0": "no", "1": "yes", "2": "both"}}, ("no", "yes", "both")),
        ({"id2label": ["no", "yes"]}, ("LABEL_0", "LABEL_1")),
        ({}, ("LABEL_0", "LABEL_1")),
    ],
)
def test_a_configuration_has_its_own_labels_or_those_that_transformers_gives(config: dict, names: tuple[str, ...]):
    assert configured_labels(config, 2).names == names


@pytest.mark.parametrize("given_as", ["list", "file"])
def test_labels_that_are_given_come_first(given_as: str, tmp_path: Path):
    (tmp_path / "labels.txt").write_text("yes\nno\n")
    option = "yes, no" if given_as == "list" else str(tmp_path / "labels.txt")
    assert find_labels(tmp_path, "rte", SEQUENCE_CLASSIFICATION, 2, option).names == ("yes", "no")


def test_labels_that_nothing_says_are_made_up_with_a_warning(tmp_path: Path):
    found = find_labels(tmp_path, "mine", TOKEN_CLASSIFICATION, 3, None)
    assert found.names == ("LABEL_0", "LABEL_1", "LABEL_2")
    assert "Nothing says what the 3 classes of mine are called" in str(found.warning)
    assert find_labels(tmp_path, "mine", REGRESSION, 1, None).warning is None


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("a,b,c", "--labels names 3 classes"),
        ("a,", "leaves class 1 without a name"),
        ("a,a", "names the class 'a' twice"),
        ("nowhere.txt", "no file, and no list"),
    ],
)
def test_labels_that_do_not_fit_are_refused(option: str, message: str, tmp_path: Path):
    with pytest.raises(ConfigError, match=message):
        find_labels(tmp_path, "rte", SEQUENCE_CLASSIFICATION, 2, option)


class Evil:
    """Would make a folder where it is unpickled."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self):
        return os.mkdir, (str(self.place),)


def test_a_pickle_that_calls_something_is_refused_and_calls_nothing(tmp_path: Path):
    (tmp_path / "t.pkl").write_bytes(pickle.dumps({"a": Evil(tmp_path / "made")}))
    with pytest.raises(ConfigError, match="operation STACK_GLOBAL, which no such table needs"):
        read_mapping(tmp_path / "t.pkl")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("table", [{"a": 1}, {"a": "0"}, {0: 0}, ["a"], {"a": True}, {"a": 0, "b": 0}])
def test_what_is_no_table_of_labels_is_refused(table: object, tmp_path: Path):
    (tmp_path / "t.pkl").write_bytes(pickle.dumps(table))
    with pytest.raises(ConfigError, match=r"no table of labels|do not run from 0|no such table needs"):
        read_mapping(tmp_path / "t.pkl")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol_of_pickle_is_read(protocol: int, tmp_path: Path):
    (tmp_path / "t.pkl").write_bytes(pickle.dumps(TAGS, protocol))
    assert read_mapping(tmp_path / "t.pkl") == ["B-LOC", "O", "I-LOC"]


def test_a_pickle_that_asks_for_a_huge_memo_is_refused_at_once(tmp_path: Path):
    (tmp_path / "t.pkl").write_bytes(b"\x80\x02}r\xff\xff\xff\x7f.")
    with pytest.raises(ConfigError, match="numbers a value 2147483647"):
        read_mapping(tmp_path / "t.pkl")


@given(data=st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes, tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.getbasetemp() / "any.pkl"
    path.write_bytes(data)
    with suppress(ConfigError):
        assert read_mapping(path) == []
