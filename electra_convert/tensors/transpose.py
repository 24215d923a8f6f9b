"""A matrix transposed as it comes in, as fast as numpy can be made to; knows no tensors and no files."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Measured (benchmarks/building_blocks.py), for 1024 to 4096 float32 a row: six times as fast as assigning the whole.
_BLOCK_ROWS = 256
_BLOCK_COLUMNS = 512
# A block's rows are set apart by an odd number of elements: at a power of two they would all fall into the same few
# sets of the processor's cache, and displace each other.
_PADDING = 17


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
            rows: its height.
            columns: its width.
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
