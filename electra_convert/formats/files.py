"""Files read and written at offsets; knows nothing of what is in them."""

from __future__ import annotations

import errno
import hashlib
import mmap
import os
import re
import stat
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from threading import Lock, Thread
from types import TracebackType
from typing import TYPE_CHECKING, Self

from crc32c import crc32c

from electra_convert.errors import CorruptFileError, OutputError, SourceError, unwritable
from electra_convert.tensors.spec import TensorSpec, pieces

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

# Opened in any other way, a pipe would be waited for until somebody writes to it, and Windows would change line ends.
_FLAGS = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
# Linux 5.14's MADV_POPULATE_READ, which Python's mmap does not name: map the pages of a range at once, and report
# what cannot be read as an error and not as a signal.
_POPULATE_READ = 22
# The kernel maps whole windows of this size around a page; what is given up must be whole windows too.
_FAULT_WINDOW = 1 << 16
# Shorter reads are not worth the two system calls.
_MAPPED_FROM = 1 << 16
# So much is written before the disk is told to begin; a flush at the end then has little left to wait for.
_FLUSH_EVERY = 1 << 27
# What is read for a checksum alone.
_CHECKED_AT_ONCE = 1 << 22
# Any other failure to reserve space means that the file system cannot; writing will show what it can.
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# The largest there are name every tensor of a model in some hundred bytes each.
LARGEST_SMALL_FILE = 1 << 24
# What is looked at to tell a file from what a download may leave in its place, and what that begins with.
_START_BYTES = 64
_PLACEHOLDERS = (
    (
        re.compile(rb"version https://git-lfs\.github\.com/spec/"),
        "a Git LFS pointer, which stands for a file that was not downloaded",
        "Run git lfs pull in the repository, or download the file itself.",
    ),
    (
        re.compile(rb"\s*<(!doctype\s+html|html[\s>])", re.IGNORECASE),
        "a web page, not the file that its name says",
        "Download it again: the address led to a page that asks for something, or reports an error.",
    ),
)


# Told of a file, an offset and a length before that range is read, so that it can be put there.
Bring = Callable[[Path, int, int], None]
_BRING: ContextVar[Bring | None] = ContextVar("_BRING", default=None)
# Values up to this length in bytes are of counters; longer ones are of weights, and are not brought.
_SHORT_VALUE = 1 << 10


@contextmanager
def outlines(bring: Bring) -> Iterator[None]:
    """Have files that are opened within be outlines: what they say of their tensors is brought when it is read.

    The values of weights never are; they are what lies there, which may be zeros.
    """
    token = _BRING.set(bring)
    try:
        yield
    finally:
        _BRING.reset(token)


class Closing(ABC):
    """What is closed when its context ends."""

    @abstractmethod
    def close(self) -> None:
        """Release what was opened."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ReadFile(Closing):
    """A file opened for reading at offsets, by several threads at once.

    Long pieces are shown in a map of the file, without a copy: with checksums, pread takes 1.5 times as long, and
    where the page cache holds the file in small pages, five times (benchmarks/building_blocks.py). A range is mapped
    as a whole before it is used and given up after, so that neither page faults nor memory add up. Where that is not
    to be had, pread does it.

    Raises:
        SourceError: it is missing, may not be read, or is no file.
        CorruptFileError: something else was downloaded in its place.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._bring = _BRING.get()
        try:
            self._descriptor = os.open(path, os.O_RDONLY | _FLAGS)
            status = os.fstat(self._descriptor)
        except OSError as error:
            raise SourceError(f"{path} cannot be read: {error.strerror}") from error
        self.size = status.st_size
        self._map: mmap.mmap | None = None
        self._lock = Lock()
        try:
            self._require_content(status.st_mode)
        except BaseException:
            os.close(self._descriptor)
            raise
        self._map = self._open_map()

    @property
    def is_outline(self) -> bool:
        """Whether only what it says of its tensors is here."""
        return self._bring is not None

    def pieces(self, scratch: memoryview, offset: int, nbytes: int) -> Iterator[memoryview]:
        """Yield a range of the file, piece by piece.

        Args:
            scratch: writable bytes; each piece but the last is as long.

        Yields:
            The pieces, in the scratch space or read-only in a map; good until the next one is asked for.

        Raises:
            CorruptFileError: the file ends before, or cannot be read there.
        """
        for position, window in pieces(scratch, nbytes):
            start = offset + position
            shown = self._mapped(start, len(window))
            if shown is None:
                if nbytes <= _SHORT_VALUE:
                    self._have_brought(start, len(window))
                self._fill(window, start)
                yield window
            else:
                yield shown
                self._give_up(start, len(window))

    def _require_content(self, mode: int) -> None:
        """Refuse a folder, a pipe, and what downloads leave in a file's place."""
        if not stat.S_ISREG(mode):
            what = "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"
            raise SourceError(f"{self.path} is {what}, expected a file")
        _refuse_placeholder(self.path, self.read(min(self.size, _START_BYTES), 0))

    def _open_map(self) -> mmap.mmap | None:
        if self.is_outline or self.size < _MAPPED_FROM:
            return None
        if not hasattr(mmap, "MADV_DONTNEED") or not hasattr(mmap.mmap, "madvise"):
            return None
        with suppress(OSError, ValueError):
            return mmap.mmap(self._descriptor, self.size, mmap.MAP_SHARED, mmap.PROT_READ)
        return None

    def read_into(self, view: memoryview, offset: int) -> None:
        """Fill the view with the bytes that begin at the offset.

        Raises:
            CorruptFileError: the file ends before the view is full, or cannot be read there.
        """
        self._have_brought(offset, len(view))
        self._fill(view, offset)

    def _have_brought(self, offset: int, length: int) -> None:
        if self._bring is not None:
            self._bring(self.path, offset, length)

    def _fill(self, view: memoryview, offset: int) -> None:
        while len(view):
            try:
                count = self._read_at(view, offset)
            except OSError as error:
                raise CorruptFileError(f"{self.path} cannot be read at byte {offset}: {error.strerror}") from error
            if count == 0:
                raise CorruptFileError(
                    f"{self.path} is cut short: {len(view)} bytes are wanted from {offset}, it ends at {self.size}",
                    "Copy or download the file again.",
                )
            view = view[count:]
            offset += count

    def _read_at(self, view: memoryview, offset: int) -> int:
        if hasattr(os, "preadv"):
            return os.preadv(self._descriptor, [view], offset)
        with self._lock:
            os.lseek(self._descriptor, offset, os.SEEK_SET)
            found = os.read(self._descriptor, len(view))
        view[: len(found)] = found
        return len(found)

    def _mapped(self, offset: int, length: int) -> memoryview | None:
        if self._map is None or length < _MAPPED_FROM or offset + length > self.size:
            return None
        try:
            self._map.madvise(_POPULATE_READ, *self._window(offset, length))
        except OSError:
            return None
        return memoryview(self._map)[offset : offset + length]

    def _give_up(self, offset: int, length: int) -> None:
        if self._map is not None:
            self._map.madvise(mmap.MADV_DONTNEED, *self._window(offset, length))

    def _window(self, offset: int, length: int) -> tuple[int, int]:
        start = offset - offset % _FAULT_WINDOW
        return start, min(offset + length + -(offset + length) % _FAULT_WINDOW, self.size) - start

    def read(self, length: int, offset: int) -> bytes:
        """Return length bytes from the offset; for short pieces, the caller having bounded the length.

        Raises:
            CorruptFileError: the file ends before.
        """
        buffer = bytearray(length)
        self.read_into(memoryview(buffer), offset)
        return bytes(buffer)

    def close(self) -> None:
        """Close the file."""
        if self._map is not None:
            # A piece may still be held, by a traceback for one; the map then goes with it.
            with suppress(BufferError):
                self._map.close()
        os.close(self._descriptor)


def refuse_placeholder(path: Path) -> None:
    """Refuse what a download may leave in a file's place, and what is no file.

    Raises:
        SourceError: it may not be read, or is no file.
        CorruptFileError: it is a Git LFS pointer or a web page.
    """
    ReadFile(path).close()


def _refuse_placeholder(path: Path, start: bytes) -> None:
    for pattern, what, cure in _PLACEHOLDERS:
        if pattern.match(start):
            raise CorruptFileError(f"{path} is {what}", cure)


class WriteFile:
    """A new file written at offsets, by several threads at once, and flushed to disk when it is complete.

    Args:
        path: the file; it must not exist.
        size: the length in bytes that it will have, where that is known: the space is taken at once, so that a full
            disk shows before any work is done, and writing takes a third less time.

    Raises:
        OutputError: it cannot be made, or there is no space for it.
    """

    def __init__(self, path: Path, size: int = 0) -> None:
        self.path = path
        try:
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o666)
        except OSError as error:
            raise unwritable(path, error) from error
        self._reserve(size)
        self._lock = Lock()
        self._unflushed = 0
        self._flush: Thread | None = None
        self._failure: OSError | None = None

    def _reserve(self, size: int) -> None:
        if not size or not hasattr(os, "posix_fallocate"):
            return
        try:
            os.posix_fallocate(self._descriptor, 0, size)
        except OSError as error:
            if error.errno in _NO_SPACE:
                os.close(self._descriptor)
                raise unwritable(self.path, error) from error

    def write_at(self, view: memoryview | bytes, offset: int) -> None:
        """Write all the bytes at the offset.

        Raises:
            OutputError: the disk is full, or the file cannot be written.
        """
        rest = memoryview(view)
        while len(rest):
            try:
                count = self._write_at(rest, offset)
            except OSError as error:
                raise unwritable(self.path, error) from error
            rest = rest[count:]
            offset += count
        self._flush_early(len(view))

    def _write_at(self, view: memoryview, offset: int) -> int:
        if hasattr(os, "pwrite"):
            return os.pwrite(self._descriptor, view, offset)
        with self._lock:
            os.lseek(self._descriptor, offset, os.SEEK_SET)
            return os.write(self._descriptor, view)

    def _flush_early(self, nbytes: int) -> None:
        """Let the disk work while the rest is being read and computed."""
        with self._lock:
            self._unflushed += nbytes
            if self._unflushed < _FLUSH_EVERY or (self._flush is not None and self._flush.is_alive()):
                return
            self._unflushed = 0
            self._flush = Thread(target=self._flush_now, daemon=True)
            self._flush.start()

    def _flush_now(self) -> None:
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            # The kernel reports a failed write once; the last flush would know nothing of it.
            self._failure = error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._flush is not None:
            self._flush.join()
        if kind is None and self._failure is None:
            self._flush_now()
        os.close(self._descriptor)
        if kind is None and self._failure is not None:
            raise unwritable(self.path, self._failure) from self._failure


class RegionWriter:
    """Writes one tensor at its place in a file, in order; `missing` is how many of its bytes are still to come."""

    def __init__(self, file: WriteFile, spec: TensorSpec, start: int) -> None:
        self._file = file
        self.spec = spec
        self._position = start
        self.missing = spec.nbytes

    def write(self, piece: memoryview) -> None:
        """Append the next bytes of the tensor, C order, little-endian.

        Raises:
            OutputError: they are more than the tensor has, or cannot be written.
        """
        if len(piece) > self.missing:
            raise self.wrong_length(self.spec.nbytes - self.missing + len(piece))
        self._file.write_at(piece, self._position)
        self._position += len(piece)
        self.missing -= len(piece)

    def wrong_length(self, found: int) -> OutputError:
        """The error to raise where another number of bytes was written."""
        return OutputError(
            f"{self._file.path}: tensor {self.spec.name!r} has {self.spec.nbytes} bytes, {found} were written"
        )


def checksum_of_file(path: Path) -> str:
    """The CRC32C of a file's bytes, in hexadecimal.

    Raises:
        SourceError: it is missing or may not be read.
        CorruptFileError: it cannot be read to its end.
    """
    checksum = 0
    with ReadFile(path) as file:
        for piece in file.pieces(memoryview(bytearray(_CHECKED_AT_ONCE)), 0, file.size):
            checksum = crc32c(piece, checksum)
    return f"{checksum:08x}"


def small_bytes(path: Path) -> bytes:
    """The bytes of a file that people and programs write by the kilobyte: configurations, records, states.

    Raises:
        OSError: it cannot be read, or is larger than any such file.
    """
    with path.open("rb") as file:
        content = file.read(LARGEST_SMALL_FILE + 1)
    if len(content) > LARGEST_SMALL_FILE:
        raise OSError(errno.EFBIG, f"it is longer than {LARGEST_SMALL_FILE >> 20} MB")
    return content


def small_text(path: Path) -> str:
    """The same as text in UTF-8.

    Raises:
        OSError: as small_bytes.
        UnicodeDecodeError: it is no UTF-8.
    """
    return small_bytes(path).decode()


def sha256_of_file(path: Path, *others: Hash) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal; other hashes are fed by the same reading.

    Raises:
        OSError: it cannot be read.
    """
    sha256 = hashlib.sha256()
    buffer = memoryview(bytearray(_CHECKED_AT_ONCE))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            for each in (sha256, *others):
                each.update(buffer[:count])
    return sha256.hexdigest()
