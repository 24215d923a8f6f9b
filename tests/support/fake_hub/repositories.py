"""What a Hub keeps: accounts, repositories with their commits, pull requests, and large files; knows no HTTP."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from support.fake_hub.xet import xet_hashes

# user name and what the token may do, by token
TOKENS = {
    "hf_AliceWritesWithThisToken1234567890": ("alice", "write"),
    "hf_BobIsAnotherAccountAltogether09876": ("bob", "write"),
    "hf_AliceMayOnlyReadWithThisOne1234567": ("alice", "read"),
}
ATTRIBUTES = b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n*.bin filter=lfs diff=lfs merge=lfs -text\n"


class RefusedError(Exception):
    """A request that the Hub answers with an error."""

    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code


class Sparse:
    """What a large file holds, zeros where nothing else is said."""

    def __init__(self, size: int, blocks: dict[int, bytes]) -> None:
        self.size, self.blocks = size, blocks

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, part: slice) -> bytes:
        first, last, _ = part.indices(self.size)
        found = bytearray(last - first)
        for start, block in self.blocks.items():
            low, high = max(first, start), min(last, start + len(block))
            if low < high:
                found[low - first : high - first] = block[low - start : high - start]
        return bytes(found)


@dataclass(frozen=True)
class Blob:
    """A file in a commit; a large one is kept apart, under its SHA-256."""

    size: int
    oid: str
    sha256: str | None = None
    content: bytes | Sparse | None = None


def owner_of(name: str) -> str:
    return name.removeprefix("spaces/").partition("/")[0]


def git_oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def small(content: bytes) -> Blob:
    return Blob(len(content), git_oid(content), None, content)


def large(sha256: str, size: int) -> Blob:
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()
    return Blob(size, git_oid(pointer), sha256)


@dataclass(frozen=True)
class Commit:
    oid: str
    parent: str | None
    title: str
    message: str
    files: dict[str, Blob]


@dataclass
class PullRequest:
    number: int
    title: str
    author: str
    status: str = "open"


@dataclass
class Repository:
    name: str
    private: bool
    refs: dict[str, str] = field(default_factory=dict)
    commits: dict[str, Commit] = field(default_factory=dict)
    pull_requests: list[PullRequest] = field(default_factory=list)

    def at(self, revision: str) -> Commit:
        oid = self.refs.get(revision, revision)
        if oid not in self.commits:
            raise RefusedError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return self.commits[oid]

    def commit(self, ref: str, parent: str | None, title: str, message: str, files: dict[str, Blob]) -> Commit:
        told = repr(
            (self.name, parent, title, message, sorted((n, b.oid) for n, b in files.items()), len(self.commits))
        )
        made = Commit(hashlib.sha1(told.encode()).hexdigest(), parent, title, message, files)
        self.commits[made.oid] = made
        self.refs[ref] = made.oid
        return made


class Store:
    """All that the Hub keeps."""

    def __init__(self, xet: Path) -> None:
        self.repositories: dict[str, Repository] = {}
        self.objects: dict[str, bytes] = {}
        self.parts: dict[str, dict[int, bytes]] = {}
        self.xet = xet

    def create(self, name: str, private: bool, files: dict[str, Blob] | None = None) -> Repository:
        if name in self.repositories:
            raise RefusedError(409, "You already created this model repo")
        repository = Repository(name, private)
        repository.commit("main", None, "initial commit", "", {".gitattributes": small(ATTRIBUTES), **(files or {})})
        self.repositories[name] = repository
        return repository

    def find(self, name: str, user: str | None) -> Repository:
        repository = self.repositories.get(name)
        if repository is None or (repository.private and user != owner_of(name)):
            raise RefusedError(404 if user else 401, "Repository not found", "RepoNotFound")
        return repository

    def writable(self, name: str, user: str | None, role: str | None, by_proposal: bool = False) -> Repository:
        repository = self.find(name, user)
        if user is None:
            raise RefusedError(401, "Invalid credentials in Authorization header")
        if role != "write" or (user != owner_of(name) and not by_proposal):
            raise RefusedError(403, "You don't have the rights to write to this repo")
        return repository

    def holds(self, sha256: str) -> bool:
        return sha256 in self.objects or sha256 in xet_hashes(self.xet)

    def propose(self, repository: Repository, title: str, author: str) -> PullRequest:
        made = PullRequest(len(repository.pull_requests) + 1, title, author)
        repository.pull_requests.append(made)
        return made
