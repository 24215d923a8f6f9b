"""The folder of a page, as convert --to web makes it: its files, read and hashed, for a static Space."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from electra_convert.errors import CardError, SourceError, listing
from electra_convert.formats.json_objects import read_object
from electra_convert.formats.names import CARD_FILE
from electra_convert.hub.card.metadata import split_card
from electra_convert.hub.card.model_folder import PublishedFile, hash_file
from electra_convert.output import is_unfinished

# What the page is told, which lists its files with their sizes.
SETTINGS_FILE = "settings.json"
_STATIC = re.compile(r"^sdk:\s*[\"']?static[\"']?\s*$", re.MULTILINE)
_OF_A_PAGE = re.compile(r"(discriminator|generator|runtime)/.+|[a-z]+\.(js|css)|index\.html|settings\.json")


@dataclass(frozen=True)
class SiteFolder:
    """A page as it is to be published.

    Attributes:
        path: its folder.
        card: its README.md.
        files: what is published of it, README.md included.
        left: names of what no page holds, and is left.
    """

    path: Path
    card: str
    files: tuple[PublishedFile, ...]
    left: tuple[str, ...]


def is_site(folder: Path) -> bool:
    """Whether a folder's README.md makes it a static Space."""
    try:
        text = (folder / CARD_FILE).read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return False
    return _STATIC.search(split_card(text)[0]) is not None


def read_site(path: Path) -> SiteFolder:
    """Look at a page as it would be published; every byte of it is read and hashed.

    Raises:
        SourceError: it is another static Space than a page of this tool, or not as it was made: the page would not
            load such files.
        CardError: its README.md is not UTF-8.
    """
    stated = read_object(path / SETTINGS_FILE).get("sizes") if (path / SETTINGS_FILE).is_file() else None
    if not isinstance(stated, dict):
        raise SourceError(
            f"{path} is no page that convert --to web made: it has no {SETTINGS_FILE} that lists its files",
            "Only such a page is uploaded as a Space.",
        )
    wrong = [name for name, size in stated.items() if not _has(path, name, size)]
    if wrong:
        raise SourceError(
            f"{path} is not as it was made: {listing(wrong)} is missing or was changed",
            "Make it anew with convert --to web.",
        )
    names = [CARD_FILE, SETTINGS_FILE, *sorted(name for name in stated if name != CARD_FILE)]
    try:
        files = tuple(hash_file(path, name) for name in names)
        published = {name.partition("/")[0] for name in names}
        there = (entry.name for entry in path.iterdir() if not is_unfinished(entry.name))
        left = tuple(sorted(name for name in there if name not in published))
        card = (path / CARD_FILE).read_bytes().decode()
    except OSError as error:
        raise SourceError(f"{error.filename} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CardError(f"{path / CARD_FILE} is not UTF-8: {error.reason}", "Save it as UTF-8.") from error
    return SiteFolder(path, card, files, left)


def is_stale_of_site(name: str) -> bool:
    """Whether a file of this name that is not of the page published beside it is of a page before."""
    return _OF_A_PAGE.fullmatch(name) is not None


def _has(folder: Path, name: str, size: object) -> bool:
    """Whether a file that is stated is there and in the folder: nothing else is to be published for it."""
    path = folder / name
    return path.resolve().is_relative_to(folder.resolve()) and path.is_file() and path.stat().st_size == size
