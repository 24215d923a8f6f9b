"""The models of a run that starts from a checkpoint: what it takes of it, what is new, and their configurations."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from electra_convert.checkpoint import Checkpoint, Model
from electra_convert.config.activations import GENERATOR_HEAD
from electra_convert.config.express import express
from electra_convert.config.hparams import LAYOUT_KEYS, Hparams, read_hparams_beside
from electra_convert.config.keys import HANDLED, recorded_by_run
from electra_convert.config.record import recorded_hparams, recorded_layout
from electra_convert.config.resolve import Resolved, Value
from electra_convert.config.sources import Findings, gather
from electra_convert.conversion.layout_tensorflow import choose_layout
from electra_convert.errors import ConfigError, NamesError, TrainingError, VocabularyError, counted, listing
from electra_convert.formats.names import HPARAMS_FILE
from electra_convert.pretraining.corpus.vocabulary import WordPieces, checked_pieces, read_word_pieces
from electra_convert.pretraining.options import PretrainOptions
from electra_convert.pretraining.starting.start import Start, called
from electra_convert.schemes.family import ELECTRA
from electra_convert.schemes.heads import PRETRAINING
from electra_convert.schemes.layouts import LAYOUTS, Layout, collapse
from electra_convert.schemes.mapping import Role
from electra_convert.schemes.models import require_one_table, require_tied
from electra_convert.tensors.weight import same_bits
from electra_convert.tokenizer import Vocabulary
from electra_convert.tokenizer.of_checkpoint import (
    TokenizerOptions,
    find_casing,
    find_settings,
    read_vocabulary_of,
    saved_in,
)

_TRAINABLE = ("default", "untied_generator_embeddings", "tied_generator", "masked_lm", "uniform_generator")
# Layouts of an encoder whose head is not one to pretrain with.
_ENCODERS = ("fine_tuned", "encoder")
# What makes a generator of a discriminator's sizes.
_OF_GENERATORS = ("generator_hidden_size", "generator_layers", "untied_generator_embeddings")


# hparams


def run_hparams(given: Hparams, start: Start | None, decided: Mapping[str, Any] | None) -> Hparams:
    """Those of the run that is continued, changed where others are given.

    Args:
        given: what the options say.
        start: what the run starts from, or None.
        decided: what a run that is resumed was begun with, or None.

    Raises:
        ConfigError: those beside the checkpoint cannot be read.
    """
    if decided is not None:
        return _changed(decided, given)
    return given if start is None else _changed(_hparams_of(start.checkpoint), given)


def _hparams_of(checkpoint: Checkpoint) -> Mapping[str, Any]:
    """The hparams that come with a checkpoint; of a fine-tuned one those of its architecture, since the others are
    of another kind of training."""
    beside = checkpoint.folder / HPARAMS_FILE
    if not checkpoint.scheme.described and beside.is_file():
        found = read_hparams_beside(beside).given
    else:
        recorded = recorded_hparams(checkpoint.record) or {}
        # Only a run's own record names the corpus.
        found = recorded_by_run(recorded) if "corpus" in (checkpoint.record or {}) else recorded
    if not all(model.head in PRETRAINING.values() for model in checkpoint.models.values()):
        return {key: value for key, value in found.items() if key in HANDLED}
    if len(checkpoint.models) > 1 and Hparams(found, "").layout == "uniform_generator":
        # Of a discriminator that had no generator, and is given one now.
        return {key: value for key, value in found.items() if key not in LAYOUT_KEYS}
    return found


def _changed(before: Mapping[str, Any], given: Hparams) -> Hparams:
    """The transformer's own hparams are changed one by one too: who gives another dropout means no other sizes."""
    overrides = {**Hparams(before, "").overrides, **given.overrides}
    merged = {**before, **given.given}
    return Hparams({**merged, "model_hparam_overrides": overrides} if overrides else merged, given.origin)


# Models


def found_models(
    start: Start, given: Hparams, hparams: Hparams, options: PretrainOptions
) -> tuple[Start, Layout, Findings]:
    """Take the models of a checkpoint, and decide on what it lacks.

    Args:
        start: what was opened.
        given: the hparams that options say.
        hparams: all of them.
        options: what was asked for.

    Returns:
        The start, reduced to what the run's models take of it; their layout; the configuration of each model.

    Raises:
        NamesError: the checkpoint holds something else, or a shared tensor twice with different values.
        ConfigError: its files, or hparams that were given, contradict each other or the weights.
        TrainingError: there is nothing in it to pretrain.
    """
    checkpoint, said = start.checkpoint, hparams
    checkpoint.require_mapped()
    for model in checkpoint.models.values():
        require_tied(model.folder, model)
        require_one_table(model.folder, model)
    if not start.is_own:
        _require_asked_for(start, given, options)
        given, said = (_but_for_what_grows(one, options) for one in (given, said))
    # What was read beside the checkpoint is no option: it must agree with its graph and its weights.
    option = json.dumps(dict(said.given)) if given.given.keys() & HANDLED.keys() else None
    findings = replace(gather(checkpoint, option, changes=given), hparams=hparams)
    start, findings = _without_head_of_a_task(start, findings)
    checkpoint = start.checkpoint
    layout = _layout(checkpoint, findings, hparams.layout)
    if checkpoint.layout is not None and hparams.layout is None and layout.hparams:
        # What the variables say, and a checkpoint of this run must say again when it is resumed.
        stated = Hparams({**hparams.given, **layout.hparams}, hparams.origin)
        findings = replace(findings, hparams=stated)
    _require_trainable(checkpoint, layout, hparams)
    start, findings = _with_generator(start, layout, hparams, findings)
    for role, config in findings.configs.items():
        require_possible(role, config, hparams.origin)
    if len(checkpoint.models) > 1 and checkpoint.scheme.described:
        _require_shared(checkpoint.models, layout)
    return start, layout, findings


def _require_asked_for(start: Start, given: Hparams, options: PretrainOptions) -> None:
    """Refuse hparams that want more rows than there are, where nothing asks for more."""
    model = next(iter(start.checkpoint.models.values()))
    wanted = given.overrides.get("max_position_embeddings", 0)
    if options.extend_positions is None and wanted > model.sizes.positions:
        raise ConfigError(
            f"{given.origin} says max_position_embeddings is {wanted}, but {start.checkpoint.path} has "
            f"{model.sizes.positions} positions",
            f"--extend-positions {wanted} adds rows to its position embeddings.",
        )
    wanted = max(given.given.get("vocab_size", 0), given.overrides.get("vocab_size", 0))
    if options.extend_vocabulary is None and wanted > model.sizes.vocabulary:
        raise ConfigError(
            f"{given.origin} says vocab_size is {wanted}, but {start.checkpoint.path} has {model.sizes.vocabulary} "
            "pieces",
            "--extend-vocabulary FILE adds rows to its word embeddings for the pieces of a file.",
        )


def _but_for_what_grows(hparams: Hparams, options: PretrainOptions) -> Hparams:
    """The hparams without the sizes that the weights do not have yet."""
    grows = {"vocab_size"} if options.extend_vocabulary is not None else set()
    grows |= {"max_position_embeddings"} if options.extend_positions is not None else set()
    given = {key: value for key, value in hparams.given.items() if key not in grows}
    if hparams.overrides.keys() & grows:
        given["model_hparam_overrides"] = {key: value for key, value in hparams.overrides.items() if key not in grows}
    return replace(hparams, given=given)


def _layout(checkpoint: Checkpoint, findings: Findings, asked: str | None) -> Layout:
    """The layout of the run: a discriminator alone is given a generator, unless it had none or none is wanted."""
    known = checkpoint.layout
    if known is not None and known.name not in (*_ENCODERS, "uniform_generator"):
        return known
    if checkpoint.models.keys() == {"discriminator"}:
        had = "uniform_generator" if known is LAYOUTS["uniform_generator"] else "default"
        return LAYOUTS[asked or had]
    return choose_layout(checkpoint, findings, checkpoint.models)


def _require_trainable(checkpoint: Checkpoint, layout: Layout, hparams: Hparams) -> None:
    if layout.name not in _TRAINABLE:
        raise TrainingError(
            f"{checkpoint.path} is of the {layout.name} layout, which has no pretraining heads to go on with"
        )
    if layout.name == "masked_lm" and "generator" not in checkpoint.models:
        raise TrainingError(
            f"{checkpoint.path} holds no generator, which electra_objective false trains alone",
            "Leave electra_objective out: a discriminator is trained with a new generator.",
        )
    alone = checkpoint.models.keys() == {"generator"}
    if checkpoint.scheme.described and alone and hparams.layout != layout.name:
        raise TrainingError(
            f"{checkpoint.path} holds a generator alone; ELECTRA trains two models",
            "Give the folder of the pair; or its discriminator, with this as --init-generator; or --hparams "
            """'{"electra_objective": false}' to train the generator alone.""",
        )


def _without_head_of_a_task(start: Start, findings: Findings) -> tuple[Start, Findings]:
    """Of a model with another head than the discriminator's, or with none, the encoder alone."""
    checkpoint = start.checkpoint
    model, wanted = checkpoint.models.get("discriminator"), PRETRAINING["discriminator"]
    if model is None or model.head == wanted:
        return start, findings
    weights = {name: weight for name, weight in model.weights.items() if name.startswith(ELECTRA.prefix)}
    sizes = replace(model.sizes, labels=0)
    encoder = replace(model, head=wanted, sizes=sizes, weights=weights, tied=(), beside={}, task="")
    left = [task.name for task in checkpoint.tasks]
    left = left or sorted({name.partition(".")[0] for name in model.weights.keys() - weights.keys()})
    has = f"the head it was fine-tuned with ({listing(left, 6)}) is left out" if left else "it has no head"
    line = f"The discriminator's encoder is that of {called(checkpoint)}; {has}, and a head for pretraining is new."
    # What was said of the head, and the config.json, are of another class of model.
    bases: dict[Role, Mapping[str, Any]] = {**findings.bases}
    bases.pop("discriminator", None)
    warnings = tuple(warning for warning in findings.warnings if warning not in checkpoint.warnings)
    findings = replace(findings, bases=bases, warnings=warnings)
    return start.changed({**checkpoint.models, "discriminator": encoder}, line), findings


def _with_generator(start: Start, layout: Layout, hparams: Hparams, findings: Findings) -> tuple[Start, Findings]:
    """Decide on a generator where the run has one and the checkpoint none."""
    models, whose = start.checkpoint.models, f"The discriminator is that of {called(start.checkpoint)}"
    if "generator" in models or start.is_own:
        return start, findings
    if "generator" not in (network.role for network in layout.networks):
        line = f"{'Its' if start.told else f'{whose}; its'} input is corrupted uniformly, without a generator."
        had = start.checkpoint.layout or LAYOUTS.get(recorded_layout(start.checkpoint.record) or "")
        goes_on = had is not None and had.name == layout.name
        return replace(start, told=(*start.told, line)) if goes_on else start.changed(models, line), findings
    config = _new_generator(findings.configs["discriminator"], hparams, layout)
    layers, width, heads = (config[key] for key in ("num_hidden_layers", "hidden_size", "num_attention_heads"))
    made = f"{counted(layers, 'layer')} of width {width} with {counted(heads, 'head')}"
    shares = {"default": ", on the same embeddings", "tied_generator": ", on the same encoder"}
    told = "The generator" if start.told else f"{whose}; the generator"
    line = f"{told} is new: {made}{shares.get(layout.name, '')}."
    configs: dict[Role, Resolved] = {**findings.configs, "generator": config}
    return start.changed(models, line), replace(findings, configs=configs)


def _new_generator(discriminator: Resolved, hparams: Hparams, layout: Layout) -> Resolved:
    """The generator that Google's code makes beside a discriminator (get_generator_config)."""
    sizes = express({"discriminator": discriminator}, LAYOUTS["uniform_generator"], None, None)
    asked = {key: hparams.given[key] for key in _OF_GENERATORS if key in hparams.given}
    made = Hparams({**sizes, **asked}, hparams.origin).expected("generator", layout.shares_config)
    own = {"hidden_size", "num_hidden_layers", "intermediate_size", "num_attention_heads", "embedding_size"}
    values = {
        key: Value(made.get(key, value.value), "hparams" if key in own else "the discriminator")
        for key, value in discriminator.values.items()
    }
    return Resolved(values, ())


def require_possible(role: Role, config: Mapping[str, Any] | Resolved, origin: str) -> None:
    """Refuse the configuration of a model that cannot be made; raises ConfigError."""
    heads, hidden, layers = (config[key] for key in ("num_attention_heads", "hidden_size", "num_hidden_layers"))
    if not hidden or not layers or hidden % heads:
        raise ConfigError(
            f"{origin}: the {role} would have {layers} layers of width {hidden} with {heads} attention heads",
            "Heads must divide the width, and no size may be zero.",
        )
    if role == "generator" and config["hidden_act"] != GENERATOR_HEAD:
        raise ConfigError(
            f"{origin}: hidden_act is {config['hidden_act']}; transformers computes a generator's head with gelu "
            "whatever the configuration says"
        )


def _require_shared(models: Mapping[Role, Model], layout: Layout) -> None:
    """Refuse a pair whose models differ in what they share while they are trained."""
    one, other = models["discriminator"], models["generator"]
    scopes = {network.role: network.scopes for network in layout.networks}
    prefix = f"{ELECTRA.prefix}embeddings."
    if scopes["generator"].encoder == scopes["discriminator"].encoder:
        prefix = ELECTRA.prefix
    elif scopes["generator"].embeddings != scopes["discriminator"].embeddings:
        return
    shared = [name for name in one.weights if name.startswith(prefix)]
    unequal = [name for name in shared if not _same(one, other, name)]
    if unequal:
        raise NamesError(
            f"{one.folder} and {other.folder}: discriminator and generator share these tensors while they are "
            f"trained, but have different values for them: {listing(collapse(unequal))}",
            """Give the generator embeddings of its own: --hparams '{"untied_generator_embeddings": true}'."""
            if other.sizes.embedding == other.sizes.hidden
            else "They are not of one run; from the folder of the discriminator alone, a new generator is made.",
        )


def _same(one: Model, other: Model, name: str) -> bool:
    if name not in other.weights or one.weights[name].shape != other.weights[name].shape:
        return False
    both = one.weights[name], other.weights[name]
    return same_bits(*both) or bool(np.array_equal(both[0].read_float32(), both[1].read_float32()))


# The vocabulary


def pieces_of(start: Checkpoint, hparams: Hparams, options: PretrainOptions) -> WordPieces:
    """The vocabulary that a checkpoint has, or that is given for it, of any length; raises VocabularyError."""
    if options.vocab is not None:
        return read_word_pieces(options.tokenizer_options(hparams), hparams["do_lower_case"])
    model = next(iter(start.models.values()))
    vocabulary = read_vocabulary_of(start, model, TokenizerOptions())
    if vocabulary is None:
        raise VocabularyError(f"{start.path} has no vocabulary to tokenise with", "Give it with --vocab.")
    return checkpoint_pieces(start, vocabulary, hparams, options)


def checkpoint_pieces(
    start: Checkpoint, vocabulary: Vocabulary, hparams: Hparams, options: PretrainOptions
) -> WordPieces:
    """A vocabulary, with text made ready for it as a checkpoint's own files say; raises VocabularyError."""
    model = next(iter(start.models.values()))
    casing = find_casing(start, model, vocabulary, hparams, options.tokenizer_options(hparams))
    assert casing is not None  # a vocabulary always speaks for one
    saved = saved_in(start, model, options.tokenizer_options(hparams))
    settings = find_settings(vocabulary, casing, options.tokenizer_options(hparams), saved)
    return checked_pieces(vocabulary, casing, settings)
