"""A pytest plugin: fast tests come first, with every framework blocked; files that start TensorFlow share a worker.

So an ordinary run holds the tests that are not marked slow to what the mark says, at no cost.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from functools import cache, cached_property
from itertools import groupby
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

FRAMEWORKS = ("accelerate", "jax", "tensorflow", "torch", "transformers")
# Fixtures that start TensorFlow, in this process or in one of its own.
TENSORFLOW = re.compile(
    r"\b(imported_tensorflow|variant_folders|converted_layouts|reference_session|shared_reference)\b"
)


class Block:
    """Modules of the frameworks' names that cannot be imported, in this process and in those that it starts."""

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="blocked_")
        self.path = self.folder.name
        for name in FRAMEWORKS:
            reason = f"{name} is blocked: a test that needs a framework is marked slow"
            (Path(self.path) / f"{name}.py").write_text(f"raise ImportError({reason!r})\n")

    def set(self) -> None:
        """Put the modules before all others."""
        sys.path.insert(0, self.path)
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (self.path, os.environ.get("PYTHONPATH"))))

    def lift(self) -> None:
        """Make the frameworks importable from now on."""
        if self.path in sys.path:
            sys.path.remove(self.path)
            paths = os.environ["PYTHONPATH"].split(os.pathsep)
            os.environ["PYTHONPATH"] = os.pathsep.join(path for path in paths if path != self.path)


BLOCK = pytest.StashKey[Block]()


@cache
def starts_tensorflow(file: Path) -> bool:
    """Whether tests of a file ask for what starts TensorFlow."""
    return TENSORFLOW.search(file.read_text()) is not None


def is_slow(item: pytest.Item) -> bool:
    """Whether a test may take long, or may import a framework."""
    return item.get_closest_marker("slow") is not None


class InOrder(LoadScopeScheduling):
    """Hands the tests to the workers in their order: a file's fast ones, and later its slow ones, to one of them."""

    @cached_property
    def units(self) -> dict[str, str]:
        """What is handed out at a time, by the tests' ids: the neighbours of a file, or of those with TensorFlow."""
        runs = groupby(next(iter(self.registered_collections.values())), self.home)
        return {test: f"{number} {home}" for number, (home, tests) in enumerate(runs) for test in tests}

    def home(self, nodeid: str) -> str:
        """The file of a test, or the one name of all files that start TensorFlow."""
        file = nodeid.partition("::")[0]
        return "TensorFlow" if starts_tensorflow(self.config.rootpath / file) else file

    def _split_scope(self, nodeid: str) -> str:
        return self.units[nodeid]


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> InOrder:
    """Have tests handed to workers in their order."""
    config.option.loadscopereorder = False
    return InOrder(config, log)


def pytest_configure(config: pytest.Config) -> None:
    """Block the frameworks, where tests are run and not handed to workers."""
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):
        config.stash[BLOCK] = Block()
        config.stash[BLOCK].set()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave nothing behind."""
    if BLOCK in config.stash:
        config.stash[BLOCK].lift()
        config.stash[BLOCK].folder.cleanup()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Mark tests before they are chosen by their marks, and sort them after all others have had their say."""
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker("slow")
    yield
    items.sort(key=lambda item: (is_slow(item), not starts_tensorflow(item.path)))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Lift the block at the first test that may import a framework."""
    if is_slow(item):
        item.config.stash[BLOCK].lift()
