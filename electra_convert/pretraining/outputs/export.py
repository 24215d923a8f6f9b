"""What a run leaves behind, laid out by the very code that convert uses; decides nothing about training."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from electra_convert.config.keys import LOCATIONS
from electra_convert.conversion.layout_tensorflow import plan_tensorflow
from electra_convert.conversion.layout_transformers import plan_transformers
from electra_convert.conversion.options import Options
from electra_convert.conversion.plan import OutputPlan, write
from electra_convert.formats.names import CONVERSION_FILE, TRAINING_FILE
from electra_convert.output import write_file
from electra_convert.pretraining.outputs.exchange import Trained, as_checkpoint
from electra_convert.verification.saved import hash_files
from electra_convert.version import __version__

SCHEMA = 1


@dataclass(frozen=True)
class Tokens:
    """The tokenizer that goes with the models.

    Attributes:
        vocab: its vocab.txt.
        lower_case: whether it lower-cases.
        strip_accents: whether it strips accents.
    """

    vocab: Path
    lower_case: bool
    strip_accents: bool

    @property
    def options(self) -> Options:
        """The same as options of convert, with slots and step carried over."""
        # A vocabulary shorter than the embeddings was accepted, with a notice, when the run began.
        return Options(
            vocab=self.vocab,
            lower_case=self.lower_case,
            strip_accents=self.strip_accents,
            optimizer=True,
            pad_vocab=True,
        )


def write_models(trained: Trained, step: int, tokens: Tokens, described: Mapping[str, Any], folder: Path) -> None:
    """Write the models and the optimiser's state as convert does, with training.json in place of conversion.json.

    Args:
        trained: the networks.
        step: the global step they are at.
        tokens: their tokenizer.
        described: what training.json is to say of the run beside step, layout and hparams.
        folder: the folder to make; a pair gets a folder each within it.

    Raises:
        NamesError: a weight is not finite.
        OutputError: it cannot be written.
    """
    checkpoint = as_checkpoint(trained, step)
    plan = plan_transformers(checkpoint, trained.findings, tuple(trained.networks), "safetensors", tokens.options, ())
    record = _record(trained, step, described)
    files, records = _apart(plan.files)

    def write_records(partial: Path) -> None:
        for name in records:
            path = partial / name
            write_file(path, _as_json({**record, "files": hash_files(path.parent)}))

    models = OutputPlan(plan.containers, files, plan.notices)
    write(models, folder, overwrite=True, finite=True, progress=None, inspect=write_records)


def write_tensorflow(trained: Trained, step: int, tokens: Tokens, folder: Path) -> None:
    """Write a checkpoint that google-research/electra's code reads and resumes.

    Args:
        trained: the networks.
        step: the global step they are at.
        tokens: their tokenizer.
        folder: the folder to make.

    Raises:
        ConfigError: Google's code cannot express a model.
        OutputError: it cannot be written.
    """
    options = replace(tokens.options, strip_accents=None)
    plan = plan_tensorflow(as_checkpoint(trained, step), trained.findings, tuple(trained.networks), options, ())
    write(plan, folder, overwrite=True, finite=True, progress=None)


def _apart(files: Mapping[str, bytes]) -> tuple[dict[str, bytes], list[str]]:
    """Small files as they are, and where each training.json goes: it is written last, with the hashes of the rest."""
    records = [PurePosixPath(name) for name in files if PurePosixPath(name).name == CONVERSION_FILE]
    others = {name: content for name, content in files.items() if PurePosixPath(name) not in records}
    return others, [str(record.with_name(TRAINING_FILE)) for record in records]


def _record(trained: Trained, step: int, described: Mapping[str, Any]) -> dict[str, Any]:
    """training.json: no times and no paths; a later convert finds layout, step and hparams in it."""
    hparams = trained.findings.hparams
    return {
        "schema": SCHEMA,
        "tool": {"name": "electra_convert", "version": __version__},
        "variant": trained.layout.name,
        "step": step,
        "hparams": {key: value for key, value in (hparams.given if hparams else {}).items() if key not in LOCATIONS},
        **described,
    }


def _as_json(fields: Mapping[str, Any]) -> bytes:
    return (json.dumps(fields, indent=2, ensure_ascii=False) + "\n").encode()
