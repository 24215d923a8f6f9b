"""Every weight of two models compared, bit by bit or within a declared rounding; needs no framework, runs nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from electra_convert.checkpoint import Model
from electra_convert.schemes.family import ELECTRA
from electra_convert.schemes.google import google_form
from electra_convert.schemes.layouts import collapsed
from electra_convert.tensors.cast import WEIGHT_DTYPES, WIDER, all_finite, cast, widen
from electra_convert.tensors.spec import DTYPES, PIECE_BYTES, DType, Tensor
from electra_convert.tensors.weight import Weight

# Elements widened at a time when two tensors are not equal.
_CHUNK = 1 << 20
_WORKERS = 2
State = Literal["equal", "differs", "other shape", "missing", "unexpected", "not finite"]


@dataclass(frozen=True)
class TensorParity:
    """One weight of two models.

    Attributes:
        name: transformers' name.
        source: its name in the reference; None where it is not there.
        state: equal (after the rounding), differs, other shape, missing (in the candidate), unexpected (there), or
            not finite.
        rounded_to: the candidate's dtype, where that does not hold all that the reference's does; else None.
        detail: what is different, in words.
        max_abs: the largest absolute difference.
        elements: how many elements differ.
        size: how many there are.
    """

    name: str
    source: str | None
    state: State
    rounded_to: str | None = None
    detail: str = ""
    max_abs: float = 0.0
    elements: int = 0
    size: int = 0


@dataclass(frozen=True)
class WeightsParity:
    """All weights of two models, in the order of their names."""

    tensors: tuple[TensorParity, ...]

    @property
    def differing(self) -> tuple[TensorParity, ...]:
        """Those that are not equal."""
        return tuple(tensor for tensor in self.tensors if tensor.state != "equal")

    @property
    def equal(self) -> int:
        """How many are equal."""
        return len(self.tensors) - len(self.differing)

    @property
    def rounded(self) -> dict[str, str]:
        """The dtypes that the reference was rounded to, by name, where it was."""
        return {tensor.name: tensor.rounded_to for tensor in self.tensors if tensor.rounded_to is not None}

    @property
    def rows(self) -> list[tuple[str, str]]:
        """A table of names and what was found: what differs first, layers in one row where they agree."""
        states: dict[str, list[str]] = {}
        for tensor in sorted(self.tensors, key=lambda tensor: tensor.state == "equal"):
            states.setdefault(tensor.state, []).append(tensor.name)
        by_name = {tensor.name: tensor for tensor in self.tensors}
        return [
            (name, _described([by_name[member] for member in members]))
            for names in states.values()
            for name, members in collapsed(names).items()
        ]


def _described(tensors: list[TensorParity]) -> str:
    """What was found of weights of one state that differ in their layer alone."""
    first = tensors[0]
    if first.state == "equal":
        return f"equal after rounding to {first.rounded_to}" if first.rounded_to else "equal"
    if len(tensors) == 1 or first.state != "differs":
        return first.detail
    return f"{len(tensors)} tensors differ, by up to {max(tensor.max_abs for tensor in tensors):.3g}"


def comparable(reference: Model, candidate: Model) -> tuple[Mapping[str, Weight], Mapping[str, Weight]]:
    """The weights of two models by name.

    Of a head that no rule describes, and of what is kept beside the model, only if both have it; of a head that
    stays behind on the way to Google's code, or to BERT's names, none.
    """
    sides = []
    for model, other in ((reference, candidate), (candidate, reference)):
        weights, behind = model.weights if other.head.unmapped else model.mapped, left_behind(model, other)
        kept = {name: weight for name, weight in weights.items() if name not in behind}
        sides.append(kept | (dict(model.beside) if other.beside else {}))
    return sides[0], sides[1]


def left_behind(model: Model, other: Model) -> frozenset[str]:
    """The names of a head that the other model, an encoder in Google's code or by BERT's names, cannot have got."""
    head = model.head
    if other.head.is_bare and other.family is not ELECTRA and not head.in_bert:
        return head.names
    if not (other.head.is_bare and head.is_of_a_task):
        return frozenset()
    fits = google_form(model) if head.algebra is not None else model.task or not head.segment
    return frozenset() if fits else head.names


def compare_weights(
    reference: Model, candidate: Model, count: Callable[[int], None] = lambda _: None
) -> WeightsParity:
    """Compare the weights of two models of one role, and count the bytes of the reference's, from several threads.

    Raises:
        CorruptFileError: a tensor failed its container's checks.
    """
    expected, found = comparable(reference, candidate)

    def compare(name: str) -> TensorParity:
        result = compare_weight(name, expected.get(name), found.get(name))
        count(expected[name].tensor.nbytes if name in expected else 0)
        return result

    with ThreadPoolExecutor(_WORKERS) as pool:
        return WeightsParity(tuple(pool.map(compare, sorted({*expected, *found}))))


def compare_weight(name: str, reference: Weight | None, candidate: Weight | None) -> TensorParity:
    """Compare one weight of two models, of which one may lack it; raises as compare_weights."""
    if candidate is None or reference is None:
        if reference is None:
            return TensorParity(name, None, "unexpected", detail="not in the reference")
        return TensorParity(name, reference.tensor.name, "missing", detail="not in the candidate")
    source, size = reference.tensor.name, reference.tensor.size
    if reference.shape != candidate.shape:
        told = f"shape {list(reference.shape)} in the reference, {list(candidate.shape)} in the candidate"
        return TensorParity(name, source, "other shape", detail=told, elements=size, size=size)
    if not {reference.tensor.dtype.name, candidate.tensor.dtype.name} <= set(WEIGHT_DTYPES):
        return _compare_bytes(name, reference, candidate)
    if reference.tensor.dtype == candidate.tensor.dtype and reference.op is candidate.op:
        finite, equal = _same_streams(reference.tensor, candidate.tensor)
    else:
        finite, equal = _same_values(reference, candidate)
    rounded_to = _rounded_to(reference.tensor.dtype, candidate.tensor.dtype)
    if not finite:
        return TensorParity(name, source, "not finite", rounded_to, "NaN or infinite values", size=size)
    if equal:
        return TensorParity(name, source, "equal", rounded_to, size=size)
    return _difference(name, reference, candidate, rounded_to)


def _compare_bytes(name: str, reference: Weight, candidate: Weight) -> TensorParity:
    """What is no float, such as what is rounded to integers, is equal or not."""
    source, size, dtype = reference.tensor.name, reference.tensor.size, reference.tensor.dtype
    elements, told = size, f"{dtype} in the reference, {candidate.tensor.dtype} in the candidate"
    if dtype == candidate.tensor.dtype:
        elements = _differing(reference, candidate)
        told = f"{elements:,} of {size:,} elements differ"
    if not elements:
        return TensorParity(name, source, "equal", size=size)
    return TensorParity(name, source, "differs", detail=told, elements=elements, size=size)


def _differing(reference: Weight, candidate: Weight) -> int:
    """How many elements of two weights of one dtype have other bits."""
    if reference.op is candidate.op and _same_streams(reference.tensor, candidate.tensor)[1]:
        return 0
    one, other = (_bits(weight, weight.tensor.dtype) for weight in (reference, candidate))
    return int((one != other).sum())


def _rounded_to(reference: DType, candidate: DType) -> str | None:
    exact = reference == candidate or candidate.name in WIDER.get(reference.name, ())
    return None if exact else candidate.name


def _same_streams(reference: Tensor, candidate: Tensor) -> tuple[bool, bool]:
    """Whether all elements are finite, and all bytes equal; reads both to their end, where their checks are made."""
    finite = equal = True
    scratches = [memoryview(bytearray(PIECE_BYTES)) for _ in range(2)]
    streams = [tensor.stream(scratch) for tensor, scratch in zip((reference, candidate), scratches, strict=True)]
    for one, other in zip(*streams, strict=True):
        finite = finite and all_finite(one, reference.dtype) and all_finite(other, reference.dtype)
        equal = equal and np.array_equal(np.frombuffer(one, np.uint8), np.frombuffer(other, np.uint8))
    return finite, equal


def _same_values(reference: Weight, candidate: Weight) -> tuple[bool, bool]:
    """The same after bringing the reference to the candidate's dtype, and both to one orientation."""
    dtype = candidate.tensor.dtype
    one, other = (_bits(weight, dtype) for weight in (reference, candidate))
    finite = all(all_finite(values.reshape(-1).view(np.uint8).data, dtype) for values in (one, other))
    return finite, bool(np.array_equal(one, other))


def _bits(weight: Weight, dtype: DType) -> NDArray[np.generic]:
    """The bits of a weight after its op, in a dtype."""
    tensor, values = weight.tensor, weight.tensor.read()
    if dtype != tensor.dtype:
        cast_bytes = cast(values.reshape(-1).view(np.uint8).data, tensor, dtype, finite=False)
        values = np.frombuffer(cast_bytes, dtype.storage).reshape(tensor.shape)
    return weight.op.apply(values.view(f"<u{values.dtype.itemsize}"))


def _difference(name: str, reference: Weight, candidate: Weight, rounded_to: str | None) -> TensorParity:
    worst, elements, largest = 0.0, 0, 0.0
    dtype = candidate.tensor.dtype
    for one, other in zip(_chunks(reference, dtype), _chunks(candidate, dtype), strict=True):
        difference = np.abs(one - other)
        worst = max(worst, float(difference.max(initial=0.0)))
        largest = max(largest, float(np.abs(one).max(initial=0.0)))
        elements += int((difference != 0).sum())
    size = reference.tensor.size
    after = f" after rounding to {rounded_to}" if rounded_to else ""
    told = f"{elements:,} of {size:,} elements differ{after}, by up to {worst:.3g} (largest value {largest:.3g})"
    if not elements:
        told = f"the bits differ{after} in the sign of zeros alone"
    return TensorParity(name, reference.tensor.name, "differs", rounded_to, told, worst, elements, size)


def _chunks(weight: Weight, dtype: DType) -> Iterator[NDArray[np.floating]]:
    """The values in transformers' order and a dtype, widened so that their difference is exact."""
    values = _bits(weight, dtype).reshape(-1)
    for start in range(0, len(values), _CHUNK):
        piece = values[start : start + _CHUNK]
        yield widen(piece.view(np.uint8).data, dtype).astype(np.float64)


def dtypes_of(model: Model) -> tuple[str, ...]:
    """The dtypes of the weights that are run, in the order of the table of dtypes."""
    found = {weight.tensor.dtype.name for weight in model.mapped.values()}
    return tuple(name for name in DTYPES if name in found)
