"""Weights rounded to 8 bits: near what they were, and so that every processor computes the same with them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from electra_convert.errors import NamesError
from electra_convert.graphs import int8
from electra_convert.graphs.int8 import Int8Weights
from electra_convert.graphs.operators import Operators
from electra_convert.tensors.op import Op
from electra_convert.tensors.spec import DTYPES, TensorSpec
from electra_convert.tensors.weight import Weight, constant


def rounded(values: np.ndarray, op: Op = Op.KEEP) -> tuple[np.ndarray, np.ndarray]:
    """The rows of a dense layer's weight after rounding, and their scales; op brings it from how it is stored."""
    stored = op.apply(values)
    tensor = constant(TensorSpec("kernel", DTYPES["float32"], stored.shape), stored.tobytes())
    weights = Int8Weights(Operators(), {"layer.weight": Weight(tensor, op)})
    weights.product("x", "layer")
    (kernel, spec), (scales, _) = weights.entries
    assert (spec.name, spec.shape) == ("layer.kernel", values.T.shape)
    return kernel.read().T, scales.read()


def largest_sum(rows: np.ndarray) -> int:
    """The largest sum of two neighbours of one sign, which processors without VNNI add up in 16 bits."""
    sides = np.stack([rows.astype(int), -rows.astype(int)]).clip(0)
    sides = np.pad(sides, ((0, 0), (0, 0), (0, rows.shape[1] % 2)))
    return int((sides[..., ::2] + sides[..., 1::2]).max())


@given(
    st.integers(0, 2**32),
    st.integers(1, 4),
    st.integers(1, 9),
    st.sampled_from([1e-30, 1.0, 1e38]),
    st.sampled_from(Op),
)
def test_no_processor_cuts_off_what_two_neighbours_add_up_to(seed: int, rows: int, columns: int, size: float, op: Op):
    """What is multiplied with them reaches 255, and of 16 bits 255 times 128 is the most."""
    rng = np.random.default_rng(seed)
    values = (rng.choice([-3, -1, 0, 0.7, 1, 3], (rows, columns)) * size).astype(np.float32)
    found, scales = rounded(values, op)
    assert largest_sum(found) <= 128
    assert all(largest_sum(row[None]) >= 127 for row, given in zip(found, values, strict=True) if given.any())
    assert (np.abs(found * scales[:, None] - values) <= 0.501 * scales[:, None]).all()


def test_a_table_that_is_read_in_pieces_is_rounded_as_one_that_is_read_whole(monkeypatch: pytest.MonkeyPatch):
    values = np.random.default_rng(0).standard_normal((7, 5)).astype(np.float32)
    whole = rounded(values)
    monkeypatch.setattr(int8, "PIECE_BYTES", 2 * 5 * 4 + 3)
    for one, other in zip(whole, rounded(values), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("op", Op)
def test_a_number_that_is_none_is_not_rounded(op: Op):
    with pytest.raises(NamesError, match="kernel holds NaN or infinite values"):
        rounded(np.array([[1, np.inf], [0, 1]], np.float32), op)
