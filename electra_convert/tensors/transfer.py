"""Tensors moved from sources to sinks, two at a time, each read once; knows neither containers nor names.

What a move does to the bytes (a transpose, a cast, the check that all is finite) happens while a piece is still in
the processor's cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Event, Lock

import numpy as np
from numpy.typing import NDArray

from electra_convert.tensors.cast import cast, require_finite
from electra_convert.tensors.op import Op
from electra_convert.tensors.spec import PIECE_BYTES, Sink, Tensor, TensorSpec
from electra_convert.tensors.weight import Weight

# Told how many bytes of how many are done, from several threads.
Progress = Callable[[int, int], None]
# Two threads keep two cores or one disk busy; more gain nothing and cost memory.
_THREADS = 2
# Measured (benchmarks/building_blocks.py), for 1024 to 4096 float32 a row: six times as fast as assigning the whole.
_BLOCK_ROWS = 256
_BLOCK_COLUMNS = 512
# A block's rows are set apart by an odd number of elements: at a power of two they would all fall into the same few
# sets of the processor's cache, and displace each other.
_PADDING = 17


@dataclass(frozen=True)
class Move:
    """One tensor on its way: what is to be done to it, what it is in the sink, and the sink."""

    weight: Weight
    spec: TensorSpec
    sink: Sink


def run(moves: Sequence[Move], finite: bool, progress: Callable[[int], None] = lambda _: None) -> None:
    """Make all the moves, the largest first; progress is told of every piece read, in bytes, from several threads.

    Raises:
        SourceError: a data file is missing.
        CorruptFileError: a source failed its own checks.
        NamesError: a tensor is not finite, or not after its cast.
        OutputError: a sink could not be written.
    """
    queue: SimpleQueue[Move] = SimpleQueue()
    for move in sorted(moves, key=lambda move: -move.weight.tensor.nbytes):
        queue.put(move)
    stop = Event()
    with ThreadPoolExecutor(_THREADS) as pool:
        try:
            workers = [pool.submit(_work, queue, stop, finite, progress) for _ in range(_THREADS)]
            done, _ = wait(workers, return_when=FIRST_EXCEPTION)
        finally:
            stop.set()
        for worker in done:
            worker.result()


def _work(queue: SimpleQueue[Move], stop: Event, finite: bool, progress: Callable[[int], None]) -> None:
    worker = _Worker(finite, progress)
    while not stop.is_set():
        try:
            move = queue.get_nowait()
        except Empty:
            return
        writer = move.sink.writer(move.spec.name)
        for piece in worker.converted(move):
            if stop.is_set():
                return
            writer.write(piece)


class _Worker:
    """What a thread keeps from one tensor to the next: memory whose pages are made only once."""

    def __init__(self, finite: bool, progress: Callable[[int], None]) -> None:
        self._finite = finite
        self._progress = progress
        self._scratch = bytearray(PIECE_BYTES)
        self._transposer = Transposer()

    def converted(self, move: Move) -> Iterator[memoryview]:
        """Yield the bytes that a move's sink is to have, in order."""
        tensor = move.weight.tensor
        transposes = move.weight.op is Op.TRANSPOSE and tensor.nbytes > 0
        for piece in self._transposed(tensor) if transposes else self._checked(tensor, PIECE_BYTES):
            yield cast(piece, tensor, move.spec.dtype, self._finite)

    def _checked(self, tensor: Tensor, length: int) -> Iterator[memoryview]:
        if len(self._scratch) < length:
            self._scratch = bytearray(length)
        for piece in tensor.stream(memoryview(self._scratch)[:length]):
            if self._finite:
                require_finite(piece, tensor)
            self._progress(len(piece))
            yield piece

    def _transposed(self, tensor: Tensor) -> Iterator[memoryview]:
        rows, columns = tensor.shape
        row_bytes = columns * tensor.dtype.itemsize
        self._transposer.begin(rows, columns, tensor.dtype.storage)
        for piece in self._checked(tensor, row_bytes * max(1, PIECE_BYTES // row_bytes)):
            self._transposer.add(piece)
        yield self._transposer.result()


class Transposer:
    """Transposes matrices in memory that it uses again for each, so that its pages are made only once."""

    def __init__(self) -> None:
        self._memory = bytearray()
        self._block = bytearray(16 * _BLOCK_ROWS * (_BLOCK_COLUMNS + _PADDING))
        self._target: NDArray[np.generic] = np.empty((0, 0))
        self._row = 0

    def begin(self, rows: int, columns: int, dtype: np.dtype[np.generic]) -> None:
        """Make room for a matrix.

        Args:
            dtype: its elements, of 16 bytes at the most.
        """
        nbytes = rows * columns * dtype.itemsize
        if len(self._memory) < nbytes:
            self._memory = bytearray(nbytes)
        self._target = np.frombuffer(self._memory, dtype, rows * columns).reshape(columns, rows)
        self._row = 0

    def add(self, piece: memoryview) -> None:
        """Transpose the next rows of the matrix.

        Args:
            piece: whole rows, in C order.
        """
        strip = np.frombuffer(piece, self._target.dtype).reshape(-1, len(self._target))
        for row in range(0, len(strip), _BLOCK_ROWS):
            for column in range(0, strip.shape[1], _BLOCK_COLUMNS):
                block = self._padded(strip[row : row + _BLOCK_ROWS, column : column + _BLOCK_COLUMNS])
                rows, columns = block.shape
                start = self._row + row
                self._target[column : column + columns, start : start + rows] = block.T
        self._row += len(strip)

    def _padded(self, block: NDArray[np.generic]) -> NDArray[np.generic]:
        rows, columns = block.shape
        width = columns + _PADDING
        copy = np.frombuffer(self._block, block.dtype, rows * width).reshape(rows, width)[:, :columns]
        copy[...] = block
        return copy

    def result(self) -> memoryview:
        """The bytes of the transpose in C order; good until the next matrix begins."""
        return self._target.reshape(-1).view(np.uint8).data


def counter(total: int, progress: Progress | None) -> Callable[[int], None]:
    """Add up bytes that several threads have done, for a progress bar of a total."""
    if progress is None:
        return lambda _: None
    done = 0
    lock = Lock()

    def count(nbytes: int) -> None:
        nonlocal done
        with lock:
            done += nbytes
            progress(done, total)

    return count
