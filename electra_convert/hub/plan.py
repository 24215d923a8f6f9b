"""What an upload is to do, and what goes to each repository: the files, the card, the message; without a network."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from electra_convert.errors import CardError, UsageError, listing
from electra_convert.formats.names import CARD_FILE, PARITY_FILE
from electra_convert.hub.card.facts import Facts, gather_facts
from electra_convert.hub.card.metadata import Metadata
from electra_convert.hub.card.model_folder import PublishedFile, find_models, hashed_text, read_folder
from electra_convert.hub.card.proof import require_proof, without_unproved_onnx
from electra_convert.hub.card.writing import Card, lost_lines, make_card, repo_ids, require_repo_id
from electra_convert.hub.commit import Message
from electra_convert.hub.download import Kind
from electra_convert.hub.repository import MAIN, RemoteCard
from electra_convert.hub.site_folder import SiteFolder, is_site, read_site
from electra_convert.version import __version__

# git-check-ref-format(1), with --branch: what no part of a name, and what no name as a whole may be.
_PART = re.compile(r"\.|.*\.lock\Z|\Z", re.DOTALL)
_WHOLE = re.compile(r"-|HEAD\Z|@\Z|.*(\.\.|@\{|[\x00-\x20\x7f~^:?*\[\\]|\.\Z)", re.DOTALL)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_LINES_SHOWN = 3


@dataclass(frozen=True)
class UploadOptions:
    """What an upload is told.

    Attributes:
        metadata: what the user says of the model, for its card.
        token: the account's, or None to look where huggingface_hub does; never shown.
        revision: a branch, made where it is missing.
        create_pr: open a pull request, or add to the one that an earlier run opened.
        private: whether a new repository is private; None for the account's default.
        commit_message: the title of the commit, or None for one that names the model.
        include_optimizer: whether the optimiser's state goes too.
        include_pickles: whether PyTorch's pickles go too.
        unverified: whether a model may go without a passed parity.json.
        overwrite_card: whether lines of a card on the Hub may go.
        dry_run: show what would be done, and send nothing.
        remark: what the commit's message, which describes a pull request, says at its end.
    """

    metadata: Metadata = field(default_factory=Metadata)
    token: str | None = field(default=None, repr=False)
    revision: str = MAIN
    create_pr: bool = False
    private: bool | None = None
    commit_message: str | None = None
    include_optimizer: bool = False
    include_pickles: bool = False
    unverified: bool = False
    overwrite_card: bool = False
    dry_run: bool = False
    remark: str = ""

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


def require_branch(name: str) -> None:
    """Refuse what git would not have as a branch's name, and the names of pull requests and commits."""
    if name.startswith("refs/"):
        raise UsageError(
            f"--revision is {name!r}, expected a branch, such as main",
            "--create-pr opens a pull request, or adds to the one that an earlier run opened.",
        )
    if _COMMIT.fullmatch(name):
        raise UsageError(f"--revision is {name!r}, a commit, expected a branch", "Such as main.")
    if _WHOLE.match(name) or any(_PART.match(part) for part in name.split("/")):
        raise UsageError(f"--revision is {name!r}, which is no name of a branch", "Such as main, or feature/x.")


@dataclass(frozen=True)
class UploadPlan:
    """One model as it goes to its repository: what its card says of it, and that card."""

    repo_id: str
    facts: Facts
    card: Card
    kind: ClassVar[Kind] = "model"

    @property
    def role(self) -> str | None:
        """Which of the two models it is."""
        return self.facts.folder.role

    @property
    def line(self) -> str:
        """What is known of it, in a line."""
        return self.facts.proof.line

    @property
    def left(self) -> tuple[str, ...]:
        """Names of files that stay here."""
        return self.facts.folder.left

    @property
    def files(self) -> tuple[PublishedFile, ...]:
        """All that goes, the card first."""
        others = (file for file in self.facts.folder.files if file.name != CARD_FILE)
        return (hashed_text(CARD_FILE, self.card.text.encode()), *others)

    def message(self, title: str | None, remark: str = "") -> Message:
        """The commit's message; the title, which finds a pull request again, is the same in every run."""
        parts = (self.facts.proof.line, f"Made with electra_convert {__version__}.", remark)
        told = "\n\n".join(filter(None, parts))
        what = "model" if self.facts.kind == "task" else self.facts.folder.role
        return Message(title.strip() if title else f"Upload the {what} with electra_convert", told)


@dataclass(frozen=True)
class SpacePlan:
    """A page as it goes to a static Space, with its README.md as it is."""

    repo_id: str
    site: SiteFolder
    card: Card
    kind: ClassVar[Kind] = "space"
    role: ClassVar[str | None] = None
    line: ClassVar[str] = "A static page, each file of the size that it was made with."

    @property
    def left(self) -> tuple[str, ...]:
        """Names of files that stay here."""
        return self.site.left

    @property
    def files(self) -> tuple[PublishedFile, ...]:
        """All that goes, the card first."""
        return self.site.files

    def message(self, title: str | None, remark: str = "") -> Message:
        """As of a model."""
        made = title.strip() if title else "Upload the page with electra_convert"
        return Message(made, "\n\n".join(filter(None, (f"Made with electra_convert {__version__}.", remark))))


Plan = UploadPlan | SpacePlan


def plan_uploads(repo_id: str, folder: Path, options: UploadOptions) -> tuple[Plan, ...]:
    """Plan what goes where: one plan a model, the discriminator first; or one of a page that is a static Space.

    Raises:
        ElectraConvertError: the folder is none, is not verified, or its card cannot be made.
    """
    if is_site(folder):
        return (_plan_space(repo_id, folder, options),)
    models = find_models(folder)
    names = repo_ids(models, folder, repo_id)
    return tuple(_plan(path, name, names, options) for path, name in zip(models, names, strict=True))


def _plan_space(repo_id: str, folder: Path, options: UploadOptions) -> SpacePlan:
    if options.metadata != Metadata():
        raise UsageError(
            "--license, --language and --base-model are for a model's card, and this is a page",
            f"Write license: into {folder / CARD_FILE}.",
        )
    require_repo_id(repo_id)
    site = read_site(folder)
    return SpacePlan(repo_id, site, Card(folder / CARD_FILE, site.card, False, "page", ()))


def _plan(path: Path, repo_id: str, names: Sequence[str], options: UploadOptions) -> UploadPlan:
    folder = read_folder(path, options.include_optimizer, options.include_pickles)
    folder = folder if options.unverified else without_unproved_onnx(folder)
    proof = require_proof(folder, options.unverified)
    if proof.parity is None:
        folder = folder.without(PARITY_FILE)  # a record that proves nothing would be taken for one that does
    partner = next((other for other in names if other != repo_id), None)
    facts = gather_facts(folder, proof, repo_id, partner, None if options.revision == MAIN else options.revision)
    return UploadPlan(repo_id, facts, make_card(facts, options.metadata))


def with_remote_card(plan: Plan, remote: RemoteCard, options: UploadOptions) -> Plan:
    """Make the card out of the one on the Hub, where there is none here.

    It has every line of the one on the Hub outside the sections the tool writes.

    Raises:
        CardError: the card here lacks lines of it, or that on the Hub is malformed or contradicts an option.
    """
    if options.overwrite_card:
        return plan
    folder = plan.card.path.parent
    if isinstance(plan, UploadPlan) and not plan.facts.folder.has(CARD_FILE):
        plan = replace(plan, card=make_card(plan.facts, options.metadata, remote.text))
    if lost := lost_lines(remote.text, plan.card.text):
        download = ["hf", "download", remote.repo_id, CARD_FILE, "--revision", remote.revision]
        download += ["--repo-type", "space"] if plan.kind == "space" else []
        raise CardError(
            f"{remote.where} has lines that the card here has not: {listing(map(repr, lost), _LINES_SHOWN)}",
            f"Download it to {folder / CARD_FILE} and put your words into it: "
            f"{shlex.join([*download, '--local-dir', str(folder)])}. Or let those lines go with --overwrite-card.",
        )
    return plan
