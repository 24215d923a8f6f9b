"""What a card says of a model, gathered from its folder; puts nothing into words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from electra_convert.formats.names import CONVERSION_FILE, TOKENIZER_FILE, VOCABULARY_FILE
from electra_convert.hub.card.contents import ModelFolder
from electra_convert.hub.card.proof import Proof, read_record
from electra_convert.tokenizer import accents_of_folder, casing_of_folder

Kind = Literal["discriminator", "generator", "encoder", "task"]

_TOKENIZER_FILES = (TOKENIZER_FILE, VOCABULARY_FILE)
_KINDS: Mapping[str, Kind] = {
    "ElectraForPreTraining": "discriminator",
    "ElectraForMaskedLM": "generator",
    "ElectraModel": "encoder",
}
# The Hub's tasks; a discriminator's is none of them.
_TASKS = {
    "ElectraForMaskedLM": "fill-mask",
    "ElectraModel": "feature-extraction",
    "ElectraForSequenceClassification": "text-classification",
    "ElectraForTokenClassification": "token-classification",
    "ElectraForQuestionAnswering": "question-answering",
}


@dataclass(frozen=True)
class Facts:
    """What is known of a model.

    Attributes:
        folder: the model and its config.json.
        proof: of its parity.
        conversion: its conversion.json, or None.
        repo_id: where it is published, or None where that is not known yet.
        partner: where the other model of the pair is published, or None.
        has_tokenizer: whether its tokenizer's files are with it.
        lower_case: whether its tokenizer lower-cases, None where that is not said.
        strip_accents: whether its tokenizer strips accents, None where that is not said.
        revision: the branch it is published on, or None for the one that is taken where none is named.
    """

    folder: ModelFolder
    proof: Proof
    conversion: Mapping[str, Any] | None
    repo_id: str | None
    partner: str | None
    has_tokenizer: bool
    lower_case: bool | None
    strip_accents: bool | None
    revision: str | None = None

    @property
    def kind(self) -> Kind:
        """What a model is to those who use it: either of those that are pretrained, bare, or with another head."""
        return _KINDS.get(self.folder.architecture, "task")

    @property
    def task(self) -> str | None:
        """What the Hub calls its task, None where it has no name for it."""
        return _TASKS.get(self.folder.architecture)

    @property
    def layout(self) -> str | None:
        """The layout of the checkpoint it was made from or trained in, None where that is not known."""
        layout = (self.conversion or self.proof.training or {}).get("variant")
        return layout if isinstance(layout, str) else None


def gather_facts(
    folder: ModelFolder, proof: Proof, repo_id: str | None, partner: str | None, revision: str | None = None
) -> Facts:
    """Gather what a card says.

    Args:
        folder: the model, as it is to be published.
        proof: of its parity.
        repo_id: where it is to be published, if that is known.
        partner: where the other model of the pair is.
        revision: the branch, or None for the one that is taken where none is named.

    Returns:
        The facts.

    Raises:
        CorruptFileError: conversion.json is damaged.
        VocabularyError: a tokenizer's file is malformed.
    """
    return Facts(
        folder=folder,
        proof=proof,
        conversion=read_record(folder.path / CONVERSION_FILE),
        repo_id=repo_id,
        partner=partner,
        has_tokenizer=any(folder.has(name) for name in _TOKENIZER_FILES),
        lower_case=casing_of_folder(folder.path),
        strip_accents=accents_of_folder(folder.path),
        revision=revision,
    )
