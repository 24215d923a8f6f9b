"""The files of a corpus and their lines, packed or not; tokenises nothing."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, cast

from electra_convert.errors import CorpusError
from electra_convert.formats.locate import similar

_GZIP = b"\x1f\x8b"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def corpus_files(places: Sequence[Path]) -> tuple[Path, ...]:
    """List the files of a corpus, each once, in the order of their names.

    Args:
        places: files, and folders that are searched to the bottom, through links too; hidden files are passed over.

    Raises:
        CorpusError: a place is not there, holds no file, or has a link that leads nowhere.
    """
    files: dict[Path, None] = {}
    for place in places:
        if place.is_file():
            found = [place]
        elif place.is_dir():
            found = sorted(_files_below(place, set()))
        else:
            meant = similar(place)
            hint = f"Did you mean {meant}?" if meant else "Give a text file, or a folder of them."
            raise CorpusError(f"{place} does not exist", hint)
        if not found:
            raise CorpusError(f"{place} holds no files", "Give a text file, or a folder of them.")
        files |= dict.fromkeys(found)
    return tuple(files)


def _files_below(folder: Path, seen: set[tuple[int, int]]) -> Iterator[Path]:
    """The files of a folder and of those in it; a folder that links lead to again is passed over."""
    try:
        status = folder.stat()
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise CorpusError(f"{folder} cannot be read: {error.strerror}") from error
    if (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _files_below(entry, seen)
        elif entry.is_file():
            yield entry
        else:
            what = "a link that leads nowhere" if entry.is_symlink() else "neither a file nor a folder"
            raise CorpusError(f"{entry} is {what}", "Remove it from the corpus, or mend it.")


def read_lines(path: Path) -> Iterator[str]:
    """Read the lines of a text file, without white space around them, unpacked if gzip packed it.

    Raises:
        CorpusError: it cannot be read, is no text, or not UTF-8; names the line.
    """
    number = 0
    try:
        with _opened(path) as file:
            for number, raw in enumerate(file, start=1):
                if number == 1 and raw.startswith(_UTF_16):
                    raise CorpusError(f"{path} is text in UTF-16, not UTF-8", _CONVERT)
                if b"\0" in raw:
                    raise CorpusError(f"{path}, line {number}: a zero byte; this is not a text file", _WHAT_IT_IS)
                yield raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{path}, line {number}: byte {error.object[error.start]:#04x} is not UTF-8 ({error.reason})", _WHAT_IT_IS
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise CorpusError(f"{path} cannot be read after line {number}: {reason}", "Copy the file again.") from error


_WHAT_IT_IS = "A corpus is text files in UTF-8 (.gz too), or TFRecords of build_pretraining_dataset.py."
_CONVERT = "Convert it first: iconv -f UTF-16 -t UTF-8 FILE > FILE.utf8"


def _opened(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP
    return cast(IO[bytes], gzip.open(path)) if packed else path.open("rb")
