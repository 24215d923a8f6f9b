"""A model repository on the Hub: what is in it, made where it is missing; puts no file into it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from electra_convert.errors import HubError
from electra_convert.hub.card.model_folder import PublishedFile
from electra_convert.hub.client import Hub

MAIN = "main"


@dataclass(frozen=True)
class RemoteFile:
    """A file as the Hub lists it.

    Attributes:
        size: in bytes.
        blob: git's SHA-1 of a small file.
        sha256: of a large file, else None.
    """

    size: int
    blob: str
    sha256: str | None

    def is_same(self, file: PublishedFile) -> bool:
        """Whether it holds the bytes of a local file."""
        equal = self.blob == file.blob if self.sha256 is None else self.sha256 == file.sha256
        return equal and self.size == file.size


@dataclass(frozen=True)
class Listing:
    """A revision of a repository.

    Attributes:
        head: its commit.
        files: what it holds, by path.
    """

    head: str
    files: Mapping[str, RemoteFile]


@dataclass(frozen=True)
class PullRequest:
    """An open pull request.

    Attributes:
        number: within the repository.
        revision: the reference to commit to.
    """

    number: int
    revision: str


def visibility(hub: Hub, repo_id: str) -> bool | None:
    """Find out whether a repository is private.

    Returns:
        That, or None where there is no such repository.

    Raises:
        HubError: the Hub does not say.
    """
    info = hub.ask(f"looking at {repo_id}", lambda: _info(hub, repo_id, None))
    return None if info is None else bool(info.private)


def list_revision(hub: Hub, repo_id: str, revision: str) -> Listing | None:
    """List what a revision of a repository holds.

    Args:
        hub: the Hub.
        repo_id: of a repository that is there.
        revision: a branch, a tag, a pull request's reference or a commit.

    Returns:
        The listing, or None where there is no such revision.

    Raises:
        HubError: the Hub does not say.
    """
    return hub.ask(f"listing {repo_id} at {revision}", lambda: _listing(hub, repo_id, revision))


def _info(hub: Hub, repo_id: str, revision: str | None) -> Any:  # noqa: ANN401 - huggingface_hub's ModelInfo
    try:
        return hub.api.model_info(repo_id, revision=revision)
    except Exception as error:
        absent = {"RepositoryNotFoundError"} if revision is None else {"RevisionNotFoundError"}
        if type(error).__name__ in absent:
            return None
        raise


def _listing(hub: Hub, repo_id: str, revision: str) -> Listing | None:
    info = _info(hub, repo_id, revision)
    if info is None:
        return None
    entries = hub.api.list_repo_tree(repo_id, recursive=True, revision=info.sha)
    files = {
        entry.path: RemoteFile(entry.size, entry.blob_id, entry.lfs.sha256 if entry.lfs else None)
        for entry in entries
        if hasattr(entry, "blob_id")
    }
    return Listing(info.sha, files)


def create(hub: Hub, repo_id: str, private: bool | None) -> bool:
    """Make a repository, unless it is there.

    Args:
        hub: the Hub.
        repo_id: its name.
        private: whether it is to be private; None for the account's default.

    Returns:
        Whether it is private now.

    Raises:
        HubError: it cannot be made, or something else made it with another visibility.
    """
    doing = f"creating {repo_id}"
    hub.ask(doing, lambda: hub.api.create_repo(repo_id, private=private, exist_ok=True))
    is_private = visibility(hub, repo_id)
    if is_private is None:
        raise HubError(f"{doing}: the Hub made it, and does not show it", "Run the same command again.")
    require_visibility(repo_id, is_private, private)
    return is_private


def require_visibility(repo_id: str, is_private: bool, asked: bool | None) -> None:
    """Refuse a repository that is seen by others than was asked for.

    Raises:
        HubError: it is.
    """
    if asked is not None and asked != is_private:
        found, wanted = ("private", "--public") if is_private else ("public", "--private")
        raise HubError(
            f"{repo_id} is {found} already, and {wanted} was given",
            "Change it in the repository's settings, or leave the option out.",
        )


def create_branch(hub: Hub, repo_id: str, branch: str) -> None:
    """Make a branch off main, unless it is there.

    Raises:
        HubError: it cannot be made.
    """
    hub.ask(
        f"creating the branch {branch} of {repo_id}",
        lambda: hub.api.create_branch(repo_id, branch=branch, exist_ok=True),
    )


def find_pull_request(hub: Hub, repo_id: str, author: str, title: str) -> PullRequest | None:
    """Find the open pull request that an earlier run made.

    Args:
        hub: the Hub.
        repo_id: of the repository.
        author: the account.
        title: the pull request's, which is the same in every run.

    Returns:
        The newest such, or None.

    Raises:
        HubError: the Hub does not say.
    """
    found = hub.ask(
        f"looking for an open pull request of {repo_id}",
        lambda: list(hub.api.get_repo_discussions(repo_id, author=author, discussion_type="pull_request")),
    )
    numbers = [
        one.num
        for one in found
        if one.is_pull_request and one.status in {"open", "draft"} and one.author == author and one.title == title
    ]
    return PullRequest(max(numbers), f"refs/pr/{max(numbers)}") if numbers else None
