"""What a Hub states of a revision, held to its form before anything is made of it: commits, hashes, sizes, names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from electra_convert.errors import HubError

# More files than any repository of a model has, and than any split of a data set.
MOST_FILES = 100_000
_LONGEST_NAME = 4096  # bytes, which Linux takes no longer path than
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ETAG = re.compile(r'(?:W/)?"?(?:[0-9a-f]{40}|[0-9a-f]{64})"?')
_SHOWN = 80
ADVICE = "Do not use this Hub; check HF_ENDPOINT."


class HashedFile(Protocol):
    """A local file as it is published."""

    @property
    def size(self) -> int:
        """In bytes."""

    @property
    def blob(self) -> str:
        """Git's SHA-1 of it."""

    @property
    def sha256(self) -> str:
        """SHA-256 of it."""


@dataclass(frozen=True)
class RemoteFile:
    """A file as the Hub lists it: its size in bytes, git's SHA-1 of a small one, the SHA-256 of a large one."""

    size: int
    blob: str
    sha256: str | None

    def is_same(self, file: HashedFile) -> bool:
        """Whether it holds the bytes of a local file."""
        equal = self.blob == file.blob if self.sha256 is None else self.sha256 == file.sha256
        return equal and self.size == file.size


@dataclass(frozen=True)
class Listing:
    """A revision of a repository: its commit, and the files it holds by path."""

    head: str
    files: Mapping[str, RemoteFile]


def require_commit(found: object) -> str:
    """A commit that is one: the cache has folders of that name.

    Raises:
        HubError: it is anything else.
    """
    return _hexadecimal(found, _COMMIT, "a commit", 40)


def require_etag(found: str) -> None:
    """Refuse an ETag that is no hash: huggingface_hub has files of that name.

    Raises:
        HubError: it is none.
    """
    if not _ETAG.fullmatch(found):
        raise HubError(
            f"what the Hub states as an ETag is {_shown(found)}, expected 40 or 64 hexadecimal digits", ADVICE
        )


def require_xet_hash(found: str) -> None:
    """Refuse a Xet hash that is none.

    Raises:
        HubError: it is none.
    """
    _hexadecimal(found, _SHA256, "a Xet hash", 64)


def read_listing(head: object, entries: Iterable[Any]) -> Listing | None:
    """Read what a Hub lists, as huggingface_hub hands it on: with a path, a size, a blob_id and an lfs.

    Returns:
        The listing; None where no hashes are stated.

    Raises:
        HubError: a commit, hash, size or name is not of the form it has on any Hub, or there are too many of them.
    """
    commit = require_commit(head)
    files: dict[str, RemoteFile] = {}
    for entry in entries:
        name = _name(getattr(entry, "rfilename", None))
        if len(files) == MOST_FILES:
            raise HubError(f"the Hub lists more than {MOST_FILES:,} files", ADVICE)
        if entry.blob_id is None:
            return None
        files[name] = _file(name, entry)
    return Listing(commit, files)


def _file(name: str, entry: Any) -> RemoteFile:  # noqa: ANN401 - huggingface_hub's RepoFile or RepoSibling
    blob = _hexadecimal(entry.blob_id, _COMMIT, f"the hash of {_shown(name)}", 40)
    if not entry.lfs:
        return RemoteFile(_size(name, entry.size), blob, None)
    sha256 = _hexadecimal(entry.lfs.sha256, _SHA256, f"the SHA-256 of {_shown(name)}", 64)
    size = _size(name, entry.lfs.size)
    if entry.size is not None and _size(name, entry.size) != size:
        raise HubError(f"the Hub states two sizes of {_shown(name)}: {entry.size} and {size} bytes", ADVICE)
    return RemoteFile(size, blob, sha256)


def _hexadecimal(found: object, form: re.Pattern[str], what: str, digits: int) -> str:
    if isinstance(found, str) and form.fullmatch(found):
        return found
    raise HubError(f"what the Hub states as {what} is {_shown(found)}, expected {digits} hexadecimal digits", ADVICE)


def _size(name: str, found: object) -> int:
    if isinstance(found, int) and not isinstance(found, bool) and 0 <= found < 1 << 63:
        return found
    raise HubError(f"what the Hub states as the size of {_shown(name)} is {_shown(found)}, expected bytes", ADVICE)


def _name(found: object) -> str:
    """A path within a repository, as git has them."""
    if isinstance(found, str) and "\0" not in found and not {"", ".", ".."} & set(found.split("/")):
        try:
            if len(found.encode()) <= _LONGEST_NAME:
                return found
        except UnicodeEncodeError:
            pass
    raise HubError(f"the Hub lists a file called {_shown(found)}, which no file of a repository can be", ADVICE)


def _shown(found: object) -> str:
    told = repr(found)
    return told if len(told) <= _SHOWN else f"{told[:_SHOWN]}..."
