"""A pytest plugin: fast tests run first, with every framework blocked; those that need TensorFlow run together.

So an ordinary run holds the tests that are not marked slow to what the mark says, at no cost.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

FRAMEWORKS = ("accelerate", "jax", "tensorflow", "torch", "transformers")


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


def is_slow(item: pytest.Item) -> bool:
    """Whether a test may take long, or may import a framework."""
    return item.get_closest_marker("slow") is not None


def place(item: pytest.Item) -> tuple[bool, bool]:
    """Where a test comes in the order of all: False before True."""
    return is_slow(item), "tensorflow" not in getattr(item, "fixturenames", ())


def group(item: pytest.Item) -> str:
    """Tests of one group run in one worker."""
    slow, plain = place(item)
    if not plain:
        return "tensorflow"
    return f"{item.path.parent.name}/{item.path.stem}" + (" slow" if slow else "")


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
        item.add_marker(pytest.mark.xdist_group(group(item)))
    yield
    items.sort(key=place)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Lift the block at the first test that may import a framework."""
    if is_slow(item):
        item.config.stash[BLOCK].lift()
