"""What is on the Hub: account, repositories, revisions, pull requests, cards; made where missing, no file sent."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from electra_convert.errors import CardError, HubError
from electra_convert.formats.names import CARD_FILE
from electra_convert.frameworks import import_huggingface_hub
from electra_convert.hub.answers import ADVICE, Listing, require_commit
from electra_convert.hub.client import Hub
from electra_convert.hub.download import Address, Kind, download_files, list_tree
from electra_convert.hub.errors import OFFLINE, shortened

MAIN = "main"


@dataclass(frozen=True)
class RemoteCard:
    """A README.md on the Hub; the blob is git's SHA-1 of it."""

    repo_id: str
    revision: str
    blob: str
    text: str

    @property
    def where(self) -> str:
        """Its place, for messages."""
        return f"{CARD_FILE} of {self.repo_id} at {self.revision}"


def account_name(hub: Hub) -> str:
    """Find out whose token it is.

    Raises:
        HubError: there is no token, it is not valid or can only read, or HF_HUB_OFFLINE is set.
    """
    if hub.is_offline:
        raise HubError(OFFLINE.message, OFFLINE.hint)
    if not hub.has_token:
        raise HubError(
            "there is no token to upload with",
            f"Log in with `hf auth login`, or set HF_TOKEN to a token of {hub.endpoint}/settings/tokens.",
        )
    answer = hub.ask("checking the token", hub.api.whoami)
    told: list[Any] = [answer]
    for key in ("auth", "accessToken", "role"):
        told.append(told[-1].get(key) if isinstance(told[-1], dict) else None)
    if told[-1] == "read":
        raise HubError("the token can only read", f"Make one with write access at {hub.endpoint}/settings/tokens.")
    name = answer.get("name") if isinstance(answer, dict) else None
    if not isinstance(name, str):
        raise HubError("the Hub does not say whose token it is", ADVICE)
    return name


def require_valid_card(hub: Hub, text: str, where: str, kind: Kind = "model") -> None:
    """Ask the Hub whether it accepts a card, its licence and languages among it.

    Raises:
        CardError: it does not, and why.
    """
    card = import_huggingface_hub("to upload a model").ModelCard(text)

    def validate() -> None:
        try:
            card.validate(repo_type=kind)
        except ValueError as error:
            if getattr(error, "response", None) is not None:
                raise
            raise CardError(
                f"{where}: the Hub does not accept it: {_reasons(str(error))}", "Correct its front matter."
            ) from error

    hub.ask(f"validating {where}", validate)


def _reasons(answer: str) -> str:
    """What the Hub found, out of its JSON; all of the answer where it is none."""
    try:
        found = [str(one["message"]) for one in json.loads(answer)["errors"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        found = [answer]
    return shortened("; ".join(found))


def visibility(hub: Hub, repo_id: str, kind: Kind = "model") -> bool | None:
    """Whether a repository is private, or None where there is no such repository."""
    info = hub.ask(f"looking at {repo_id}", lambda: _info(hub, repo_id, None, kind))
    return None if info is None else bool(info.private)


def require_visibility(repo_id: str, is_private: bool, asked: bool | None) -> None:
    """Refuse a repository that is seen by others than was asked for."""
    if asked is not None and asked != is_private:
        found, wanted = ("private", "--public") if is_private else ("public", "--private")
        raise HubError(
            f"{repo_id} is {found} already, and {wanted} was given",
            "Change it in the repository's settings, or leave the option out.",
        )


def create(hub: Hub, repo_id: str, private: bool | None, kind: Kind = "model") -> bool:
    """Make a repository, unless it is there, and tell whether it is private now; None is for the account's default.

    Raises:
        HubError: it cannot be made, or something else made it with another visibility.
    """
    doing = f"creating {repo_id}"
    of_kind = {"repo_type": kind, **({"space_sdk": "static"} if kind == "space" else {})}
    hub.ask(doing, lambda: hub.api.create_repo(repo_id, private=private, exist_ok=True, **of_kind))
    is_private = visibility(hub, repo_id, kind)
    if is_private is None:
        raise HubError(f"{doing}: the Hub made it, and does not show it", "Run the same command again.")
    require_visibility(repo_id, is_private, private)
    return is_private


def create_branch(hub: Hub, repo_id: str, branch: str, kind: Kind = "model") -> None:
    """Make a branch off main, unless it is there."""
    hub.ask(
        f"creating the branch {branch} of {repo_id}",
        lambda: hub.api.create_branch(repo_id, branch=branch, exist_ok=True, repo_type=kind),
    )


def list_revision(hub: Hub, repo_id: str, revision: str, kind: Kind = "model") -> Listing | None:
    """List what a branch, tag, pull request's reference or commit holds; None where there is no such revision."""
    return hub.ask(f"listing {repo_id} at {revision}", lambda: _listing(hub, repo_id, revision, kind))


def _listing(hub: Hub, repo_id: str, revision: str, kind: Kind) -> Listing | None:
    info = _info(hub, repo_id, revision, kind)
    if info is None:
        return None
    return list_tree(hub, repo_id, require_commit(info.sha), kind)


def _info(hub: Hub, repo_id: str, revision: str | None, kind: Kind) -> Any:  # noqa: ANN401 - what huggingface_hub gives
    try:
        return hub.api.repo_info(repo_id, revision=revision, repo_type=kind)
    except Exception as error:
        absent = "RepositoryNotFoundError" if revision is None else "RevisionNotFoundError"
        if type(error).__name__ == absent:
            return None
        raise


def find_pull_request(hub: Hub, repo_id: str, author: str, title: str, kind: Kind = "model") -> str | None:
    """Find the newest open pull request that an earlier run made, by its title, which every run gives."""
    found = hub.ask(
        f"looking for an open pull request of {repo_id}",
        lambda: list(
            hub.api.get_repo_discussions(repo_id, author=author, discussion_type="pull_request", repo_type=kind)
        ),
    )
    numbers = [
        one.num
        for one in found
        if one.is_pull_request and one.status in {"open", "draft"} and one.author == author and one.title == title
    ]
    return f"refs/pr/{max(numbers)}" if numbers else None


def read_card(
    hub: Hub, repo_id: str, revision: str, there: Listing | None, kind: Kind = "model"
) -> RemoteCard | None:
    """Read the card that a commit would replace; on a branch that is not there yet it is that of main.

    Raises:
        CardError: it is not UTF-8.
    """
    if there is None:
        revision, there = MAIN, list_revision(hub, repo_id, MAIN, kind)
    if there is None or CARD_FILE not in there.files:
        return None
    head, card = there.head, RemoteCard(repo_id, revision, there.files[CARD_FILE].blob, "")

    place = Address(repo_id, head, CARD_FILE, kind)
    path = download_files(hub, card.where, place, [CARD_FILE], there) / CARD_FILE
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CardError(
            f"{card.where} is not UTF-8: {error.reason} at byte {error.start}", "Save it as UTF-8."
        ) from error
    return RemoteCard(repo_id, revision, card.blob, text)
