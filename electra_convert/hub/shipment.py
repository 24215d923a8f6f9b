"""What goes to each repository: the files, the card and the commit's message; made without a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from electra_convert.card.contents import CARD, ModelFolder, PublishedFile, find_models, hashed_text, read_folder
from electra_convert.card.facts import gather_facts
from electra_convert.card.front_matter import Metadata
from electra_convert.card.proof import Proof, require_proof
from electra_convert.card.writing import Card, make_card, repo_ids
from electra_convert.hub.push import Message
from electra_convert.version import __version__


@dataclass(frozen=True)
class Choice:
    """What of a folder is to be uploaded, and what the user says of it.

    Attributes:
        metadata: for the card.
        include_optimizer: whether the optimiser's state goes too.
        include_pickles: whether PyTorch's pickles go too.
        unverified: whether it may go without a passed parity.json.
    """

    metadata: Metadata = field(default_factory=Metadata)
    include_optimizer: bool = False
    include_pickles: bool = False
    unverified: bool = False


@dataclass(frozen=True)
class Shipment:
    """One model as it goes to its repository.

    Attributes:
        repo_id: the repository.
        folder: the model; its strays are left.
        proof: of its parity.
        card: its README.md as it goes.
        files: all that goes, the card among it.
    """

    repo_id: str
    folder: ModelFolder
    proof: Proof
    card: Card
    files: tuple[PublishedFile, ...]

    @property
    def notices(self) -> tuple[str, ...]:
        """What its reader should know."""
        return self.card.notices

    def message(self, title: str | None) -> Message:
        """The commit's message; the title, which finds a pull request again, is the same in every run."""
        told = f"{self.proof.line}\n\nMade with electra_convert {__version__}."
        return Message(title or f"Upload the {self.folder.role} with electra_convert", told)


def plan_shipments(repo_id: str, folder: Path, choice: Choice) -> tuple[Shipment, ...]:
    """Plan what goes where.

    Args:
        repo_id: OWNER/NAME; the models of a pair get a suffix each.
        folder: a transformers model folder, or a pair of them.
        choice: what of it is to be uploaded.

    Returns:
        One shipment a model, the discriminator first.

    Raises:
        ElectraConvertError: the folder is none, is not verified, or its card cannot be made.
    """
    models = find_models(folder)
    names = repo_ids(models, folder, repo_id)
    return tuple(_shipment(path, name, names, choice) for path, name in zip(models, names, strict=True))


def _shipment(path: Path, repo_id: str, names: Sequence[str], choice: Choice) -> Shipment:
    folder = read_folder(path, choice.include_optimizer, choice.include_pickles)
    proof = require_proof(folder, choice.unverified)
    partner = next((other for other in names if other != repo_id), None)
    card = make_card(gather_facts(folder, proof, repo_id, partner), choice.metadata)
    others = [file for file in folder.files if file.name != CARD]
    return Shipment(repo_id, folder, proof, card, (hashed_text(CARD, card.text.encode()), *others))
