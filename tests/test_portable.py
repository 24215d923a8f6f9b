"""The core without what POSIX or Linux alone have: it is imported, converts, inspects and compares all the same."""

from __future__ import annotations

import sys

import pytest
from conftest import FIXTURES
from support.command_line import run_program

# What other systems lack, taken away before anything is imported: modules, functions of os, flags, calls of a map.
WITHOUT = """
import mmap, os, sys
for module in ("fcntl", "grp", "pwd", "resource", "termios"):
    sys.modules[module] = None
for name in ("O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "fchmod", "fchown", "getuid", "geteuid",
             "posix_fallocate", "posix_fadvise", "preadv", "pwrite", "pread", "pwritev", "sched_getaffinity"):
    if hasattr(os, name):
        delattr(os, name)
# By these Python's own library chooses its ways.
os.supports_dir_fd.clear()
os.supports_fd.clear()
for name in [name for name in dir(mmap) if name.startswith("MADV_")]:
    delattr(mmap, name)
mapped = mmap.mmap
mmap.mmap = type("mmap", (), {"__new__": lambda cls, *args, **kwargs: mapped(*args, **kwargs)})
"""
ROUND_TRIP = """
import warnings
from electra_convert.cli import main
def run(*arguments):
    try:
        main([*arguments, "--quiet"], prog_name="electra-convert")
    except SystemExit as end:
        assert not end.code, arguments
source, vocabulary, pair, back = sys.argv[1:]
warnings.simplefilter("ignore", UserWarning)
run("convert", source, pair, "--optimizer", "--vocab", vocabulary)
run("convert", pair, back, "--optimizer")
run("inspect", back, "--check")
run("verify", source, pair, "--weights-only")
run("verify", pair, back, "--weights-only")
run("convert", source, pair, "--vocab", vocabulary, "--overwrite", "--optimizer")
"""
IMPORTED = """
import importlib, pkgutil, electra_convert
for module in pkgutil.walk_packages(electra_convert.__path__, "electra_convert."):
    if not module.name.startswith("electra_convert.pretraining") and not module.name.endswith("__main__"):
        importlib.import_module(module.name)
from electra_convert.pretraining import memory, pauses, run_folder
"""


def test_every_module_is_imported_without_them():
    ran = run_program(WITHOUT + IMPORTED)
    assert (ran.code, ran.err) == (0, "")


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """A conversion there and back: as it is, and without the names."""
    made = []
    for preparation in ("import sys\n", WITHOUT):
        folder = tmp_path_factory.mktemp("portable")
        pair, back = folder / "pair", folder / "back"
        ran = run_program(preparation + ROUND_TRIP, FIXTURES / "default", FIXTURES / "vocab.txt", pair, back)
        assert ran.code == 0, ran.err
        assert "Traceback" not in ran.err
        made.append(folder)
    return made


def test_what_is_written_without_them_is_the_same_to_the_byte(places):
    with_them, without = places
    files = sorted(path.relative_to(with_them) for path in with_them.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(without) for path in without.rglob("*") if path.is_file())
    weights = [path for path in files if path.suffix != ".json"]
    assert len(weights) > 8
    assert not [path for path in weights if (with_them / path).read_bytes() != (without / path).read_bytes()]


def test_nothing_is_left_beside_the_output(places):
    for folder in places:
        assert sorted(path.name for path in folder.iterdir()) == ["back", "pair"]


LOCKED_TWICE = """
import warnings
warnings.simplefilter("ignore")
from pathlib import Path
from electra_convert.locks import locked_folder
with locked_folder(Path(sys.argv[1])):
    try:
        with locked_folder(Path(sys.argv[1])):
            print("twice")
    except BlockingIOError:
        print("once")
with locked_folder(Path(sys.argv[1])):
    print("again")
"""


@pytest.mark.parametrize("preparation", ["import sys\n", WITHOUT], ids=["with", "without"])
def test_a_folder_is_locked_once_and_free_again_afterwards(tmp_path, preparation):
    (tmp_path / "run").mkdir()
    ran = run_program(
        f"{preparation}import warnings\nwarnings.simplefilter('ignore')\n{LOCKED_TWICE}", tmp_path / "run"
    )
    assert (ran.code, ran.out) == (0, "once\nagain\n"), ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_the_names_that_are_taken_away_are_there_otherwise():
    assert sys.platform != "linux" or run_program("import os, fcntl; os.preadv, os.O_DIRECTORY").code == 0
