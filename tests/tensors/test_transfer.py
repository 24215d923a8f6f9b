"""Moves: what arrives, what stops them, and how much memory they take."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator
from threading import Event

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from electra_convert.errors import CorruptFileError, NamesError, OutputError
from electra_convert.tensors.op import Op
from electra_convert.tensors.spec import DTYPES, PIECE_BYTES, Tensor, TensorSpec
from electra_convert.tensors.transfer import Move, run
from electra_convert.tensors.weight import Weight, constant, same_bits, zeros

# Alone, in a row, in a column, empty, and around the sizes of the blocks that a transpose works in.
SHAPES = (
    *((1, 1), (1, 7), (7, 1), (3, 5), (0, 5), (5, 0), (0, 0)),
    *((127, 255), (128, 256), (129, 257), (1, 1000), (1000, 1), (300, 700), (700, 300), (1025, 513)),
)


class Shelf:
    """A sink in memory."""

    def __init__(self) -> None:
        self.held: dict[str, bytearray] = {}

    def writer(self, name: str) -> Shelf.Writer:
        return self.Writer(self.held.setdefault(name, bytearray()))

    class Writer:
        def __init__(self, content: bytearray) -> None:
            self.content = content

        def write(self, piece: memoryview) -> None:
            self.content += piece

    def array(self, spec: TensorSpec) -> NDArray[np.generic]:
        return np.frombuffer(self.held[spec.name], spec.dtype.storage).reshape(spec.shape)


class Drain:
    """A sink that keeps nothing."""

    def writer(self, _name: str) -> Drain:
        return self

    def write(self, piece: memoryview) -> None:
        pass


def tensor(name: str, array: NDArray[np.generic]) -> Tensor:
    return constant(TensorSpec(name, DTYPES[array.dtype.name], array.shape), array.tobytes())


def some(shape: tuple[int, ...], dtype: str = "float32", seed: int = 0) -> NDArray[np.generic]:
    values = np.random.default_rng([seed, *shape]).standard_normal(shape) * 1000
    return values.astype(getattr(ml_dtypes, dtype, dtype))


def move(source: Tensor, sink: object, op: Op = Op.KEEP, dtype: str | None = None) -> Move:
    weight = Weight(source, op)
    return Move(weight, TensorSpec(source.name, DTYPES[dtype] if dtype else source.dtype, weight.shape), sink)


def bits(array: NDArray[np.generic]) -> bytes:
    return np.ascontiguousarray(array).tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "float64", "int64"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("op", Op)
def test_a_matrix_of_any_shape_arrives_as_it_is_or_transposed(shape, dtype: str, op: Op):
    values, shelf = some(shape, dtype), Shelf()
    run([move(tensor("a", values), shelf, op)], finite=True)
    assert shelf.held["a"] == bits(values.T if op is Op.TRANSPOSE else values)


@pytest.mark.parametrize(
    ("dtype", "wanted"), [("float32", "bfloat16"), ("float64", "float16"), ("float16", "float64")]
)
def test_a_matrix_is_transposed_and_rounded_at_once(dtype: str, wanted: str):
    values, shelf = some((300, 700), dtype), Shelf()
    run([move(tensor("a", values), shelf, Op.TRANSPOSE, wanted)], finite=True)
    assert shelf.held["a"] == bits(values.T.astype(getattr(ml_dtypes, wanted, wanted)))


def test_a_tensor_longer_than_the_scratch_space_arrives_whole():
    values, shelf = some((9 * PIECE_BYTES // 4 + 3,)), Shelf()
    run([move(tensor("a", values), shelf)], finite=True)
    assert shelf.held["a"] == bits(values)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.tuples(st.integers(0, 40), st.integers(0, 40)),
            st.sampled_from(["float32", "float16", "int64"]),
            st.sampled_from(Op),
            st.integers(0, 1),
        ),
        max_size=30,
    )
)
def test_many_tensors_of_two_sinks_each_arrive_where_they_belong(wanted):
    shelves = Shelf(), Shelf()
    arrays = [some(shape, dtype, seed) for seed, (shape, dtype, _, _) in enumerate(wanted)]
    moves = [move(tensor(f"t{at}", arrays[at]), shelves[place], op) for at, (_, _, op, place) in enumerate(wanted)]
    seen: list[int] = []
    run(moves, finite=True, progress=seen.append)
    for at, (_, _, op, place) in enumerate(wanted):
        assert shelves[place].held.get(f"t{at}", b"") == bits(arrays[at].T if op is Op.TRANSPOSE else arrays[at])
    assert sum(len(shelf.held) for shelf in shelves) == len(wanted)
    assert sum(seen) == sum(array.nbytes for array in arrays)
    assert all(length > 0 for length in seen)


@pytest.mark.parametrize("error", [CorruptFileError("damaged"), KeyboardInterrupt(), ZeroDivisionError()], ids=type)
@pytest.mark.parametrize("op", Op)
@pytest.mark.parametrize(("tensors", "pieces"), [(5000, 1), (2, 5000)])
def test_an_error_in_one_move_stops_the_others_and_surfaces(error: BaseException, op: Op, tensors: int, pieces: int):
    begun, raised, passed = Event(), Event(), []

    def last_check_fails(scratch: memoryview) -> Iterator[memoryview]:
        begun.wait()
        yield scratch[:4]
        raised.set()
        raise error

    def waits_for_that(scratch: memoryview) -> Iterator[memoryview]:
        begun.set()
        raised.wait()
        for _ in range(pieces):
            passed.append(scratch[:4])
            time.sleep(0.001)
            yield scratch[:4]

    bad = move(Tensor("bad", DTYPES["float32"], (1, 1), last_check_fails), Drain(), op)
    others = [move(Tensor(f"t{at}", DTYPES["float32"], (1,), waits_for_that), Drain()) for at in range(tensors)]
    with pytest.raises(type(error)):
        run([bad, *others], finite=False)
    assert begun.is_set()
    assert len(passed) < 2500


def test_an_error_of_the_sink_surfaces():
    class Full(Drain):
        def write(self, piece: memoryview) -> None:
            raise OutputError("the disk is full")

    with pytest.raises(OutputError, match="the disk is full"):
        run([move(tensor(f"t{at}", some((5, 5))), Full()) for at in range(9)], finite=True)


@pytest.mark.parametrize("op", Op)
def test_what_is_not_finite_is_refused_by_name_or_moved_as_it_is(op: Op):
    values, shelf = some((30, 50)), Shelf()
    values[29, 49] = np.nan
    with pytest.raises(NamesError, match="layer_0/x holds NaN or infinite values"):
        run([move(tensor("layer_0/x", values), shelf, op)], finite=True)
    shelf = Shelf()
    run([move(tensor("layer_0/x", values), shelf, op)], finite=False)
    assert shelf.held["layer_0/x"] == bits(values.T if op is Op.TRANSPOSE else values)


def peak_of(moves: list[Move]) -> int:
    tracemalloc.start()
    try:
        run(moves, finite=True)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_number_or_the_length_of_tensors():
    small = [move(zeros(TensorSpec("a", DTYPES["float32"], (PIECE_BYTES,))), Drain(), dtype="float16")] * 4
    assert peak_of([*small, *small, *small]) < 1.2 * peak_of(small) + PIECE_BYTES
    long = move(zeros(TensorSpec("a", DTYPES["float32"], (16 * PIECE_BYTES,))), Drain())
    assert peak_of([long]) < 8 * PIECE_BYTES


def test_nothing_to_move_is_no_error():
    run([], finite=True)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("ops", [(first, second) for first in Op for second in Op], ids=str)
def test_the_same_bits_are_the_same_in_either_orientation(shape, ops: tuple[Op, Op]):
    values = some(shape)
    first, second = (Weight(tensor("a", bits_of(values, op)), op) for op in ops)
    assert same_bits(first, second)
    if values.size:
        values.reshape(-1).view(np.uint8)[-1] ^= 1
        assert not same_bits(first, Weight(tensor("b", bits_of(values, ops[1])), ops[1]))


def bits_of(values: NDArray[np.generic], op: Op) -> NDArray[np.generic]:
    return np.ascontiguousarray(values.T if op is Op.TRANSPOSE else values)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (np.array([0.0], "f4"), np.array([-0.0], "f4"), False),
        (np.array([np.nan], "f4"), np.array([np.nan], "f4"), True),
        (np.array([1], "f4"), np.array([1], "f8"), False),
        (np.zeros(2, "f4"), np.zeros(2, "i4"), False),
        (np.zeros(4, "f4"), np.zeros((2, 2), "f4"), False),
        (np.zeros((0, 3), "f4"), np.zeros((3, 0), "f4"), False),
        (np.array(1, "i8"), np.array(1, "i8"), True),
        (np.zeros((2, 3), "f4"), np.zeros((3, 2), "f4"), False),
    ],
)
def test_bits_dtype_and_shape_must_all_be_the_same(one, other, same: bool):
    assert same_bits(Weight(tensor("a", one)), Weight(tensor("b", other))) is same


@given(st.binary(max_size=50), st.integers(1, 60))
def test_a_constant_streams_its_bytes_through_any_scratch_space(values: bytes, length: int):
    source = constant(TensorSpec("a", DTYPES["uint8"], (len(values),)), values)
    assert b"".join(bytes(piece) for piece in source.stream(memoryview(bytearray(length)))) == values
    assert source.read().tobytes() == values


def test_zeros_are_zeros_in_scratch_space_that_was_used():
    source = zeros(TensorSpec("a", DTYPES["float32"], (5,)))
    assert b"".join(bytes(piece) for piece in source.stream(memoryview(bytearray(b"\xff" * 8)))) == bytes(20)
