"""All that a run is decided by, before anything is trained: hparams, configurations, vocabulary and corpus.

Imports no framework, and writes nothing but the cache of the corpus.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from electra_convert.checkpoint import Checkpoint
from electra_convert.config.activations import GENERATOR_HEAD
from electra_convert.config.hparams import Hparams, read_hparams_beside
from electra_convert.config.keys import HANDLED, OWN, recorded_by_run
from electra_convert.config.record import recorded_hparams
from electra_convert.config.resolve import DEFAULTS, Resolved, Value
from electra_convert.config.sources import Findings, gather
from electra_convert.conversion.layout_tensorflow import choose_layout
from electra_convert.errors import ConfigError, CorpusError, TrainingError, UsageError, VocabularyError
from electra_convert.formats.names import HPARAMS_FILE
from electra_convert.pretraining.batches import held_apart
from electra_convert.pretraining.corpus.cache import Corpus, open_corpus
from electra_convert.pretraining.corpus.documents import lines_of_corpus
from electra_convert.pretraining.corpus.files import CorpusFile, parse_column
from electra_convert.pretraining.corpus.losses import told
from electra_convert.pretraining.corpus.places import Place, brought
from electra_convert.pretraining.corpus.sequences import Tokenisation
from electra_convert.pretraining.corpus.vocabulary import (
    WordPieces,
    checked_pieces,
    read_word_pieces,
    train_word_pieces,
)
from electra_convert.pretraining.options import PretrainOptions, Settings, training_settings
from electra_convert.pretraining.progress import Reporter
from electra_convert.pretraining.schedule import schedule_notes, schedule_warnings, scheduled
from electra_convert.schemes.layouts import LAYOUTS, Layout
from electra_convert.schemes.mapping import Role
from electra_convert.schemes.models import require_tied
from electra_convert.tokenizer import check_size
from electra_convert.tokenizer.of_checkpoint import (
    TokenizerOptions,
    find_casing,
    find_settings,
    find_vocabulary,
    saved_in,
)

_TRAINABLE = ("default", "untied_generator_embeddings", "tied_generator", "masked_lm", "uniform_generator")
_SEGMENTS = 2
# A larger share of pieces that the vocabulary lacks than this is worth a word.
_MANY_UNKNOWN = 0.05
# So is a larger share of tokens that are cut off.
_MUCH_TRIMMED = 0.2
# And sequences that are less than so full.
_LITTLE_FILLED = 0.5


@dataclass(frozen=True)
class Preparation:
    """What a run is decided by.

    Attributes:
        settings: the training hparams.
        layout: the layout of the models in google-research/electra.
        findings: the configuration of each model, and all hparams.
        pieces: the vocabulary.
        corpus: the sequences.
        evaluated: those of a corpus of its own to evaluate on, or None.
    """

    settings: Settings
    layout: Layout
    findings: Findings
    pieces: WordPieces
    corpus: Corpus
    evaluated: Corpus | None = None

    @property
    def configs(self) -> dict[Role, dict[str, Any]]:
        """The configuration of each model for transformers' ElectraConfig."""
        pad = self.pieces.vocabulary.ids["[PAD]"]
        return {
            role: {**{key: value.value for key, value in config.values.items()}, "pad_token_id": pad}
            for role, config in self.findings.configs.items()
        }

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
    """

    pieces: WordPieces
    hparams: Mapping[str, Any]
    origins: Mapping[str, Mapping[str, str]]


def prepare(
    places: Sequence[Place],
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

    Raises:
        ElectraConvertError: something does not fit; nothing has been written.
    """
    given = options.given_hparams
    hparams = _with_own(_run_hparams(given, start, decided.hparams if decided else None))
    training_settings(hparams)
    cache, column = options.cache or default_cache(), parse_column(options.text_column)
    _require_vocabulary(options, start, decided)
    with brought(places, column, cache, reporter) as files:
        if start is not None:
            layout, findings = _found_models(start, given, hparams)
            pieces = decided.pieces if decided else _pieces_of(start, hparams, options)
            rows = next(iter(start.models.values())).sizes.vocabulary
            _require_size(pieces, rows, "Give the vocabulary that the checkpoint was trained with.")
        else:
            pieces = decided.pieces if decided else _chosen_pieces(files, hparams, options)
            hparams = _with_vocabulary(hparams, pieces)
            layout = LAYOUTS[hparams.layout or "default"]
            findings = _designed_models(hparams, layout)
        if decided is not None:
            findings = _with_origins(findings, decided.origins)
        settings = training_settings(hparams)
        _check_models(settings, findings)
        how = Tokenisation(
            pieces, settings.max_seq_length, not options.one_sentence_per_line, options.split_long_lines
        )
        corpus = open_corpus(files, how, cache, reporter.tokenised)
    _require_sequence(corpus, how)
    evaluated = None
    if options.eval_corpus is not None:
        with brought([options.eval_corpus], column, cache, reporter) as files:
            evaluated = open_corpus(files, how, cache, reporter.tokenised)
    begins = decided is None and (start is None or options.reset_optimizer or start.slot_state == "none")
    trained_on = len(corpus) - held_apart(len(corpus), options.held_out_share)
    findings = scheduled(findings, options, trained_on, begins)
    assert findings.hparams is not None
    settings = training_settings(findings.hparams)
    preparation = Preparation(settings, layout, findings, pieces, corpus, evaluated)
    _tell(preparation, given, options, reporter)
    if not options.evaluate_only:
        for line in schedule_notes(settings, findings, given, options, trained_on):
            reporter.noticed(line)
        for line in schedule_warnings(settings, trained_on):
            reporter.warned(line)
    return preparation


def _require_sequence(corpus: Corpus, how: Tokenisation) -> None:
    if (tokens := corpus.record.tokens) < how.max_length:
        raise CorpusError(
            f"the corpus has {tokens} tokens, less than one sequence of {how.max_length}",
            "Give more text, or a shorter max_seq_length in --hparams.",
        )


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
        "reset_optimizer": options.reset_optimizer,
        "corpus": _described(preparation.corpus),
        "eval_corpus": preparation.evaluated and _described(preparation.evaluated),
    }


def _described(corpus: Corpus) -> Mapping[str, Any]:
    return {"key": corpus.record.key, "sequences": corpus.record.sequences, "tokens": corpus.record.tokens}


# hparams and models


def _run_hparams(given: Hparams, start: Checkpoint | None, decided: Mapping[str, Any] | None) -> Hparams:
    """Those of the run that is continued, changed where others are given.

    Raises:
        ConfigError: those beside the checkpoint cannot be read.
    """
    if decided is not None:
        return _changed(decided, given)
    if start is None:
        return given
    beside = start.folder / HPARAMS_FILE
    if not start.scheme.described and beside.is_file():
        return _changed(read_hparams_beside(beside).given, given)
    recorded = recorded_hparams(start.record) or {}
    # Only a run's own record names the corpus.
    return _changed(recorded_by_run(recorded) if "corpus" in (start.record or {}) else recorded, given)


def _with_own(hparams: Hparams) -> Hparams:
    """State those that Google's code does not know: where a record does not name them, it is older than they are."""
    return replace(hparams, given={**hparams.given, **{key: hparams[key] for key in OWN}})


def _changed(before: Mapping[str, Any], given: Hparams) -> Hparams:
    """The transformer's own hparams are changed one by one too: who gives another dropout means no other sizes."""
    overrides = {**Hparams(before, "").overrides, **given.overrides}
    merged = {**before, **given.given}
    return Hparams({**merged, "model_hparam_overrides": overrides} if overrides else merged, given.origin)


def _found_models(start: Checkpoint, given: Hparams, hparams: Hparams) -> tuple[Layout, Findings]:
    """Take the models of a checkpoint.

    Raises:
        NamesError: the checkpoint holds something else, or a tied tensor twice with different values.
        ConfigError: its files, or hparams that were given, contradict each other or the weights.
        TrainingError: it has no heads to go on with, or is half of a pair.
    """
    start.require_mapped()
    for model in start.models.values():
        require_tied(start.path, model)
    # What was read beside the checkpoint is no option: it must agree with its graph and its weights.
    option = json.dumps(dict(hparams.given)) if given.given.keys() & HANDLED.keys() else None
    findings = replace(gather(start, option, changes=given), hparams=hparams)
    layout = start.layout or choose_layout(start, findings, start.models)
    if start.layout is not None and hparams.layout is None and layout.hparams:
        # What the variables say, and a checkpoint of this run must say again when it is resumed.
        stated = Hparams({**hparams.given, **layout.hparams}, hparams.origin)
        findings = replace(findings, hparams=stated)
    _require_trainable(start, layout, findings)
    return layout, findings


def _require_trainable(start: Checkpoint, layout: Layout, findings: Findings) -> None:
    hparams = findings.hparams or Hparams({}, "")
    if layout.name not in _TRAINABLE:
        raise TrainingError(
            f"{start.path} is of the {layout.name} layout, which has no pretraining heads to go on with"
        )
    alone = next(iter(start.models)) if len(start.models) == 1 else None
    if start.scheme.described and alone is not None and hparams.layout != layout.name:
        needed = '{"uniform_generator": true}' if alone == "discriminator" else '{"electra_objective": false}'
        raise TrainingError(
            f"{start.path} holds a {alone} alone; ELECTRA trains two models",
            f"Give the folder of the pair, or --hparams '{needed}' to train the {alone} alone.",
        )
    if "generator" in start.models and findings.configs["generator"]["hidden_act"] != GENERATOR_HEAD:
        raise ConfigError("a generator's hidden_act must be gelu, which transformers has built into its head")


def _designed_models(hparams: Hparams, layout: Layout) -> Findings:
    """Make the configurations that hparams ask for.

    Raises:
        ConfigError: a size is zero or does not fit another, or transformers has no such model.
    """
    configs: dict[Role, Resolved] = {}
    for network in layout.networks:
        values = {**DEFAULTS, **hparams.expected(network.role, layout.shares_config)}
        heads, hidden = values["num_attention_heads"], values["hidden_size"]
        if not hidden or not values["num_hidden_layers"] or hidden % heads:
            raise ConfigError(
                f"{hparams.origin}: the {network.role} would have {values['num_hidden_layers']} layers of width "
                f"{hidden} with {heads} attention heads",
                "Heads must divide the width, and no size may be zero.",
            )
        if network.role == "generator" and values["hidden_act"] != GENERATOR_HEAD:
            raise ConfigError(
                f"{hparams.origin}: hidden_act is {values['hidden_act']}; transformers computes a generator's head "
                "with gelu whatever the configuration says"
            )
        configs[network.role] = Resolved({key: Value(value, "hparams") for key, value in values.items()}, ())
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


def _check_models(settings: Settings, findings: Findings) -> None:
    """Refuse models that the sequences do not fit, or that cannot be trained.

    Raises:
        ConfigError: names the value.
    """
    for role, config in findings.configs.items():
        positions = config["max_position_embeddings"]
        if settings.max_seq_length > positions:
            raise ConfigError(
                f"max_seq_length is {settings.max_seq_length}, but the {role} has {positions} positions",
                'Shorten it, or give a new model more: "model_hparam_overrides": {"max_position_embeddings": ...}.',
            )
        if config["type_vocab_size"] < _SEGMENTS:
            raise ConfigError(
                f"the {role}'s type_vocab_size is {config['type_vocab_size']}, but sequences have two segments"
            )
        for key in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
            if config[key] >= 1:
                raise ConfigError(f"the {role}'s {key} is {config[key]}, expected a number from 0 up and below 1")


# The vocabulary


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


def _require_vocabulary(options: PretrainOptions, start: Checkpoint | None, decided: Decided | None) -> None:
    """Refuse to do without one before a corpus is downloaded."""
    if all(given is None for given in (start, decided, options.vocab, options.train_vocab)):
        raise UsageError(
            "no vocabulary to tokenise with",
            "Borrow one with --vocab, or train one on the corpus with --train-vocab SIZE.",
        )


def _chosen_pieces(files: Sequence[CorpusFile], hparams: Hparams, options: PretrainOptions) -> WordPieces:
    stated = hparams["do_lower_case"]
    if options.train_vocab is None:
        return read_word_pieces(options.tokenizer, stated)
    if recorded := next((file.path for file in files if file.kind == "TFRecords"), None):
        raise CorpusError(
            f"{recorded} holds TFRecords, whose text is tokenised already", "Give their vocabulary: --vocab."
        )
    lower_case = stated if options.lower_case is None else options.lower_case
    tokenizer = replace(options.tokenizer, lower_case=lower_case)
    return train_word_pieces(lambda: lines_of_corpus(files), options.train_vocab, tokenizer)


def _pieces_of(start: Checkpoint, hparams: Hparams, options: PretrainOptions) -> WordPieces:
    if options.vocab is not None:
        return read_word_pieces(options.tokenizer, hparams["do_lower_case"])
    model = next(iter(start.models.values()))
    vocabulary, notices = find_vocabulary(start, model, TokenizerOptions())
    if vocabulary is None:
        raise VocabularyError(f"{start.path} has no vocabulary to tokenise with", "Give it with --vocab.")
    casing = find_casing(start, model, vocabulary, hparams, options.tokenizer)
    assert casing is not None  # a vocabulary always speaks for one
    saved = saved_in(start, model, options.tokenizer)
    settings = find_settings(vocabulary, casing, options.tokenizer, saved)
    return checked_pieces(vocabulary, casing, settings, notices)


# What a reader should know


def _tell(preparation: Preparation, given: Hparams, options: PretrainOptions, reporter: Reporter) -> None:
    tokenizer = preparation.pieces.settings
    if options.export_tf and (tokenizer.added_tokens or not tokenizer.tokenize_chinese_chars):
        reporter.noticed(
            "Google's code has no place for how this tokenizer splits texts; it splits them by its own rules."
        )
    for line in (*given.warnings, *preparation.findings.warnings, *preparation.pieces.warnings):
        reporter.warned(line)
    for line in preparation.pieces.notices:
        reporter.noticed(line)
    _tell_of_corpus("The corpus", preparation.corpus, options, reporter)
    if preparation.evaluated is not None:
        _tell_of_corpus("The corpus to evaluate on", preparation.evaluated, options, reporter)


def _tell_of_corpus(name: str, corpus: Corpus, options: PretrainOptions, reporter: Reporter) -> None:
    record = corpus.record
    reporter.noticed(f"{name} has {record.tokens:,} tokens in {record.sequences:,} sequences.")
    if record.lost.tokens:
        share = record.lost.tokens / (record.tokens + record.lost.tokens)
        tell = reporter.warned if share > _MUCH_TRIMMED else reporter.noticed
        tell(
            f"{name} is cut off where Google's code cuts it: {told(record.lost, record.tokens)}. --split-long-lines "
            "keeps all of it."
        )
    filled = record.tokens / (record.sequences * corpus.max_length)
    if filled < _LITTLE_FILLED and not options.one_sentence_per_line:
        reporter.warned(
            f"{name} fills its sequences to {filled:.0%}, since its documents are short: if they need not be kept "
            "apart, as sentences on lines or rows of their own, --one-sentence-per-line packs them together."
        )
    if record.unknown > _MANY_UNKNOWN * record.tokens:
        reporter.warned(
            f"{record.unknown / record.tokens:.0%} of the tokens are [UNK]: the vocabulary, or its casing, may not "
            "be the corpus's."
        )
