"""What a run is decided by, as values; the decisions are made in prepare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from electra_convert.config.sources import Findings
from electra_convert.pretraining.corpus.cache import Corpus
from electra_convert.pretraining.corpus.vocabulary import Pieces
from electra_convert.pretraining.corpus.whole_words import Words
from electra_convert.pretraining.designs import Design
from electra_convert.pretraining.options import PretrainOptions, Settings
from electra_convert.pretraining.starting.start import Start
from electra_convert.schemes.layouts import Layout
from electra_convert.schemes.mapping import Role


@dataclass(frozen=True)
class Preparation:
    """What a run is decided by.

    Attributes:
        settings: the training hparams.
        layout: the layout of the models in google-research/electra.
        findings: the configuration of each model, and all hparams.
        pieces: the vocabulary.
        corpus: the sequences.
        start: what the weights are taken from; None where all are new.
        new_pieces: how many pieces were appended to the vocabulary when the run began.
        evaluated: those of a corpus of its own to evaluate on, or None.
        words: what words are, where they are masked as a whole, or None.
    """

    settings: Settings
    layout: Layout
    findings: Findings
    pieces: Pieces
    corpus: Corpus
    start: Start | None
    new_pieces: int
    evaluated: Corpus | None = None
    words: Words | None = None

    @property
    def configs(self) -> dict[Role, dict[str, Any]]:
        """The configuration of each model for transformers' ElectraConfig."""
        pad = self.pieces.special_ids["[PAD]"]
        return {
            role: {**{key: value.value for key, value in config.values.items()}, "pad_token_id": pad}
            for role, config in self.findings.configs.items()
        }

    @property
    def designs(self) -> dict[Role, dict[str, Any]]:
        """The configurations of models of any architecture, as they were given; empty for Google's ELECTRA."""
        return {
            role: {key: value.value for key, value in config.values.items()}
            for role, config in self.findings.configs.items()
            if "model_type" in config.values
        }

    @property
    def rows(self) -> int:
        """How many tokens the models know, those of no piece included."""
        if self.designs:
            return len(self.pieces.vocabulary)
        return int(next(iter(self.configs.values()))["vocab_size"])

    @property
    def hparams(self) -> dict[str, Any]:
        """All hparams that were stated."""
        return dict(self.findings.hparams.given) if self.findings.hparams else {}


@dataclass(frozen=True)
class Decided:
    """What was decided when a run began.

    Attributes:
        pieces: the vocabulary.
        hparams: all that were stated.
        origins: where each value of each model's configuration came from.
        designs: the configurations of models of any architecture.
        new_pieces: how many pieces were appended to the vocabulary.
        words: what words are, where they are masked as a whole, or None.
    """

    pieces: Pieces
    hparams: Mapping[str, Any]
    origins: Mapping[str, Mapping[str, str]]
    designs: Mapping[Role, Design]
    new_pieces: int
    words: Words | None = None


def described(preparation: Preparation, options: PretrainOptions) -> Mapping[str, Any]:
    """What a run is, for its own record and those of its models: no times, no places."""
    return {
        "seed": options.seed,
        "precision": options.precision,
        "held_out": options.held_out_share,
        "init_from": options.init_from.resolve().name if options.init_from else None,
        "init_generator": options.init_generator.resolve().name if options.init_generator else None,
        "extend_vocabulary": preparation.new_pieces or None,
        "extend_positions": options.extend_positions,
        "reset_optimizer": options.reset_optimizer,
        **({"models": preparation.designs} if preparation.designs else {}),
        "corpus": _described(preparation.corpus),
        "eval_corpus": preparation.evaluated and _described(preparation.evaluated),
    }


def _described(corpus: Corpus) -> Mapping[str, Any]:
    record = corpus.record
    return {"key": record.key, "sequences": record.sequences, "tokens": record.tokens, "crc32c": record.crc32c}
