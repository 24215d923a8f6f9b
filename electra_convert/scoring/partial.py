"""A file written row by row that has its name once it is whole, and can be gone on with wherever it was cut off."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from electra_convert.errors import ElectraConvertError, OutputError, unwritable
from electra_convert.formats.json_objects import decode_json
from electra_convert.locks import lock_file
from electra_convert.output import replace_file
from electra_convert.scoring.rows import Row

_ANEW = "--overwrite scores all of it anew."


class Partial:
    """The file while it is written, NAME.partial; what it was begun with lies beside it in NAME.partial.json.

    Args:
        file: it, opened for reading and writing, where what an earlier run wrote begins.
        path: what it is called in messages.
    """

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file, self._path = file, path
        self._rows = 0
        # Whether what an earlier run wrote may go on here.
        self._reading = True

    def has(self, chunk: Sequence[Row]) -> bool:
        """Whether the rows were written by an earlier run; the first that were not are where this one goes on.

        Raises:
            OutputError: others were.
        """
        if not self._reading:
            return False
        begun = self._file.tell()
        if all(map(self._has, chunk)):
            self._rows += len(chunk)
            return True
        self._file.seek(begun)
        self._file.truncate()
        self._reading = False
        return False

    def _has(self, row: Row) -> bool:
        expected = row.begin.encode()
        found = self._file.read(len(expected))
        if found != expected:
            if expected.startswith(found):
                return False
            raise self._other(f"{row.where} is not what stands there in {self._path}")
        rest = self._file.readline()
        if row.whole and rest and not row.end.encode().startswith(rest):
            raise self._other(f"{row.where} is not what stands there in {self._path}")
        return rest.endswith(b"\n")

    def write(self, text: str) -> None:
        """Write rows.

        Raises:
            OutputError: they cannot be written.
        """
        try:
            self._file.write(text.encode())
            self._file.flush()
        except OSError as error:
            raise unwritable(self._path, error) from error

    def require_end(self) -> None:
        """Refuse to end where an earlier run has written more."""
        if self._reading and self._file.read(1):
            raise self._other(f"{self._path} has more than these {self._rows} rows")

    def _other(self, what: str) -> OutputError:
        return OutputError(f"{what}: the input is another than it was begun with", f"Give the same. {_ANEW}")


def files_of(output: Path) -> tuple[Path, Path, Path]:
    """An output, the file that it is while it is written, and the record of what that was begun with."""
    return output, output.with_name(f"{output.name}.partial"), output.with_name(f"{output.name}.partial.json")


@contextmanager
def partial_file(
    output: Path, begun_with: Mapping[str, object], *, resume: bool, overwrite: bool, again: bool
) -> Iterator[Partial]:
    """Write a file; it has its name when the context ends without an error. What was written before one is kept.

    Args:
        output: its name.
        begun_with: what must be the same for an earlier run's file to be gone on with.
        resume: whether to go on with it, where there is one.
        overwrite: whether to begin anew, and to replace a whole file of this name.
        again: whether its rows can be had again, to go on with it.

    Raises:
        OutputError: it is there already, belongs to another run, was begun with something else, or cannot be written.
    """
    _, path, record = files_of(output)
    if output.is_dir():
        raise OutputError(f"{output} is a folder", "Give the name of a file.")
    if output.exists() and not overwrite:
        raise OutputError(f"{output} already exists" + (", whole" if resume else ""), _ANEW)
    with _opened(path, output) as file:
        left = os.fstat(file.fileno()).st_size
        if left and resume:
            _require_same(path, record, begun_with)
        elif left and not overwrite:
            raise OutputError(f"{path} is there of a run that did not end", f"--resume goes on with it. {_ANEW}")
        else:
            file.truncate(0)
            replace_file(record, json.dumps(begun_with, indent=2).encode() + b"\n")
        try:
            partial = Partial(file, path)
            yield partial
            partial.require_end()
            os.fsync(file.fileno())
        except (ElectraConvertError, KeyboardInterrupt) as error:
            _say_what_is_kept(error, file, path, record, again)
            raise
    try:
        path.replace(output)
    except OSError as error:
        raise unwritable(output, error) from error
    record.unlink(missing_ok=True)


@contextmanager
def _opened(path: Path, output: Path) -> Iterator[BinaryIO]:
    """The file, locked, as it was left or new."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666), "r+b")
    except OSError as error:
        raise unwritable(output, error) from error
    try:
        _lock(file, output)
        yield file
    finally:
        # All was flushed, or that failed and was told.
        with suppress(OSError):
            file.close()


def _lock(file: BinaryIO, output: Path) -> None:
    try:
        lock_file(file.fileno())
    except BlockingIOError as error:
        raise OutputError(f"{output} is being written by another run", "Wait for it to end.") from error
    except OSError:  # a file system without locks
        return


def _say_what_is_kept(error: BaseException, file: BinaryIO, path: Path, record: Path, again: bool) -> None:
    """Say how to go on with what is there; where that is nothing, nothing is left."""
    if not os.fstat(file.fileno()).st_size:
        for one in (path, record):
            one.unlink(missing_ok=True)
        return
    kept = f"What was scored is kept in {path}"
    kept += "; the same command with --resume goes on with it." if again else "."
    if isinstance(error, ElectraConvertError):
        error.hint = f"{error.hint} {kept}" if error.hint else kept
    else:
        error.add_note(kept)


def _require_same(path: Path, record: Path, begun_with: Mapping[str, object]) -> None:
    before: object = None
    with suppress(OSError, ValueError):
        before = decode_json(record.read_text(encoding="utf-8"))
    if not isinstance(before, dict):
        raise OutputError(f"{record}, which says what {path.name} was begun with, is missing or damaged", _ANEW)
    if other := [key for key in {**before, **begun_with} if before.get(key) != begun_with.get(key)]:
        others = " and another ".join(other).replace("_", " ")
        raise OutputError(f"{path} was begun with another {others}", f"Give the same. {_ANEW}")
