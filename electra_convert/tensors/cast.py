"""Elements looked at and rounded: which floats are finite, and what they are in another dtype; moves nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from electra_convert.errors import NamesError
from electra_convert.tensors.spec import DType, TensorSpec

WEIGHT_DTYPES = ("float32", "float16", "bfloat16", "float64")
# What holds every number of another dtype.
WIDER = {"float16": ("float32", "float64"), "bfloat16": ("float32", "float64"), "float32": ("float64",)}
# The bit patterns of +infinity; above it, as an unsigned number without the sign, lie only NaNs.
_INFINITY = {"float16": 0x7C00, "bfloat16": 0x7F80, "float32": 0x7F800000, "float64": 0x7FF0000000000000}


def all_finite(piece: memoryview, dtype: DType) -> bool:
    """Whether no element is a NaN or an infinity.

    Two passes that find the largest bit pattern with and without regard to the sign: no temporary array, and the
    same code for every width.

    Args:
        piece: whole elements, little-endian.
        dtype: one of WEIGHT_DTYPES; any other counts as finite.
    """
    if dtype.name not in _INFINITY or not len(piece):
        return True
    infinity = _INFINITY[dtype.name]
    sign = 1 << (8 * dtype.itemsize - 1)
    signed = np.frombuffer(piece, f"<i{dtype.itemsize}")
    return int(signed.max()) < infinity and int(signed.view(f"<u{dtype.itemsize}").max()) < sign + infinity


def require_finite(piece: memoryview, tensor: TensorSpec) -> None:
    """Refuse a NaN or an infinity among whole elements of a tensor, little-endian.

    Raises:
        NamesError: names the tensor.
    """
    if not all_finite(piece, tensor.dtype):
        raise NamesError(
            f"{tensor.name} holds NaN or infinite values: the run it comes from had diverged, or the file is damaged",
            "Use an earlier checkpoint, or --allow-nonfinite to convert it as it is.",
        )


def cast(piece: memoryview, tensor: TensorSpec, dtype: DType, finite: bool) -> memoryview:
    """Round elements to another dtype, to the nearest, ties to even.

    Args:
        piece: whole elements of the tensor, little-endian.
        finite: whether a value too large for it is an error.

    Returns:
        The elements in that dtype: the piece itself where it is theirs already.

    Raises:
        NamesError: a value is too large for the dtype.
    """
    if dtype == tensor.dtype:
        return piece
    rounded = _narrow(widen(piece, tensor.dtype), dtype)
    result = rounded.view(np.uint8).data
    if finite and not all_finite(result, dtype):
        raise NamesError(
            f"{tensor.name} holds values too large for {dtype}",
            "Use --dtype bfloat16 or float32, or --allow-nonfinite to make them infinite.",
        )
    return result


def widen(piece: memoryview, dtype: DType) -> NDArray[np.floating]:
    """Show elements as numbers that numpy computes with, none of them changed.

    Args:
        piece: whole elements, little-endian.
        dtype: what they are, one of WEIGHT_DTYPES.

    Returns:
        The numbers: bfloat16 as float32, the others in their own dtype.
    """
    if dtype.name == "bfloat16":
        return (np.frombuffer(piece, "<u2").astype("<u4") << np.uint32(16)).view("<f4")
    return np.frombuffer(piece, dtype.storage)


def _narrow(values: NDArray[np.floating], dtype: DType) -> NDArray[np.generic]:
    # A value too large becomes infinite, a signalling NaN a quiet one; numpy has a warning for either.
    with np.errstate(over="ignore", invalid="ignore"):
        if dtype.name == "bfloat16":
            return _to_bfloat16(values)
        return values.astype(dtype.storage)


def _to_bfloat16(values: NDArray[np.floating]) -> NDArray[np.generic]:
    # Going through float32 would round a float64 twice; a float32 made by rounding to odd loses nothing here.
    bits = (_round_to_odd(values) if values.dtype.itemsize == 8 else values.astype("<f4")).view("<u4")
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    quiet_nan = (bits >> np.uint32(16)) | np.uint32(0x0040)
    is_nan = (bits & np.uint32(0x7FFFFFFF)) > np.uint32(0x7F800000)
    return np.where(is_nan, quiet_nan, rounded).astype("<u2")


def _round_to_odd(values: NDArray[np.floating]) -> NDArray[np.floating]:
    nearest = values.astype("<f4")
    inexact = nearest.astype("<f8") != values
    away = np.abs(nearest.astype("<f8")) > np.abs(values)
    bits = nearest.view("<u4") - (inexact & away).astype("<u4")
    return np.asarray(bits | (inexact & np.isfinite(values)).astype("<u4"), "<u4").view("<f4")
