"""The models of a run and its vocabulary, chosen together, since each limits the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from electra_convert.config.hparams import Hparams
from electra_convert.config.resolve import DEFAULTS, Resolved, Value
from electra_convert.config.sources import Findings
from electra_convert.errors import ConfigError, VocabularyError, counted
from electra_convert.pretraining.corpus.files import CorpusFile
from electra_convert.pretraining.corpus.vocabulary import Pieces, WordPieces
from electra_convert.pretraining.designs import Design
from electra_convert.pretraining.options import PretrainOptions, Settings
from electra_convert.pretraining.preparation import Decided
from electra_convert.pretraining.progress import Reporter
from electra_convert.pretraining.starting.models import found_models, require_possible
from electra_convert.pretraining.starting.rows import extended_pieces, with_pieces, with_positions
from electra_convert.pretraining.starting.start import Start
from electra_convert.pretraining.tokens import chosen_pieces, pieces_of, with_kind
from electra_convert.schemes.layouts import LAYOUTS, Layout
from electra_convert.schemes.mapping import Role
from electra_convert.tokenizer import check_size

_SEGMENTS = 2


@dataclass(frozen=True)
class Chosen:
    """The models of a run and its vocabulary.

    Attributes:
        start: what the weights are taken from, reduced to what the models take of it; None where all are new.
        layout: the layout of the models in google-research/electra.
        findings: the configuration of each model, and all hparams.
        pieces: the vocabulary.
        new_pieces: how many pieces were appended to it.
    """

    start: Start | None
    layout: Layout
    findings: Findings
    pieces: Pieces
    new_pieces: int = 0


def new_models(
    files: Sequence[CorpusFile],
    hparams: Hparams,
    designs: Mapping[Role, Design],
    decided: Decided | None,
    options: PretrainOptions,
) -> Chosen:
    """Choose models that are new, and the vocabulary that their sizes follow from.

    Args:
        files: the corpus, of which a vocabulary may be made.
        hparams: all of them.
        designs: the configurations of models of any architecture; empty for Google's ELECTRA.
        decided: what the run in the output was begun with, or None.
        options: what was asked for.

    Raises:
        ElectraConvertError: there is no vocabulary, or there is no such model.
    """
    pieces = decided.pieces if decided else chosen_pieces(files, hparams, options)
    hparams = _with_vocabulary(with_kind(hparams, pieces), pieces)
    layout = LAYOUTS[hparams.layout or "default"]
    findings = _given_models(designs, hparams) if designs else _designed_models(hparams, layout)
    return Chosen(None, layout, findings, pieces)


def started_models(
    start: Start,
    given: Hparams,
    hparams: Hparams,
    decided: Decided | None,
    options: PretrainOptions,
    reporter: Reporter,
) -> Chosen:
    """Choose models that begin with those of a checkpoint, with its vocabulary or a longer one.

    Args:
        start: what was opened for the run to begin with.
        given: the hparams that options say.
        hparams: all of them.
        decided: what the run in the output was begun with, or None.
        options: what was asked for.
        reporter: told of rows without a piece.

    Raises:
        ElectraConvertError: what is asked for, the checkpoint and the vocabulary do not fit each other.
    """
    start, layout, findings = found_models(start, given, hparams, options)
    new_pieces = decided.new_pieces if decided else 0
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
    return Chosen(start, layout, findings, pieces, new_pieces)


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


def with_origins(findings: Findings, origins: Mapping[str, Mapping[str, str]]) -> Findings:
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


def check_models(settings: Settings, findings: Findings, start: Start | None) -> None:
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
