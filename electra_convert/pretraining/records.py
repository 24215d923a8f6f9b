"""run.json: what the run in a folder is, so that it is resumed as it began; and the lock on that folder."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from electra_convert.errors import OutputError, TrainingError
from electra_convert.formats.json_objects import decode_object
from electra_convert.output import write_file
from electra_convert.pretraining.vocabulary import WordPieces
from electra_convert.tokenizer import read_vocabulary

RUN_FILE, VOCABULARY = "run.json", "vocab.txt"


@dataclass(frozen=True)
class Pretraining:
    """What a run left behind.

    Attributes:
        output: the run's folder.
        model: the folder of the trained model or pair within it.
        tensorflow: the folder of the TensorFlow checkpoint, or None.
        step: the global step of the models.
        metrics: of the held-out sequences at the end; empty where none are held out.
        is_main_process: whether this is the first of the processes that trained, which wrote it.
    """

    output: Path
    model: Path
    tensorflow: Path | None
    step: int
    metrics: Mapping[str, float]
    is_main_process: bool = True


@contextmanager
def locked(output: Path) -> Iterator[None]:
    """Keep a run's folder from being written to by two runs at once.

    Args:
        output: the folder, which exists.

    Raises:
        OutputError: another run has it.
    """
    descriptor = os.open(output, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise OutputError(f"{output} is being written to by another run", "Wait for it to end.") from error
        yield
    finally:
        os.close(descriptor)


def begin(output: Path, described: Mapping[str, Any], hparams: Mapping[str, Any], pieces: WordPieces) -> None:
    """Make the folder of a run, in place of one that may be there.

    Args:
        output: the folder.
        described: what the run is.
        hparams: all its hparams.
        pieces: its vocabulary.

    Raises:
        OutputError: another run is writing there.
    """
    if output.exists():
        with locked(output):
            shutil.rmtree(output)
    output.mkdir(parents=True)
    write_file(output / VOCABULARY, pieces.vocabulary.raw)
    casing = {"lower_case": pieces.lower_case, "strip_accents": pieces.strip_accents}
    record = {"schema": 1, **described, **casing, "hparams": dict(hparams)}
    write_file(output / RUN_FILE, (json.dumps(record, indent=2, ensure_ascii=False) + "\n").encode())


def read_run(output: Path) -> tuple[dict[str, Any], WordPieces]:
    """Read what the run in a folder is, and its vocabulary.

    Args:
        output: the folder.

    Returns:
        The contents of run.json, and the vocabulary.

    Raises:
        CorruptFileError: run.json is damaged.
        VocabularyError: vocab.txt is damaged.
    """
    record: dict[str, Any] = decode_object((output / RUN_FILE).read_bytes(), str(output / RUN_FILE))
    pieces = WordPieces(
        read_vocabulary(output / VOCABULARY), bool(record.get("lower_case")), bool(record.get("strip_accents"))
    )
    return record, pieces


def require_same(record: Mapping[str, Any], described: Mapping[str, Any], hparams: Mapping[str, Any]) -> None:
    """Refuse to resume a run with other settings: it would not end where the run would have ended.

    Args:
        record: the run's own.
        described: what was asked for now.
        hparams: those given now.

    Raises:
        TrainingError: names what differs.
    """
    before = {**record, **record.get("hparams", {})}
    for key, value in {**described, **hparams}.items():
        if before.get(key) != value:
            raise TrainingError(
                f"{key} was {json.dumps(before.get(key))} when the run began, and is {json.dumps(value)} now",
                "Resume it as it began; or start another from its models with --init-from.",
            )
