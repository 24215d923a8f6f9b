"""What a run is told: its options, the hparams that training goes by, and which of it cannot be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from math import isfinite
from pathlib import Path
from typing import Any, Literal

from electra_convert.config.hparams import Hparams, read_hparams
from electra_convert.config.keys import CHOICES, IGNORED, TRAINING, check_keys
from electra_convert.errors import ConfigError, UsageError
from electra_convert.pretraining.designs import (
    Design,
    Given,
    completed,
    hparams_of,
    of_any_architecture,
    read_designs,
)
from electra_convert.schemes.mapping import Role
from electra_convert.tokenizer.of_checkpoint import TokenizerOptions

ModelSize = Literal["small", "base", "large"]
Precision = Literal["float32", "bfloat16"]
ClipNorm = Literal["per_token", "summed"]
Replacements = Literal["full", "candidates"]
# Options that stand for an hparam each.
_HPARAMS: Mapping[str, str] = {
    "model_size": "model_size",
    "steps": "num_train_steps",
    "warmup_steps": "num_warmup_steps",
    "batch_size": "train_batch_size",
    "learning_rate": "learning_rate",
    "max_length": "max_seq_length",
    "save_steps": "save_checkpoints_steps",
    "tokenizer": "tokenizer",
}
_HELD_OUT = 0.01
_LEAST = {"accumulate": 1, "memory_limit": 1, "log_steps": 1, "seed": 0, "train_vocab": 6, "extend_positions": 1}
# What goes with a checkpoint to start from.
_OF_A_START = ("reset_optimizer", "init_generator", "extend_vocabulary", "extend_positions")
# The settings of run_pretraining.py --hparams '{"debug": true}', where nothing else is given.
_DEBUG = {"train_batch_size": 8, "num_train_steps": 20, "eval_batch_size": 4, "num_eval_steps": 2}
# Counts that may be zero: no warm-up, no evaluation, every checkpoint kept, no candidates.
_FROM_ZERO = frozenset({"num_warmup_steps", "num_eval_steps", "keep_checkpoint_max", "sampled_softmax"})
_POSITIVE = frozenset({"learning_rate", "temperature", "mask_prob"})
# Larger numbers overflow somewhere: steps in float64, rates and weights in float32.
_TOO_LARGE = 1e12


@dataclass(frozen=True)
class PretrainOptions:
    """The options of `pretrain`, which says what each means; None where the tool is to find out.

    Raises:
        UsageError: a value is impossible, or options do not go together.
        ConfigError: an hparam that has an option of its own is none.
    """

    hparams: str | Path | Mapping[str, Any] | None = None
    generator: Given | None = None
    discriminator: Given | None = None
    model_size: ModelSize | None = None
    steps: int | None = None
    epochs: float | None = None
    warmup_steps: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    max_length: int | None = None
    save_steps: int | None = None
    vocab: Path | None = None
    train_vocab: int | None = None
    lower_case: bool | None = None
    strip_accents: bool | None = None
    tokenize_chinese_chars: bool | None = None
    added_tokens: Path | tuple[str, ...] | None = None
    tokenizer: str | Path | None = None
    words_file: Path | None = None
    text_column: str | int | None = None
    one_sentence_per_line: bool = False
    split_long_lines: bool = False
    init_from: Path | None = None
    init_generator: Path | None = None
    extend_vocabulary: Path | None = None
    extend_positions: int | None = None
    reset_optimizer: bool = False
    resume: bool = False
    overwrite: bool = False
    seed: int = 0
    held_out: float | None = None
    eval_corpus: str | Path | None = None
    evaluate_only: bool = False
    accumulate: int = 1
    time_limit: float | None = None
    memory_limit: int | None = None
    precision: Precision = "float32"
    compile: bool = False
    log_steps: int = 20
    export_tf: bool = False
    cache: Path | None = None

    def __post_init__(self) -> None:
        if self.vocab is not None and self.train_vocab is not None:
            raise UsageError("--vocab borrows a vocabulary, --train-vocab trains one: give one of them")
        if self.added_tokens is not None and self.train_vocab is not None:
            raise UsageError(
                "--added-tokens names pieces of a vocabulary, and --train-vocab trains one: give one of them"
            )
        if self.init_from is not None and self.train_vocab is not None:
            raise UsageError("--train-vocab does not go with --init-from, whose embeddings have a vocabulary already")
        if self.init_from is not None and (self.generator is not None or self.discriminator is not None):
            raise UsageError("--generator and --discriminator make new models, and --init-from has models already")
        alone = next((name for name in _OF_A_START if getattr(self, name) and self.init_from is None), None)
        if alone is not None:
            raise UsageError(f"{_flag(alone)} goes with --init-from")
        if self.resume and self.overwrite:
            raise UsageError("--resume continues a run, --overwrite replaces it: give one of them")
        if self.epochs is not None and not 0 < self.epochs < _TOO_LARGE:
            raise UsageError(f"--epochs is {self.epochs}, expected a positive number of passes over the corpus")
        if self.epochs is not None and self.steps is not None:
            raise UsageError("--epochs and --steps both say how long the run is: give one of them")
        if self.precision not in ("float32", "bfloat16"):
            raise UsageError(f"--precision is {self.precision!r}, expected float32 or bfloat16")
        if self.held_out is not None and not 0 <= self.held_out < 1:
            raise UsageError(f"--held-out is {self.held_out}, expected a share from 0 up and below 1")
        if self.held_out and self.eval_corpus is not None:
            raise UsageError("--eval-corpus is evaluated on in place of the --held-out share: give one of them")
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise UsageError(f"{_flag(name)} is {value}, expected a whole number from {least} up")
        for name, key in _HPARAMS.items():
            value = getattr(self, name)
            if value is not None and key in TRAINING and (expected := _expected_instead(key, value)) is not None:
                raise UsageError(f"{_flag(name)} is {value}, expected {expected}")
        check_keys({key: value for _, key, value in self.shortcuts}, "the options")

    def tokenizer_options(self, hparams: Hparams) -> TokenizerOptions:
        """Those that are about a WordPiece tokenizer, and what hparams say of it."""
        return TokenizerOptions(
            vocab=self.vocab,
            lower_case=self.lower_case,
            strip_accents=self.strip_accents,
            tokenize_chinese_chars=self.tokenize_chinese_chars,
            added_tokens=self.added_tokens,
            max_word_length=hparams["max_word_length"],
        )

    @property
    def held_out_share(self) -> float:
        """The share of sequences that are held out; a corpus of its own is evaluated on instead."""
        if self.held_out is not None:
            return self.held_out
        return _HELD_OUT if self.eval_corpus is None else 0.0

    @property
    def shortcuts(self) -> list[tuple[str, str, Any]]:
        """The hparams that were given as options of their own: the option, the hparam and its value."""
        values = {name: getattr(self, name) for name in _HPARAMS}
        given = [
            (_flag(name), key, str(values[name]) if isinstance(values[name], Path) else values[name])
            for name, key in _HPARAMS.items()
        ]
        return [(flag, key, value) for flag, key, value in given if value is not None]

    @property
    def stated_hparams(self) -> Hparams:
        """The hparams of --hparams, whatever they are about.

        Raises:
            ConfigError: they are no hparams.
        """
        given = json.dumps(dict(self.hparams)) if isinstance(self.hparams, Mapping) else self.hparams
        return Hparams({}, "the options") if given is None else read_hparams(str(given))

    @property
    def given_hparams(self) -> Hparams:
        """The hparams that the models and the training go by: of --hparams, and of options of their own, which count;
        configurations that hparams can make among them.

        Raises:
            ConfigError: they are no hparams, or two of them disagree.
        """
        hparams, designs = self._own_hparams, read_designs(self.generator, self.discriminator)
        return hparams if of_any_architecture(designs, hparams) else hparams_of(designs, hparams)

    @property
    def _own_hparams(self) -> Hparams:
        stated = self.stated_hparams
        kept = {key: value for key, value in stated.given.items() if key not in IGNORED or key in TRAINING}
        given = {**kept, **{key: value for _, key, value in self.shortcuts}}
        if self.extend_positions is not None:
            positions = stated.overrides.get("max_position_embeddings", self.extend_positions)
            if positions != self.extend_positions:
                raise ConfigError(
                    f"{stated.origin} says max_position_embeddings is {positions}, --extend-positions "
                    f"{self.extend_positions}",
                    "Give it once.",
                )
            given.setdefault("max_seq_length", self.extend_positions)
        return replace(stated, given=given)

    @property
    def designs(self) -> dict[Role, Design]:
        """The configurations of models that no hparams make; empty where hparams make them.

        Raises:
            ConfigError: they are none, do not go with the hparams, or Google's code has no such models to export.
        """
        hparams, designs = self._own_hparams, read_designs(self.generator, self.discriminator)
        if (reason := of_any_architecture(designs, hparams)) is None:
            return {}
        if self.export_tf:
            raise ConfigError(f"--export tf cannot be had: {reason}", "Leave it out.")
        return completed(designs, hparams)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def exports_tensorflow(export: str | None) -> bool:
    """Whether --export asks for TensorFlow, by either of its names."""
    if export not in (None, "tf", "tensorflow"):
        raise UsageError(f"--export is {export!r}, expected tf")
    return export is not None


@dataclass(frozen=True)
class Settings:
    """The training hparams of configure_pretraining.py, under its names.

    Attributes:
        gen_weight: the generator's loss counts this much.
        disc_weight: the discriminator's loss counts this much.
        mask_prob: the share of a sequence's tokens that is masked.
        max_predictions_per_seq: no more tokens of a sequence are masked than these.
        disallow_correct: whether the generator may not sample the token that was masked.
        temperature: divides the generator's logits before sampling.
        learning_rate: the highest rate.
        lr_decay_power: the power of the polynomial decay; 1 is linear.
        weight_decay_rate: the decoupled decay of all but norms and biases.
        clip_norm: how the gradient of embeddings that are only looked up counts in the norm that all are clipped to:
            per_token, as on CPUs and GPUs in Google's code, or summed over the tokens, as on TPUs.
        sampled_softmax: how many candidates stand for the vocabulary in the generator's loss; 0 for all of it.
        sampled_replacements: full where replacements are drawn from the whole vocabulary even so, or candidates.
        num_warmup_steps: the rate is multiplied by step / this, while that is below 1.
        num_train_steps: where the rate reaches zero and training ends.
        train_batch_size: sequences an optimiser step, over all processes together.
        eval_batch_size: sequences an evaluation batch.
        num_eval_steps: evaluation batches at most.
        max_seq_length: tokens a sequence, special ones included.
        save_checkpoints_steps: steps from one checkpoint to the next.
        keep_checkpoint_max: how many of the last checkpoints are kept; 0 for all.
        whole_word_masking: whether all tokens of a word are masked together.
    """

    gen_weight: float
    disc_weight: float
    mask_prob: float
    max_predictions_per_seq: int
    disallow_correct: bool
    temperature: float
    learning_rate: float
    lr_decay_power: float
    weight_decay_rate: float
    clip_norm: ClipNorm
    sampled_softmax: int
    sampled_replacements: Replacements
    num_warmup_steps: int
    num_train_steps: int
    train_batch_size: int
    eval_batch_size: int
    num_eval_steps: int
    max_seq_length: int
    save_checkpoints_steps: int
    keep_checkpoint_max: int
    whole_word_masking: bool


def training_settings(hparams: Hparams) -> Settings:
    """Read the training hparams; what they leave out has Google's defaults.

    Raises:
        ConfigError: a value cannot be trained with, or the objective is one that PyTorch has no model for.
    """
    if hparams["electric_objective"] or hparams["two_tower_generator"]:
        raise ConfigError(
            f"{hparams.origin}: Electric's two-tower generator cannot be pretrained here; transformers has no class "
            "for it",
            "Leave electric_objective and two_tower_generator out.",
        )
    if hparams["uniform_generator"] and not hparams["electra_objective"]:
        raise ConfigError(
            f"{hparams.origin}: uniform_generator without electra_objective trains nothing", "Leave one of them out."
        )
    if hparams["sampled_softmax"] and hparams["uniform_generator"]:
        raise ConfigError(
            f"{hparams.origin}: sampled_softmax is about a generator's loss, and uniform_generator trains none",
            "Leave one of them out.",
        )
    debug = _DEBUG if hparams["debug"] else {}
    values = {name: hparams.given.get(name, debug.get(name, hparams[name])) for name in _KINDS}
    if values["max_predictions_per_seq"] is None:
        for name in ("mask_prob", "max_seq_length"):
            _check(name, values[name], hparams.origin)
        # configure_pretraining.py: PretrainingConfig.__init__
        values["max_predictions_per_seq"] = max(1, int((values["mask_prob"] + 0.005) * values["max_seq_length"]))
    for name, value in values.items():
        _check(name, value, hparams.origin)
    return Settings(**{name: _KINDS[name](value) for name, value in values.items()})


def _check(name: str, value: Any, origin: str) -> None:  # noqa: ANN401 - JSON values
    if (expected := _expected_instead(name, value)) is not None:
        raise ConfigError(f"{origin}: {name} is {shown(value)}, expected {expected}")


def shown(value: Any) -> str:  # noqa: ANN401 - JSON values
    """A value of an hparam as JSON writes it, the beginning of it where it is long."""
    return json.dumps(value, default=str)[:60]


def _expected_instead(name: str, value: Any) -> str | None:  # noqa: ANN401 - JSON values
    """What is expected of a training hparam; None where the value is that."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    number = whole or (isinstance(value, float) and isfinite(value))
    if _KINDS[name] is bool:
        fits, expected = isinstance(value, bool), "true or false"
    elif name == "sampled_softmax" and value == 1:
        return "0, or a whole number from 2 up"
    elif _KINDS[name] is str:
        return None if value in CHOICES[name] else " or ".join(CHOICES[name])
    elif _KINDS[name] is int:
        least = 0 if name in _FROM_ZERO else 5 if name == "max_seq_length" else 1
        fits, expected = whole and value >= least, f"a whole number from {least} up"
    elif name == "mask_prob":
        fits, expected = number and 0 < value < 1, "a number between 0 and 1"
    else:
        fits = number and (value > 0 if name in _POSITIVE else value >= 0)
        expected = "a positive number" if name in _POSITIVE else "a number from 0 up"
    if fits and value >= _TOO_LARGE:
        return f"{expected}, below {_TOO_LARGE:g}"
    return None if fits else expected


_TYPES: Mapping[str, type] = {"float": float, "int": int, "bool": bool, "ClipNorm": str, "Replacements": str}
_KINDS = {field.name: _TYPES[str(field.type)] for field in fields(Settings)}
