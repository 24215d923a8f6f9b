"""Locks that tell one process from another that a folder or a file is being written to, whatever the system has."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType


def _fcntl() -> ModuleType | None:
    """POSIX's locks, None on other systems."""
    try:
        import fcntl
    except ImportError:
        return None
    return fcntl


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Keep a folder locked, whatever its name by then is.

    On POSIX the lock is the folder's own, and leaves nothing behind; elsewhere a file beside it stands for it.

    Raises:
        BlockingIOError: another process has it.
        OSError: the file system has no locks, or the folder is not there.
    """
    if (fcntl := _fcntl()) is None:
        with _lock_file_beside(folder):
            yield
        return
    descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _lock_file_beside(folder: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    path = folder.with_name(f".{folder.name}.lock")
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise BlockingIOError(errno.EWOULDBLOCK, "another process has locked it") from error
    try:
        yield
    finally:
        lock.release()
        with suppress(OSError):
            path.unlink()


def lock_file(descriptor: int) -> None:
    """Lock an open file until it is closed.

    Raises:
        BlockingIOError: another process has it.
        OSError: the file system has no locks, or the system none of this kind.
    """
    if (fcntl := _fcntl()) is None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
