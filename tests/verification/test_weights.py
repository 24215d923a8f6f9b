"""Weights are compared to the bit, whatever their orientation, container and dtype, and differences are measured."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from electra_convert.checkpoint import Model
from electra_convert.schemes.heads import REPLACED_TOKEN_DETECTION
from electra_convert.schemes.mapping import Sizes
from electra_convert.tensors.op import Op
from electra_convert.tensors.spec import DTYPES, Tensor, stream_bytes
from electra_convert.tensors.weight import Weight
from electra_convert.verification.weights import WeightsParity, compare_weights

NAME = "electra.encoder.layer.0.output.dense.weight"
SIZES = Sizes(1, 1, 1, 1, 1, 1, 1)


def dtype_of(name: str) -> np.dtype:
    return np.dtype(getattr(ml_dtypes, name, None) or name)


def weight(values: np.ndarray, op: Op = Op.KEEP) -> Weight:
    stored = np.ascontiguousarray(values.T if op is Op.TRANSPOSE else values)
    content = stored.reshape(-1).view(np.uint8).tobytes()
    return Weight(Tensor("variable", DTYPES[values.dtype.name], stored.shape, partial(stream_bytes, content)), op)


def model(weights: Mapping[str, Weight]) -> Model:
    return Model("discriminator", REPLACED_TOKEN_DETECTION, SIZES, weights, {}, Path())


def compared(reference: Weight | None, candidate: Weight | None) -> WeightsParity:
    sides = ({} if side is None else {NAME: side} for side in (reference, candidate))
    return compare_weights(*(model(side) for side in sides))


values = arrays(np.float32, array_shapes(min_dims=2, max_dims=2), elements=st.floats(-1e6, 1e6, width=32))
ops = st.sampled_from([Op.KEEP, Op.TRANSPOSE])


@given(values, ops, ops)
def test_the_same_values_are_equal_in_any_orientation(array, one, other):
    found = compared(weight(array, one), weight(array, other))
    assert (found.equal, found.differing, found.rounded) == (1, (), {})


@given(values, ops, ops, st.data())
def test_one_changed_element_is_found_counted_and_measured(array, one, other, data):
    place = tuple(data.draw(st.integers(0, size - 1)) for size in array.shape)
    changed = array.copy()
    changed[place] = changed[place] + np.float32(abs(changed[place]) + 1)
    tensor = compared(weight(array, one), weight(changed, other)).differing[0]
    assert (tensor.state, tensor.elements, tensor.size) == ("differs", 1, array.size)
    assert tensor.max_abs == abs(np.float64(changed[place]) - np.float64(array[place]))
    assert tensor.detail.startswith(f"1 of {array.size:,} elements differ")


def test_a_zero_of_the_other_sign_is_a_difference_of_bits():
    tensor = compared(weight(np.zeros((2, 2), np.float32)), weight(-np.zeros((2, 2), np.float32))).differing[0]
    assert tensor.detail == "the bits differ in the sign of zeros alone"


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        ("float32", "float16"),
        ("float32", "bfloat16"),
        ("float64", "float16"),
        ("float64", "bfloat16"),
        ("float64", "float32"),
    ],
)
def test_the_reference_is_rounded_to_a_narrower_candidate_and_nothing_else(wide, narrow):
    full = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32).astype(dtype_of(wide))
    rounded = full.astype(dtype_of(narrow))
    found = compared(weight(full, Op.TRANSPOSE), weight(rounded))
    assert (found.equal, found.rounded) == (1, {NAME: narrow})
    nudged = rounded.copy()
    nudged.view(f"u{nudged.itemsize}")[3, 2] += 1
    found = compared(weight(full), weight(nudged))
    assert found.differing[0].elements == 1
    assert f"after rounding to {narrow}" in found.differing[0].detail


@pytest.mark.parametrize("narrow", ["float16", "bfloat16", "float32"])
def test_a_wider_candidate_must_hold_what_the_reference_does_and_no_more(narrow):
    full = np.random.default_rng(0).normal(size=(7, 5))
    rounded = full.astype(dtype_of(narrow))
    found = compared(weight(rounded), weight(rounded.astype(np.float64), Op.TRANSPOSE))
    assert (found.equal, found.rounded) == (1, {})
    assert compared(weight(rounded), weight(full)).differing[0].elements > 20


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("op", [Op.KEEP, Op.TRANSPOSE])
def test_what_is_not_finite_is_never_equal(bad, op):
    array = np.ones((3, 2), np.float32)
    array[1, 1] = bad
    assert compared(weight(array), weight(array, op)).differing[0].state == "not finite"


def test_missing_unexpected_and_misshapen_weights_are_told_apart():
    square = weight(np.ones((2, 2), np.float32))
    assert compared(square, None).differing[0].detail == "not in the candidate"
    assert compared(None, square).differing[0].detail == "not in the reference"
    oblong = weight(np.ones((2, 3), np.float32))
    (tensor,) = compared(square, oblong).differing
    assert tensor.state == "other shape"
    assert tensor.detail == "shape [2, 2] in the reference, [2, 3] in the candidate"


def test_long_tensors_are_compared_to_their_end():
    array = np.zeros((1 << 21) + 3, np.float32)
    changed = array.copy()
    changed[-1] = 2.5
    tensor = compared(weight(array), weight(changed)).differing[0]
    assert (tensor.elements, tensor.max_abs) == (1, 2.5)


def test_the_table_puts_differences_first_and_layers_together():
    names = [f"electra.encoder.layer.{layer}.output.dense.bias" for layer in range(3)]
    equal, other = weight(np.ones(2, np.float32)), weight(np.zeros(2, np.float32))
    reference = model({**dict.fromkeys(names, equal), "electra.embeddings_project.bias": equal})
    candidate = model({**dict.fromkeys(names[1:], other), names[0]: equal, "electra.embeddings_project.bias": equal})
    assert compare_weights(reference, candidate).rows == [
        ("electra.encoder.layer.{1...2}.output.dense.bias", "2 tensors differ, by up to 1"),
        ("electra.embeddings_project.bias", "equal"),
        (names[0], "equal"),
    ]


def test_bytes_are_counted_for_the_progress_bar():
    done = []
    side = model({NAME: weight(np.ones((4, 4), np.float32))})
    compare_weights(side, side, done.append)
    assert done == [64]


def test_layers_of_another_shape_are_told_in_one_row_by_their_shapes():
    names = [NAME.replace("layer.0", f"layer.{layer}") for layer in range(3)]
    square, oblong = (weight(np.ones(shape, np.float32)) for shape in ((2, 2), (2, 3)))
    sides = (dict.fromkeys(names, square), dict.fromkeys(names, oblong))
    assert compare_weights(*map(model, sides)).rows == [
        (NAME.replace("layer.0", "layer.{0...2}"), "shape [2, 2] in the reference, [2, 3] in the candidate")
    ]
