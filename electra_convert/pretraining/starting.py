"""What a run starts from: a checkpoint's models, and the hparams and the vocabulary that come with them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from electra_convert.checkpoint import Checkpoint
from electra_convert.config.activations import GENERATOR_HEAD
from electra_convert.config.hparams import Hparams, read_hparams_beside
from electra_convert.config.keys import HANDLED
from electra_convert.config.record import recorded_hparams
from electra_convert.config.sources import Findings, gather
from electra_convert.conversion.layout_tensorflow import choose_layout
from electra_convert.errors import ConfigError, TrainingError, VocabularyError
from electra_convert.formats.names import HPARAMS_FILE
from electra_convert.pretraining.corpus.vocabulary import WordPieces, checked_pieces, read_word_pieces
from electra_convert.pretraining.options import PretrainOptions
from electra_convert.schemes.layouts import Layout
from electra_convert.schemes.models import require_tied
from electra_convert.tokenizer.of_checkpoint import (
    TokenizerOptions,
    find_casing,
    find_settings,
    find_vocabulary,
    saved_in,
)

_TRAINABLE = ("default", "untied_generator_embeddings", "tied_generator", "masked_lm", "uniform_generator")


def run_hparams(given: Hparams, start: Checkpoint | None, decided: Mapping[str, Any] | None) -> Hparams:
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
    return _changed(recorded_hparams(start.record) or {}, given)


def _changed(before: Mapping[str, Any], given: Hparams) -> Hparams:
    """The transformer's own hparams are changed one by one too: who gives another dropout means no other sizes."""
    overrides = {**Hparams(before, "").overrides, **given.overrides}
    merged = {**before, **given.given}
    return Hparams({**merged, "model_hparam_overrides": overrides} if overrides else merged, given.origin)


def found_models(start: Checkpoint, given: Hparams, hparams: Hparams) -> tuple[Layout, Findings]:
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


def pieces_of(start: Checkpoint, hparams: Hparams, options: PretrainOptions) -> WordPieces:
    """The vocabulary that a checkpoint has, or that is given for it; raises VocabularyError where there is none."""
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
