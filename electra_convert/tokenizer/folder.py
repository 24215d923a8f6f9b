"""The vocabulary and casing of a transformers folder, for the way back; only Google's kind of tokenizer is known."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from electra_convert.errors import SourceError, VocabularyError, listing
from electra_convert.formats.json_objects import decode_json
from electra_convert.formats.names import TOKENIZER_CONFIG_FILE, TOKENIZER_FILE, VOCABULARY_FILE
from electra_convert.tokenizer.vocabulary import (
    SPECIAL_TOKENS,
    Vocabulary,
    decode_vocabulary,
    read_small,
    read_vocabulary,
)

_WAY_OUT = "Put the model's vocab.txt into the folder, or give it with --vocab."
ANOTHER_KIND = (
    "Google's code knows WordPiece alone. convert --no-tokenizer leaves it out; pretrain --tokenizer FOLDER trains "
    "with it as it is, and --train-vocab SIZE with a WordPiece vocabulary of its own."
)


def read_vocabulary_of_folder(folder: Path) -> Vocabulary | None:
    """Read vocab.txt, or make it from tokenizer.json where a folder holds only that; None where it holds neither.

    Raises:
        VocabularyError: the file is malformed, or no WordPiece tokenizer that vocab.txt can express.
        SourceError: the file may not be read.
    """
    if _is_there(folder / VOCABULARY_FILE):
        return read_vocabulary(folder / VOCABULARY_FILE)
    path = folder / TOKENIZER_FILE
    if not _is_there(path):
        return None
    pieces = _pieces_by_id(_read_object(path), path)
    try:
        data = "".join(f"{piece}\n" for piece in pieces).encode()
    except UnicodeEncodeError as error:
        raise VocabularyError(f"{path}: a piece holds half of a character ({error.reason})", _WAY_OUT) from error
    vocabulary = decode_vocabulary(data, path)
    if list(vocabulary.pieces) != pieces:
        lost = [repr(piece) for piece in pieces if piece != piece.strip() or "\n" in piece]
        raise VocabularyError(f"{path}: vocab.txt cannot hold pieces with white space around them: {listing(lost)}")
    return vocabulary


def ids_of_file(name: str, data: bytes) -> dict[str, int]:
    """Find the id of each piece in a vocab.txt or tokenizer.json.

    Raises:
        VocabularyError: the file is malformed, or no WordPiece tokenizer.
    """
    path = Path(name)
    return _ids(_decode_object(data, path), path) if name == TOKENIZER_FILE else decode_vocabulary(data, path).ids


def casing_of_folder(folder: Path) -> bool | None:
    """Find whether the tokenizer of a transformers folder lower-cases.

    That is do_lower_case of tokenizer_config.json, else what the normalizer of tokenizer.json does, else None.

    Raises:
        VocabularyError: a file is malformed.
        SourceError: a file may not be read.
    """
    value = _setting(folder, "do_lower_case")
    path = folder / TOKENIZER_FILE
    if value is None and _is_there(path):
        return _lower_cases(_read_object(path).get("normalizer"))
    return value


def accents_of_folder(folder: Path) -> bool | None:
    """Find strip_accents in the tokenizer_config.json of a transformers folder, None where it does not say.

    Raises:
        VocabularyError: the file is malformed.
        SourceError: the file may not be read.
    """
    return _setting(folder, "strip_accents")


@dataclass(frozen=True)
class SavedSettings:
    """What tokenizer_config.json says of a tokenizer, under its names; None where it says nothing.

    Attributes:
        added_tokens: those that are no special tokens.
    """

    strip_accents: bool | None = None
    tokenize_chinese_chars: bool | None = None
    added_tokens: tuple[str, ...] = ()


def settings_of_folder(folder: Path) -> SavedSettings:
    """Find how the tokenizer of a transformers folder makes text ready, apart from its casing.

    Raises:
        VocabularyError: a file is malformed.
        SourceError: a file may not be read.
    """
    path = folder / TOKENIZER_CONFIG_FILE
    entries = _read_object(path).get("added_tokens_decoder") if _is_there(path) else None
    added = [entry for entry in (entries.values() if isinstance(entries, dict) else []) if isinstance(entry, dict)]
    contents = [entry.get("content") for entry in added if not entry.get("special")]
    tokens = tuple(token for token in contents if isinstance(token, str) and token not in SPECIAL_TOKENS)
    return SavedSettings(accents_of_folder(folder), _setting(folder, "tokenize_chinese_chars"), tokens)


def max_length_of_folder(folder: Path) -> int | float | None:
    """model_max_length of tokenizer_config.json, None where it states no number.

    Raises:
        VocabularyError: the file is malformed.
        SourceError: the file may not be read.
    """
    path = folder / TOKENIZER_CONFIG_FILE
    value = _read_object(path).get("model_max_length") if _is_there(path) else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def segment_of_folder(folder: Path) -> int:
    """The token type that the tokenizer of a transformers folder gives a text: as tokenizer.json says, else 0."""
    path = folder / TOKENIZER_FILE
    processor = _read_object(path).get("post_processor") if _is_there(path) else None
    single = processor.get("single") if isinstance(processor, dict) else None
    types = [
        part["Sequence"].get("type_id")
        for part in (single if isinstance(single, list) else [])
        if isinstance(part, dict) and isinstance(part.get("Sequence"), dict)
    ]
    return types[0] if types and isinstance(types[0], int) else 0


def _setting(folder: Path, key: str) -> bool | None:
    path = folder / TOKENIZER_CONFIG_FILE
    value = _read_object(path).get(key) if _is_there(path) else None
    if value is not None and not isinstance(value, bool):
        raise VocabularyError(f"{path}: {key} is {reprlib.repr(value)}, expected true or false")
    return value


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error


def _read_object(path: Path) -> Mapping[str, Any]:
    return _decode_object(read_small(path), path)


def _decode_object(data: bytes, path: Path) -> Mapping[str, Any]:
    try:
        value = decode_json(data)
    except ValueError as error:
        raise VocabularyError(f"{path} is not JSON: {error}", "Copy or download it again.") from error
    if not isinstance(value, dict):
        raise VocabularyError(f"{path} is not a JSON object", "Copy or download it again.")
    return value


def _pieces_by_id(tokenizer: Mapping[str, Any], path: Path) -> list[str]:
    ids = _ids(tokenizer, path)
    pieces = dict(sorted((index, piece) for piece, index in ids.items()))
    if list(pieces) != list(range(len(ids))):
        raise VocabularyError(f"{path}: the ids of {len(ids)} pieces do not run from 0 without a gap", _WAY_OUT)
    return list(pieces.values())


def _ids(tokenizer: Mapping[str, Any], path: Path) -> dict[str, int]:
    model = tokenizer.get("model")
    if not isinstance(model, dict) or model.get("type", "WordPiece") != "WordPiece":
        kind = reprlib.repr(model.get("type") if isinstance(model, dict) else model)
        raise VocabularyError(f"{path}: the tokenizer's model is {kind}, expected 'WordPiece'", ANOTHER_KIND)
    prefix = model.get("continuing_subword_prefix", "##")
    if prefix != "##":
        raise VocabularyError(f"{path}: pieces inside a word begin with {reprlib.repr(prefix)}, expected '##'")
    ids = model.get("vocab")
    if not isinstance(ids, dict) or any(type(index) is not int for index in ids.values()):
        raise VocabularyError(f"{path}: model.vocab is no table of pieces and their ids", _WAY_OUT)
    return ids | _added(tokenizer.get("added_tokens"))


def _added(tokens: object) -> dict[str, int]:
    # Tokens added to a trained tokenizer have rows in the embedding, yet stand outside model.vocab.
    entries = tokens if isinstance(tokens, list) else []
    pairs = [(entry.get("content"), entry.get("id")) for entry in entries if isinstance(entry, dict)]
    return {piece: index for piece, index in pairs if isinstance(piece, str) and type(index) is int}


def _lower_cases(normalizer: object) -> bool:
    steps = [normalizer]
    for step in steps:
        if not isinstance(step, dict):
            continue
        if step.get("type") == "Lowercase" or step.get("lowercase") is True:
            return True
        inner = step.get("normalizers")
        steps += inner if isinstance(inner, list) else []
    return False
