"""Partitioned variables: the keys their slices are stored under, and how they are put together; reads no file.

Source: tensorflow/core/util/saved_tensor_slice_util.cc and core/lib/strings/ordered_code.cc.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from electra_convert.formats.tf_bundle.entries import TensorSlice
from electra_convert.formats.wire import MalformedError
from electra_convert.tensors.spec import Tensor, TensorSpec

_ESCAPES = {b"\x00": b"\x00\xff", b"\xff": b"\xff\x00"}
_TERMINATOR = b"\x00\x01"
_WHOLE_DIMENSION = -1


@dataclass(frozen=True)
class Part:
    """A slice of a partitioned variable: the indices it takes of each dimension, and its values."""

    region: tuple[slice, ...]
    tensor: Tensor


def slice_key(name: bytes, part: TensorSlice) -> bytes:
    """Encode the key of a slice's entry (EncodeTensorNameSlice): keys sort as name, then extents."""
    escaped = re.sub(rb"[\x00\xff]", lambda match: _ESCAPES[match[0]], name)
    key = _encode_unsigned(0) + escaped + _TERMINATOR + _encode_unsigned(len(part))
    for extent in part:
        length = _WHOLE_DIMENSION if extent.length is None else extent.length
        key += _encode_signed(extent.start) + _encode_signed(length)
    return key


def _encode_unsigned(value: int) -> bytes:
    """One byte that counts the bytes of the number, and the number, high byte first (WriteNumIncreasing)."""
    width = (value.bit_length() + 7) // 8
    return bytes([width]) + value.to_bytes(width, "big")


def _encode_signed(value: int) -> bytes:
    """Two's complement, as many of its leading bits inverted as it has bytes (WriteSignedNumIncreasing)."""
    magnitude = value if value >= 0 else ~value
    width = magnitude.bit_length() // 7 + 1
    header = (1 << width) - 1 << 7 * width
    return ((value ^ header) & (1 << 8 * width) - 1).to_bytes(width, "big")


def region(part: TensorSlice, shape: tuple[int, ...]) -> tuple[slice, ...]:
    """The indices that a slice takes of a variable: a slice a dimension, with start and stop."""
    if len(part) != len(shape):
        raise MalformedError(f"a slice has {len(part)} dimensions, its variable {len(shape)}")
    found: list[slice] = []
    for extent, dimension in zip(part, shape, strict=True):
        stop = dimension if extent.length is None else extent.start + extent.length
        if not 0 <= extent.start <= stop <= dimension:
            raise MalformedError(f"a slice takes {extent.start} to {stop} of a dimension of {dimension}")
        found.append(slice(extent.start, stop))
    return tuple(found)


def region_shape(taken: tuple[slice, ...]) -> tuple[int, ...]:
    """The shape of a region."""
    return tuple(indices.stop - indices.start for indices in taken)


def assemble(variable: TensorSpec, parts: Iterable[Part]) -> NDArray[np.generic]:
    """Read the slices of a partitioned variable into a new array of its shape in dtype.storage.

    Raises:
        CorruptFileError: a slice failed its checks.
        MalformedError: the slices overlap or leave something out.
    """
    values = np.empty(variable.shape, variable.dtype.storage)
    covered = np.zeros(variable.shape, np.bool_)
    for part in parts:
        if covered[part.region].any():
            raise MalformedError("its slices overlap")
        values[part.region] = part.tensor.read()
        covered[part.region] = True
    if not covered.all():
        raise MalformedError("its slices leave something out")
    return values
