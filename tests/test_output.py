"""An output folder stands whole or not at all, whatever happens while it is made."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import FIXTURES

from electra_convert import convert, output
from electra_convert.errors import ElectraConvertError, OutputError
from electra_convert.output import new_folder, replace_file, write_file

# Another process that fills a folder, says so, and waits for a line before it is done.
FILLING = """
import sys
from pathlib import Path
from electra_convert.output import new_folder, write_file
with new_folder(Path(sys.argv[1]), overwrite=True) as folder:
    write_file(folder / "new", b"new")
    print("filled", flush=True)
    sys.stdin.readline()
"""


def fill(target: Path, overwrite: bool = False, name: str = "new") -> None:
    with new_folder(target, overwrite) as folder:
        write_file(folder / name, b"new")
        (folder / "inner").mkdir()
        write_file(folder / "inner" / name, b"new")


def fail(target: Path, error: BaseException, overwrite: bool = False) -> None:
    with new_folder(target, overwrite) as folder:
        write_file(folder / "new", b"new")
        raise error


@pytest.fixture
def in_two_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that cannot exchange two names."""
    monkeypatch.setattr(output, "exchange", lambda *_: False)


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


NEW = ["inner", "inner/new", "new"]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """An output of an earlier run."""
    fill(tmp_path / "place" / "out", name="old")
    return tmp_path / "place" / "out"


@pytest.fixture
def another(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process in the middle of making place/out."""
    target = tmp_path / "place" / "out"
    process = subprocess.Popen(
        [sys.executable, "-c", FILLING, str(target)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout.readline() == "filled\n"
        yield process
        process.kill()


def test_a_folder_appears_when_all_of_it_is_there_and_not_before(tmp_path: Path):
    target = tmp_path / "made" / "on" / "the" / "way" / "out"
    with new_folder(target, overwrite=False) as folder:
        write_file(folder / "new", b"new")
        assert not target.exists()
        assert folder.parent == target.parent
    assert tree(target.parent) == ["out", "out/new"]


@pytest.mark.parametrize("error", [RuntimeError("bad"), KeyboardInterrupt(), SystemExit(3), OutputError("full")])
def test_an_exception_leaves_nothing_not_even_the_parents_that_were_made(tmp_path: Path, error: BaseException):
    with pytest.raises(type(error)) as caught:
        fail(tmp_path / "a" / "b" / "out", error)
    assert caught.value is error
    assert tree(tmp_path) == []


def test_parents_that_were_there_are_left(tmp_path: Path):
    (tmp_path / "a").mkdir()
    with pytest.raises(RuntimeError):
        fail(tmp_path / "a" / "b" / "c" / "out", RuntimeError())
    assert tree(tmp_path) == ["a"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), OSError("odd")])
def test_an_error_of_the_system_becomes_one_that_names_the_target(tmp_path: Path, error: OSError):
    with pytest.raises(OutputError, match=f"out cannot be written: {error.strerror or 'odd'}") as told:
        fail(tmp_path / "out", error)
    assert ("Free some space" in (told.value.hint or "")) == (error.errno == errno.ENOSPC)
    assert tree(tmp_path) == []


def test_overwriting_replaces_all_of_the_old(old: Path):
    fill(old, overwrite=True)
    assert tree(old.parent) == ["out", *(f"out/{name}" for name in NEW)]


def test_overwriting_that_fails_leaves_the_old(old: Path):
    before = tree(old.parent)
    with pytest.raises(RuntimeError):
        fail(old, RuntimeError(), overwrite=True)
    assert tree(old.parent) == before


@pytest.mark.usefixtures("in_two_steps")
def test_the_old_is_put_back_where_the_new_cannot_take_its_place(old: Path, monkeypatch: pytest.MonkeyPatch):
    before = tree(old.parent)
    rename = Path.rename

    def refuse(path: Path, target: Path) -> Path:
        if path.name.endswith(".partial"):
            raise OSError(errno.EIO, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OutputError, match="out cannot be written: Input/output error"):
        fill(old, overwrite=True)
    assert tree(old.parent) == before


@pytest.mark.usefixtures("in_two_steps")
def test_an_interrupt_between_the_two_renames_puts_the_old_back(old: Path, monkeypatch: pytest.MonkeyPatch):
    before = tree(old.parent)
    rename = Path.rename

    def interrupted(path: Path, target: Path) -> Path:
        renamed = rename(path, target)
        if path == old:
            raise KeyboardInterrupt
        return renamed

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fill(old, overwrite=True)
    assert tree(old.parent) == before


@pytest.mark.usefixtures("in_two_steps")
def test_the_old_is_kept_aside_where_something_else_took_its_place(old: Path, monkeypatch: pytest.MonkeyPatch):
    rename = Path.rename

    def taken(path: Path, target: Path) -> Path:
        result = rename(path, target)
        if path == old:
            old.mkdir()
            (old / "somebody's").touch()
        return result

    monkeypatch.setattr(Path, "rename", taken)
    with pytest.raises(OutputError, match="out cannot be replaced: Directory not empty") as error:
        fill(old, overwrite=True)
    assert tree(old) == ["somebody's"]
    (aside,) = old.parent.glob(".out.*.replaced")
    assert tree(aside / "out") == ["inner", "inner/old", "old"]
    assert str(aside) in error.value.hint


@pytest.mark.usefixtures("in_two_steps")
def test_what_cannot_be_moved_aside_is_left_and_nothing_beside_it(old: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy")

    before = tree(old.parent)
    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OutputError, match="Device or resource busy"):
        fill(old, overwrite=True)
    assert tree(old.parent) == before


def test_what_something_else_made_meanwhile_is_not_written_over(tmp_path: Path):
    making = new_folder(tmp_path / "out", overwrite=False)
    making.__enter__()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "somebody's").touch()
    with pytest.raises(OutputError, match="was made by something else meanwhile"):
        making.__exit__(None, None, None)
    assert tree(tmp_path) == ["out", "out/somebody's"]


# Exchanged in one step


@pytest.mark.skipif(sys.platform != "linux", reason="names are exchanged on Linux")
@pytest.mark.parametrize("before", ["staging.rename(aside)", "done = exchange(aside, target)", "return done"])
def test_one_of_both_stands_at_every_moment(old: Path, before: str):
    """Stopped before any line of the exchange, the name has a whole folder, and the next run clears up."""
    stop = (
        "import inspect, os, sys\nfrom pathlib import Path\nfrom electra_convert import output\n"
        "code = inspect.getsource(output._exchanged).replace(sys.argv[2], f'os._exit(9); {sys.argv[2]}')\n"
        "exec(code, vars(output))\n"
        "with output.new_folder(Path(sys.argv[1]), overwrite=True) as folder:\n"
        "    output.write_file(folder / 'new', b'new')"
    )
    assert subprocess.run([sys.executable, "-c", stop, str(old), before], check=False).returncode == 9
    assert tree(old) == (["new"] if before == "return done" else ["inner", "inner/old", "old"])
    assert len(list(old.parent.iterdir())) > 1
    fill(old, overwrite=True)
    assert tree(old.parent) == ["out", *(f"out/{name}" for name in NEW)]


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EXDEV])
def test_a_file_system_that_cannot_exchange_replaces_in_two_steps(old: Path, monkeypatch, code: int):
    class Library:
        def __init__(self, *_: object, **__: object) -> None: ...

        def renameat2(self, *_: object) -> int:
            ctypes.set_errno(code)
            return -1

    monkeypatch.setattr(ctypes, "CDLL", Library)
    fill(old, overwrite=True)
    assert tree(old.parent) == ["out", *(f"out/{name}" for name in NEW)]


def test_what_the_system_refuses_to_exchange_is_told_and_left(old: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> bool:
        raise OSError(errno.EACCES, "Permission denied")

    before = tree(old.parent)
    monkeypatch.setattr(output, "exchange", refuse)
    with pytest.raises(OutputError, match="out cannot be written: Permission denied"):
        fill(old, overwrite=True)
    assert tree(old.parent) == before


# What is left of a kill


def left_by_a_kill(path: Path) -> Path:
    left = path.with_name(f".{path.name}.abcd.partial")
    left.write_bytes(b"half")
    return left


def test_a_file_that_a_killed_run_had_begun_is_removed_by_the_next(tmp_path: Path):
    left, other = left_by_a_kill(tmp_path / "a"), left_by_a_kill(tmp_path / "b")
    replace_file(tmp_path / "a", b"whole")
    assert not left.exists()
    assert other.exists()


def test_a_file_that_another_run_is_writing_is_left_to_it(tmp_path: Path):
    left = left_by_a_kill(tmp_path / "a")
    with left.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        replace_file(tmp_path / "a", b"whole")
        assert left.exists()


def test_what_is_no_file_is_not_removed(tmp_path: Path):
    (tmp_path / "elsewhere").touch()
    (tmp_path / ".a.one.partial").symlink_to(tmp_path / "elsewhere")
    (tmp_path / ".a.two.partial").mkdir()
    os.mkfifo(tmp_path / ".a.three.partial")
    before = tree(tmp_path)
    replace_file(tmp_path / "a", b"whole")
    assert tree(tmp_path) == sorted([*before, "a"])


# Killed, or at work at the same time


def test_a_killed_run_leaves_nothing_under_the_name_and_the_next_one_clears_up(another, tmp_path: Path):
    target = tmp_path / "place" / "out"
    another.send_signal(signal.SIGKILL)
    another.wait()
    assert not target.exists()
    assert len(list(target.parent.iterdir())) == 1
    fill(target)
    assert tree(target.parent) == ["out", *(f"out/{name}" for name in NEW)]


def test_a_killed_run_leaves_what_it_was_to_replace(old: Path, another):
    another.send_signal(signal.SIGKILL)
    another.wait()
    assert tree(old) == ["inner", "inner/old", "old"]


def test_the_folder_of_a_run_still_at_work_is_left_to_it(another, tmp_path: Path):
    target = tmp_path / "place" / "out"
    fill(target)
    assert len(list(target.parent.iterdir())) == 2
    another.communicate("done\n")
    assert another.returncode == 0
    assert tree(target.parent) == ["out", "out/new"]


@pytest.mark.parametrize("name", ["out[1]", "o*t", "o?t", "[", "out.partial", "-out", "o ut"])
def test_clearing_up_takes_only_the_folders_of_its_own_target(tmp_path: Path, name: str):
    mine, others = tmp_path / f".{name}.abc.partial", tmp_path / ".oXt.abc.partial"
    for folder in (mine, others):
        folder.mkdir()
        (folder / "half").touch()
    fill(tmp_path / name)
    assert not mine.exists()
    assert tree(others) == ["half"]


def test_clearing_up_passes_over_what_is_no_folder(tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".out.a.partial").symlink_to(tmp_path / "elsewhere")
    (tmp_path / ".out.b.partial").touch()
    os.mkfifo(tmp_path / ".out.c.partial")
    before = tree(tmp_path)
    fill(tmp_path / "out")
    assert tree(tmp_path) == sorted([*before, "out", *(f"out/{name}" for name in NEW)])


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077, 0o027])
def test_modes_follow_the_umask(tmp_path: Path, umask: int):
    before = os.umask(umask)
    try:
        convert(FIXTURES / "default", tmp_path / "made" / "out")
    finally:
        os.umask(before)
    for path in [tmp_path / "made", *(tmp_path / "made").rglob("*")]:
        assert path.stat().st_mode & 0o777 == (0o777 if path.is_dir() else 0o666) & ~umask, path


def test_a_full_disk_leaves_nothing(tmp_path: Path):
    script = (
        "import sys, resource, electra_convert\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "electra_convert.convert(sys.argv[1], sys.argv[2])"
    )
    command = [sys.executable, "-B", "-c", script, FIXTURES / "default", tmp_path / "made" / "out"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "OutputError" in done.stderr.splitlines()[-1]
    assert "cannot be written: File too large" in done.stderr
    assert tree(tmp_path) == []


def test_a_small_file_is_not_written_over(tmp_path: Path):
    write_file(tmp_path / "a", b"one")
    with pytest.raises(OutputError, match="a cannot be written: File exists"):
        write_file(tmp_path / "a", b"two")
    assert (tmp_path / "a").read_bytes() == b"one"


def test_a_conversion_that_fails_leaves_nothing(golden_copy, tmp_path: Path):
    source = golden_copy()
    data = next(source.glob("*.data-*"))
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 1
    data.write_bytes(content)
    with pytest.raises(ElectraConvertError, match=r"CRC32C|checksum"):
        convert(source, tmp_path / "made" / "out", optimizer=True)
    assert not (tmp_path / "made").exists()
