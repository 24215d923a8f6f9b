"""Tensors on their way through: names, dtypes, shapes and bytes, and the roles of source and sink; knows no
container and no naming scheme."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from electra_convert.errors import CorruptFileError

# Measured: long enough that threads seldom wait for the interpreter, short enough to stay in a shared cache.
PIECE_BYTES = 1 << 22


@dataclass(frozen=True)
class DType:
    """The type of a tensor's elements, as a container states it.

    Attributes:
        name: the field's usual name, such as float32 or bfloat16.
        kind: what the elements are; opaque ones (strings, resources) have no fixed width.
        itemsize: bytes an element, 0 for opaque ones.
    """

    name: str
    kind: Literal["float", "int", "uint", "bool", "complex", "opaque"]
    itemsize: int

    @property
    def storage(self) -> np.dtype[np.generic]:
        """The little-endian numpy dtype of the same width that holds the elements.

        Types that numpy lacks (bfloat16, float8) are held as unsigned integers of their width.
        """
        if hasattr(np, self.name) and self.kind != "opaque":
            return np.dtype(self.name).newbyteorder("<")
        return np.dtype(f"<u{self.itemsize}")

    def __str__(self) -> str:
        return self.name


def _dtypes() -> dict[str, DType]:
    table: dict[str, DType] = {"bool": DType("bool", "bool", 1)}
    for bits in (8, 16, 32, 64):
        table[f"int{bits}"] = DType(f"int{bits}", "int", bits // 8)
        table[f"uint{bits}"] = DType(f"uint{bits}", "uint", bits // 8)
    for name in ("float8_e5m2", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e4m3b11fnuz", "float8_e5m2fnuz"):
        table[name] = DType(name, "float", 1)
    for name, itemsize in (("float16", 2), ("bfloat16", 2), ("float32", 4), ("float64", 8)):
        table[name] = DType(name, "float", itemsize)
    for name, itemsize in (("complex64", 8), ("complex128", 16)):
        table[name] = DType(name, "complex", itemsize)
    for name in ("string", "resource", "variant"):
        table[name] = DType(name, "opaque", 0)
    return table


DTYPES: Mapping[str, DType] = _dtypes()


@dataclass(frozen=True)
class TensorSpec:
    """A tensor without its values.

    Attributes:
        name: its name in the container.
        dtype: the type of its elements.
        shape: its dimensions, outermost first; () for a scalar.
    """

    name: str
    dtype: DType
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """The number of elements."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The length in bytes of its elements in C order."""
        return self.size * self.dtype.itemsize


@dataclass(frozen=True)
class Tensor(TensorSpec):
    """A tensor of a source: what it is, and how to get at its bytes when they are wanted.

    Attributes:
        stream: given scratch space of a whole number of elements, yields the elements' bytes in C order,
            little-endian, piece after piece. Every piece but the last is as long as the scratch space; it may lie
            there or elsewhere, read-only, and is good until the next one is asked for. Before the iteration ends
            every check of the container has been made. Several threads may stream different tensors at once.
            Raises CorruptFileError.
        checksum: the CRC32C the container states for the bytes, unmasked, or None where it states none.
    """

    stream: Callable[[memoryview], Iterator[memoryview]] = field(repr=False, compare=False)
    checksum: int | None = None

    def read(self) -> NDArray[np.generic]:
        """Read the whole tensor.

        Returns:
            A new C-contiguous array of the tensor's shape in dtype.storage.

        Raises:
            CorruptFileError: the container's checks failed, or its elements are not numbers.
        """
        if self.dtype.kind == "opaque":
            raise CorruptFileError(f"{self.name} holds {self.dtype}, not numbers")
        array = np.empty(self.shape, self.dtype.storage)
        target = array.reshape(-1).view(np.uint8).data
        position = 0
        for piece in self.stream(memoryview(bytearray(min(PIECE_BYTES, max(1, self.nbytes))))):
            target[position : position + len(piece)] = piece
            position += len(piece)
        return array


class Source(Protocol):
    """An opened checkpoint: the tensors one container holds, by their names there."""

    @property
    def path(self) -> Path:
        """The file or prefix the container was opened at, for messages."""

    @property
    def format(self) -> str:
        """The kind of container, such as tensorflow or safetensors."""

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        """Every tensor, by name, in the container's order."""

    @property
    def notices(self) -> tuple[str, ...]:
        """What in the container was passed over, and is no tensor."""

    def close(self) -> None:
        """Release the files."""


class TensorWriter(Protocol):
    """Takes the bytes of one tensor, in order."""

    def write(self, piece: memoryview) -> None:
        """Append the next bytes of the tensor, C order, little-endian."""


class Sink(AbstractContextManager["Sink"], Protocol):
    """A container being written: its tensors were declared when it was opened.

    Leaving the context without an exception completes the container, and raises OutputError if a declared tensor
    was not written whole; leaving it with one leaves an unfinished file, for the caller to remove.
    """

    def writer(self, name: str) -> TensorWriter:
        """The writer of one declared tensor; several threads may write different tensors at once.

        Raises:
            OutputError: it was not declared.
        """


def fits_an_array(spec: TensorSpec) -> bool:
    """Whether numpy can have an array of a shape, which a file may state as it likes."""
    try:
        np.broadcast_to(np.zeros((), spec.dtype.storage), spec.shape)
    except (ValueError, OverflowError):
        return False
    return True


def pieces(scratch: memoryview, nbytes: int) -> Iterator[tuple[int, memoryview]]:
    """Cut a transfer into pieces as long as the scratch space.

    Args:
        scratch: writable bytes; at least one if nbytes is positive.

    Yields:
        The offset of the piece within the transfer, and the scratch space for it.
    """
    position = 0
    while position < nbytes:
        length = min(len(scratch), nbytes - position)
        yield position, scratch[:length]
        position += length


def stream_bytes(content: memoryview | bytes, scratch: memoryview) -> Iterator[memoryview]:
    """Stream what is in memory, as Tensor.stream does."""
    for position, window in pieces(scratch, len(content)):
        window[:] = content[position : position + len(window)]
        yield window
