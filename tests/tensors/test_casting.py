"""Casts and the look for what is not finite, held to ml_dtypes, numpy and exact fractions."""

from __future__ import annotations

import math
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from electra_convert.errors import NamesError
from electra_convert.tensors.cast import WEIGHT_DTYPES, all_finite, cast, require_finite
from electra_convert.tensors.spec import DTYPES, TensorSpec

NUMPY = {name: np.dtype(getattr(ml_dtypes, name, name)) for name in WEIGHT_DTYPES}
# Bits of the significand, and the exponents of the smallest normal number and of the largest.
SHAPE = {"float16": (11, -14, 15), "bfloat16": (8, -126, 127), "float32": (24, -126, 127)}
PAIRS = [(source, target) for source in WEIGHT_DTYPES for target in WEIGHT_DTYPES]
# Positive numbers at, beside and halfway between two of bfloat16: where a second rounding would show.
NEAR_TIES = st.builds(
    lambda pattern, tie, step: np.nextafter(
        np.array(pattern << 16 | tie, "<u4").view("<f4").astype("<f8"), step * math.inf if step else 0
    ).item(),
    st.integers(0, 0x7F7F),
    st.sampled_from([0x8000, 0x7FFF, 0x8001, 0, 1]),
    st.sampled_from([-1, 0, 1]),
)
FLOATS = st.floats(allow_nan=False) | st.floats(width=32, allow_nan=False) | NEAR_TIES | NEAR_TIES.map(lambda x: -x)


def converted(values: NDArray[np.generic], target: str, finite: bool = False) -> NDArray[np.generic]:
    source = values.dtype.name
    spec = TensorSpec("a", DTYPES[source], values.shape)
    piece = memoryview(values.tobytes())
    return np.frombuffer(cast(piece, spec, DTYPES[target], finite), NUMPY[target])


def assert_same_floats(found: NDArray[np.generic], expected: NDArray[np.generic]) -> None:
    nan = np.isnan(expected.astype("<f8"))
    assert np.array_equal(np.isnan(found.astype("<f8")), nan)
    width = f"<u{found.dtype.itemsize}"
    assert np.array_equal(found.view(width)[~nan], expected.view(width)[~nan])


def every_pattern(name: str) -> NDArray[np.generic]:
    return np.arange(1 << 16).astype("<u2").view(NUMPY[name])


def rounded(value: float, target: str) -> float:
    """The nearest number of a format, ties to even, by exact arithmetic."""
    precision, smallest, largest = SHAPE[target]
    if not math.isfinite(value) or value == 0:
        return value
    exponent = max(math.frexp(value)[1] - 1, smallest)
    unit = Fraction(2) ** (exponent - precision + 1)
    nearest = round(Fraction(value) / unit) * unit
    return math.copysign(math.inf if abs(nearest) >= 2 ** (largest + 1) else float(abs(nearest)), value)


@pytest.mark.parametrize("target", WEIGHT_DTYPES)
@pytest.mark.parametrize("source", ["float16", "bfloat16"])
@pytest.mark.filterwarnings("ignore:.*encountered in cast:RuntimeWarning")
def test_every_16_bit_number_becomes_what_ml_dtypes_makes_of_it(source: str, target: str):
    values = every_pattern(source)
    assert_same_floats(converted(values, target), values.astype(NUMPY[target]))


@pytest.mark.parametrize("target", SHAPE)
@given(value=FLOATS)
def test_a_float64_is_rounded_once_to_the_nearest_and_ties_to_even(target: str, value: float):
    expected = np.array([rounded(value, target)]).astype(NUMPY[target])
    assert_same_floats(converted(np.array([value]), target), expected)


@pytest.mark.parametrize("target", ["float16", "bfloat16"])
@given(value=st.floats(width=32))
def test_a_float32_becomes_what_ml_dtypes_makes_of_it(target: str, value: float):
    values = np.array([value], "<f4")
    with np.errstate(all="ignore"):
        expected = values.astype(NUMPY[target])
    assert_same_floats(converted(values, target), expected)


def test_a_float64_beside_a_tie_of_bfloat16_is_not_rounded_by_way_of_float32():
    tie = 1 + 2**-8
    found = converted(np.array([tie, math.nextafter(tie, 2), math.nextafter(tie, 0)]), "bfloat16")
    assert found.astype(float).tolist() == [1, 1 + 2**-7, 1]


@pytest.mark.parametrize(("source", "target"), PAIRS)
@given(bits=st.integers(0, (1 << 64) - 1))
def test_a_nan_stays_a_nan_and_an_infinity_an_infinity_whatever_their_bits(source: str, target: str, bits: int):
    width = 8 * NUMPY[source].itemsize
    infinity = int(np.array(math.inf, NUMPY[source]).view(f"<u{width // 8}"))
    pattern = bits % (1 << width) | infinity
    for each in (pattern, infinity, infinity | 1, infinity | 1 << (width - 1)):
        values = np.array([each], f"<u{width // 8}").view(NUMPY[source])
        value, found = float(values[0]), float(converted(values, target)[0])
        assert found == value or (math.isnan(found) and math.isnan(value))


@pytest.mark.parametrize("name", WEIGHT_DTYPES)
def test_a_cast_to_its_own_dtype_is_the_piece_itself(name: str):
    piece = memoryview(bytes(8))
    assert cast(piece, TensorSpec("a", DTYPES[name], (1,)), DTYPES[name], True) is piece


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_no_elements_become_no_elements(source: str, target: str):
    assert converted(np.empty(0, NUMPY[source]), target, finite=True).size == 0


@pytest.mark.parametrize(
    ("source", "target", "largest", "too_large"),
    [
        ("float32", "float16", 65519.0, 65520.0),
        ("bfloat16", "float16", 65280.0, 65536.0),
        ("float64", "float16", 65519.99, 65520.0),
        ("float64", "float32", 3.4028235e38, 3.4028236e38),
        ("float64", "bfloat16", 3.3961775e38, 3.3961776e38),
        ("float32", "bfloat16", 3.3961773e38, 3.3961776e38),
    ],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_a_value_too_large_is_refused_or_made_infinite(source, target, largest, too_large, sign):
    values = np.array([0, sign * largest]).astype(NUMPY[source])
    assert np.isfinite(converted(values, target, finite=True).astype(float)).all()
    values = np.array([0, sign * too_large]).astype(NUMPY[source])
    with pytest.raises(NamesError, match=f"a holds values too large for {target}") as error:
        converted(values, target, finite=True)
    assert "--allow-nonfinite" in error.value.hint
    assert converted(values, target).astype(float).tolist() == [0, sign * math.inf]


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_every_16_bit_pattern_is_finite_exactly_where_numpy_says_so(name: str):
    values = every_pattern(name)
    memory = memoryview(values.tobytes())
    found = [all_finite(memory[at : at + 2], DTYPES[name]) for at in range(0, len(memory), 2)]
    with np.errstate(invalid="ignore"):
        assert np.array_equal(found, np.isfinite(values))


@pytest.mark.parametrize("name", ["float32", "float64"])
@given(patterns=st.lists(st.integers(0, (1 << 64) - 1), min_size=1, max_size=4), special=st.integers(0, 6))
def test_wide_floats_are_finite_exactly_where_numpy_says_so(name: str, patterns: list[int], special: int):
    dtype = NUMPY[name]
    infinity = int(np.array(math.inf, dtype).view(f"<u{dtype.itemsize}"))
    sign = 1 << (8 * dtype.itemsize - 1)
    edges = [infinity - 1, infinity, infinity + 1, sign, sign + infinity - 1, sign + infinity, 2 * sign - 1]
    bits = [pattern % (2 * sign) for pattern in patterns[1:]] + [edges[special]]
    values = np.array(bits, f"<u{dtype.itemsize}").view(dtype)
    assert all_finite(memoryview(values.tobytes()), DTYPES[name]) == np.isfinite(values).all()


@pytest.mark.parametrize("name", WEIGHT_DTYPES)
@pytest.mark.parametrize("bad", [math.nan, -math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("position", [0, 500, 999])
def test_one_bad_value_among_many_is_found_and_the_tensor_named(name: str, bad: float, position: int):
    values = np.linspace(-1, 1, 1000)
    values[position] = bad
    piece = memoryview(values.astype(NUMPY[name]).tobytes())
    with pytest.raises(NamesError, match="electra/x holds NaN or infinite values") as error:
        require_finite(piece, TensorSpec("electra/x", DTYPES[name], (1000,)))
    assert "--allow-nonfinite" in error.value.hint


@pytest.mark.parametrize("name", ["int64", "int32", "bool"])
def test_what_is_no_float_counts_as_finite(name: str):
    assert all_finite(memoryview(b"\xff" * 8), DTYPES[name])
