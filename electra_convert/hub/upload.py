"""upload: model folders looked at, cards made, all of it shown, then sent and checked; each step is done elsewhere.

Named apart from the function, which is electra_convert.upload.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

from electra_convert.errors import ElectraConvertError, HubError, UsageError
from electra_convert.hub.account import account_name, require_valid_card
from electra_convert.hub.branches import require_branch
from electra_convert.hub.card.folders import find_models, strays_beside
from electra_convert.hub.card.metadata import Metadata
from electra_convert.hub.card.writing import save_card
from electra_convert.hub.client import Hub, Tell
from electra_convert.hub.commit import Destination, find_change, push
from electra_convert.hub.plan import Choice, Shipment, plan_shipments, with_remote_card
from electra_convert.hub.remote_card import read_remote_card
from electra_convert.hub.repository import (
    MAIN,
    create,
    find_pull_request,
    list_revision,
    require_visibility,
    visibility,
)


@dataclass(frozen=True)
class Upload:
    """What was uploaded to one repository, or would be.

    Attributes:
        shipment: the model, its files and its card.
        revision: the branch it is on, or the pull request's reference.
        private: whether the repository is private; None for a new one that takes the account's default, and for a dry
            run without a network.
        new: whether the repository is made for it; None where that was not looked up.
        commit: the commit that holds it, or None for a dry run.
        sent: names of files that were not there before, or differed.
        removed: names of files that belonged to the model before, and were removed.
        url: where it is to be seen.
        dry_run: whether nothing was sent.
        card_there: git's SHA-1 of the card that is replaced, or None where there is none.
    """

    shipment: Shipment
    revision: str
    private: bool | None
    new: bool | None
    commit: str | None
    sent: tuple[str, ...]
    removed: tuple[str, ...]
    url: str
    dry_run: bool
    card_there: str | None = None


Show = Callable[[Upload], None]


@dataclass(frozen=True)
class Request:
    """What an upload is asked to do on the Hub.

    Attributes:
        token: the account's, or None to look where huggingface_hub does; never shown.
        revision: a branch, made where it is missing.
        create_pr: open a pull request, or add to the one that an earlier run opened.
        private: whether a new repository is private; None for the account's default.
        commit_message: the title of the commit, or None for one that names the model.
        dry_run: show what would be done, and send nothing.
    """

    token: str | None = field(default=None, repr=False)
    revision: str = MAIN
    create_pr: bool = False
    private: bool | None = None
    commit_message: str | None = None
    dry_run: bool = False

    def __post_init__(self) -> None:
        require_branch(self.revision)
        if self.create_pr and self.revision != MAIN:
            raise UsageError(
                "--create-pr proposes a change to main; --revision names another branch: give one of them"
            )
        if self.create_pr and self.private is not None:
            raise UsageError("--private and --public are for a new repository; --create-pr is for one that is there")
        if self.commit_message is not None and len(self.commit_message.strip().splitlines()) != 1:
            what = f"{self.commit_message!r}, expected one line" if self.commit_message.strip() else "empty"
            raise UsageError(f"--commit-message is {what}")


def upload(
    repo_id: str,
    folder: str | Path,
    *,
    token: str | None = None,
    revision: str = MAIN,
    create_pr: bool = False,
    private: bool | None = None,
    commit_message: str | None = None,
    license: str | None = None,
    language: str | Sequence[str] = (),
    base_model: str | None = None,
    include_optimizer: bool = False,
    include_pickles: bool = False,
    unverified: bool = False,
    overwrite_card: bool = False,
    dry_run: bool = False,
    show: Show = lambda _: None,
    tell: Tell = lambda _: None,
) -> tuple[Upload, ...]:
    """Upload a verified model to the Hugging Face Hub, or both models of a pair to a repository each.

    Args:
        repo_id: OWNER/NAME; the models of a pair go to OWNER/NAME-discriminator and OWNER/NAME-generator.
        folder: a transformers model folder, or a pair of them.
        token: the account's; by default HF_TOKEN, or what `hf auth login` stored.
        revision: a branch, made where it is missing.
        create_pr: open a pull request, or add to the one that an earlier run opened.
        private: whether a new repository is private; by default as the account has it.
        commit_message: the title of the commit.
        license: an identifier of the Hub's list, such as apache-2.0.
        language: ISO 639 codes of the languages of its texts.
        base_model: the model on the Hub that it was made from.
        include_optimizer: upload the optimiser's state too.
        include_pickles: upload pytorch_model.bin too.
        unverified: upload without a passed parity.json; the card says so.
        overwrite_card: let lines of a card on the Hub go that the one here has not.
        dry_run: show what would be done, and send nothing.
        show: told what goes where, before the first byte of it is sent.
        tell: told what is waited for.

    Returns:
        What was done, the discriminator first; every file was found on the Hub by size and hash.

    Raises:
        ElectraConvertError: the message says why, and what is on the Hub already.
    """
    metadata = Metadata(license, (language,) if isinstance(language, str) else tuple(language), base_model)
    choice = Choice(metadata, include_optimizer, include_pickles, unverified, overwrite_card)
    request = Request(token, revision, create_pr, private, commit_message, dry_run)
    return run_upload(repo_id, Path(folder), choice, request, show, tell)


def run_upload(
    repo_id: str, folder: Path, choice: Choice, request: Request, show: Show, tell: Tell
) -> tuple[Upload, ...]:
    """Upload, with what was asked for in two places: what goes, and where to.

    Raises:
        ElectraConvertError: the message says why, and what is on the Hub already.
    """
    hub = Hub(request.token, tell)
    for name in strays_beside(find_models(folder), folder):
        hub.tell(f"{folder / name} belongs to neither model, and is left.")
    shipments = plan_shipments(repo_id, folder, choice, request.revision)
    author = None if request.dry_run else account_name(hub)
    planned = [_planned(hub, shipment, request, choice, author) for shipment in shipments]
    if author is None:
        for one in planned:
            show(one)
        return tuple(planned)
    for one in planned:
        require_valid_card(hub, one.shipment.card.text, str(one.shipment.card.path))
    for one in planned:
        show(one)
    done: list[Upload] = []
    try:
        for one in planned:
            sent = _send(hub, one, request, author)
            done.append(sent)
    except ElectraConvertError as error:
        error.hint = " ".join(part for part in (error.hint, _there(done)) if part)
        raise
    except KeyboardInterrupt as interrupt:
        told = (*getattr(interrupt, "__notes__", ()), _there(done))
        if not any(told):
            interrupt.add_note("No commit was seen to be made.")
        interrupt.add_note(f"{_there(done)} The same command goes on from here.".strip())
        raise
    return tuple(done)


def _there(done: Sequence[Upload]) -> str:
    return "".join(f"{one.shipment.repo_id} is complete. " for one in done).strip()


def _planned(hub: Hub, shipment: Shipment, request: Request, choice: Choice, author: str | None) -> Upload:
    """Look at the repository without changing anything; offline, a dry run does without."""
    names = tuple(file.name for file in shipment.files)
    url = _url(hub, shipment, request.revision)
    plan = Upload(shipment, request.revision, request.private, None, None, names, (), url, True)
    if request.dry_run and hub.is_offline:
        return plan
    is_private = visibility(hub, shipment.repo_id)
    if is_private is None:
        if request.create_pr:
            raise HubError(
                f"{shipment.repo_id} is not there, so nothing can be proposed to it",
                "Leave --create-pr out to make it.",
            )
        return replace(plan, new=True)
    require_visibility(shipment.repo_id, is_private, request.private)
    return _compared(hub, replace(plan, new=False, private=is_private), request, choice, author)


def _compared(hub: Hub, plan: Upload, request: Request, choice: Choice, author: str | None) -> Upload:
    """Find what a repository that is there lacks, and what is on its card."""
    shipment, repo_id = plan.shipment, plan.shipment.repo_id
    title = shipment.message(request.commit_message).title
    proposed = find_pull_request(hub, repo_id, author, title) if request.create_pr and author else None
    revision = proposed.revision if proposed else request.revision
    there = list_revision(hub, repo_id, revision)
    if card := read_remote_card(hub, repo_id, revision, there, shipment.folder.path):
        shipment = with_remote_card(shipment, card, choice)
    change = find_change(shipment.files, there)
    sent = tuple(file.name for file in change.put)
    return replace(plan, shipment=shipment, sent=sent, removed=change.remove, card_there=card.blob if card else None)


def _send(hub: Hub, plan: Upload, request: Request, author: str) -> Upload:
    shipment = plan.shipment
    save_card(shipment.card)
    private = create(hub, shipment.repo_id, request.private) if plan.new else plan.private
    to = Destination(shipment.repo_id, request.revision, author if request.create_pr else None, plan.card_there)
    pushed = push(hub, to, shipment.files, shipment.message(request.commit_message))
    return replace(
        plan,
        revision=pushed.revision,
        private=private,
        commit=pushed.commit,
        sent=pushed.sent,
        removed=pushed.removed,
        url=_url(hub, shipment, pushed.revision),
        dry_run=False,
    )


def _url(hub: Hub, shipment: Shipment, revision: str) -> str:
    page = f"{hub.endpoint}/{shipment.repo_id}"
    if revision.startswith("refs/pr/"):
        return f"{page}/discussions/{revision.rpartition('/')[2]}"
    return page if revision == MAIN else f"{page}/tree/{quote(revision, safe='')}"
