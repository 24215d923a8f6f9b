"""Two names of a file system exchanged in one step, where the system can."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

# linux/fs.h and fcntl.h; file systems without it answer EINVAL, overlays EXDEV for what lies in a layer below.
_RENAME_EXCHANGE = 2
_AT_FDCWD = -100
_CANNOT = frozenset({errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM, errno.EXDEV})


def exchange(one: Path, other: Path) -> bool:
    """Give each of two folders the other's name, so that at no moment one of the names is free (renameat2(2)).

    Returns:
        Whether it was done; False where the system or the file system cannot.

    Raises:
        OSError: the system refuses; all is as it was.
    """
    if sys.platform != "linux":
        return False
    import ctypes  # where it is needed

    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    names = (os.fsencode(one), os.fsencode(other))
    if renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _CANNOT:
        return False
    raise OSError(code, os.strerror(code), str(one), None, str(other))
