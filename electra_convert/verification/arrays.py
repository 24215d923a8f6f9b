"""The arrays of an .npz that anyone may have made, their sizes looked at first; nothing of what they mean."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from electra_convert.errors import CorruptFileError, SourceError, listing
from electra_convert.formats.archives import checked_records

_SUFFIX = ".npy"
_ZIP_MAGIC = b"PK"
_SAVE = "Save it with numpy.savez."
# No dimension of an array that there is memory for is longer, one of no elements aside.
_LONGEST = 1 << 31
_MOST_DIMENSIONS = 32


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read the arrays of an .npz by name.

    Raises:
        SourceError: it cannot be read, holds pickled objects or other files, or states more than it holds.
    """
    try:
        with path.open("rb") as opened:
            if opened.read(len(np.lib.format.MAGIC_PREFIX)) == np.lib.format.MAGIC_PREFIX:
                raise SourceError(f"{path} is one array, not an .npz of several", _SAVE)
            with zipfile.ZipFile(opened) as archive:
                return dict(_arrays(path, archive))
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}") from error
    except CorruptFileError as error:
        raise SourceError(error.message, error.hint) from error
    # What a file that is none makes zipfile raise is not for it to say: NotImplementedError of a version, for one.
    except (ValueError, EOFError, MemoryError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise SourceError(f"{path} is not an .npz of plain arrays, or is damaged", _SAVE) from error


def _arrays(path: Path, archive: zipfile.ZipFile) -> Iterator[tuple[str, NDArray[Any]]]:
    records = checked_records(path, archive)
    if others := [record.filename for record in records if not record.filename.endswith(_SUFFIX)]:
        raise SourceError(f"{path} is not an .npz of plain arrays: it holds {listing(map(repr, others))}", _SAVE)
    for record in records:
        with archive.open(record) as content:
            yield record.filename.removesuffix(_SUFFIX), _array(content, record.file_size)


def _array(content: IO[bytes], nbytes: int) -> NDArray[Any]:
    """An array of as many bytes as its header says; raises ValueError."""
    shape, fortran, dtype = _header(content)
    whole = all(type(length) is int and 0 <= length < _LONGEST for length in shape)
    if dtype.hasobject or len(shape) > _MOST_DIMENSIONS or not whole:
        raise ValueError("no plain array")
    count = prod(shape)
    if count * max(dtype.itemsize, 1) > nbytes:
        raise ValueError("fewer bytes than the shape says")
    data = content.read(nbytes)
    if content.read(1) or len(data) != count * dtype.itemsize:
        raise ValueError("another number of bytes than the shape says")
    return np.frombuffer(bytearray(data), dtype, count).reshape(shape, order="F" if fortran else "C")


def _header(content: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """What the array is, by its header, which is a literal of Python's."""
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    version = np.lib.format.read_magic(content)
    if version not in readers:
        raise ValueError(f"version {version} of the format")
    try:
        return readers[version](content)
    except Exception as error:  # whatever Python's own parser makes of a hostile literal
        raise ValueError("no header") from error
