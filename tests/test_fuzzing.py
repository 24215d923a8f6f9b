"""Every reader gives a result or an error of its own for whatever it is given; make fuzz does the same for longer."""

from __future__ import annotations

from itertools import islice
from random import Random

import numpy as np
import pytest
from support.fuzzing import running
from support.fuzzing.mutations import changed_value, protobuf, safetensors_header
from support.fuzzing.readers import READERS, Reader, share
from support.fuzzing.running import Tally, fuzz

from electra_convert.errors import CorruptFileError
from electra_convert.formats.wire import encode_content, encode_number, fields

INPUTS = 2500
SEED = 1


def marked(reader):
    return pytest.param(reader, id=reader.name, marks=[pytest.mark.slow] if reader.needs_framework else [])


@pytest.mark.parametrize("reader", [*map(marked, READERS)])
def test_a_changed_file_is_read_or_refused_in_bounded_time_and_memory(tmp_path, reader):
    tally = Tally()
    failures = list(fuzz(reader, tmp_path, share(reader, READERS, INPUTS), SEED, tally))
    assert not failures, failures[0].what
    assert tally.read + tally.refused == share(reader, READERS, INPUTS)


def test_every_reader_has_a_name_of_its_own():
    assert len({reader.name for reader in READERS}) == len(READERS)


def failing(read):
    return Reader("failing", lambda folder: {"file": (b"whole", lambda random, data: b"changed")}, read)


def once_changed(act):
    """A reader that does something where the file is not whole."""
    return failing(lambda folder: act() if (folder / "file").is_file() else None)


def raise_key_error():
    raise KeyError("weight_map")


def raise_own_error():
    raise CorruptFileError("it is damaged")


@pytest.mark.parametrize(
    ("act", "longest", "what"),
    [
        (raise_key_error, 5, "KeyError: 'weight_map'"),
        (lambda: [None for _ in iter(int, 1)], 0.2, "a hang of more than 0.2 seconds"),
        (lambda: np.ones(200 << 20, np.uint8), 5, "MB of memory"),
    ],
    ids=["another exception", "hang", "memory"],
)
def test_what_fails_is_found(tmp_path, monkeypatch, act, longest, what):
    monkeypatch.setattr(running, "LONGEST", longest)
    monkeypatch.setattr(running, "MOST_MEMORY", 50 << 20)
    [failure] = islice(fuzz(once_changed(act), tmp_path, 1, SEED, Tally()), 1)
    assert what in failure.what
    assert failure.data == b"changed"


def test_an_error_of_the_package_is_no_failure(tmp_path):
    tally = Tally()
    assert not list(fuzz(once_changed(raise_own_error), tmp_path, 3, SEED, tally))
    assert (tally.read, tally.refused, tally.failed) == (0, 3, 0)


def test_an_input_can_be_made_again_from_its_number(tmp_path):
    made = []

    def changing(random, data):
        made.append(random.random())
        return data

    reader = Reader("numbered", lambda folder: {"file": (b"", changing)}, lambda folder: None)
    list(fuzz(reader, tmp_path, 5, SEED, Tally()))
    list(fuzz(reader, tmp_path, 1, SEED, Tally(), first=3))
    assert made[3] == made[5]
    assert len(set(made)) == 5


def test_changes_lie_behind_right_lengths():
    message = encode_content(1, encode_content(2, encode_number(1, 7))) * 3
    parsed = 0
    for number in range(200):
        changed = protobuf(Random(number), message)
        try:
            parsed += all(list(fields(content)) is not None for _, content in fields(changed) if content)
        except (CorruptFileError, TypeError):
            continue
    assert parsed > 100
    header = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    whole = len(header).to_bytes(8, "little") + header + bytes(4)
    for number in range(50):
        changed = safetensors_header(Random(number), whole)
        length = int.from_bytes(changed[:8], "little")
        assert changed[8 + length :] == bytes(4)


def test_values_of_json_are_changed_in_place():
    value = {"a": [1, {"b": "c"}], "d": 2}
    assert sum(changed_value(Random(number), value) != value for number in range(100)) > 70
    assert value == {"a": [1, {"b": "c"}], "d": 2}
