"""All that a run is decided by, before anything is trained: hparams, configurations, vocabulary and corpus; imports
no framework, and writes nothing but the cache."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from electra_convert.checkpoint import Checkpoint
from electra_convert.config.hparams import Hparams
from electra_convert.config.sources import Findings
from electra_convert.errors import CorpusError, UsageError, VocabularyError
from electra_convert.pretraining.architectures import (
    check_models,
    designed_models,
    found_models,
    run_hparams,
    with_origins,
)
from electra_convert.pretraining.corpus.cache import Corpus, open_corpus
from electra_convert.pretraining.corpus.text import corpus_files, read_lines
from electra_convert.pretraining.corpus.tfrecords import is_tfrecords
from electra_convert.pretraining.corpus.tokenising import Tokenisation
from electra_convert.pretraining.corpus.vocabulary import WordPieces, read_word_pieces, train_word_pieces
from electra_convert.pretraining.options import PretrainOptions
from electra_convert.pretraining.reporting import Reporter
from electra_convert.pretraining.settings import Settings, training_settings
from electra_convert.schemes.layouts import LAYOUTS, Layout
from electra_convert.schemes.mapping import Role
from electra_convert.tokenizer import accents_of_folder, check_size
from electra_convert.tokenizer.of_checkpoint import TokenizerOptions, find_casing, find_vocabulary

# A larger share of pieces that the vocabulary lacks than this is worth a word.
_MANY_UNKNOWN = 0.05
# So is a larger share of tokens that are cut off.
_MUCH_TRIMMED = 0.2


@dataclass(frozen=True)
class Preparation:
    """What a run is decided by.

    Attributes:
        settings: the training hparams.
        layout: the layout of the models in google-research/electra.
        findings: the configuration of each model, and all hparams.
        pieces: the vocabulary.
        corpus: the sequences.
    """

    settings: Settings
    layout: Layout
    findings: Findings
    pieces: WordPieces
    corpus: Corpus

    @property
    def configs(self) -> dict[Role, dict[str, Any]]:
        """The configuration of each model for transformers' ElectraConfig."""
        pad = self.pieces.vocabulary.ids["[PAD]"]
        return {
            role: {**{key: value.value for key, value in config.values.items()}, "pad_token_id": pad}
            for role, config in self.findings.configs.items()
        }


@dataclass(frozen=True)
class Decided:
    """What was decided when a run began.

    Attributes:
        pieces: the vocabulary.
        hparams: all that were stated.
        origins: where each value of each model's configuration came from.
    """

    pieces: WordPieces
    hparams: Mapping[str, Any]
    origins: Mapping[str, Mapping[str, str]]


def prepare(
    places: Sequence[Path],
    options: PretrainOptions,
    start: Checkpoint | None,
    decided: Decided | None,
    reporter: Reporter,
) -> Preparation:
    """Decide on a run.

    Args:
        places: the corpus.
        options: what was asked for; hparams that they leave out are those of the run that the checkpoint is of.
        start: the checkpoint whose weights the run begins with, or None.
        decided: what the run in the output was begun with, or None.
        reporter: told how the corpus is tokenised, and what else a reader should know.

    Returns:
        The decisions.

    Raises:
        ElectraConvertError: something does not fit; nothing has been written.
    """
    files = corpus_files(places)
    given = options.given_hparams
    hparams = run_hparams(given, start, decided.hparams if decided else None)
    training_settings(hparams)
    if start is not None:
        layout, findings = found_models(start, given, hparams)
        pieces = decided.pieces if decided else _pieces_of(start, hparams, options)
        rows = next(iter(start.models.values())).sizes.vocabulary
        _require_size(pieces, rows, "Give the vocabulary that the checkpoint was trained with.")
    else:
        pieces = decided.pieces if decided else _chosen_pieces(files, hparams, options)
        hparams = _with_vocabulary(hparams, pieces)
        layout = LAYOUTS[hparams.layout or "default"]
        findings = designed_models(hparams, layout)
    if decided is not None:
        findings = with_origins(findings, decided.origins)
    settings = training_settings(hparams)
    check_models(settings, findings)
    how = Tokenisation(pieces, settings.max_seq_length, not options.one_sentence_per_line)
    corpus = open_corpus(files, how, options.cache or default_cache(), reporter.tokenised)
    for line in (*findings.warnings, *pieces.notices, *_corpus_notices(corpus), *_schedule_notices(settings)):
        reporter.noticed(line)
    return Preparation(settings, layout, findings, pieces, corpus)


def default_cache() -> Path:
    """Where tokenised corpora are kept: in the user's cache folder."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "electra-convert" / "pretraining"


def _with_vocabulary(hparams: Hparams, pieces: WordPieces) -> Hparams:
    """State the vocabulary's size, which Google's code must be told; stated sizes must fit."""
    stated = [given["vocab_size"] for given in (hparams.given, hparams.overrides) if "vocab_size" in given]
    for rows in stated:
        _require_size(pieces, rows, "Leave vocab_size out of the hparams: it follows from the vocabulary.")
    return hparams if stated else Hparams({**hparams.given, "vocab_size": len(pieces.vocabulary)}, hparams.origin)


def _require_size(pieces: WordPieces, rows: int, hint: str) -> None:
    try:
        check_size(pieces.vocabulary, rows, False)
    except VocabularyError as error:
        raise VocabularyError(error.message, hint if len(pieces.vocabulary) < rows else error.hint) from error


def _chosen_pieces(files: Sequence[Path], hparams: Hparams, options: PretrainOptions) -> WordPieces:
    stated = hparams["do_lower_case"]
    if options.vocab is not None:
        return read_word_pieces(options.vocab, options.lower_case, options.strip_accents, stated)
    if options.train_vocab is None:
        raise UsageError(
            "no vocabulary to tokenise with",
            "Borrow one with --vocab, or train one on the corpus with --train-vocab SIZE.",
        )
    if recorded := next((path for path in files if is_tfrecords(path)), None):
        raise CorpusError(
            f"{recorded} holds TFRecords, whose text is tokenised already", "Give their vocabulary: --vocab."
        )
    lower_case = stated if options.lower_case is None else options.lower_case

    def lines() -> Iterator[str]:
        return (line for path in files for line in read_lines(path))

    return train_word_pieces(lines, options.train_vocab, lower_case, options.strip_accents)


def _pieces_of(start: Checkpoint, hparams: Hparams, options: PretrainOptions) -> WordPieces:
    if options.vocab is not None:
        return read_word_pieces(options.vocab, options.lower_case, options.strip_accents, hparams["do_lower_case"])
    model = next(iter(start.models.values()))
    vocabulary, notices = find_vocabulary(start, model, TokenizerOptions())
    if vocabulary is None:
        raise VocabularyError(f"{start.path} has no vocabulary to tokenise with", "Give it with --vocab.")
    casing = find_casing(start, model, vocabulary, hparams, TokenizerOptions(lower_case=options.lower_case))
    assert casing is not None  # a vocabulary always speaks for one
    saved = accents_of_folder(model.folder) if start.scheme.described else None
    strips = next((value for value in (options.strip_accents, saved) if value is not None), casing.lower_case)
    return WordPieces(vocabulary, casing.lower_case, casing.lower_case and strips, notices)


def _corpus_notices(corpus: Corpus) -> list[str]:
    record = corpus.record
    told = [f"The corpus has {record.tokens:,} tokens in {record.sequences:,} sequences."]
    if record.trimmed:
        told.append(f"{record.trimmed:,} tokens are cut off the ends of sequences, as Google's code cuts them.")
    if (share := record.trimmed / (record.tokens + record.trimmed)) > _MUCH_TRIMMED:
        told.append(
            f"{share:.0%} of the corpus is cut off and not trained on, since its lines are longer than a sequence: "
            "write one sentence per line."
        )
    if record.unknown > _MANY_UNKNOWN * record.tokens:
        told.append(
            f"{record.unknown / record.tokens:.0%} of the tokens are [UNK]: the vocabulary, or its casing, may not "
            "be the corpus's."
        )
    return told


def _schedule_notices(settings: Settings) -> list[str]:
    if settings.num_warmup_steps < settings.num_train_steps:
        return []
    return [
        f"The warm-up of {settings.num_warmup_steps:,} steps is no shorter than the run of "
        f"{settings.num_train_steps:,}: the learning rate stays far below {settings.learning_rate}."
    ]


def described(preparation: Preparation, options: PretrainOptions) -> Mapping[str, Any]:
    """What a run is, for its own record and those of its models: no times, no places."""
    return {
        "seed": options.seed,
        "precision": options.precision,
        "held_out": options.held_out,
        "init_from": options.init_from.resolve().name if options.init_from else None,
        "reset_optimizer": options.reset_optimizer,
        "corpus": {
            "key": preparation.corpus.record.key,
            "sequences": preparation.corpus.record.sequences,
            "tokens": preparation.corpus.record.tokens,
        },
    }
