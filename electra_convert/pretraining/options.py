"""What a pretraining run may be told beside its hparams, and which of it goes together."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from electra_convert.config.hparams import Hparams, read_hparams
from electra_convert.config.keys import TRAINING, check_keys
from electra_convert.errors import ConfigError, UsageError
from electra_convert.hub.download import local_source
from electra_convert.pretraining.settings import expected_instead

Precision = Literal["float32", "bfloat16"]
# hparams that have options of their own, by the name of the option.
HPARAM_OPTIONS: Mapping[str, str] = {
    "model_size": "model_size",
    "steps": "num_train_steps",
    "warmup_steps": "num_warmup_steps",
    "batch_size": "train_batch_size",
    "learning_rate": "learning_rate",
    "max_length": "max_seq_length",
    "save_steps": "save_checkpoints_steps",
}


@dataclass(frozen=True)
class PretrainOptions:
    """The options of pretrain; None where the tool is to find out.

    Attributes:
        hparams: google-research/electra's hparams: JSON, or the name of a file that holds it.
        overrides: hparams that were given as options of their own.
        vocab: a vocabulary file, or a tokenizer's folder.
        train_vocab: train a vocabulary of so many pieces on the corpus.
        lower_case: whether text is lower-cased.
        strip_accents: whether accents are stripped.
        one_sentence_per_line: blank lines end no document.
        init_from: a checkpoint to start from, or whose run is to be continued.
        reset_optimizer: take the checkpoint's weights alone.
        resume: continue the run in the output folder.
        overwrite: replace the run in the output folder.
        seed: what all random numbers follow from.
        held_out: the share of sequences kept for evaluation.
        accumulate: split each batch into so many parts, to take less memory.
        precision: what matrices are multiplied in.
        compile: compile the model with torch.compile.
        log_steps: steps from one report of the losses to the next.
        export_tf: write a TensorFlow checkpoint too.
        cache: the folder of tokenised corpora.
    """

    hparams: str | None = None
    overrides: tuple[tuple[str, Any], ...] = ()
    vocab: Path | None = None
    train_vocab: int | None = None
    lower_case: bool | None = None
    strip_accents: bool | None = None
    one_sentence_per_line: bool = False
    init_from: Path | None = None
    reset_optimizer: bool = False
    resume: bool = False
    overwrite: bool = False
    seed: int = 0
    held_out: float = 0.01
    accumulate: int = 1
    precision: Precision = "float32"
    compile: bool = False
    log_steps: int = 20
    export_tf: bool = False
    cache: Path | None = None

    def __post_init__(self) -> None:
        if self.vocab is not None and self.train_vocab is not None:
            raise UsageError("--vocab borrows a vocabulary, --train-vocab trains one: give one of them")
        if self.init_from is not None and self.train_vocab is not None:
            raise UsageError("--train-vocab does not go with --init-from, whose embeddings have a vocabulary already")
        if self.reset_optimizer and self.init_from is None:
            raise UsageError("--reset-optimizer goes with --init-from")
        if self.resume and self.overwrite:
            raise UsageError("--resume continues a run, --overwrite replaces it: give one of them")
        if self.precision not in ("float32", "bfloat16"):
            raise UsageError(f"--precision is {self.precision!r}, expected float32 or bfloat16")
        if not 0 <= self.held_out < 1:
            raise UsageError(f"--held-out is {self.held_out}, expected a share from 0 up and below 1")
        for name, least in (("accumulate", 1), ("log_steps", 1), ("seed", 0), ("train_vocab", 6)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise UsageError(f"{_flag(name)} is {value}, expected a whole number from {least} up")
        flags = {key: _flag(name) for name, key in HPARAM_OPTIONS.items()}
        for key, value in self.overrides:
            if key in TRAINING and (expected := expected_instead(key, value)) is not None:
                raise UsageError(f"{flags[key]} is {value}, expected {expected}")
        check_keys(dict(self.overrides), "the options")

    @property
    def given_hparams(self) -> Hparams:
        """The hparams of --hparams and of options of their own.

        Raises:
            ConfigError: they are no hparams, or the two disagree.
        """
        read = Hparams({}, "the options") if self.hparams is None else read_hparams(self.hparams)
        for key, value in self.overrides:
            if read.given.get(key, value) != value:
                raise ConfigError(
                    f"{read.origin} says {key} is {read.given[key]}, an option says {value}", "Give it once."
                )
        return Hparams({**read.given, **dict(self.overrides)}, read.origin)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def make_pretrain_options(given: Mapping[str, Any]) -> PretrainOptions:
    """Make options of what a Python caller finds natural to pass.

    Args:
        given: fields of PretrainOptions, and the names in HPARAM_OPTIONS; paths may be text, hparams a mapping.

    Returns:
        The options.

    Raises:
        UsageError: there is no such option, or options do not go together.
        ElectraConvertError: init_from is on the Hub, and cannot be brought here.
    """
    values = {name: value for name, value in given.items() if value is not None}
    overrides = [(key, values.pop(name)) for name, key in HPARAM_OPTIONS.items() if name in values]
    known = {field.name for field in fields(PretrainOptions)}
    if unknown := sorted(values.keys() - known):
        raise UsageError(f"unknown options: {', '.join(unknown)}")
    if isinstance(values.get("hparams"), Mapping):
        values["hparams"] = json.dumps(dict(values["hparams"]))
    for name in ("vocab", "cache"):
        if name in values:
            values[name] = Path(values[name])
    if "init_from" in values:
        values["init_from"] = local_source(values["init_from"])
    if "hparams" in values:
        values["hparams"] = str(values["hparams"])
    return PretrainOptions(**values, overrides=tuple(overrides))
