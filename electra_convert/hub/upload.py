"""upload: planned, held against the Hub, shown, then sent and checked; each step is done elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from electra_convert.errors import ElectraConvertError, HubError, arguments_for_options
from electra_convert.formats.names import CARD_FILE, ONNX_SUFFIX, PARITY_FILE
from electra_convert.hub.card.metadata import Metadata
from electra_convert.hub.card.model_folder import find_models, left_beside
from electra_convert.hub.card.writing import save_card
from electra_convert.hub.client import Hub, Tell
from electra_convert.hub.commit import Destination, commit_files, find_change
from electra_convert.hub.plan import Plan, UploadOptions, UploadPlan, plan_uploads, with_remote_card
from electra_convert.hub.repository import (
    MAIN,
    account_name,
    create,
    find_pull_request,
    list_revision,
    read_card,
    require_valid_card,
    require_visibility,
    visibility,
)
from electra_convert.hub.site_folder import is_site


@dataclass(frozen=True)
class Upload:
    """What was uploaded to one repository, or would be.

    Attributes:
        plan: the model, its files and its card.
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

    plan: Plan
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


@arguments_for_options()
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
    """Upload a verified model to the Hugging Face Hub, both models of a pair, or a page to a static Space.

    >>> pair = convert("fixtures/default", "my-electra", vocab="fixtures/vocab.txt").output
    >>> for one in upload("alice/my-electra", pair, unverified=True, dry_run=True):
    ...     print(one.plan.repo_id, one.sent[:3])
    alice/my-electra-discriminator ('README.md', 'config.json', 'model.safetensors')
    alice/my-electra-generator ('README.md', 'config.json', 'model.safetensors')

    Args:
        repo_id: OWNER/NAME; the models of a pair go to OWNER/NAME-discriminator and OWNER/NAME-generator.
        folder: a transformers model folder, a pair of them, or a page of convert --to web.
        token: the account's; by default HF_TOKEN, or what `hf auth login` stored.
        revision: a branch, made where it is missing.
        create_pr: open a pull request, or add to the one that an earlier run opened.
        private: whether a new repository is private; by default as the account has it.
        commit_message: the title of the commit.
        license: an identifier of the Hub's list, such as apache-2.0; the Hub is asked before anything is sent.
        language: ISO 639 codes of the languages of its texts; the Hub is asked likewise.
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
    options = UploadOptions(
        Metadata(license, language, base_model),
        token,
        revision,
        create_pr,
        private,
        commit_message,
        include_optimizer,
        include_pickles,
        unverified,
        overwrite_card,
        dry_run,
    )
    return run_upload(repo_id, Path(folder), options, show, tell)


def run_upload(repo_id: str, folder: Path, options: UploadOptions, show: Show, tell: Tell) -> tuple[Upload, ...]:
    """The same with what it is told in one."""
    hub = Hub(options.token, tell)
    if not is_site(folder):
        for name in left_beside(find_models(folder), folder):
            hub.tell(f"{folder / name} belongs to neither model, and is left.")
    plans = plan_uploads(repo_id, folder, options)
    models = [plan.facts.folder for plan in plans if isinstance(plan, UploadPlan)]
    for path in (model.path / name for model in models for name in model.left):
        if path.suffix == ONNX_SUFFIX:
            hub.tell(f"{path} is left, since no {PARITY_FILE} says that it is the same model; verify --save looks.")
    author = None if options.dry_run else account_name(hub)
    planned = [_looked_up(hub, plan, options, author) for plan in plans]
    if author is not None:
        for one in planned:
            require_valid_card(hub, one.plan.card.text, str(one.plan.card.path), one.plan.kind)
    for one in planned:
        show(one)
    return tuple(planned) if author is None else _send_all(hub, planned, options, author)


def _send_all(hub: Hub, planned: Sequence[Upload], options: UploadOptions, author: str) -> tuple[Upload, ...]:
    """Send one model after the other; where one is not, say which are complete."""
    done: list[Upload] = []
    try:
        for one in planned:
            sent = _send(hub, one, options, author)
            done.append(sent)
    except ElectraConvertError as error:
        error.hint = " ".join(part for part in (error.hint, _complete(done)) if part)
        raise
    except KeyboardInterrupt as interrupt:
        told = (*getattr(interrupt, "__notes__", ()), _complete(done))
        if not any(told):
            interrupt.add_note("No commit was seen to be made.")
        interrupt.add_note(f"{_complete(done)} The same command goes on from here.".strip())
        raise
    return tuple(done)


def _complete(done: Sequence[Upload]) -> str:
    return " ".join(f"{one.plan.repo_id} is complete." for one in done)


def _looked_up(hub: Hub, plan: Plan, options: UploadOptions, author: str | None) -> Upload:
    """Look at the repository without changing anything; offline, a dry run does without."""
    names = tuple(file.name for file in plan.files)
    url = _url(hub, plan, options.revision)
    upload = Upload(plan, options.revision, options.private, None, None, names, (), url, True)
    if options.dry_run and hub.is_offline:
        return upload
    is_private = visibility(hub, plan.repo_id, plan.kind)
    if is_private is None:
        if options.create_pr:
            raise HubError(
                f"{plan.repo_id} is not there, so nothing can be proposed to it",
                "Leave --create-pr out to make it.",
            )
        return replace(upload, new=True)
    require_visibility(plan.repo_id, is_private, options.private)
    return _compared(hub, replace(upload, new=False, private=is_private), options, author)


def _compared(hub: Hub, upload: Upload, options: UploadOptions, author: str | None) -> Upload:
    """Find what a repository that is there lacks, and what is on its card."""
    plan, repo_id = upload.plan, upload.plan.repo_id
    title = plan.message(options.commit_message).title
    proposed = find_pull_request(hub, repo_id, author, title, plan.kind) if options.create_pr and author else None
    revision = proposed or options.revision
    there = list_revision(hub, repo_id, revision, plan.kind)
    card = read_card(hub, repo_id, revision, there, plan.kind)
    if card:
        plan = with_remote_card(plan, card, options)
    change = find_change(plan.files, there, plan.kind)
    sent = tuple(file.name for file in change.put)
    return replace(upload, plan=plan, sent=sent, removed=change.remove, card_there=card.blob if card else None)


def _send(hub: Hub, upload: Upload, options: UploadOptions, author: str) -> Upload:
    plan = upload.plan
    save_card(plan.card)
    private, card = upload.private, upload.card_there
    if upload.new:
        private = create(hub, plan.repo_id, options.private, plan.kind)
        card = _made_with(hub, plan)
    to = Destination(plan.repo_id, options.revision, author if options.create_pr else None, card, plan.kind)
    commit = commit_files(hub, to, plan.files, plan.message(options.commit_message, options.remark))
    return replace(
        upload,
        revision=commit.revision,
        private=private,
        commit=commit.oid,
        sent=tuple(file.name for file in commit.change.put),
        removed=commit.change.remove,
        url=_url(hub, plan, commit.revision),
        dry_run=False,
    )


def _made_with(hub: Hub, plan: Plan) -> str | None:
    """The card that the Hub itself puts into a new Space, which may be replaced."""
    there = list_revision(hub, plan.repo_id, MAIN, plan.kind) if plan.kind == "space" else None
    return there.files[CARD_FILE].blob if there and CARD_FILE in there.files else None


def _url(hub: Hub, plan: Plan, revision: str) -> str:
    page = f"{hub.endpoint}/{'spaces/' if plan.kind == 'space' else ''}{plan.repo_id}"
    if revision.startswith("refs/pr/"):
        return f"{page}/discussions/{revision.rpartition('/')[2]}"
    return page if revision == MAIN else f"{page}/tree/{quote(revision, safe='')}"
