"""What the choices inside convert rest on: checksums, transposes and reads, each against its alternative.

    pip install google-crc32c tensorflow-cpu
    python benchmarks/building_blocks.py [--folder DIR]

Prints GB/s, best of several, in one thread.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from crc32c import crc32c

from electra_convert.formats.files import ReadFile
from electra_convert.tensors.spec import PIECE_BYTES
from electra_convert.tensors.transfer import Transposer

SHAPES = ((1024, 1024), (1024, 4096), (4096, 1024))
FILE_BYTES, TENSORS = 1 << 29, 128


def rate(nbytes: int, work: Callable[[], object], runs: int = 7) -> float:
    """The best of several runs, in GB/s."""
    best = float("inf")
    for _ in range(runs):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return nbytes / best / 1e9


def checksums() -> None:
    """crc32c takes memoryviews; google-crc32c wants bytes, so that what is read into a buffer must be copied."""
    from google_crc32c import value

    piece = memoryview(bytearray(os.urandom(PIECE_BYTES)))
    print(f"CRC32C  crc32c on a memoryview        {rate(len(piece), lambda: crc32c(piece)):6.1f}")
    print(f"        google-crc32c on its bytes    {rate(len(piece), lambda: value(bytes(piece))):6.1f}")


def transposes() -> None:
    """Padded blocks against numpy's own assignment of the transpose."""
    transposer = Transposer()
    for shape in SHAPES:
        matrix = np.random.default_rng(0).random(shape, np.float32)
        target = np.empty(shape[::-1], np.float32)
        content = matrix.reshape(-1).view(np.uint8).data

        def blocks(shape: tuple[int, int] = shape, content: memoryview = content) -> None:
            transposer.begin(*shape, np.dtype(np.float32))
            transposer.add(content)

        def plain(target: np.ndarray = target, matrix: np.ndarray = matrix) -> None:
            target[...] = matrix.T

        fast, slow = rate(matrix.nbytes, blocks), rate(matrix.nbytes, plain)
        print(f"transpose {shape}  in blocks  {fast:6.1f}   plain {slow:6.1f}")


def reads(folder: Path) -> None:
    """A file that TensorFlow has just written, through a map and with pread."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    path = folder / "tensors"
    values = np.random.default_rng(0).random((TENSORS, FILE_BYTES // 4 // TENSORS), np.float32)
    names = [f"{number:04}" for number in range(TENSORS)]
    tf.raw_ops.SaveV2(prefix=str(path), tensor_names=names, shape_and_slices=[""] * TENSORS, tensors=list(values))
    scratch = memoryview(bytearray(PIECE_BYTES))
    with ReadFile(folder / "tensors.data-00000-of-00001") as file:

        def mapped() -> None:
            for piece in file.pieces(scratch, 0, FILE_BYTES):
                crc32c(piece)

        def preads() -> None:
            for start in range(0, FILE_BYTES, PIECE_BYTES):
                file.read_into(scratch, start)
                crc32c(scratch)

        print(f"read + CRC32C  through a map {rate(FILE_BYTES, mapped):6.1f}   pread {rate(FILE_BYTES, preads):6.1f}")


def main() -> None:
    """Print all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder by default")
    options = parser.parse_args()
    checksums()
    transposes()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        reads(Path(name))


if __name__ == "__main__":
    main()
