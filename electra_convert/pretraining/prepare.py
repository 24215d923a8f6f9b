"""All that a run is decided by, before anything is trained: hparams, configurations, vocabulary and corpus.

Imports no framework, and writes nothing but the cache of the corpus.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from electra_convert.config.express import check_expressible
from electra_convert.config.hparams import Hparams
from electra_convert.config.keys import OWN
from electra_convert.config.resolve import DEFAULTS, Resolved, Value
from electra_convert.config.sources import Findings
from electra_convert.errors import ConfigError, CorpusError, TrainingError, UsageError, VocabularyError, counted
from electra_convert.pretraining.batches import held_apart, share_in_long_words
from electra_convert.pretraining.corpus.cache import Corpus, accept, open_corpus, require_usable
from electra_convert.pretraining.corpus.files import parse_column
from electra_convert.pretraining.corpus.places import Place, brought
from electra_convert.pretraining.corpus.remarks import MANY_UNKNOWN, tell_of_corpus, tell_of_order
from electra_convert.pretraining.corpus.sequences import Tokenisation
from electra_convert.pretraining.corpus.vocabulary import Pieces, WordPieces
from electra_convert.pretraining.corpus.whole_words import Words, read_words
from electra_convert.pretraining.designs import Design
from electra_convert.pretraining.options import PretrainOptions, Settings, training_settings
from electra_convert.pretraining.progress import Reporter
from electra_convert.pretraining.schedule import scheduled, tell_of_schedule
from electra_convert.pretraining.starting.models import found_models, require_possible, run_hparams
from electra_convert.pretraining.starting.rows import extended_pieces, with_pieces, with_positions
from electra_convert.pretraining.starting.start import Start
from electra_convert.pretraining.tokens import chosen_pieces, lacking_of, pieces_of, require_vocabulary, with_kind
from electra_convert.schemes.layouts import LAYOUTS, Layout
from electra_convert.schemes.mapping import Role
from electra_convert.tokenizer import check_size

_SEGMENTS = 2
# Words that can never be masked as a whole, where they are more than this share, are most likely none.
_MOSTLY_LONG = 0.5


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


def prepare(
    places: Sequence[Place],
    options: PretrainOptions,
    start: Start | None,
    decided: Decided | None,
    reporter: Reporter,
) -> Preparation:
    """Decide on a run.

    Args:
        places: the corpus.
        options: what was asked for; hparams that they leave out are those of the run that the checkpoint is of.
        start: what was opened for the run to begin with, or None.
        decided: what the run in the output was begun with, or None.
        reporter: told how the corpus is tokenised, and what else a reader should know.

    Raises:
        ElectraConvertError: something does not fit; nothing has been written.
    """
    given = options.given_hparams
    hparams = _with_own(run_hparams(given, start, decided.hparams if decided else None))
    training_settings(hparams)
    designs = options.designs or (decided.designs if decided else {})
    cache, column = options.cache or default_cache(), parse_column(options.text_column)
    if decided is None:
        require_vocabulary(hparams, options, start is not None)
    words = _words(hparams, options, decided)
    new_pieces = decided.new_pieces if decided else 0
    # What is not there is told before hours of tokenising.
    other_places = [] if options.eval_corpus is None else [options.eval_corpus]
    with (
        brought(places, column, cache, reporter) as files,
        brought(other_places, column, cache, reporter) as other_files,
    ):
        if start is not None:
            start, layout, findings = found_models(start, given, hparams, options)
            if decided is not None:
                pieces = decided.pieces
            elif options.extend_vocabulary is not None:
                pieces, new_pieces = extended_pieces(start, hparams, options)
            else:
                pieces = pieces_of(start.checkpoint, hparams, options)
            findings = replace(findings, hparams=with_kind(findings.hparams or hparams, pieces))
            start, findings = _extended(start, given, findings, pieces, new_pieces, options)
            notice = _require_rows(start, pieces)
            if notice is not None and decided is None:
                reporter.noticed(notice)
        else:
            pieces = decided.pieces if decided else chosen_pieces(files, hparams, options)
            hparams = _with_vocabulary(with_kind(hparams, pieces), pieces)
            layout = LAYOUTS[hparams.layout or "default"]
            findings = _given_models(designs, hparams) if designs else _designed_models(hparams, layout)
        if decided is not None:
            findings = _with_origins(findings, decided.origins)
        settings = training_settings(hparams)
        if not designs:
            _check_models(settings, findings, start)
        if options.export_tf:
            # Told before a run of days, and not at its end.
            check_expressible(findings.configs, layout)
        how = Tokenisation(
            pieces, settings.max_seq_length, not options.one_sentence_per_line, options.split_long_lines, words
        )
        # A run that is resumed has the sequences it began with, however little they are of the text.
        check = partial(require_usable, pieces) if decided is None else accept
        corpus = open_corpus(files, how, cache, reporter.tokenised, check)
        _require_sequence(corpus, how)
        if words is not None:
            _require_words(corpus, pieces, settings, words, reporter)
        evaluated = open_corpus(other_files, how, cache, reporter.tokenised, check) if other_files else None
    begins = decided is None and _begins_anew(start, options)
    trained_on = len(corpus) - held_apart(len(corpus), options.held_out_share)
    findings = scheduled(findings, settings, options, trained_on, begins)
    assert findings.hparams is not None
    settings = training_settings(findings.hparams)
    preparation = Preparation(settings, layout, findings, pieces, corpus, start, new_pieces, evaluated, words)
    _tell(preparation, given, options, reporter)
    if not options.evaluate_only:
        tell_of_schedule(settings, findings, given, options, trained_on, reporter)
    return preparation


def _begins_anew(start: Start | None, options: PretrainOptions) -> bool:
    """Whether a run has a schedule of its own, and does not go on with another's."""
    return start is None or options.reset_optimizer or start.checkpoint.slot_state == "none"


def _require_sequence(corpus: Corpus, how: Tokenisation) -> None:
    if (tokens := corpus.record.tokens) < how.max_length:
        raise CorpusError(
            f"the corpus has {tokens} tokens, less than one sequence of {how.max_length}",
            "Give more text, or a shorter max_seq_length in --hparams.",
        )


def _require_words(corpus: Corpus, pieces: Pieces, settings: Settings, words: Words, reporter: Reporter) -> None:
    """Refuse to mask whole words where most are too long to be, as where nothing tells them apart.

    Raises:
        CorpusError: most of the corpus would never be masked.
    """
    share = share_in_long_words(corpus, pieces.special_ids, settings)
    told = f"{share:.0%} of the tokens stand in words of more tokens than are masked of a sequence, and never are"
    instead = f"separate words by spaces{'' if words.listed else ', or list them with --words-file FILE'}"
    if share > _MOSTLY_LONG:
        raise CorpusError(
            f"whole_word_masking: {told}", f"Of a script without spaces, {instead}; or leave whole_word_masking out."
        )
    if share > MANY_UNKNOWN:
        reporter.warned(f"{told}. Of a script without spaces, {instead}.")


def default_cache() -> Path:
    """Where tokenised corpora are kept: in the user's cache folder."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "electra-convert" / "pretraining"


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


# hparams and models


def _with_own(hparams: Hparams) -> Hparams:
    """State those that Google's code does not know: where a record does not name them, it is older than they are."""
    return replace(hparams, given={**hparams.given, **{key: hparams[key] for key in OWN}})


def _designed_models(hparams: Hparams, layout: Layout) -> Findings:
    """Make the configurations that hparams ask for.

    Raises:
        ConfigError: a size is zero or does not fit another, or transformers has no such model.
    """
    configs: dict[Role, Resolved] = {}
    for network in layout.networks:
        values = {**DEFAULTS, **hparams.expected(network.role, layout.shares_config)}
        require_possible(network.role, values, hparams.origin)
        configs[network.role] = Resolved({key: Value(value, "hparams") for key, value in values.items()}, ())
    return Findings(configs, hparams, {}, ())


def _given_models(designs: Mapping[Role, Design], hparams: Hparams) -> Findings:
    configs: dict[Role, Resolved] = {
        role: Resolved({key: Value(value, f"--{role}") for key, value in design.items()}, ())
        for role, design in designs.items()
    }
    return Findings(configs, hparams, {}, ())


def _with_origins(findings: Findings, origins: Mapping[str, Mapping[str, str]]) -> Findings:
    """Give the values of configurations their first origins again, in the order of when the run began: a run that is
    resumed writes what it would have."""
    configs = {}
    for role, config in findings.configs.items():
        known = origins.get(role, {})
        first = {key: Value(config[key], known[key]) for key in known if key in config.values}
        rest = {key: value for key, value in config.values.items() if key not in first}
        configs[role] = replace(config, values={**first, **rest})
    return replace(findings, configs=configs)


def _extended(
    start: Start, given: Hparams, findings: Findings, pieces: Pieces, new_pieces: int, options: PretrainOptions
) -> tuple[Start, Findings]:
    """Give what a run starts from the rows that are asked for; a checkpoint of the run itself has them."""
    if start.is_own:
        return start, findings
    if new_pieces and isinstance(pieces, WordPieces):
        start, findings = with_pieces(start, findings, pieces, new_pieces)
        for stated in _stated_rows(given):
            if stated != start.rows:
                raise ConfigError(
                    f"{given.origin} says vocab_size is {stated}, but with the new pieces it is {start.rows}",
                    "Leave vocab_size out of the hparams: it follows from the vocabulary.",
                )
    if options.extend_positions is not None:
        start, findings = with_positions(start, findings, options.extend_positions)
    return start, findings


def _check_models(settings: Settings, findings: Findings, start: Start | None) -> None:
    """Refuse models that the sequences do not fit, or that cannot be trained.

    Raises:
        ConfigError: names the value.
    """
    for role, config in findings.configs.items():
        if settings.sampled_softmax > config["vocab_size"]:
            raise ConfigError(
                f"sampled_softmax is {settings.sampled_softmax}, more than the {config['vocab_size']} pieces of the "
                "vocabulary",
                "Leave it out, or draw fewer candidates: thousands are usual for a hundred thousand pieces.",
            )
        positions = config["max_position_embeddings"]
        if settings.max_seq_length > positions:
            raise ConfigError(
                f"max_seq_length is {settings.max_seq_length}, but the {role} has {positions} positions",
                'Shorten it, or give a new model more: "model_hparam_overrides": {"max_position_embeddings": ...}.'
                if start is None
                else f"Shorten it, or --extend-positions {settings.max_seq_length} adds rows to the checkpoint's.",
            )
        if config["type_vocab_size"] < _SEGMENTS:
            raise ConfigError(
                f"the {role}'s type_vocab_size is {config['type_vocab_size']}, but sequences have two segments"
            )
        for key in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
            if config[key] >= 1:
                raise ConfigError(f"the {role}'s {key} is {config[key]}, expected a number from 0 up and below 1")


# The vocabulary


def _words(hparams: Hparams, options: PretrainOptions, decided: Decided | None) -> Words | None:
    """What words are, where whole ones are masked.

    Raises:
        UsageError: words are listed, and none is masked as a whole.
        VocabularyError: the list is none.
    """
    if not hparams["whole_word_masking"]:
        if options.words_file is not None:
            raise UsageError(
                "--words-file lists the words that are masked as a whole, and whole_word_masking is not true",
                "Give --hparams '{\"whole_word_masking\": true}' with it.",
            )
        return None
    known = decided.words if decided is not None else None
    if options.words_file is None:
        return known or Words()
    given = read_words(options.words_file)
    if known is not None and known.listed != given.listed:
        raise TrainingError(f"{options.words_file} does not list the words that the run began with", "Leave it out.")
    return known or given


def _with_vocabulary(hparams: Hparams, pieces: Pieces) -> Hparams:
    """State the vocabulary's size, which Google's code must be told; stated sizes must fit."""
    stated = _stated_rows(hparams)
    for rows in stated:
        _require_size(pieces, rows, "Leave vocab_size out of the hparams: it follows from the vocabulary.")
    return hparams if stated else Hparams({**hparams.given, "vocab_size": len(pieces.vocabulary)}, hparams.origin)


def _stated_rows(hparams: Hparams) -> list[int]:
    return [given["vocab_size"] for given in (hparams.given, hparams.overrides) if "vocab_size" in given]


def _require_rows(start: Start, pieces: Pieces) -> str | None:
    """Refuse a vocabulary that is not that of a checkpoint's rows; gives what is said of rows without a piece."""
    more = len(pieces.vocabulary) - start.rows
    if more > 0 and all(pieces.vocabulary.pieces[start.rows :]):
        raise VocabularyError(
            f"{pieces.vocabulary.path} has {len(pieces.vocabulary)} pieces, but the word embedding has {start.rows} "
            "rows",
            f"If its first {start.rows} are the checkpoint's, give this file as --extend-vocabulary, which adds "
            f"{counted(more, 'row')}; else it belongs to another model.",
        )
    return _require_size(pieces, start.rows, "Give the vocabulary that the checkpoint was trained with.")


def _require_size(pieces: Pieces, rows: int, hint: str) -> str | None:
    try:
        return check_size(pieces.vocabulary, rows, False)
    except VocabularyError as error:
        raise VocabularyError(error.message, hint if len(pieces.vocabulary) < rows else error.hint) from error


# What a reader should know


def _tell(preparation: Preparation, given: Hparams, options: PretrainOptions, reporter: Reporter) -> None:
    if options.export_tf and (told := lacking_of(preparation.pieces)) is not None:
        reporter.noticed(told)
    for line in preparation.start.told if preparation.start else ():
        reporter.noticed(line)
    for line in (*given.warnings, *preparation.findings.warnings, *preparation.pieces.warnings):
        reporter.warned(line)
    for line in preparation.pieces.notices:
        reporter.noticed(line)
    for line in _stated_sizes(preparation):
        reporter.noticed(line)
    packs = options.one_sentence_per_line
    tell_of_corpus("The corpus", preparation.corpus, preparation.pieces, packs, reporter)
    if preparation.evaluated is not None:
        tell_of_corpus("The corpus to evaluate on", preparation.evaluated, preparation.pieces, packs, reporter)
    if preparation.start and not preparation.start.is_own:
        _tell_of_rows(preparation, options, reporter)
    if preparation.settings.sampled_softmax:
        tell_of_order(preparation.corpus, preparation.pieces, reporter)


def _stated_sizes(preparation: Preparation) -> Iterator[str]:
    """A config.json states the size of another vocabulary than the one that new models are made for."""
    size = len(preparation.pieces.vocabulary)
    for role, design in preparation.designs.items():
        stated = design.get("vocab_size", size)
        if stated != size:
            yield f"The vocabulary has {size:,} pieces, and so have the models; --{role} states {stated:,}."


def _tell_of_rows(preparation: Preparation, options: PretrainOptions, reporter: Reporter) -> None:
    """Warn of new rows that nothing trains."""
    new, length = preparation.new_pieces, preparation.settings.max_seq_length
    absent = new - preparation.corpus.occurring(len(preparation.pieces.vocabulary) - new) if new else 0
    if absent:
        reporter.warned(f"Of {counted(new, 'new piece')} {absent} occur nowhere in the corpus, and learn nothing.")
    if options.extend_positions is not None and length < options.extend_positions:
        reporter.warned(
            f"Sequences are {length} tokens long, so that the positions from {length} up to "
            f"{options.extend_positions - 1} learn nothing: --max-length makes sequences longer."
        )
