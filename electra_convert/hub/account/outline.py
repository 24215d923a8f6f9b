"""A repository as a folder: its small files whole, and its weights as files in which nothing stands but what they say
of their tensors, brought there when a reader asks for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from electra_convert.errors import SourceError
from electra_convert.formats.files import LARGEST_SMALL_FILE, outlines
from electra_convert.formats.names import (
    BUNDLE_INDEX,
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
from electra_convert.hub.needed import needed_files
from electra_convert.hub.ranges import RemoteRanges

# Readers ask for some bytes here and there; a request takes longer than what comes with it.
_BLOCK = 1 << 14
_MOST_FILES = 2_000


class Outline:
    """The folder of a repository's outline; made by outline_of."""

    def __init__(self, folder: Path, ranges: RemoteRanges, listing: Listing, have: Mapping[str, bytes]) -> None:
        self.folder = folder
        self._ranges, self._listing, self._have = ranges, listing, have
        self._blocks: dict[str, set[int]] = {}

    def fill(self) -> Path:
        """Make its files; returns what to point a reader at."""
        try:
            return self._filled()
        except OSError as error:  # names or lengths that no file here can have, or no room
            raise SourceError(f"its files cannot be laid out here: {error.strerror}") from error

    def _filled(self) -> Path:
        needed, path = needed_files(self._listing.files, "")
        whole = [name for name in self._small(needed) if self._listing.files[name].size <= LARGEST_SMALL_FILE]
        found = self._ranges.read_whole(name for name in whole if name not in self._have)
        for name, content in {**self._have, **found}.items():
            self._made(name).write_bytes(content)
        large = [name for name in self._listing.files if name not in whole and _is_large(name)]
        if len(large) > _MOST_FILES:
            raise SourceError(f"it has {len(large):,} files of weights, more than {_MOST_FILES:,}")
        for name in large:
            self._blocks[name] = set()
            with self._made(name).open("wb") as made:
                made.truncate(self._listing.files[name].size)
        return self.folder / path if path else self.folder

    def bring(self, path: Path, offset: int, length: int) -> None:
        """Put a range of a file of weights where a reader looks for it, unless it is there."""
        name = path.relative_to(self.folder).as_posix()
        if name not in self._blocks or not length:
            return
        there, size = self._blocks[name], self._listing.files[name].size
        blocks = range(offset // _BLOCK, -(-min(offset + length, size) // _BLOCK))
        if wanted := [block for block in blocks if block not in there]:
            start, end = wanted[0] * _BLOCK, min((wanted[-1] + 1) * _BLOCK, size)
            content = self._ranges.read(name, start, end - start)
            with path.open("r+b") as made:
                made.seek(start)
                made.write(content)
            there.update(wanted)

    def _made(self, name: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _small(self, needed: list[str]) -> list[str]:
        """The names of files to read whole; of two that hold the same vocabulary one, unless a record names both."""
        files = self._listing.files
        names = [name for name in needed if not (_is_large(name) or name.endswith(METAGRAPH))]
        if not {PARITY_FILE, TRAINING_FILE}.isdisjoint(files):
            # Records have SHA-256, which the Hub lists of what git-lfs keeps, and that is nearly all weights.
            unlisted = [name for name in needed if _is_large(name) and files[name].sha256 is None]
            return [*names, *unlisted, *(name for name in (PARITY_FILE,) if name in files)]
        return [name for name in names if name != VOCABULARY_FILE or TOKENIZER_FILE not in names]


def _is_large(name: str) -> bool:
    """Whether a file may be too large to be read whole: weights, but nothing that has only names and places in it."""
    is_weights = kind_of(name) == "weights" and not name.endswith((BUNDLE_INDEX, SHARD_INDEX, METAGRAPH))
    return is_weights or name.rpartition("/")[2] == SAVED_MODEL_FILE


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
