"""run.json: what the run in a folder is, so that it is resumed as it began; and the lock on that folder."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from electra_convert.config.keys import check_keys
from electra_convert.errors import CorruptFileError, OutputError, TrainingError
from electra_convert.formats.json_objects import decode_object
from electra_convert.formats.names import VOCABULARY_FILE
from electra_convert.output import write_file
from electra_convert.pretraining.corpus.vocabulary import WordPieces, read_word_pieces
from electra_convert.pretraining.options import PretrainOptions
from electra_convert.tokenizer import read_vocabulary

RUN_FILE = "run.json"


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
        OutputError: another run has it, or the file system has no locks.
    """
    descriptor = os.open(output, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OutputError(f"{output} is being written to by another run", "Wait for it to end.") from error
        except OSError as error:
            raise OutputError(
                f"{output} cannot be locked: {error.strerror}", "Choose a folder on a file system that has locks."
            ) from error
        yield
    finally:
        os.close(descriptor)


def write_run(
    folder: Path,
    described: Mapping[str, Any],
    hparams: Mapping[str, Any],
    pieces: WordPieces,
    computed: Mapping[str, Any],
) -> None:
    """Write down what a run is.

    Args:
        folder: an empty folder.
        described: what decides where the run ends.
        hparams: all its hparams.
        pieces: its vocabulary.
        computed: how it is computed, which changes the rounding and what dropout draws alone.

    Raises:
        OutputError: it cannot be written.
    """
    write_file(folder / VOCABULARY_FILE, pieces.vocabulary.raw)
    casing = {"lower_case": pieces.lower_case, "strip_accents": pieces.strip_accents}
    record = {"schema": 1, **described, **casing, "computed": dict(computed), "hparams": dict(hparams)}
    write_file(folder / RUN_FILE, (json.dumps(record, indent=2, ensure_ascii=False) + "\n").encode())


def read_run(output: Path) -> tuple[dict[str, Any], WordPieces]:
    """Read what the run in a folder is, and its vocabulary.

    Args:
        output: the folder.

    Returns:
        The contents of run.json, and the vocabulary.

    Raises:
        CorruptFileError: run.json is damaged.
        ConfigError: its hparams are none.
        VocabularyError: vocab.txt is damaged.
    """
    path = output / RUN_FILE
    record: dict[str, Any] = decode_object(path.read_bytes(), str(path))
    for key in ("hparams", "computed", "origins"):
        if not isinstance(record.get(key), dict):
            raise CorruptFileError(f"{path} has no {key}", "It is damaged; --overwrite starts anew.")
    if not all(isinstance(origins, dict) for origins in record["origins"].values()):
        raise CorruptFileError(f"{path} has origins of another kind", "It is damaged; --overwrite starts anew.")
    check_keys(record["hparams"], str(path))
    pieces = WordPieces(
        read_vocabulary(output / VOCABULARY_FILE), bool(record.get("lower_case")), bool(record.get("strip_accents"))
    )
    return record, pieces


def require_same(record: Mapping[str, Any], described: Mapping[str, Any], hparams: Mapping[str, Any]) -> None:
    """Refuse to resume a run with other settings: it would not end where the run would have ended.

    Args:
        record: the run's own.
        described: what was asked for now.
        hparams: all of them now.

    Raises:
        TrainingError: names what differs.
    """
    for key, value in described.items():
        _require_equal(key, record.get(key), value)
    before = record.get("hparams", {})
    for key in sorted({*before, *hparams}):
        _require_equal(key, before.get(key), hparams.get(key))


def require_same_tokenizer(record: Mapping[str, Any], pieces: WordPieces, options: PretrainOptions) -> None:
    """Refuse to resume a run with another vocabulary or casing; options that say nothing are passed over.

    Args:
        record: the run's own.
        pieces: the run's own.
        options: what was asked for now.

    Raises:
        TrainingError: names what differs.
    """
    if options.train_vocab is not None:
        _require_equal("--train-vocab", record.get("train_vocab"), options.train_vocab)
    if options.lower_case is not None:
        _require_equal("lower_case", pieces.lower_case, options.lower_case)
    if options.strip_accents is not None:
        _require_equal("strip_accents", pieces.strip_accents, pieces.lower_case and options.strip_accents)
    if options.vocab is None:
        return
    given = read_word_pieces(options.vocab, pieces.lower_case, pieces.strip_accents, None)
    if given.vocabulary.pieces != pieces.vocabulary.pieces:
        raise TrainingError(f"{options.vocab} is not the vocabulary that the run began with", _AS_IT_BEGAN)


def changed(record: Mapping[str, Any], computed: Mapping[str, Any]) -> list[str]:
    """Tell what keeps a resumed run from being the same to the bit.

    Args:
        record: the run's own.
        computed: how it is computed now.

    Returns:
        A notice for each difference.
    """
    before = record.get("computed", {})
    return [
        f"{key} was {json.dumps(before[key])} when the run began, and is {json.dumps(value)} now: from here on it is "
        "no longer the same to the bit."
        for key, value in computed.items()
        if key in before and before[key] != value
    ]


_AS_IT_BEGAN = "Resume it as it began; or start another from its models with --init-from."


def _require_equal(key: str, before: object, now: object) -> None:
    if before != now:
        raise TrainingError(
            f"{key} was {json.dumps(before)} when the run began, and is {json.dumps(now)} now", _AS_IT_BEGAN
        )
