"""Which kind of tokenizer a transformers folder has: ELECTRA's WordPiece, or one that must stay what it is."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from electra_convert.errors import VocabularyError, listing
from electra_convert.formats.json_objects import decode_json
from electra_convert.formats.names import CONFIG_FILE, SENTENCEPIECE, TOKENIZER_CONFIG_FILE, TOKENIZER_FILE
from electra_convert.tokenizer.vocabulary import read_small

# Classes that split text as ELECTRA's does, and those that do what tokenizer.json says; a final Fast left out.
_WORDPIECE = frozenset({"ElectraTokenizer", "BertTokenizer", "DistilBertTokenizer", "ConvBertTokenizer"})
_BY_FILE = frozenset({"PreTrainedTokenizer", "TokenizersBackend"})


def other_tokenizer(folder: Path) -> str | None:
    """What the tokenizer of a transformers folder is called, where it is another than ELECTRA's WordPiece.

    tokenizer_config.json decides, else config.json, else tokenizer.json, else that SentencePiece's model is there.

    Raises:
        SourceError: a file may not be read.
        CorruptFileError: a download left something else in a file's place.
    """
    settings, config = _object(folder / TOKENIZER_CONFIG_FILE), _object(folder / CONFIG_FILE)
    if code := code_of_folder(folder):
        return code
    named = settings.get("tokenizer_class") or config.get("tokenizer_class")
    kind = named.removesuffix("Fast") if isinstance(named, str) else ""
    if kind and kind not in _WORDPIECE | _BY_FILE:
        return str(named)
    model = _object(folder / TOKENIZER_FILE).get("model")
    type_ = model.get("type") if isinstance(model, dict) else None
    if isinstance(type_, str) and type_ != "WordPiece":
        return f"{type_} (of {TOKENIZER_FILE})"
    pieces = sorted(path.name for path in folder.iterdir() if SENTENCEPIECE.fullmatch(path.name))
    return f"SentencePiece ({listing(pieces)})" if pieces and not kind and not type_ else None


def class_of_folder(folder: Path) -> str | None:
    """The class of transformers that a folder's tokenizer is said to be of; None where nothing says.

    Raises:
        SourceError: a file may not be read.
        CorruptFileError: a download left something else in a file's place.
    """
    settings, config = _object(folder / TOKENIZER_CONFIG_FILE), _object(folder / CONFIG_FILE)
    named = code_of_folder(folder) or settings.get("tokenizer_class") or config.get("tokenizer_class")
    return named if isinstance(named, str) else None


def code_of_folder(folder: Path) -> str | None:
    """The class of a folder's tokenizer that comes with code of its own; None where it is transformers'."""
    said = (_object(folder / TOKENIZER_CONFIG_FILE), _object(folder / CONFIG_FILE))
    return next((code for one in said if (code := _by_code(one.get("auto_map")))), None)


def _by_code(auto_map: object) -> str | None:
    """The class of a tokenizer that comes with code of its own."""
    named = auto_map.get("AutoTokenizer") if isinstance(auto_map, dict) else None
    classes = [name for name in (named if isinstance(named, list) else [named]) if isinstance(name, str)]
    return classes[0].rpartition(".")[2] if classes else None


def _object(path: Path) -> Mapping[str, Any]:
    """A JSON object; empty where there is none that can be read as such."""
    if not path.is_file():
        return {}
    with suppress(VocabularyError, ValueError):
        value = decode_json(read_small(path))
        return value if isinstance(value, dict) else {}
    return {}


def never_split_of_folder(folder: Path) -> str | None:
    """What is said of a never_split in tokenizer_config.json, which only transformers 4's slow tokenizer heeded."""
    settings = _object(folder / TOKENIZER_CONFIG_FILE)
    kept, named = settings.get("never_split"), settings.get("tokenizer_class")
    if not kept or not (named is None or str(named).removesuffix("Fast") in _WORDPIECE):
        return None
    tokens = listing(map(str, kept if isinstance(kept, list) else [kept]), 6)
    return (
        f"never_split of {TOKENIZER_CONFIG_FILE} ({tokens}) has no effect in transformers 5, which splits these as "
        "any other text."
    )
