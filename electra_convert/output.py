"""A folder that appears whole or not at all; knows nothing of what is written into it."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from electra_convert.errors import OutputError, unwritable
from electra_convert.exchange import exchange
from electra_convert.locks import lock_file, locked_folder

_STAGING = ".partial"
_DRAWN = "[a-z0-9_]" * 8  # what tempfile draws for a name; names that people give have other lengths, or other signs
_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
# What is moved aside; removed by a later run when its own output stands, since after a crash it may be the only copy.
_REPLACED = ".replaced"
# Windows does not.
_RENAMES_OPEN_FILES = os.name == "posix"


def check_target(target: Path, source: Path, overwrite: bool, others: Sequence[Path] = ()) -> None:
    """Refuse a place that must not be written to, before any work is done.

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
    check_replaceable(target, overwrite)
    nearest_parent(target)


def check_replaceable(target: Path, overwrite: bool) -> None:
    """Refuse a place where something stands that is not to be replaced.

    Raises:
        OutputError: says what.
    """
    if not os.path.lexists(target):
        return
    if not overwrite:
        raise OutputError(f"{target} already exists", "Choose another name, or --overwrite to replace it.")
    if target.is_symlink() or not target.is_dir():
        raise OutputError(f"{target} is not a folder, so it is not replaced", "Choose another name.")
    if target.is_mount():
        raise OutputError(f"a disk is mounted at {target}, so it is not replaced", "Choose a folder in it.")


def require_run_place(output: Path, record: str, run: str, resume: bool, overwrite: bool) -> None:
    """Refuse a folder that a run must not begin in, or goes on in where there is none.

    Args:
        output: the folder.
        record: the file that every such run has.
        run: what it is called, such as "pretraining run".
        resume: whether a run there is continued.
        overwrite: whether it is replaced.

    Raises:
        OutputError: says what is in the way.
    """
    if not os.path.lexists(output):
        if resume:
            raise OutputError(f"{output} does not exist, so there is no run to resume", "Leave --resume out.")
        # Looked at before anything is read and tokenised, which may take hours.
        parent = nearest_parent(output)
        if not os.access(parent, os.W_OK):
            raise OutputError(f"{parent} may not be written to, so {output} cannot be made", "Choose another folder.")
    elif not (output / record).is_file():
        raise OutputError(f"{output} already exists, and holds no {run}", "Choose another name.")
    elif not (resume or overwrite):
        raise OutputError(f"{output} already holds a {run}", "--resume continues it, --overwrite starts anew.")
    elif not resume and output.is_symlink():
        raise OutputError(f"{output} is not a folder, so it is not replaced", "Choose another name.")


def nearest_parent(target: Path) -> Path:
    """The innermost of the folders that a target is to lie in which is there already.

    Raises:
        OutputError: it is no folder.
    """
    parent = next(parent for parent in target.absolute().parents if os.path.lexists(parent))
    if not parent.is_dir():
        raise OutputError(f"{parent} is not a folder, so {target} cannot be made", "Choose another name.")
    return parent


def follow(path: Path) -> Path:
    """The absolute path that a path stands for, without links; it need not exist.

    Raises:
        OutputError: its links lead nowhere, or in a circle.
    """
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise OutputError(f"{path} is not a path that can be followed: {error}") from error


@contextmanager
def new_folder(target: Path, overwrite: bool) -> Iterator[Path]:
    """Fill a staging folder, and give it the target's name only when all of it is on disk.

    A folder that has the name is moved aside, and deleted once the new one stands.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        with staging_folder(target) as staging:
            yield staging
            for folder in (staging, *(path for path in staging.rglob("*") if path.is_dir())):
                _flush(folder)
            if os.path.lexists(target) and not overwrite:
                raise OutputError(f"{target} was made by something else meanwhile", "Choose another name.")
            old = put_in_place(staging, target)
            _flush(target.absolute().parent)
            if old is not None:
                discard(old)
            remove_replaced(target)
    except OSError as error:
        raise unwritable(target, error) from error


@contextmanager
def staging_folder(target: Path) -> Iterator[Path]:
    """Make a hidden sibling of a folder, locked for as long as the context lasts, whatever its name by then is.

    Staging folders that killed runs have left behind, which nobody has locked, are removed.

    Yields:
        The folder. One that still has its name in the end is removed; after an error so are the parents made for it.

    Raises:
        OutputError: it cannot be made.
    """
    made: list[Path] = []
    try:
        _make_parents(target.absolute().parent, made)
        _remove_abandoned(target)
        with _locked_sibling(target) as staging:
            yield staging
    except BaseException:
        for parent in reversed(made):
            with suppress(OSError):
                parent.rmdir()
        raise


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep a folder from being written to by two runs at once.

    Raises:
        OutputError: another run has it, or the file system has no locks.
    """
    with ExitStack() as held:
        try:
            held.enter_context(locked_folder(folder))
        except BlockingIOError as error:
            raise OutputError(f"{folder} is being written to by another run", "Wait for it to end.") from error
        except OSError as error:
            raise OutputError(
                f"{folder} cannot be locked: {error.strerror}", "Choose a folder on a file system that has locks."
            ) from error
        yield


def put_in_place(staging: Path, target: Path) -> Path | None:
    """Give a staging folder its name; a folder that has the name is moved aside, and put back if that fails.

    Returns:
        Where the old folder is now, to be handed to discard or to put_back; None where there was none.

    Raises:
        OutputError: the old folder cannot be put back; the message says where it is kept.
        OSError: the system refuses; all is as it was.
    """
    if not os.path.lexists(target):
        staging.rename(target)
        return None
    aside = Path(tempfile.mkdtemp(_REPLACED, f".{target.name}.", target.absolute().parent))
    old = aside / target.name
    try:
        if not _exchanged(staging, old, target):
            target.rename(old)
            staging.rename(target)
    except BaseException:
        # An interrupt may come right after either of them.
        if os.path.lexists(old) and os.path.lexists(staging):
            put_back(old, target)
        with suppress(OSError):
            aside.rmdir()
        raise
    return old


def _exchanged(staging: Path, aside: Path, target: Path) -> bool:
    """Move a staging folder aside, and there give it the target's name and the target its own, in one step.

    Whenever it is killed, the target stands, and what lies aside may go.
    """
    new = staging.stat()
    staging.rename(aside)
    done = False
    try:
        done = exchange(aside, target)
    finally:
        if not done and os.path.lexists(aside) and os.path.samestat(aside.stat(), new):
            aside.rename(staging)
    return done


def put_back(old: Path, target: Path) -> None:
    """Give a folder that was moved aside its name again.

    Raises:
        OutputError: that cannot be; the message says where it is kept.
    """
    try:
        old.rename(target)
    except OSError as error:
        raise OutputError(
            f"{target} cannot be replaced: {error.strerror}", f"What it held before is kept in {old}."
        ) from error
    with suppress(OSError):
        old.parent.rmdir()


def discard(old: Path) -> None:
    """Delete a folder that was moved aside."""
    shutil.rmtree(old.parent, ignore_errors=True)


def remove_replaced(target: Path) -> None:
    """Delete what killed runs have moved aside for a folder of this name, now that another stands for good."""
    for aside in _folders_of_other_runs(target, _REPLACED):
        with suppress(OSError, OutputError):
            held = list(aside.iterdir())
            if held == [aside / target.name]:
                with locked(held[0]):  # a run that is exchanging it at this moment has it
                    shutil.rmtree(aside, ignore_errors=True)
            elif not held:
                aside.rmdir()


def write_file(path: Path, content: bytes) -> None:
    """Write a small file that does not exist yet, and flush it to disk.

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
    """Write a small file whole or not at all, in the place of one that may be there; its folder exists.

    Raises:
        OutputError: it cannot be written, or is there and no file; what was there before is untouched.
    """
    if os.path.lexists(path) and not path.is_file():
        raise OutputError(f"{path} is not a file, so it is not replaced", "Choose another name.")
    remove_unfinished(path)
    staging: Path | None = None
    try:
        descriptor, staging = _locked_file(path)
        with os.fdopen(descriptor, "wb") as file:
            staging.chmod(0o666 & ~_umask())
            file.write(content)
            file.flush()
            os.fsync(descriptor)
            if _RENAMES_OPEN_FILES:
                staging.replace(path)  # while it is locked, so that no other run takes it for a killed one's
        if not _RENAMES_OPEN_FILES:
            staging.replace(path)
        _flush(path.absolute().parent)
    except BaseException as error:
        if staging is not None:
            staging.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise unwritable(path, error) from error
        raise


def is_unfinished(name: str) -> bool:
    """Whether a file of this name is what a killed run has begun to write in the place of another."""
    return name.startswith(".") and name.endswith(_STAGING)


def remove_unfinished(path: Path) -> None:
    """Delete what killed runs have left of files that were to have this name, and which nobody has locked."""
    for left in path.absolute().parent.glob(f".{_escaped(path.name)}.*{_STAGING}"):
        with suppress(OSError):
            descriptor = os.open(left, os.O_RDONLY | _NO_LINK)
            try:
                lock_file(descriptor)
                if stat.S_ISREG(os.fstat(descriptor).st_mode):
                    left.unlink()
            finally:
                os.close(descriptor)


def _locked_file(path: Path) -> tuple[int, Path]:
    """Make a hidden file beside another, and lock it; where another run has removed it in between, make one anew."""
    while True:
        descriptor, name = tempfile.mkstemp(_STAGING, f".{path.name}.", path.absolute().parent)
        with suppress(OSError):  # a file system without locks
            lock_file(descriptor)
        if os.fstat(descriptor).st_nlink:
            return descriptor, Path(name)
        os.close(descriptor)


def _make_parents(parent: Path, made: list[Path]) -> None:
    """Make a folder and what it lies in; each that is made is noted, outermost first."""
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
def _locked_sibling(target: Path) -> Iterator[Path]:
    try:
        staging = Path(tempfile.mkdtemp(_STAGING, f".{target.name}.", target.absolute().parent))
    except OSError as error:
        raise OutputError(f"{target} cannot be made: {error.strerror}") from error
    try:
        with locked(staging):
            staging.chmod(0o777 & ~_umask())
            yield staging
    except OutputError as error:
        # Nobody asked for the staging folder, and it is gone by the time its name is read.
        told = error.message.replace(str(staging), str(target))
        if told == error.message:
            raise
        raise OutputError(told, error.hint) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _remove_abandoned(target: Path) -> None:
    for left in _folders_of_other_runs(target, _STAGING):
        with suppress(OSError, OutputError), locked(left):
            shutil.rmtree(left, ignore_errors=True)


def _folders_of_other_runs(target: Path, ending: str) -> list[Path]:
    """Folders that runs have made beside a target; not those of a target whose name goes on after a full stop."""
    found = target.absolute().parent.glob(f".{_escaped(target.name)}.{_DRAWN}{ending}")
    return [path for path in found if not path.is_symlink() and path.is_dir()]


def _escaped(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _flush(folder: Path) -> None:
    """Put the names in a folder on disk, where a system lets folders be opened."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
