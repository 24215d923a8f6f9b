"""The lines of a text file, packed or not: bounded, decoded, and refused by file and line where they are no text."""

from __future__ import annotations

import gzip
import io
import os
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import IO, TYPE_CHECKING, cast

from electra_convert.errors import CorpusError
from electra_convert.frameworks import import_pyarrow

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# A line becomes a text and then a list of numbers, together some forty times as large.
LONGEST_LINE = 1 << 24
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
# Frames that zstd passes over, which parallel packers write first.
_SKIPPED_FRAME = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")
_OTHER_PACKERS = {b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"PK\x03\x04": "zip"}
# UTF-32's mark begins with UTF-16's.
_MARKS = {b"\xff\xfe\0\0": "UTF-32", b"\0\0\xfe\xff": "UTF-32", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")
_HEAD = 512
# Text packs to a fifth, tables of the same words to a fiftieth; a bomb to a thousandth.
_MOST_GROWTH = 100
_ALWAYS_UNPACKED = 1 << 24
_WHAT_IT_IS = (
    "A corpus is text in UTF-8, JSON lines, CSV, TSV or Parquet, each packed by gzip or zstd or not, or TFRecords of "
    "build_pretraining_dataset.py."
)
_OWN_ENCODING = "with its own encoding in place of WINDOWS-1252, such as SHIFT_JIS, GB18030, EUC-KR or WINDOWS-1251."


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file of a corpus as it stands on the disk.

    Raises:
        CorpusError: it cannot be opened.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {error.strerror}") from error
    with file:
        yield file


def packer_of(start: bytes) -> str | None:
    """What packed a file that begins so: gzip, zstd, one that is not read here, or None."""
    if start.startswith(_GZIP):
        return "gzip"
    if start.startswith(_ZSTD) or _SKIPPED_FRAME.match(start):
        return "zstd"
    return next((packer for magic, packer in _OTHER_PACKERS.items() if start.startswith(magic)), None)


def unpacked(path: Path, file: IO[bytes]) -> IO[bytes]:
    """The content of a file that gzip or zstd may have packed.

    Args:
        path: what it is called.
        file: the same, opened, at its beginning.

    Raises:
        CorpusError: something else packed it.
        MissingPackageError: zstd packed it, and pyarrow, which unpacks that, is not installed.
    """
    start = file.read(6)
    file.seek(0)
    packer = packer_of(start)
    if packer == "gzip":
        return _bounded(path, cast(IO[bytes], gzip.GzipFile(fileobj=file)), os.fstat(file.fileno()).st_size)
    if packer == "zstd":
        pyarrow = import_pyarrow(f"to unpack {path.name}")
        stream = pyarrow.CompressedInputStream(pyarrow.PythonFile(file, "r"), "zstd")
        return _bounded(path, stream, os.fstat(file.fileno()).st_size)
    if packer is not None:
        raise CorpusError(f"{path} is packed by {packer}", "Unpack it; what gzip or zstd packed is read as it is.")
    return file


class _Unpacking(io.RawIOBase):
    """What a packed file holds, as far as it is of a length that text of its length unpacks to."""

    def __init__(self, path: Path, stream: IO[bytes], most: int) -> None:
        self._path, self._stream, self._left, self._most = path, stream, most, most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        try:
            data = self._stream.read(len(view))
        except (EOFError, zlib.error) as error:
            raise OSError(str(error)) from error
        self._left -= len(data)
        if self._left < 0:
            raise CorpusError(
                f"{self._path} unpacks to more than {self._most >> 20} MB, which no text of its length does",
                "If it is what it should be, unpack it first.",
            )
        view[: len(data)] = data
        return len(data)


def _bounded(path: Path, stream: IO[bytes], packed: int) -> io.BufferedReader:
    return io.BufferedReader(_Unpacking(path, stream, _ALWAYS_UNPACKED + packed * _MOST_GROWTH), 1 << 16)


def read_lines(path: Path, file: IO[bytes]) -> Iterator[str]:
    """Read the lines of a text file with what ends them, unpacked.

    Args:
        path: what it is called in messages.
        file: the same, opened, at its beginning.

    Raises:
        CorpusError: it cannot be read, is no text, not UTF-8, or has a line that is too long; names the line.
        MissingPackageError: as unpacked.
    """
    return _lines(path, lambda: unpacked(path, file))


def stream_lines(path: Path, stream: IO[bytes]) -> Iterator[str]:
    """Read lines as read_lines does, of a pipe or the like that nothing packed; path is what it is called.

    Raises:
        CorpusError: as read_lines.
    """
    return _lines(path, lambda: stream)


def _lines(path: Path, begin: Callable[[], IO[bytes]]) -> Iterator[str]:
    number = 0
    try:
        lines = begin()
        while raw := lines.readline(LONGEST_LINE + 1):
            number += 1
            _require_text(raw, path, number)
            yield raw.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        found = f"byte {error.object[error.start]:#04x} is not UTF-8 ({error.reason})"
        raise CorpusError(f"{path}, line {number}: {found}", _remedy(path, error)) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise CorpusError(f"{path} cannot be read after line {number}: {reason}", "Copy the file again.") from error


def _require_text(raw: bytes, path: Path, number: int) -> None:
    if len(raw) > LONGEST_LINE:
        raise CorpusError(
            f"{path}, line {number} is longer than {LONGEST_LINE >> 20} MB",
            "Put a line break after each sentence or paragraph, and a blank line after each document.",
        )
    encoding = next((name for mark, name in _MARKS.items() if raw.startswith(mark)), None) if number == 1 else None
    if encoding is not None:
        raise CorpusError(f"{path} is text in {encoding}, not UTF-8", f"Convert it first: {_iconv(path, encoding)}")
    if b"\0" not in raw:
        return
    if (encoding := _without_mark(raw)) is not None:
        raise CorpusError(
            f"{path}, line {number}: a zero byte at every other place, as in {encoding}; expected UTF-8",
            f"Convert it first: {_iconv(path, encoding)}",
        )
    raise CorpusError(f"{path}, line {number}: a zero byte; this is not a text file", _WHAT_IT_IS)


def _without_mark(raw: bytes) -> str | None:
    """UTF-16 by the zero bytes that Latin letters have in it: nearly all of either the odd or the even bytes."""
    halves = {"UTF-16BE": raw[0::2], "UTF-16LE": raw[1::2]}
    return next((name for name, half in halves.items() if half.count(0) > 0.7 * len(half)), None)


def _remedy(path: Path, error: UnicodeDecodeError) -> str:
    """A command that converts the file, of which nothing says for certain what encoding it has."""
    head = _head_of(path)
    if _CONTROL.search(error.object if packer_of(head) else head + error.object):
        return _WHAT_IT_IS
    return f"Convert it first: {_iconv(path, 'WINDOWS-1252')}, {_OWN_ENCODING}"


def _iconv(path: Path, encoding: str) -> str:
    convert = f"iconv -f {encoding} -t UTF-8"
    if not path.is_file():
        return convert
    packer = packer_of(_head_of(path))
    name = quote(str(path))
    plain = path.with_suffix("") if packer else path
    target = quote(str(plain.with_name(f"{plain.stem}.utf8{plain.suffix}")))
    return f"{convert} {name} > {target}" if packer is None else f"{packer} -dc {name} | {convert} > {target}"


def _head_of(path: Path) -> bytes:
    """How a file begins; nothing of what is none."""
    if not path.is_file():
        return b""
    with opened(path) as file:
        return file.read(_HEAD)
