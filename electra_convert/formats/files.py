"""Files read and written at offsets, whole or not at all; knows nothing of what is in them."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Self

from electra_convert.errors import CorruptFileError, OutputError, SourceError


class ReadFile:
    """A file opened for reading at offsets, by several threads at once.

    Args:
        path: the file.

    Raises:
        SourceError: it is missing or may not be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
            self.size = os.fstat(self._descriptor).st_size
        except OSError as error:
            raise SourceError(f"{path} cannot be read: {error.strerror}") from error

    def read_into(self, view: memoryview, offset: int) -> None:
        """Fill the view with the bytes that begin at the offset.

        Args:
            view: writable bytes.
            offset: in bytes from the start of the file.

        Raises:
            CorruptFileError: the file ends before the view is full, or cannot be read there.
        """
        while len(view):
            try:
                count = os.preadv(self._descriptor, [view], offset)
            except OSError as error:
                raise CorruptFileError(f"{self.path} cannot be read at byte {offset}: {error.strerror}") from error
            if count == 0:
                raise CorruptFileError(
                    f"{self.path} is cut short: {len(view)} bytes are wanted from {offset}, it ends at {self.size}",
                    "Copy or download the file again.",
                )
            view = view[count:]
            offset += count

    def read(self, length: int, offset: int) -> bytes:
        """Return length bytes from the offset; for short pieces, the caller having bounded the length.

        Args:
            length: how many bytes.
            offset: in bytes from the start of the file.

        Returns:
            Exactly length bytes.

        Raises:
            CorruptFileError: the file ends before.
        """
        buffer = bytearray(length)
        self.read_into(memoryview(buffer), offset)
        return bytes(buffer)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class WriteFile:
    """A new file written at offsets, by several threads at once, and flushed to disk when it is complete.

    Args:
        path: the file; it must not exist.

    Raises:
        OutputError: it cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._descriptor = os.open(
                path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o666
            )
        except OSError as error:
            raise OutputError(f"{path} cannot be written: {error.strerror}") from error

    def write_at(self, view: memoryview | bytes, offset: int) -> None:
        """Write all the bytes at the offset.

        Args:
            view: what to write.
            offset: in bytes from the start of the file.

        Raises:
            OutputError: the disk is full, or the file cannot be written.
        """
        rest = memoryview(view)
        while len(rest):
            try:
                count = os.pwrite(self._descriptor, rest, offset)
            except OSError as error:
                raise OutputError(f"{self.path} cannot be written: {error.strerror}") from error
            rest = rest[count:]
            offset += count

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                os.fsync(self._descriptor)
        except OSError as failure:
            raise OutputError(f"{self.path} cannot be written: {failure.strerror}") from failure
        finally:
            os.close(self._descriptor)
