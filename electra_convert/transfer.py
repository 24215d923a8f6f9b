"""Tensors moved from sources to sinks, two at a time, each read once; knows neither containers nor names.

What a move does to the bytes (a transpose, a cast, the check that all is finite) happens while a piece is still in
the processor's cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from hashlib import sha256
from queue import Empty, SimpleQueue
from threading import Event

import numpy as np
from numpy.typing import NDArray

from electra_convert.casting import cast, require_finite
from electra_convert.names.ops import Op
from electra_convert.tensors import PIECE_BYTES, Sink, Tensor, TensorSpec, pieces

# Two threads keep two cores or one disk busy; more gain nothing and cost memory.
_THREADS = 2
# A transpose moves so many rows of so many columns at a time: measured, the fastest that numpy's copy gets.
_TRANSPOSE_ROWS = 8
_TRANSPOSE_COLUMNS = 512


@dataclass(frozen=True)
class Weight:
    """A tensor and the op that brings it to another orientation."""

    tensor: Tensor
    op: Op = Op.KEEP

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape after the op."""
        return self.op.shape(self.tensor.shape)


@dataclass(frozen=True)
class Move:
    """One tensor on its way.

    Attributes:
        weight: the tensor and what is to be done to it.
        spec: its name in the sink, and the dtype and shape it has there.
        sink: where it goes.
    """

    weight: Weight
    spec: TensorSpec
    sink: Sink


def run(moves: Sequence[Move], finite: bool, progress: Callable[[int], None] = lambda _: None) -> None:
    """Make all the moves, the largest first.

    Args:
        moves: what goes where.
        finite: whether a NaN or an infinity is an error.
        progress: told of every piece read, in bytes; called from several threads.

    Raises:
        CorruptFileError: a source failed its own checks.
        NamesError: a tensor is not finite, or not after its cast.
        OutputError: a sink could not be written.
    """
    queue: SimpleQueue[Move] = SimpleQueue()
    for move in sorted(moves, key=lambda move: -move.weight.tensor.nbytes):
        queue.put(move)
    stop = Event()
    with ThreadPoolExecutor(_THREADS) as pool:
        workers = [pool.submit(_work, queue, stop, finite, progress) for _ in range(_THREADS)]
        try:
            done, _ = wait(workers, return_when=FIRST_EXCEPTION)
        finally:
            stop.set()
        for worker in done:
            worker.result()


def _work(queue: SimpleQueue[Move], stop: Event, finite: bool, progress: Callable[[int], None]) -> None:
    buffers = _Buffers()
    while not stop.is_set():
        try:
            move = queue.get_nowait()
        except Empty:
            return
        writer = move.sink.writer(move.spec.name)
        for piece in _converted(move, buffers, finite, progress):
            if stop.is_set():
                return
            writer.write(piece)


class _Buffers:
    """Memory that a thread uses again for every tensor, so that its pages are made only once."""

    def __init__(self) -> None:
        self._scratch = bytearray(4 * PIECE_BYTES)
        self._panel = bytearray(PIECE_BYTES)

    def scratch(self, nbytes: int) -> memoryview:
        """At least nbytes to read into."""
        if len(self._scratch) < nbytes:
            self._scratch = bytearray(nbytes)
        return memoryview(self._scratch)

    def panel(self, nbytes: int) -> memoryview:
        """Exactly nbytes to transpose into."""
        if len(self._panel) < nbytes:
            self._panel = bytearray(nbytes)
        return memoryview(self._panel)[:nbytes]


def _converted(move: Move, buffers: _Buffers, finite: bool, progress: Callable[[int], None]) -> Iterator[memoryview]:
    read = _checked(move.weight.tensor, buffers, move.weight.op, finite, progress)
    if move.weight.op is Op.TRANSPOSE:
        for _ in read:
            pass
        read = _transposed(move.weight.tensor, buffers)
    for piece in read:
        yield cast(piece, move.weight.tensor, move.spec.dtype, finite)


def _checked(
    tensor: Tensor, buffers: _Buffers, op: Op, finite: bool, progress: Callable[[int], None]
) -> Iterator[memoryview]:
    scratch = buffers.scratch(tensor.nbytes if op is Op.TRANSPOSE else 0)
    for piece in tensor.stream(scratch):
        if finite:
            require_finite(piece, tensor)
        progress(len(piece))
        yield piece


def _transposed(tensor: Tensor, buffers: _Buffers) -> Iterator[memoryview]:
    """Yield the transposed bytes of a matrix that lies whole in the scratch space, a panel of rows at a time."""
    rows, columns = tensor.shape
    scratch = buffers.scratch(tensor.nbytes)[: tensor.nbytes]
    matrix = np.frombuffer(scratch, tensor.dtype.storage).reshape(rows, columns)
    for start in range(0, columns, _TRANSPOSE_COLUMNS):
        width = min(_TRANSPOSE_COLUMNS, columns - start)
        panel = buffers.panel(width * rows * tensor.dtype.itemsize)
        _transpose_into(
            np.frombuffer(panel, tensor.dtype.storage).reshape(width, rows), matrix[:, start : start + width]
        )
        yield panel


def _transpose_into(target: NDArray[np.generic], matrix: NDArray[np.generic]) -> None:
    for row in range(0, len(matrix), _TRANSPOSE_ROWS):
        target[:, row : row + _TRANSPOSE_ROWS] = matrix[row : row + _TRANSPOSE_ROWS].T


def same_bits(first: Weight, second: Weight) -> bool:
    """Whether two tensors hold the same bits after their ops.

    Args:
        first: one tensor.
        second: the other.

    Returns:
        True if dtype, shape and every byte are equal.

    Raises:
        CorruptFileError: one of them failed its container's checks.
    """
    if first.tensor.dtype != second.tensor.dtype or first.shape != second.shape:
        return False
    if first.op is second.op:
        return _digest(first.tensor) == _digest(second.tensor)
    return bool(np.array_equal(_oriented(first).view(np.uint8), _oriented(second).view(np.uint8)))


def _digest(tensor: Tensor) -> bytes:
    digest = sha256()
    for piece in tensor.stream(memoryview(bytearray(PIECE_BYTES))):
        digest.update(piece)
    return digest.digest()


def _oriented(weight: Weight) -> NDArray[np.generic]:
    values = weight.tensor.read()
    return np.ascontiguousarray(values.T) if weight.op is Op.TRANSPOSE else values


def zeros(spec: TensorSpec) -> Tensor:
    """A tensor of zeros that takes no memory.

    Args:
        spec: its name, dtype and shape.

    Returns:
        The tensor.
    """

    def stream(scratch: memoryview) -> Iterator[memoryview]:
        for _, window in pieces(scratch, spec.nbytes):
            window[:] = bytes(len(window))
            yield window

    return Tensor(spec.name, spec.dtype, spec.shape, stream)


def constant(spec: TensorSpec, values: bytes) -> Tensor:
    """A small tensor of known bytes.

    Args:
        spec: its name, dtype and shape.
        values: its elements in C order, little-endian.

    Returns:
        The tensor.
    """
    return replace(zeros(spec), stream=lambda _: iter([memoryview(values)]))
