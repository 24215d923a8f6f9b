"""Files put into a repository by one commit, or none of them; and looked at there afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from electra_convert.errors import ElectraConvertError, HubError, listing
from electra_convert.formats.names import CARD_FILE
from electra_convert.frameworks import import_huggingface_hub
from electra_convert.hub.answers import Listing, require_commit
from electra_convert.hub.card.model_folder import PublishedFile, is_stale
from electra_convert.hub.client import Hub
from electra_convert.hub.download import Kind
from electra_convert.hub.repository import MAIN, create_branch, find_pull_request, list_revision
from electra_convert.hub.site_folder import is_stale_of_site


@dataclass(frozen=True)
class Destination:
    """Where files go.

    Attributes:
        repo_id: a repository that is there.
        revision: a branch, made where it is missing.
        author: the account, where a pull request is to be opened or added to, else None.
        card: git's SHA-1 of the card that may be replaced there, or None where there is none.
        kind: what the repository is of.
    """

    repo_id: str
    revision: str = MAIN
    author: str | None = None
    card: str | None = None
    kind: Kind = "model"


@dataclass(frozen=True)
class Message:
    """What a commit says; its title finds the pull request again."""

    title: str
    description: str


@dataclass(frozen=True)
class Change:
    """What a revision lacks of the files, and has too much."""

    put: tuple[PublishedFile, ...] = ()
    remove: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.put or self.remove)


@dataclass(frozen=True)
class Commit:
    """What holds the files now.

    Attributes:
        oid: the head of the revision.
        revision: a branch, or a pull request's reference.
        change: what was committed; nothing where all of it was there.
    """

    oid: str
    revision: str
    change: Change


def find_change(files: Sequence[PublishedFile], there: Listing | None, kind: Kind = "model") -> Change:
    """Compare the files with what a revision holds, where it is there.

    What is not among the files but bears the name of a model's goes: weights in safetensors, since from_pretrained
    might load them in the place of those, settings, tokenizers and records, since they are of a model before; of a
    Space all that is of a page before. All else stays.
    """
    held = there.files if there else {}
    names = {file.name for file in files}
    put = tuple(file for file in files if file.name not in held or not held[file.name].is_same(file))
    is_old = is_stale_of_site if kind == "space" else is_stale
    return Change(put, tuple(sorted(name for name in held if is_old(name) and name not in names)))


def commit_files(hub: Hub, to: Destination, files: Sequence[PublishedFile], message: Message) -> Commit:
    """Bring files into a revision, by one commit; every one of them is then found there, by size and hash.

    A commit whose answer is lost is not made twice: before each try the revision is read again, and a commit names
    its parent.

    Raises:
        HubError: it was not made, or what is there is not what was sent.
    """
    tried = Change()

    def attempt() -> Commit:
        nonlocal tried
        revision, there = _state(hub, to, message)
        change = find_change(files, there, to.kind)
        if there is not None:
            _require_known_card(to, there, change)
            if not change:
                return Commit(there.head, revision, tried)
        tried = tried or change
        info = _commit(hub, to, revision, there, change, message)
        _require_there(hub, to, require_commit(info.oid), files)
        return Commit(info.oid, info.pr_revision or revision, tried)

    return hub.ask(f"committing to {to.repo_id}", attempt)


def _require_known_card(to: Destination, there: Listing, change: Change) -> None:
    """Replace only the card that was looked at, and not one that was written since."""
    card = there.files.get(CARD_FILE)
    if card is not None and card.blob != to.card and any(file.name == CARD_FILE for file in change.put):
        raise HubError(f"{CARD_FILE} of {to.repo_id} was changed meanwhile", "Run the same command again.")


def _state(hub: Hub, to: Destination, message: Message) -> tuple[str, Listing | None]:
    """The revision to commit to, and what it holds; of a pull request that is not open yet, what its base holds."""
    if to.author is not None:
        revision = find_pull_request(hub, to.repo_id, to.author, message.title, to.kind) or MAIN
        return revision, list_revision(hub, to.repo_id, revision, to.kind)
    there = list_revision(hub, to.repo_id, to.revision, to.kind)
    if there is None:
        create_branch(hub, to.repo_id, to.revision, to.kind)
        there = list_revision(hub, to.repo_id, to.revision, to.kind)
    return to.revision, there


def _commit(hub: Hub, to: Destination, revision: str, there: Listing | None, change: Change, message: Message) -> Any:  # noqa: ANN401 - huggingface_hub's CommitInfo
    library: Any = import_huggingface_hub("to upload a model")
    additions = [
        library.CommitOperationAdd(path_in_repo=file.name, path_or_fileobj=file.source) for file in change.put
    ]
    create_pr = to.author is not None and revision == MAIN
    hub.api.preupload_lfs_files(
        to.repo_id,
        additions=additions,
        revision=revision,
        create_pr=create_pr,
        free_memory=False,
        repo_type=to.kind,
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
        repo_type=to.kind,
    )


def _require_taken(repo_id: str, additions: Sequence[Any]) -> None:
    """create_commit passes over in silence what the repository's .gitignore names."""
    ignored = [addition.path_in_repo for addition in additions if addition._should_ignore]
    if ignored:
        raise HubError(
            f"the .gitignore of {repo_id} keeps out {listing(ignored)}, so nothing was committed",
            "Take those lines out of the .gitignore there.",
        )


def _require_there(hub: Hub, to: Destination, commit: str, files: Sequence[PublishedFile]) -> None:
    """Hold the Hub's own listing of a commit against every file."""
    with _not_checked(to.repo_id, commit):
        there = list_revision(hub, to.repo_id, commit, to.kind)
    wrong = [file.name for file in find_change(files, there).put]
    if wrong:
        raise HubError(
            f"{to.repo_id} at {commit} does not hold what was to be sent: {listing(wrong)}",
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
