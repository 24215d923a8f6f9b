"""Files put into a repository by one commit, or none of them; and looked at there afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from electra_convert.errors import ElectraConvertError, HubError, listing
from electra_convert.frameworks import import_huggingface_hub
from electra_convert.hub.card.model_folder import CARD, PublishedFile, is_stale
from electra_convert.hub.client import WAITS, Hub, warnings_told
from electra_convert.hub.errors import Fault, diagnose
from electra_convert.hub.repository import MAIN, Listing, create_branch, find_pull_request, list_revision


@dataclass(frozen=True)
class Destination:
    """Where files go.

    Attributes:
        repo_id: the repository.
        revision: a branch, or a pull request's reference.
        author: the account, where a pull request is to be opened or added to, else None.
        card: git's SHA-1 of the card that may be replaced there, or None where there is none.
    """

    repo_id: str
    revision: str = MAIN
    author: str | None = None
    card: str | None = None


@dataclass(frozen=True)
class Message:
    """What a commit says; its title finds the pull request again."""

    title: str
    description: str


@dataclass(frozen=True)
class Pushed:
    """What a push did.

    Attributes:
        commit: the head of the revision afterwards.
        revision: that which holds the files now: a branch, or a pull request's reference.
        sent: names of files that were committed; empty where all of them were there.
        removed: names of files that belonged to the model before, and were removed.
    """

    commit: str
    revision: str
    sent: tuple[str, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True)
class Change:
    """What a revision lacks of the files, and has too much."""

    put: tuple[PublishedFile, ...]
    remove: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.put or self.remove)


def find_change(files: Sequence[PublishedFile], there: Listing | None) -> Change:
    """Compare the files with what a revision holds.

    Args:
        files: all that is to be there.
        there: the revision, or None where it is not there yet.

    Returns:
        The change. What is not among the files but bears the name of a model's go: weights in safetensors, since
        from_pretrained might load them in the place of those, settings, tokenizers and records, since they are of a
        model before. All else stays.
    """
    held = there.files if there else {}
    names = {file.name for file in files}
    put = tuple(file for file in files if file.name not in held or not held[file.name].is_same(file))
    return Change(put, tuple(sorted(name for name in held if is_stale(name) and name not in names)))


def push(hub: Hub, to: Destination, files: Sequence[PublishedFile], message: Message) -> Pushed:
    """Bring files into a revision, by one commit.

    A commit whose answer is lost is not made twice: before each try the revision is read again, and a commit names
    its parent.

    Args:
        hub: the Hub.
        to: a repository that is there.
        files: all that is to be there.
        message: of the commit, and of a pull request.

    Returns:
        What was done; every file has been found there, by size and hash.

    Raises:
        HubError: it was not done, or what is there is not what was sent.
    """
    doing = f"committing to {to.repo_id}"
    tried: Change | None = None
    for wait in (*WAITS, None):
        revision, there = _state(hub, to, message)
        change = find_change(files, there)
        if there is not None:
            _require_known_card(to, there, change)
        if there is not None and not change:
            return _pushed(there.head, revision, tried)
        tried = tried or change
        try:
            with warnings_told(hub.tell):
                info = _commit(hub, to, revision, there, change, message)
        except Exception as error:  # noqa: BLE001 - told apart by what it was caused by
            fault = _passing(hub, error)
            if fault is None or wait is None:
                hub.fail(doing, error)
            hub.pause(doing, fault, wait)
        else:
            _require_there(hub, to.repo_id, info.oid, files)
            return _pushed(info.oid, info.pr_revision or revision, tried)
    raise AssertionError("the last try returns or raises")


def _require_known_card(to: Destination, there: Listing, change: Change) -> None:
    """Replace only the card that was looked at, and not one that was written since."""
    card = there.files.get(CARD)
    if card is not None and card.blob != to.card and any(file.name == CARD for file in change.put):
        raise HubError(f"{CARD} of {to.repo_id} was changed meanwhile", "Run the same command again.")


def _pushed(commit: str, revision: str, change: Change | None) -> Pushed:
    if change is None:
        return Pushed(commit, revision, (), ())
    return Pushed(commit, revision, tuple(file.name for file in change.put), change.remove)


def _passing(hub: Hub, error: Exception) -> Fault | None:
    """A stale parent is worth another try too: the revision is read again before."""
    stale = getattr(getattr(error, "response", None), "status_code", None) == 412
    return diagnose(error) if stale else hub.passing_fault(error)


def _state(hub: Hub, to: Destination, message: Message) -> tuple[str, Listing | None]:
    """The revision to commit to, and what it holds; of a pull request that is not open yet, what its base holds."""
    if to.author is not None:
        pull_request = find_pull_request(hub, to.repo_id, to.author, message.title)
        revision = pull_request.revision if pull_request else MAIN
        return revision, list_revision(hub, to.repo_id, revision)
    there = list_revision(hub, to.repo_id, to.revision)
    if there is None:
        create_branch(hub, to.repo_id, to.revision)
        there = list_revision(hub, to.repo_id, to.revision)
    return to.revision, there


def _commit(hub: Hub, to: Destination, revision: str, there: Listing | None, change: Change, message: Message) -> Any:  # noqa: ANN401 - huggingface_hub's CommitInfo
    library: Any = import_huggingface_hub("to upload a model")
    additions = [
        library.CommitOperationAdd(path_in_repo=file.name, path_or_fileobj=file.source) for file in change.put
    ]
    create_pr = to.author is not None and revision == MAIN
    hub.api.preupload_lfs_files(
        to.repo_id, additions=additions, revision=revision, create_pr=create_pr, free_memory=False
    )
    _require_taken(to.repo_id, additions)
    return hub.api.create_commit(
        to.repo_id,
        operations=[*additions, *(library.CommitOperationDelete(path_in_repo=name) for name in change.remove)],
        commit_message=message.title,
        commit_description=message.description,
        revision=revision,
        parent_commit=there.head if there else None,
        create_pr=create_pr,
    )


def _require_taken(repo_id: str, additions: Sequence[Any]) -> None:
    """create_commit passes over in silence what the repository's .gitignore names."""
    ignored = [addition.path_in_repo for addition in additions if addition._should_ignore]
    if ignored:
        raise HubError(
            f"the .gitignore of {repo_id} keeps out {listing(ignored)}, so nothing was committed",
            "Take those lines out of the .gitignore there.",
        )


def _require_there(hub: Hub, repo_id: str, commit: str, files: Sequence[PublishedFile]) -> None:
    """Hold the Hub's own listing of a commit against every file."""
    with _not_checked(repo_id, commit):
        there = list_revision(hub, repo_id, commit)
    wrong = [file.name for file in find_change(files, there).put]
    if wrong:
        raise HubError(
            f"{repo_id} at {commit} does not hold what was to be sent: {listing(wrong)}",
            "The files changed while they were sent; run the command again.",
        )


@contextmanager
def _not_checked(repo_id: str, commit: str) -> Iterator[None]:
    """Whatever ends a run here, there is a commit, and it has to be said."""
    told = f"{repo_id} has the commit {commit}, which was not looked at yet."
    try:
        yield
    except ElectraConvertError as error:
        error.hint = f"{told} {error.hint or ''}".strip()
        raise
    except KeyboardInterrupt as interrupt:
        interrupt.add_note(told)
        raise
