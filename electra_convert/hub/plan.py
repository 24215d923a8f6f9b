"""What goes to each repository: the files, the card and the commit's message; made without a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from electra_convert.hub.card.facts import Facts, gather_facts
from electra_convert.hub.card.folders import find_models
from electra_convert.hub.card.metadata import Metadata
from electra_convert.hub.card.model_folder import (
    CARD,
    PARITY,
    ModelFolder,
    PublishedFile,
    hashed_text,
    read_folder,
)
from electra_convert.hub.card.proof import Proof, require_proof
from electra_convert.hub.card.writing import Card, make_card, repo_ids
from electra_convert.hub.commit import Message
from electra_convert.hub.remote_card import RemoteCard, require_kept
from electra_convert.hub.repository import MAIN
from electra_convert.version import __version__


@dataclass(frozen=True)
class Choice:
    """What of a folder is to be uploaded, and what the user says of it.

    Attributes:
        metadata: for the card.
        include_optimizer: whether the optimiser's state goes too.
        include_pickles: whether PyTorch's pickles go too.
        unverified: whether it may go without a passed parity.json.
        overwrite_card: whether lines of a card on the Hub may go.
    """

    metadata: Metadata = field(default_factory=Metadata)
    include_optimizer: bool = False
    include_pickles: bool = False
    unverified: bool = False
    overwrite_card: bool = False


@dataclass(frozen=True)
class Shipment:
    """One model as it goes to its repository.

    Attributes:
        repo_id: the repository.
        facts: what its card says.
        card: its README.md as it goes.
        files: all that goes, the card among it.
    """

    repo_id: str
    facts: Facts
    card: Card
    files: tuple[PublishedFile, ...]

    @property
    def folder(self) -> ModelFolder:
        """The model; its strays are left."""
        return self.facts.folder

    @property
    def proof(self) -> Proof:
        """Of its parity."""
        return self.facts.proof

    @property
    def notices(self) -> tuple[str, ...]:
        """What its reader should know."""
        return self.card.notices

    def message(self, title: str | None) -> Message:
        """The commit's message; the title, which finds a pull request again, is the same in every run."""
        told = f"{self.proof.line}\n\nMade with electra_convert {__version__}."
        what = "model" if self.facts.kind == "task" else self.folder.role
        return Message(title.strip() if title else f"Upload the {what} with electra_convert", told)


def plan_shipments(repo_id: str, folder: Path, choice: Choice, revision: str = MAIN) -> tuple[Shipment, ...]:
    """Plan what goes where.

    Args:
        repo_id: OWNER/NAME; the models of a pair get a suffix each.
        folder: a transformers model folder, or a pair of them.
        choice: what of it is to be uploaded.
        revision: the branch.

    Returns:
        One shipment a model, the discriminator first.

    Raises:
        ElectraConvertError: the folder is none, is not verified, or its card cannot be made.
    """
    models = find_models(folder)
    names = repo_ids(models, folder, repo_id)
    branch = None if revision == MAIN else revision
    return tuple(_shipment(path, name, names, choice, branch) for path, name in zip(models, names, strict=True))


def _shipment(path: Path, repo_id: str, names: Sequence[str], choice: Choice, branch: str | None) -> Shipment:
    folder = read_folder(path, choice.include_optimizer, choice.include_pickles)
    proof = require_proof(folder, choice.unverified)
    if proof.state != "verified":
        folder = folder.without(PARITY)  # a record that proves nothing would be taken for one that does
    partner = next((other for other in names if other != repo_id), None)
    facts = gather_facts(folder, proof, repo_id, partner, branch)
    return _with_card(repo_id, facts, make_card(facts, choice.metadata))


def _with_card(repo_id: str, facts: Facts, card: Card) -> Shipment:
    others = [file for file in facts.folder.files if file.name != CARD]
    return Shipment(repo_id, facts, card, (hashed_text(CARD, card.text.encode()), *others))


def with_remote_card(shipment: Shipment, remote: RemoteCard, choice: Choice) -> Shipment:
    """Make the card out of the one on the Hub, where there is none here.

    Args:
        shipment: as it was planned without looking at the Hub.
        remote: the card that it would replace.
        choice: what the user says of the model.

    Returns:
        The shipment, with a card that has every line of the one on the Hub.

    Raises:
        CardError: the card here lacks lines of it, or that on the Hub is malformed or contradicts an option.
    """
    if choice.overwrite_card:
        return shipment
    if not shipment.folder.has(CARD):
        shipment = _with_card(
            shipment.repo_id, shipment.facts, make_card(shipment.facts, choice.metadata, remote.text)
        )
    require_kept(remote, shipment.card.text)
    return shipment
