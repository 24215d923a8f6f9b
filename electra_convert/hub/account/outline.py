"""A repository as a folder: its small files whole, and its weights as files in which nothing stands but what they say
of their tensors, brought there when a reader asks for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from electra_convert.formats.files import LARGEST_SMALL_FILE, outlines
from electra_convert.formats.names import (
    BUNDLE_INDEX,
    CARD_FILE,
    METAGRAPH,
    PARITY_FILE,
    SAVED_MODEL_FILE,
    SHARD_INDEX,
    TOKENIZER_FILE,
    TRAINING_FILE,
    VOCABULARY_FILE,
    kind_of,
)
from electra_convert.hub.answers import Listing
from electra_convert.hub.download import needed_files
from electra_convert.hub.ranges import RemoteRanges

# Readers ask for some bytes here and there; a request takes longer than what comes with it.
_BLOCK = 1 << 14


class Outline:
    """The folder of a repository's outline; made by outline_of."""

    def __init__(self, folder: Path, ranges: RemoteRanges, listing: Listing, have: Mapping[str, bytes]) -> None:
        self.folder = folder
        self._ranges, self._listing, self._have = ranges, listing, have
        self._blocks: dict[str, set[int]] = {}

    def fill(self) -> Path:
        """Make its files; returns what to point a reader at."""
        needed, path = needed_files(self._listing.files, "")
        whole = [name for name in self._small(needed) if self._listing.files[name].size <= LARGEST_SMALL_FILE]
        found = self._ranges.read_whole(name for name in whole if name not in self._have)
        for name, content in {**self._have, **found}.items():
            self._made(name).write_bytes(content)
        for name, file in self._listing.files.items():
            if name not in whole and _is_outlined(name):
                with self._made(name).open("wb") as made:
                    made.truncate(file.size)
        return self.folder / path if path else self.folder

    def bring(self, path: Path, offset: int, length: int) -> None:
        """Put a range of a file of weights where a reader looks for it, unless it is there."""
        name = path.relative_to(self.folder).as_posix()
        size = self._listing.files[name].size
        if not _is_outlined(name) or _is_index(name) or not length:
            return
        there = self._blocks.setdefault(name, set())
        wanted = [
            one for one in range(offset // _BLOCK, -(-min(offset + length, size) // _BLOCK)) if one not in there
        ]
        if wanted:
            start, end = wanted[0] * _BLOCK, min((wanted[-1] + 1) * _BLOCK, size)
            content = self._ranges.read(name, start, end - start)
            with path.open("r+b") as made:
                made.seek(start)
                made.write(content)
            there.update(range(wanted[0], wanted[-1] + 1))

    def _made(self, name: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _small(self, needed: list[str]) -> list[str]:
        """The names of files to read whole; of two that hold the same vocabulary one, unless a record names both."""
        has_record = not {PARITY_FILE, TRAINING_FILE}.isdisjoint(self._listing.files)
        names = [name for name in needed if not _is_outlined(name) or _is_index(name)]
        names = [name for name in names if not name.endswith(METAGRAPH)]
        if has_record:
            return [*names, *(name for name in (PARITY_FILE,) if name in self._listing.files)]
        doubled = TOKENIZER_FILE in names
        return [name for name in names if not (name == VOCABULARY_FILE and doubled) and name != CARD_FILE]


def _is_outlined(name: str) -> bool:
    """Whether a file is too large to be read whole."""
    is_weights = kind_of(name) == "weights" and not name.endswith(METAGRAPH)
    return is_weights or name.rpartition("/")[2] == SAVED_MODEL_FILE


def _is_index(name: str) -> bool:
    """Whether a file of weights has nothing but names and places in it."""
    return name.endswith((BUNDLE_INDEX, SHARD_INDEX))


@contextmanager
def outline_of(ranges: RemoteRanges, listing: Listing, have: Mapping[str, bytes]) -> Iterator[Path]:
    """Make the outline of a revision; the readers of this package read it as if its files were here.

    Args:
        have: files that were read already.

    Yields:
        What to point a reader at: the folder, or a file in it.
    """
    with TemporaryDirectory(prefix="electra_convert-") as place:
        outline = Outline(Path(place).resolve(), ranges, listing, have)
        with outlines(outline.bring):
            yield outline.fill()


@contextmanager
def outline_here() -> Iterator[None]:
    """Read what is here already as an outline too: what it says of its tensors, and no values."""
    with outlines(lambda _, __, ___: None):
        yield
