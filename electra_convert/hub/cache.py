"""Files in huggingface_hub's cache, held against what the Hub states of them; wrong ones do not stay there."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from electra_convert.errors import HubError, counted, listing
from electra_convert.formats.files import sha256_of_file
from electra_convert.hub.answers import ADVICE, RemoteFile

# Stands beside the snapshots from before a download until all of it was checked, so that no kill comes in between.
_UNCHECKED = ".electra_convert-unchecked-"


class Snapshot:
    """The folder of a commit in the cache, some files of which are about to be downloaded.

    Args:
        cache: the folder that huggingface_hub has for all repositories.
        repository: the folder's name that it has there for one.
        commit: what is downloaded.
    """

    def __init__(self, cache: Path, repository: str, commit: str) -> None:
        self._cache = cache.expanduser().resolve()
        self._storage = self._cache / repository
        self.folder = self._storage / "snapshots" / commit
        self._mark = self._storage / f"{_UNCHECKED}{commit}"

    def missing(self, names: Iterable[str]) -> list[str]:
        """Which files have to be downloaded, or were and have not been checked since."""
        if self._mark.exists():
            return list(names)
        return [name for name in names if not (self.folder / name).is_file()]

    def expect(self, size: int) -> None:
        """Note that files of so many bytes are about to come, which have to be checked.

        Raises:
            HubError: there is no room for them.
        """
        try:
            self._storage.mkdir(parents=True, exist_ok=True)
            self._mark.touch()
            self._forget_listing()
            free = shutil.disk_usage(self._storage).free
        except OSError as error:
            raise HubError(
                f"{self._storage} cannot be written: {error.strerror}", "Set HF_HOME to a folder that can be."
            ) from error
        if size > free:
            raise HubError(
                f"{size / 1e9:,.1f} GB are to be downloaded, and {self._cache} has room for {free / 1e9:,.1f} GB",
                "Make room, or set HF_HOME to a folder on a larger disk.",
            )

    def _forget_listing(self) -> None:
        """Remove a listing that another program keeps if it names blobs by paths: the library would make them."""
        kept = self._storage / "trees" / f"{self.folder.name}.json"
        if kept.is_file():
            named = re.findall(r'"lfs_sha256":\s*"((?:[^"\\]|\\.)*)"', kept.read_text("utf-8", "replace"))
            if not all(re.fullmatch("[0-9a-f]{64}", name) for name in named):
                kept.unlink()

    def check(self, files: Mapping[str, RemoteFile]) -> None:
        """Hold files that came against what the Hub states of them.

        Raises:
            HubError: some differ; they are no longer in the cache.
        """
        wrong = [name for name, stated in files.items() if _is_wrong(self.folder / name, stated)]
        for name in wrong:
            self._remove(self.folder / name)
        self._mark.unlink(missing_ok=True)
        if wrong:
            raise HubError(
                f"{counted(len(wrong), 'file')} came with another size or hash than the Hub states: {listing(wrong)}",
                f"Not kept in the cache. Run the same command again; if it stays so: {ADVICE}",
            )

    def require_inside(self, names: Sequence[str]) -> None:
        """Refuse files that are links to something outside of the repository's part of the cache.

        Raises:
            HubError: one is.
        """
        places = (self._storage.resolve(), (self._cache / "blobs").resolve())
        for name in names:
            path = (self.folder / name).resolve()
            if not any(path.is_relative_to(place) for place in places):
                raise HubError(
                    f"{self.folder / name} leads out of the cache, to {path}", f"Remove {self.folder / name}."
                )

    def name(self, revision: str) -> None:
        """Let a branch or tag stand for the commit, by which it is found offline."""
        reference = self._storage / "refs" / revision
        commit = self.folder.name
        if revision == commit or ".." in reference.parts or (reference.is_file() and reference.read_text() == commit):
            return
        reference.parent.mkdir(parents=True, exist_ok=True)
        staging = reference.with_name(f"{reference.name}.{os.getpid()}.tmp")
        staging.write_text(commit)
        staging.replace(reference)

    def _remove(self, path: Path) -> None:
        """Remove a name in a snapshot, and each blob that it stood for unless it bears the hash of what it holds."""
        chain = [path]
        while chain[-1].is_symlink():
            chain.append(chain[-1].parent / chain[-1].readlink())
        is_other = {one.name for one in chain[1:]} & {_git_blob(chain[-1]), sha256_of_file(chain[-1])}
        for place in chain[:1] if is_other else chain:
            if place == path or place.parent.resolve().is_relative_to(self._cache):
                place.unlink(missing_ok=True)


def _is_wrong(path: Path, stated: RemoteFile) -> bool:
    if not path.is_file():
        return False
    if path.stat().st_size != stated.size:
        return True
    return sha256_of_file(path) != stated.sha256 if stated.sha256 else _git_blob(path) != stated.blob


def _git_blob(path: Path) -> str:
    """What git calls a file."""
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    sha256_of_file(path, digest)
    return digest.hexdigest()
