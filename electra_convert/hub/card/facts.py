"""What a card says of a model, gathered from its folder and its records; puts nothing into words."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

from electra_convert.formats.names import (
    CONVERSION_FILE,
    ONNX_FOLDER,
    ONNX_SUFFIX,
    QUANTIZED_FILE,
    TOKENIZER_FILE,
    VOCABULARY_FILE,
)
from electra_convert.hub.card.model_folder import ModelFolder
from electra_convert.hub.card.proof import Proof, object_in, onnx_parity, read_record
from electra_convert.schemes.family import ELECTRA
from electra_convert.schemes.heads import HEADS, NONE, Head, of_class
from electra_convert.tokenizer import accents_of_folder, casing_of_folder

Kind = Literal["discriminator", "generator", "encoder", "task"]

_TOKENIZER_FILES = (TOKENIZER_FILE, VOCABULARY_FILE)


@dataclass(frozen=True)
class OnnxFacts:
    """An ONNX model that is published.

    Attributes:
        name: its path within the folder.
        size: of the file in bytes.
        is_int8: whether its weights are of 8 bits.
        verified: whether parity.json says that it passed.
        differences: by how much at most each of its outputs differs from the reference's, where that was run.
        measured: of 8 bits, how far it is from float32, as records have it; empty where that was not measured.
    """

    name: str
    size: int
    is_int8: bool
    verified: bool
    differences: Sequence[object]
    measured: Mapping[str, Any]


@dataclass(frozen=True)
class SourceFile:
    """A file that a model was converted from, as records tell of it."""

    name: str
    size: object
    sha256: object


def _rows(record: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    rows = object_in(record, "provenance").get("files")
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


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
        onnx: its ONNX models.
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
    onnx: tuple[OnnxFacts, ...] = ()

    @property
    def title(self) -> str:
        """What its card is headed with: the repository's name, or as long as that is not known the folder's.

        A run calls the folder of its model `model`; such a card is headed with the run's name.
        """
        path = self.folder.path.resolve()
        named = path.parent if path.name == "model" else path
        return self.repo_id.rpartition("/")[2] if self.repo_id else named.name

    @property
    def kind(self) -> Kind:
        """What a model is to those who use it: either of those that are pretrained, bare, or with another head."""
        head = self._head
        if head is None or head.is_of_a_task:
            return "task"
        return "encoder" if head.is_bare else head.role

    @property
    def task(self) -> str | None:
        """What the Hub calls its task, None where it has no name for it."""
        return self._head.tag if self._head else None

    @property
    def family(self) -> str:
        """What transformers calls the architecture, such as electra."""
        return str(self.folder.config.get("model_type", ELECTRA.model_type))

    @property
    def is_electra(self) -> bool:
        """Whether it is an ELECTRA model, by whatever names."""
        return self.family == self.folder.family.model_type

    @property
    def evaluation(self) -> Mapping[str, Mapping[str, Any]]:
        """What a fine-tuned model was measured at, by the data it was measured on."""
        training = self.proof.training
        names, found = object_in(training, "data"), object_in(training, "evaluation")
        splits = {"": object_in(found, "metrics"), " before": object_in(found, "before")}
        return {
            f"{object_in(names, split).get('name', 'what was held out')} ({split}){when}": object_in(metrics, split)
            for when, metrics in splits.items()
            for split in metrics
        }

    @property
    def dataset(self) -> str | None:
        """The data set of the Hub that it was fine-tuned on, None where that was none."""
        name = object_in(object_in(self.proof.training, "data"), "train").get("name")
        found = re.match(r"hf://datasets/([\w.-]+/[\w.-]+)", name) if isinstance(name, str) else None
        return found[1] if found else None

    @property
    def seeds(self) -> Mapping[str, Any]:
        """How far the runs of several seeds lie apart; empty where there was one."""
        return object_in(object_in(self.proof.training, "evaluation"), "seeds")

    @property
    def has_pipeline(self) -> bool:
        """Whether transformers has a pipeline for its task."""
        return self._head is not None and self._head.tag is not None and self._head.has_pipeline

    @property
    def _head(self) -> Head | None:
        if self.family == ELECTRA.model_type:
            return of_class(self.folder.architecture)
        # transformers calls the classes of any architecture so.
        heads = (*HEADS.values(), NONE)
        return next((head for head in heads if self.folder.architecture.endswith(head.suffix)), None)

    @property
    def labels(self) -> tuple[str, ...]:
        """What its classes are called; empty where it has none, or they have no names of their own."""
        ids = self.folder.config.get("id2label")
        names = tuple(str(name) for name in ids.values()) if isinstance(ids, dict) else ()
        made_up = tuple(f"LABEL_{index}" for index in range(len(names)))
        return () if names == made_up or self.kind != "task" else names

    @property
    def layout(self) -> str | None:
        """The layout of the checkpoint it was made from or trained in, None where that is not known."""
        layout = (self.conversion or self.proof.training or {}).get("variant")
        return layout if isinstance(layout, str) else None

    @property
    def reference(self) -> str:
        """The name of what it was compared with."""
        return str(object_in(self.proof.parity, "reference").get("name", "REFERENCE"))

    @property
    def verify_command(self) -> str:
        """What compares the two again."""
        options = ["--golden"] if object_in(self.proof.parity, "reference").get("format") == "npz" else []
        return shlex.join(["electra-convert", "verify", *options, self.reference, self._place])

    @property
    def _place(self) -> str:
        """The model as a command takes it."""
        # A slash of its own would end the revision, and begin a path within the repository.
        revision = f"@{quote(self.revision, safe='')}" if self.revision else ""
        return f"hf://{self.repo_id}{revision}" if self.repo_id else "."

    @property
    def origin(self) -> str | None:
        """Where on the Hub it was converted from, at which commit; None where that is not recorded."""
        recorded = object_in(self.conversion, "provenance")
        repository, commit, path = (recorded.get(key) for key in ("repository", "commit", "path"))
        if not repository:
            return None
        return f"hf://{repository}@{commit}{f'/{path}' if path else ''}"

    @property
    def source_files(self) -> tuple[SourceFile, ...]:
        """What it was converted from: of every file its name, size and SHA-256, which parity.json may have alone."""
        known = {row.get("name"): row for row in _rows(self.proof.parity)}
        return tuple(
            SourceFile(name, row.get("size"), row.get("sha256") or known.get(name, {}).get("sha256"))
            for row in _rows(self.conversion)
            if isinstance(name := row.get("name"), str)
        )

    @property
    def reproduce_command(self) -> str | None:
        """What repeats the conversion; None where it is not recorded from which files it was made."""
        if not self.source_files:
            return None
        source = str(object_in(self.conversion, "source").get("name", "SOURCE"))
        given = [] if self.origin else ["--source", source]
        return shlex.join(["electra-convert", "verify", self._place, *given])


def _onnx(folder: ModelFolder, proof: Proof) -> tuple[OnnxFacts, ...]:
    """The ONNX models that are published; of weights of 8 bits what was measured when they were made, where no more
    is known."""
    records = [read_record(folder.path / name) for name in (CONVERSION_FILE, f"{ONNX_FOLDER}/{CONVERSION_FILE}")]
    made = [object_in(object_in(object_in(record, "onnx"), "int8"), "measured") for record in records]
    facts = []
    for file in folder.onnx:
        if file.name.endswith(ONNX_SUFFIX):
            found = onnx_parity(proof.parity, folder.role, file.name)
            is_int8 = file.name.endswith(QUANTIZED_FILE)
            measured = object_in(found, "int8") or (next(filter(None, made), {}) if is_int8 else {})
            stages = object_in(object_in(found, "forward"), "stages").values()
            differences = [stage.get("max_abs") for stage in stages if isinstance(stage, dict)]
            facts.append(OnnxFacts(file.name, file.size, is_int8, bool(found), differences, measured))
    return tuple(facts)


def gather_facts(
    folder: ModelFolder, proof: Proof, repo_id: str | None, partner: str | None, revision: str | None = None
) -> Facts:
    """Gather what a card says of a model as it is to be published, where that is known, and on which branch.

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
        onnx=_onnx(folder, proof),
    )
