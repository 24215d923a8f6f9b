"""run.json: what the run in a folder is, so that it is resumed as it began."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from electra_convert.config.keys import check_keys, recorded_by_run
from electra_convert.errors import CorruptFileError, TrainingError
from electra_convert.formats.json_objects import read_object
from electra_convert.formats.names import VOCABULARY_FILE
from electra_convert.output import write_file
from electra_convert.pretraining.corpus.cache import Corpus
from electra_convert.pretraining.corpus.vocabulary import Pieces, WordPieces
from electra_convert.pretraining.corpus.whole_words import read_words
from electra_convert.pretraining.options import PretrainOptions
from electra_convert.pretraining.preparation import Decided, Preparation, described
from electra_convert.pretraining.run_folder import RUN_FILE, TOKENIZER, WORDS
from electra_convert.pretraining.starting.rows import is_extension
from electra_convert.pretraining.tokens import FOLDER, kind_of
from electra_convert.tokenizer import TokenizerSettings, read_vocabulary
from electra_convert.tokenizer.of_checkpoint import read_vocabulary_at
from electra_convert.tokenizer.saved import SavedTokenizer, read_saved_tokenizer
from electra_convert.tokenizer.vocabulary import read_added_tokens

_AS_IT_BEGAN = "Resume it as it began; or start another from its models with --init-from."


def write_run(folder: Path, preparation: Preparation, options: PretrainOptions, computed: Mapping[str, Any]) -> None:
    """Write down what a run is, and its vocabulary, in an empty folder.

    Args:
        folder: where.
        preparation: what decides where the run ends.
        options: what was asked for.
        computed: how it is computed, which changes the rounding and what dropout draws alone.

    Raises:
        OutputError: it cannot be written.
    """
    configs = preparation.findings.configs
    origins = {role: {key: value.origin for key, value in one.values.items()} for role, one in configs.items()}
    record = {
        "schema": 1,
        **described(preparation, options),
        "train_vocab": options.train_vocab,
        "origins": origins,
        **({"start": list(preparation.start.told)} if preparation.start and preparation.start.told else {}),
        **_rules(preparation.pieces),
        "computed": dict(computed),
        "hparams": preparation.hparams,
    }
    _write_tokenizer(folder, preparation.pieces)
    if preparation.words is not None and preparation.words.raw:
        write_file(folder / WORDS, preparation.words.raw)
    write_file(folder / RUN_FILE, (json.dumps(record, indent=2, ensure_ascii=False) + "\n").encode())


def _rules(pieces: Pieces) -> dict[str, Any]:
    """How a WordPiece tokenizer makes texts ready."""
    if not isinstance(pieces, WordPieces):
        return {}
    settings = pieces.settings
    return {
        "lower_case": settings.lower_case,
        "strip_accents": settings.strips,
        **({} if settings.tokenize_chinese_chars else {"tokenize_chinese_chars": False}),
        **({"added_tokens": settings.added_tokens} if settings.added_tokens else {}),
    }


def _write_tokenizer(folder: Path, pieces: Pieces) -> None:
    if isinstance(pieces, SavedTokenizer):
        (folder / TOKENIZER).mkdir()
        for name, content in pieces.files.items():
            write_file(folder / TOKENIZER / name, content)
    else:
        write_file(folder / VOCABULARY_FILE, pieces.vocabulary.raw)


def _read_tokenizer(output: Path, record: Mapping[str, Any]) -> Pieces:
    if record["hparams"]["tokenizer"] != "wordpiece":
        return read_saved_tokenizer(output / TOKENIZER)
    settings = TokenizerSettings(
        bool(record.get("lower_case")),
        bool(record.get("strip_accents")),
        record.get("tokenize_chinese_chars") is not False,
        tuple(record.get("added_tokens", ())),
        record["hparams"]["max_word_length"],
    )
    return WordPieces(read_vocabulary(output / VOCABULARY_FILE), settings)


def read_run(output: Path) -> tuple[dict[str, Any], Decided]:
    """Read what the run in a folder is: the contents of run.json, and what was decided when it began.

    Raises:
        CorruptFileError: run.json is damaged.
        ConfigError: its hparams are none.
        VocabularyError: vocab.txt is damaged.
    """
    path = output / RUN_FILE
    record: dict[str, Any] = read_object(path)
    for key in ("hparams", "computed", "origins"):
        if not isinstance(record.get(key), dict):
            raise CorruptFileError(f"{path} has no {key}", "It is damaged; --overwrite starts anew.")
    if not all(isinstance(origins, dict) for origins in record["origins"].values()):
        raise CorruptFileError(f"{path} has origins of another kind", "It is damaged; --overwrite starts anew.")
    _require_rules(path, record)
    check_keys(record["hparams"], str(path))
    record["hparams"] = recorded_by_run(record["hparams"])
    words = read_words(output / WORDS) if (output / WORDS).is_file() else None
    pieces = _read_tokenizer(output, record)
    designs = record.get("models", {})
    if not isinstance(designs, dict) or not all(isinstance(design, dict) for design in designs.values()):
        raise CorruptFileError(f"{path} has models of another kind", "It is damaged; --overwrite starts anew.")
    return record, Decided(
        pieces, record["hparams"], record["origins"], designs, record.get("extend_vocabulary") or 0, words
    )


def _require_rules(path: Path, record: Mapping[str, Any]) -> None:
    """Refuse a record whose tokenizer has rules of another kind than a run writes down."""
    added, extended = record.get("added_tokens", []), record.get("extend_vocabulary")
    tokens = isinstance(added, list) and all(isinstance(token, str) for token in added)
    if not tokens or not (extended is None or type(extended) is int):
        raise CorruptFileError(f"{path} has a tokenizer of another kind", "It is damaged; --overwrite starts anew.")


def require_same(record: Mapping[str, Any], preparation: Preparation, options: PretrainOptions) -> None:
    """Refuse to resume a run with other settings: it would not end where the run would have ended.

    Raises:
        TrainingError: names what differs.
    """
    corpora = {"corpus": preparation.corpus, "eval_corpus": preparation.evaluated}
    for key, value in described(preparation, options).items():
        if not _is_same_corpus(record.get(key), corpora.get(key)):
            _require_equal(key, record.get(key), value)
    before, now = record["hparams"], preparation.hparams
    for key in sorted({*before, *now}):
        _require_equal(key, before.get(key), now.get(key))


def _is_same_corpus(before: object, now: Corpus | None) -> bool:
    """Whether a corpus has the sequences that were written down, whatever their cache was called then."""
    if now is None or not isinstance(before, dict):
        return False
    record = now.record
    if (before.get("sequences"), before.get("tokens")) != (record.sequences, record.tokens):
        return False
    if "crc32c" in before:
        return bool(before["crc32c"] == record.crc32c)
    return before.get("key") in (record.key, now.first_key)


def require_same_tokenizer(record: Mapping[str, Any], pieces: Pieces, options: PretrainOptions) -> None:
    """Refuse to resume a run with another vocabulary or casing than its own, as far as options say one.

    Raises:
        TrainingError: names what differs.
    """
    if options.train_vocab is not None:
        _require_equal("--train-vocab", record.get("train_vocab"), options.train_vocab)
    _require_same_kind(record, pieces, options)
    if isinstance(pieces, WordPieces):
        _require_same_rules(pieces, options)
    new_pieces = record.get("extend_vocabulary") or 0
    if options.extend_vocabulary and not is_extension(options.extend_vocabulary, pieces.vocabulary, new_pieces):
        raise TrainingError(
            f"{options.extend_vocabulary} is not what the vocabulary was extended by when the run began", _AS_IT_BEGAN
        )
    if options.vocab is None:
        return
    given, began = read_vocabulary_at(options.vocab).pieces, pieces.vocabulary.pieces
    # What was extended was given as it was before.
    if given not in (began, began[: len(began) - new_pieces]):
        raise TrainingError(f"{options.vocab} is not the vocabulary that the run began with", _AS_IT_BEGAN)


def _require_same_kind(record: Mapping[str, Any], pieces: Pieces, options: PretrainOptions) -> None:
    stated = options.given_hparams.given.get("tokenizer")
    if stated is None:
        return
    _require_equal("tokenizer", record["hparams"]["tokenizer"], kind_of(stated))
    if kind_of(stated) == FOLDER and read_saved_tokenizer(Path(stated)).definition != pieces.definition:
        raise TrainingError(f"{stated} is not the tokenizer that the run began with", _AS_IT_BEGAN)


def _require_same_rules(pieces: WordPieces, options: PretrainOptions) -> None:
    settings = pieces.settings
    if options.lower_case is not None:
        _require_equal("lower_case", settings.lower_case, options.lower_case)
    if options.strip_accents is not None:
        _require_equal("strip_accents", settings.strips, settings.lower_case and options.strip_accents)
    if options.tokenize_chinese_chars is not None:
        _require_equal("tokenize_chinese_chars", settings.tokenize_chinese_chars, options.tokenize_chinese_chars)
    if options.added_tokens is not None:
        added = read_added_tokens(options.added_tokens, pieces.vocabulary)
        _require_equal("--added-tokens", settings.added_tokens, added)


def changed(record: Mapping[str, Any], computed: Mapping[str, Any]) -> list[str]:
    """A line for each way in which a resumed run is computed otherwise, so that it is not the same to the bit."""
    before = record["computed"]
    return [
        f"{key} was {json.dumps(before[key])} when the run began, and is {json.dumps(value)} now: from here on it is "
        "no longer the same to the bit."
        for key, value in computed.items()
        if key in before and before[key] != value
    ]


def _require_equal(key: str, before: object, now: object) -> None:
    if before != now:
        raise TrainingError(
            f"{key} was {json.dumps(before)} when the run began, and is {json.dumps(now)} now", _AS_IT_BEGAN
        )
