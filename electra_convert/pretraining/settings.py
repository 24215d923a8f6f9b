"""The hparams that training goes by, checked and typed; the architectures they also give are config/hparams.py's."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from math import isfinite
from typing import Any

from electra_convert.config.hparams import Hparams
from electra_convert.errors import ConfigError

# The settings of run_pretraining.py --hparams '{"debug": true}', where nothing else is given.
_DEBUG = {"train_batch_size": 8, "num_train_steps": 20, "eval_batch_size": 4, "num_eval_steps": 2}
# Counts that may be zero: no warm-up, no evaluation, every checkpoint kept.
_FROM_ZERO = frozenset({"num_warmup_steps", "num_eval_steps", "keep_checkpoint_max"})
_POSITIVE = frozenset({"learning_rate", "temperature", "mask_prob"})
_LARGEST = 1 << 40


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
        num_warmup_steps: the rate is multiplied by step / this, while that is below 1.
        num_train_steps: where the rate reaches zero and training ends.
        train_batch_size: sequences an optimiser step, over all processes together.
        eval_batch_size: sequences an evaluation batch.
        num_eval_steps: evaluation batches at most.
        max_seq_length: tokens a sequence, special ones included.
        save_checkpoints_steps: steps from one checkpoint to the next.
        keep_checkpoint_max: how many of the last checkpoints are kept; 0 for all.
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
    num_warmup_steps: int
    num_train_steps: int
    train_batch_size: int
    eval_batch_size: int
    num_eval_steps: int
    max_seq_length: int
    save_checkpoints_steps: int
    keep_checkpoint_max: int


def training_settings(hparams: Hparams) -> Settings:
    """Read the training hparams.

    Args:
        hparams: as run_pretraining.py takes them; what they leave out has Google's defaults.

    Returns:
        The settings.

    Raises:
        ConfigError: a value cannot be trained with, or the objective is one that PyTorch has no model for.
    """
    if hparams["electric_objective"] or hparams["two_tower_generator"]:
        raise ConfigError(
            f"{hparams.origin}: Electric's two-tower generator cannot be pretrained here; transformers has no class "
            "for it",
            "Leave electric_objective and two_tower_generator out.",
        )
    debug = _DEBUG if hparams["debug"] else {}
    values = {
        field.name: hparams.given.get(field.name, debug.get(field.name, hparams[field.name])) for field in _FIELDS
    }
    if values["max_predictions_per_seq"] is None:
        _check("mask_prob", "float", values["mask_prob"], hparams.origin)
        _check("max_seq_length", "int", values["max_seq_length"], hparams.origin)
        # configure_pretraining.py: PretrainingConfig.__init__
        values["max_predictions_per_seq"] = max(1, int((values["mask_prob"] + 0.005) * values["max_seq_length"]))
    for field in _FIELDS:
        _check(field.name, str(field.type), values[field.name], hparams.origin)
    return Settings(**{field.name: _KINDS[str(field.type)](values[field.name]) for field in _FIELDS})


_FIELDS = fields(Settings)
_KINDS = {"float": float, "int": int, "bool": bool}


def _check(name: str, kind: str, value: Any, origin: str) -> None:  # noqa: ANN401 - JSON values
    number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    if kind == "bool":
        fits, expected = isinstance(value, bool), "true or false"
    elif kind == "int":
        least = 0 if name in _FROM_ZERO else 5 if name == "max_seq_length" else 1
        fits = isinstance(value, int) and number and least <= value < _LARGEST
        expected = f"a whole number from {least} up"
    elif name == "mask_prob":
        fits, expected = number and 0 < value < 1, "a number between 0 and 1"
    else:
        fits = number and (value > 0 if name in _POSITIVE else value >= 0)
        expected = "a positive number" if name in _POSITIVE else "a number from 0 up"
    if not fits:
        raise ConfigError(f"{origin}: {name} is {json.dumps(value, default=str)[:60]}, expected {expected}")
