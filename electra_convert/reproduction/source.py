"""The source that a record names, or one that was given: brought here, and held against the record to the byte."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from electra_convert.errors import HubError, SourceError
from electra_convert.formats.files import sha256_of_file
from electra_convert.formats.locate import locate
from electra_convert.hub.answers import Listing
from electra_convert.hub.client import Hub, Tell
from electra_convert.hub.download import (
    Origin,
    as_source,
    brought_source,
    cached_files,
    download_files,
    list_files,
    parse_address,
)
from electra_convert.hub.needed import needed_files
from electra_convert.reproduction.published import inside
from electra_convert.reproduction.recorded import RecordedPlace


@dataclass(frozen=True)
class Opened:
    """A source that is here.

    Attributes:
        path: what is converted.
        origin: where on the Hub it was, or None.
        root: the folder in which its files have their recorded names.
        differences: how it is not what the record says; then nothing was brought here.
    """

    path: Path
    origin: Origin | None
    root: Path
    differences: tuple[str, ...]


def open_given(place: RecordedPlace, given: str | Path, token: str | None, tell: Tell) -> Opened:
    """Open a source that was given in the place of the recorded one.

    Raises:
        SourceError: it is not there, or nothing that can be read.
    """
    path, origin = brought_source(as_source(given), tell, token)
    locate(path)
    outward = (path, path.parent, path.parent.parent) if path.is_dir() else (path.parent, path.parent.parent)
    whole = (folder for folder in outward if all((folder / file.name).is_file() for file in place.files))
    root = next(whole, outward[0])
    return Opened(path, origin, root, _differences(place, root))


def fetch_recorded(place: RecordedPlace, token: str | None, tell: Tell) -> Opened:
    """Bring the recorded files here, and no others; nothing of more bytes than the record says.

    Raises:
        SourceError: the repository holds nothing of that name.
        HubError: it cannot be downloaded, or is not there.
    """
    hub, address = Hub(token, tell, reading=True), parse_address(place.address)
    if (address.repo_id, address.revision, address.path) != (place.repository, place.commit, place.path):
        raise SourceError(f"{place.address} is not a place that an address can hold")
    there = None if hub.is_offline else list_files(hub, place.address, address)
    if there is not None and there.head != place.commit:
        raise HubError(f"the Hub gives commit {there.head} for {place.address}")
    names = cached_files(place.address, address) if there is None else list(there.files)
    base = _base(place, names)
    whole = [inside(base, file.name) for file in place.files]
    needed, path = needed_files(names, place.path)
    differing: tuple[str, ...] = () if needed else (f"{place.address} holds no checkpoint",)
    if there is not None:
        differing += _unlike(place, base, there)
    if differing:
        return Opened(Path(), None, Path(), differing)
    folder = download_files(hub, place.address, address, whole, there)
    stated = {} if there is None else {name: file.sha256 for name, file in there.files.items() if file.sha256}
    origin = Origin(address.repo_id, folder.name, address.path, folder, stated)
    root = folder / base
    return Opened(folder / path if path else folder, origin, root, _differences(place, root))


def _base(place: RecordedPlace, names: Sequence[str]) -> str:
    """The folder of a repository in which all recorded names are: what the path leads to, or what that lies in."""
    there = set(names)
    outward = [place.path, *(parent.as_posix() for parent in PurePosixPath(place.path).parents)]
    folders = ["" if folder == "." else folder for folder in outward]
    whole = (folder for folder in folders if all(inside(folder, file.name) in there for file in place.files))
    return next(whole, place.path)


def _unlike(place: RecordedPlace, base: str, there: Listing) -> tuple[str, ...]:
    """How what the Hub lists is not what the record says, before any of it is downloaded."""
    told = []
    for file in place.files:
        stated = there.files.get(inside(base, file.name))
        if stated is None:
            told.append(f"{file.name} is recorded, and is not in {place.address}")
        elif stated.size != file.size:
            told.append(f"{file.name} has {stated.size:,} bytes in {place.address}, recorded are {file.size:,}")
        elif stated.sha256 is not None and stated.sha256 != file.sha256:
            told.append(f"{file.name} has SHA-256 {stated.sha256} in {place.address}, recorded is {file.sha256}")
    return tuple(told)


def _differences(place: RecordedPlace, root: Path) -> tuple[str, ...]:
    """How the files that are here are not those that the record says, every byte of them read."""
    return tuple(told for file in place.files if (told := _unlike_here(root / file.name, file.size, file.sha256)))


def _unlike_here(path: Path, size: int, sha256: str | None) -> str | None:
    if not path.is_file():
        return f"{path.name} is recorded, and is not in {path.parent}"
    try:
        if path.stat().st_size != size:
            return f"{path} has {path.stat().st_size:,} bytes, recorded are {size:,}"
        found = sha256_of_file(path) if sha256 else None
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error
    return None if found == sha256 else f"{path} has SHA-256 {found}, recorded is {sha256}"
