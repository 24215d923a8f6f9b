"""A model as it lies in a folder or on the Hub: the names and sizes of its files, and those that are wanted, here."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from electra_convert.errors import SourceError
from electra_convert.formats.names import CONVERSION_FILE, ONNX_FOLDER
from electra_convert.hub.answers import Listing
from electra_convert.hub.client import Hub, Tell
from electra_convert.hub.download import (
    Address,
    as_source,
    cached_files,
    download_files,
    list_files,
    parse_address,
)


class Published(Protocol):
    """A model, or several in folders of their own."""

    @property
    def told(self) -> str:
        """What it is called in messages."""

    @property
    def commit(self) -> str | None:
        """Its commit on the Hub; None of what is here."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """Every file in it with its size in bytes, by path."""

    def bring(self, names: Collection[str]) -> Path:
        """The folder in which files of these names are."""


@dataclass(frozen=True)
class InFolder:
    """A model in a folder here."""

    folder: Path
    sizes: Mapping[str, int]
    commit: None = None

    @property
    def told(self) -> str:
        """The folder."""
        return str(self.folder)

    def bring(self, _: Collection[str]) -> Path:
        """They are there."""
        return self.folder


@dataclass(frozen=True)
class OnHub:
    """A model in a repository, at one commit of it; offline what the cache has of that."""

    hub: Hub
    told: str
    address: Address
    listing: Listing | None
    sizes: Mapping[str, int]
    commit: str

    def bring(self, names: Collection[str]) -> Path:
        """Download them.

        Raises:
            HubError: that cannot be.
        """
        whole = [inside(self.address.path, name) for name in names]
        return download_files(self.hub, self.told, self.address, whole, self.listing) / self.address.path


def find_published(pointed_at: str | Path, token: str | None, tell: Tell) -> Published:
    """Look at a model in a folder or on the Hub.

    Raises:
        SourceError: there is no such folder.
        HubError: the Hub cannot be asked.
    """
    source = as_source(pointed_at)
    if not isinstance(source, Path):
        return _on_hub(source, token, tell)
    if not source.is_dir():
        what = "is not a folder" if source.exists() else "does not exist"
        raise SourceError(f"{source} {what}", "Give the folder of a converted model, or hf://OWNER/REPO.")
    try:
        files = [path for path in source.rglob("*") if path.is_file() and not _is_hidden(path, source)]
        return InFolder(source, {path.relative_to(source).as_posix(): path.stat().st_size for path in files})
    except OSError as error:
        raise SourceError(f"{error.filename} cannot be read: {error.strerror}") from error


def _is_hidden(path: Path, folder: Path) -> bool:
    """Whether a file is of a program that keeps what is its own in a folder, such as .git."""
    return any(part.startswith(".") for part in path.relative_to(folder).parts[:-1])


def _on_hub(source: str, token: str | None, tell: Tell) -> OnHub:
    hub, address = Hub(token, tell, reading=True), parse_address(source)
    if hub.is_offline:
        folder = download_files(hub, source, address, [], None)
        commit = folder.name
        sizes = {name: (folder / name).stat().st_size for name in cached_files(source, address)}
        listing = None
    else:
        listing = list_files(hub, source, address)
        commit = listing.head
        sizes = {name: file.size for name, file in listing.files.items()}
    start = f"{address.path}/" if address.path else ""
    within = {name.removeprefix(start): size for name, size in sizes.items() if name.startswith(start)}
    return OnHub(hub, source, address, listing, within, commit)


def find_recorded(sizes: Mapping[str, int]) -> list[str]:
    """The folders of models that have a record: the model's own, "", or those of several within it."""
    if CONVERSION_FILE in sizes:
        return [""]
    ends = f"/{CONVERSION_FILE}"
    found = {name.removesuffix(ends) for name in sizes if name.endswith(ends) and name.count("/") == 1}
    return sorted(found - {ONNX_FOLDER})


def inside(folder: str, name: str) -> str:
    """The path of a file within a folder, whose path may be empty."""
    return f"{folder}/{name}" if folder else name
