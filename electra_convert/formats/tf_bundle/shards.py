"""A data file of a checkpoint: bytes read where the index says, and held against their checksums; decodes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Lock

import numpy as np
from crc32c import crc32c

from electra_convert.errors import CorruptFileError, SourceError
from electra_convert.formats.files import ReadFile
from electra_convert.formats.tf_bundle.entries import BundleEntry
from electra_convert.formats.tf_bundle.wire import AGAIN, shown
from electra_convert.tensors.spec import PIECE_BYTES

# Writers with a data_alignment also fill up behind the last tensor (PadAlignment in tensor_bundle.cc).
_MAX_PADDING = 4096
# So many other tensors tell damage in one place from an index and data of different saves.
_PROBES = 4


class Shard:
    """A data file, opened when it is first wanted; several threads may use it at once."""

    def __init__(self, path: Path, entries: Sequence[BundleEntry]) -> None:
        self.path = path
        self._entries = entries
        self._lock = Lock()
        self._file: ReadFile | None = None

    def stream(self, name: str, entry: BundleEntry, swap_width: int, scratch: memoryview) -> Iterator[memoryview]:
        """Read a tensor's bytes piece by piece.

        Args:
            swap_width: reverse the bytes in every so many; 1 to leave them as they are.

        Raises:
            SourceError: the file is missing.
            CorruptFileError: it is not the file the index describes, or the bytes do not match the checksum.
        """
        file = self._opened()
        found = 0
        for piece in file.pieces(scratch, entry.offset, entry.size):
            # The checksum is of the bytes as they are stored.
            found = crc32c(piece, found)
            yield piece if swap_width == 1 else _swapped(piece, swap_width)
        if found != entry.checksum:
            raise self._mismatch(file, name, entry, found)

    def read_stored(self, entry: BundleEntry) -> bytes:
        """Read an entry's bytes as they are stored; their checksum is left to the caller.

        Raises:
            SourceError: the file is missing.
            CorruptFileError: it is not the file the index describes.
        """
        return self._opened().read(entry.size, entry.offset)

    def close(self) -> None:
        """Close the file if it was opened."""
        with self._lock:
            if self._file:
                self._file.close()
            self._file = None

    def _opened(self) -> ReadFile:
        with self._lock:
            if self._file is None:
                file = self._open()
                try:
                    self._require_length(file)
                except BaseException:
                    file.close()
                    raise
                self._file = file
            return self._file

    def _open(self) -> ReadFile:
        try:
            return ReadFile(self.path)
        except SourceError as error:
            if self.path.exists():
                raise
            raise SourceError(
                error.message, f"The index says {len(self._entries)} tensors are in it. Put it beside the index."
            ) from error

    def _require_length(self, file: ReadFile) -> None:
        described = max(entry.offset + entry.size for entry in self._entries)
        if file.size == described or _is_padded(file, described):
            return
        state = "is empty" if file.size == 0 else f"has {file.size} bytes"
        cut_short = "it is cut short, or " if file.size < described else ""
        raise CorruptFileError(
            f"{self.path} {state}, the index describes {described}: {cut_short}the index is of another save", AGAIN
        )

    def _mismatch(self, file: ReadFile, name: str, entry: BundleEntry, found: int) -> CorruptFileError:
        message = (
            f"{self.path} is damaged: the bytes of {shown(name)} have CRC32C {found:08x}, "
            f"{entry.checksum:08x} is stored for them"
        )
        if self._others_fail(file, entry):
            message += "; others do not match either: the index is of another save than the data"
        return CorruptFileError(message, AGAIN)

    def _others_fail(self, file: ReadFile, failed: BundleEntry) -> bool:
        """Whether most of a few other small tensors fail as well."""
        small = [entry for entry in self._entries if 0 < entry.size <= PIECE_BYTES and entry is not failed]
        probes = sorted(small, key=lambda entry: entry.size)[:_PROBES]
        failures = sum(crc32c(file.read(entry.size, entry.offset)) != entry.checksum for entry in probes)
        return 2 * failures > len(probes)


def _swapped(piece: memoryview, width: int) -> memoryview:
    return np.frombuffer(piece, f"u{width}").byteswap().view(np.uint8).data


def _is_padded(file: ReadFile, described: int) -> bool:
    surplus = file.size - described
    return 0 < surplus < _MAX_PADDING and not any(file.read(surplus, described))
