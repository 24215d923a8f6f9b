"""A folder that appears whole or not at all; knows nothing of what is written into it."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from electra_convert.errors import OutputError, unwritable

_PARTIAL = ".partial"
# What --overwrite moves aside; never removed by a later run, since after a crash it may be the only copy.
REPLACED = ".replaced"


def check_target(target: Path, source: Path, overwrite: bool, others: Sequence[Path] = ()) -> None:
    """Refuse a place that must not be written to, before any work is done.

    Args:
        target: the folder to be made.
        source: what is being read.
        overwrite: whether an existing folder may be replaced.
        others: what else is read, which must not be replaced either.

    Raises:
        OutputError: it has no name of its own, exists, lies inside the source, holds something that is read, or its
            parent is not a folder.
    """
    if target.name in {"", ".."}:
        raise OutputError(f"{target} names no new folder", "Give OUTPUT a name of its own, such as my-electra.")
    place = follow(target)
    for read in (source, *others):
        origin = follow(read)
        if origin.is_dir() and place != origin and place.is_relative_to(origin):
            raise OutputError(f"{target} lies inside the source {read}", "Choose a folder beside it.")
        if origin.is_relative_to(place):
            raise OutputError(f"{target} holds the source {read}", "Choose another folder.")
    if os.path.lexists(target):
        if not overwrite:
            raise OutputError(f"{target} already exists", "Choose another name, or --overwrite to replace it.")
        if target.is_symlink() or not target.is_dir():
            raise OutputError(f"{target} is not a folder, so it is not replaced", "Choose another name.")
    for parent in target.absolute().parents:
        if os.path.lexists(parent):
            if not parent.is_dir():
                raise OutputError(f"{parent} is not a folder, so {target} cannot be made")
            break


def follow(path: Path) -> Path:
    """The path itself, without links.

    Args:
        path: it need not exist.

    Returns:
        The absolute path that it stands for.

    Raises:
        OutputError: its links lead nowhere, or in a circle.
    """
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise OutputError(f"{path} is not a path that can be followed: {error}") from error


@contextmanager
def new_folder(target: Path, overwrite: bool) -> Iterator[Path]:
    """Fill a temporary sibling, and give it the target's name only when all of it is on disk.

    Args:
        target: the folder to be made; check_target has passed.
        overwrite: whether an existing folder is replaced: moved aside, and deleted once the new one stands.

    Yields:
        The temporary folder to write into.

    Raises:
        OutputError: it cannot be written.
    """
    made: list[Path] = []
    try:
        make_parents(target.absolute().parent, made)
        remove_abandoned(target)
        with partial_folder(target) as partial:
            yield partial
            for folder in (partial, *(path for path in partial.rglob("*") if path.is_dir())):
                _flush(folder)
            _rename(partial, target, overwrite)
    except BaseException as error:
        for parent in reversed(made):
            with suppress(OSError):
                parent.rmdir()
        if isinstance(error, OSError):
            raise unwritable(target, error) from error
        raise


def write_file(path: Path, content: bytes) -> None:
    """Write a small file and flush it to disk.

    Args:
        path: a file that does not exist.
        content: all of it.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        with path.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise unwritable(path, error) from error


def replace_file(path: Path, content: bytes) -> None:
    """Write a small file whole or not at all, in the place of one that may be there.

    Args:
        path: the file; its folder exists.
        content: all of it.

    Raises:
        OutputError: it cannot be written, or is there and no file; what was there before is untouched.
    """
    if os.path.lexists(path) and not path.is_file():
        raise OutputError(f"{path} is not a file, so it is not replaced", "Choose another name.")
    partial: Path | None = None
    try:
        descriptor, name = tempfile.mkstemp(_PARTIAL, f".{path.name}.", path.absolute().parent)
        partial = Path(name)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o666 & ~_umask())
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        partial.replace(path)
        _flush(path.absolute().parent)
    except BaseException as error:
        if partial is not None:
            partial.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise unwritable(path, error) from error
        raise


def make_parents(parent: Path, made: list[Path]) -> None:
    """Make a folder and what it lies in.

    Args:
        parent: the folder, which may exist.
        made: each folder that is made is noted here, outermost first, for the caller to remove.

    Raises:
        OutputError: one cannot be made.
    """
    missing = []
    while not parent.exists():
        missing.append(parent)
        parent = parent.parent
    for folder in reversed(missing):
        try:
            folder.mkdir()
        except OSError as error:
            raise OutputError(f"{folder} cannot be made: {error.strerror}") from error
        made.append(folder)


@contextmanager
def partial_folder(target: Path) -> Iterator[Path]:
    """Make a locked temporary sibling: a later run can tell by the lock that a killed one has left it behind.

    Args:
        target: whose name it is to be given; the lock goes with it.

    Yields:
        The folder; one that is still there at the end is removed.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        partial = Path(tempfile.mkdtemp(_PARTIAL, f".{target.name}.", target.absolute().parent))
    except OSError as error:
        raise OutputError(f"{target} cannot be made: {error.strerror}") from error
    lock = os.open(partial, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        partial.chmod(0o777 & ~_umask())
        yield partial
    except OutputError as error:
        # Nobody asked for the temporary folder, and it is gone by the time its name is read.
        told = error.message.replace(str(partial), str(target))
        if told == error.message:
            raise
        raise OutputError(told, error.hint) from error
    finally:
        os.close(lock)
        shutil.rmtree(partial, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def remove_abandoned(target: Path) -> None:
    """Remove the temporary siblings of a folder that killed runs have left behind.

    Args:
        target: the folder.
    """
    for partial in target.absolute().parent.glob(f".{_escaped(target.name)}.*{_PARTIAL}"):
        with suppress(OSError):
            lock = os.open(partial, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(partial, ignore_errors=True)
            finally:
                os.close(lock)


def _escaped(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _flush(folder: Path) -> None:
    """Put the names in a folder on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _rename(partial: Path, target: Path, overwrite: bool) -> None:
    if not os.path.lexists(target):
        partial.rename(target)
    elif overwrite:
        _replace(partial, target)
    else:
        raise OutputError(f"{target} was made by something else meanwhile", "Choose another name.")
    _flush(target.absolute().parent)


def _replace(partial: Path, target: Path) -> None:
    aside = Path(tempfile.mkdtemp(REPLACED, f".{target.name}.", target.absolute().parent))
    old = aside / target.name
    try:
        try:
            target.rename(old)
            partial.rename(target)
        except BaseException:
            # An interrupt may come right after either of them.
            if os.path.lexists(old) and os.path.lexists(partial):
                put_back(old, target)
            raise
        shutil.rmtree(old, ignore_errors=True)
    finally:
        # It is not empty where the old folder could not be put back: then it holds the only copy.
        with suppress(OSError):
            aside.rmdir()


def put_back(old: Path, target: Path) -> None:
    """Give a folder that was moved aside its name again.

    Args:
        old: where it is.
        target: where it was.

    Raises:
        OutputError: that cannot be; the message says where it is kept.
    """
    try:
        old.rename(target)
    except OSError as error:
        raise OutputError(
            f"{target} cannot be replaced: {error.strerror}", f"What it held before is kept in {old}."
        ) from error
