"""What models are run on: every position used, nothing out of bounds, and files of ids checked before use."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from electra_convert.errors import SourceError, UsageError
from electra_convert.verification.inputs import Limits, Specials, builtin_batches, checked, read_inputs

LIMITS = Limits(50, 12, 2)
limits = st.builds(Limits, st.integers(1, 40000), st.integers(1, 600), st.integers(1, 5))


@given(limits)
def test_the_built_in_inputs_fit_any_model_and_use_every_position(some):
    for batch in builtin_batches(some, Specials()):
        checked(batch, some)
    full = builtin_batches(some, Specials())[-1]
    assert full.length == full.tokens == some.positions
    assert set(np.unique(full.segment_ids)) == set(range(min(some.types, some.positions)))


def test_the_built_in_inputs_exercise_what_goes_wrong():
    specials = Specials(pad=0, cls=2, sep=3, mask=4)
    short, _ = builtin_batches(Limits(1500, 128, 2), specials)
    rows = dict(zip(short.rows, short.input_ids, strict=True))
    assert list(rows) == ["single", "paired", "padded", "one token", "masked", "random ids"]
    assert short.input_mask.sum(axis=1).tolist() == [48, 48, 16, 1, 48, 48]
    assert (rows["padded"][16:] == specials.pad).all()
    assert (rows["masked"] == specials.mask).sum() > 3
    assert set(short.segment_ids[1]) == {0, 1}
    assert not short.segment_ids[[0, 2, 3, 4, 5]].any()


@given(limits)
def test_a_task_of_another_segment_gets_a_row_of_it(some):
    short, full = builtin_batches(some, Specials(), segment=1)
    assert (short.rows[-1], len(short.rows)) == ("all of segment 1", 7)
    np.testing.assert_array_equal(short.segment_ids[-1], short.input_mask[-1] * min(1, some.types - 1))
    checked(short, some)
    assert full.length == some.positions


def test_they_are_the_same_every_time():
    one, other = builtin_batches(LIMITS, Specials()), builtin_batches(LIMITS, Specials())
    for first, second in zip(one, other, strict=True):
        np.testing.assert_array_equal(first.input_ids, second.input_ids)


def saved(tmp_path, **arrays):
    np.savez(tmp_path / "ids.npz", **arrays)
    return tmp_path / "ids.npz"


@pytest.mark.parametrize(("mask", "segments"), [("input_mask", "segment_ids"), ("attention_mask", "token_type_ids")])
def test_ids_are_read_under_either_framework_s_names(tmp_path, mask, segments):
    ids = np.array([[1, 2, 3], [4, 5, 0]])
    path = saved(tmp_path, input_ids=ids, **{mask: np.array([[1, 1, 1], [1, 1, 0]]), segments: np.eye(3)[:2] > 0})
    batch = read_inputs(path, LIMITS)
    np.testing.assert_array_equal(batch.input_ids, ids)
    assert batch.tokens == 5
    np.testing.assert_array_equal(batch.segment_ids, np.eye(3)[:2])
    assert {array.dtype for array in (batch.input_ids, batch.input_mask, batch.segment_ids)} == {np.dtype("int32")}


def test_a_single_row_without_mask_and_segments_is_enough(tmp_path):
    batch = read_inputs(saved(tmp_path, input_ids=np.arange(5)), LIMITS)
    assert (batch.input_ids.shape, batch.tokens, batch.segment_ids.sum()) == ((1, 5), 5, 0)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"input_ids": np.array([[50]])}, r"input_ids holds 50 to 50, the model takes 0 to 49"),
        ({"input_ids": np.array([[-1]])}, r"input_ids holds -1 to -1"),
        ({"input_ids": np.array([[0.5]])}, r"input_ids is float64 of shape \[1, 1\], expected whole numbers"),
        ({"input_ids": np.zeros((1, 0), int)}, r"expected whole numbers of shape"),
        ({"input_ids": np.zeros((1, 2, 3), int)}, r"expected whole numbers of shape"),
        ({"input_ids": np.zeros((1, 13), int)}, r"rows of 13 tokens, the model has 12 positions"),
        ({"input_ids": np.zeros((2, 3), int), "input_mask": np.ones((2, 2), int)}, r"input_mask is int64 of shape"),
        ({"input_ids": np.zeros((1, 2), int), "input_mask": np.zeros((1, 2), int)}, r"nothing but padding"),
        ({"input_ids": np.zeros((1, 2), int), "input_mask": np.full((1, 2), 2)}, r"the model takes 0 to 1"),
        ({"input_ids": np.zeros((1, 2), int), "segment_ids": np.full((1, 2), 2)}, r"segment_ids holds 2 to 2"),
    ],
)
def test_ids_that_do_not_fit_the_model_are_refused(tmp_path, arrays, message):
    with pytest.raises(UsageError, match=message):
        read_inputs(saved(tmp_path, **arrays), LIMITS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file"),
        (b"", "is not an .npz of plain arrays"),
        (b"no archive", "is not an .npz of plain arrays"),
        (b"PK\x03\x04 cut off", "is not an .npz of plain arrays"),
    ],
)
def test_files_that_are_no_npz_are_refused(tmp_path, content, message):
    path = tmp_path / "ids.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceError, match=message):
        read_inputs(path, LIMITS)


@pytest.mark.parametrize("name", ["mask", "attention_mask"])
def test_arrays_that_would_be_passed_over_are_refused(tmp_path, name):
    ones = np.ones((1, 2), int)
    with pytest.raises(UsageError, match="expected input_ids, one mask"):
        read_inputs(saved(tmp_path, input_ids=ones, input_mask=ones, **{name: ones}), LIMITS)


def test_a_file_without_ids_or_with_pickles_is_refused(tmp_path):
    with pytest.raises(SourceError, match="holds no input_ids"):
        read_inputs(saved(tmp_path, ids=np.zeros(3, int)), LIMITS)
    with pytest.raises(SourceError, match=r"not an \.npz of plain arrays"):
        read_inputs(saved(tmp_path, input_ids=np.array([{}], object)), LIMITS)
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(SourceError, match=r"one array, not an \.npz"):
        read_inputs(tmp_path / "one.npy", LIMITS)
