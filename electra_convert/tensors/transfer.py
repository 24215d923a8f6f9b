"""Tensors moved from sources to sinks, two at a time, each read once; knows neither containers nor names.

What a move does to the bytes (a transpose, a cast, the check that all is finite) happens while a piece is still in
the processor's cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Event

from electra_convert.tensors.cast import cast, require_finite
from electra_convert.tensors.spec import PIECE_BYTES, Sink, Tensor, TensorSpec
from electra_convert.tensors.transpose import Transposer
from electra_convert.tensors.weight import Op, Weight

# Two threads keep two cores or one disk busy; more gain nothing and cost memory.
_THREADS = 2


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
