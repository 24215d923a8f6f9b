"""A tokenizer of any kind, taken as its files say: its special tokens under ELECTRA's names, and nothing changed."""

from __future__ import annotations

import json
import reprlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from electra_convert.errors import VocabularyError, listing
from electra_convert.formats.json_objects import decode_json
from electra_convert.formats.names import SPECIAL_TOKENS_FILE, TOKENIZER_CONFIG_FILE, TOKENIZER_FILE, kind_of
from electra_convert.tokenizer.definition import parse_tokenizer
from electra_convert.tokenizer.vocabulary import SPECIAL_TOKENS, Vocabulary, read_small

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# What transformers calls each special token, and its usual names where no file says.
_ROLES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "[PAD]": (("pad_token",), ("[PAD]", "<pad>")),
    "[UNK]": (("unk_token",), ("[UNK]", "<unk>")),
    "[CLS]": (("cls_token", "bos_token"), ("[CLS]", "<cls>", "<s>")),
    "[SEP]": (("sep_token", "eos_token"), ("[SEP]", "<sep>", "</s>")),
    "[MASK]": (("mask_token",), ("[MASK]", "<mask>")),
}
# Sixteen times what the largest vocabularies have.
_MOST_PIECES = 1 << 22
_SAVE_AGAIN = "AutoTokenizer.from_pretrained(...).save_pretrained(FOLDER) of transformers writes one."
# A noncharacter, which no text has: what begins with it is never matched.
_NEVER = "\ufdd0"


@dataclass(frozen=True)
class SavedTokenizer:
    """The files of a tokenizer, and what they say.

    Attributes:
        files: what a model's folder has of it; tokenizer.json is among them.
        special: its own names of special tokens, by ELECTRA's; one without [UNK] knows no unknown words.
        vocabulary: its tokens, by their own names.
        notices: what a reader should know.
        warnings: what may well not be as it was meant.
    """

    files: Mapping[str, bytes]
    special: Mapping[str, str]
    vocabulary: Vocabulary = field(repr=False)
    notices: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def special_ids(self) -> dict[str, int]:
        """The id of each special token, by ELECTRA's name."""
        ids = self.vocabulary.ids
        return {name: ids[own] for name, own in self.special.items()}

    @property
    def longest_word(self) -> int | None:
        """How many characters a word may have before it becomes [UNK]; None where it may be of any length."""
        longest = self._model.get("max_input_chars_per_word")
        return longest if isinstance(longest, int) else None

    @property
    def continuing(self) -> frozenset[int] | None:
        """The ids of pieces that stand within a word; None where no mark tells them from others."""
        prefix = self._model.get("continuing_subword_prefix")
        if self._model.get("type") == "WordLevel":
            return frozenset()
        if not prefix:
            return None
        return frozenset(row for row, piece in enumerate(self.vocabulary.pieces) if piece.startswith(prefix))

    @property
    def _model(self) -> dict[str, Any]:
        model: dict[str, Any] = json.loads(self.files[TOKENIZER_FILE])["model"]
        return model

    @property
    def definition(self) -> str:
        """The tokenizer as tokenizer.json, without special tokens: those are not known inside a text."""
        made: dict[str, Any] = json.loads(self.files[TOKENIZER_FILE])
        names = {self.special[name] for name in self.special if name != "[UNK]"}
        added = [token for token in made.get("added_tokens") or [] if not token.get("special")]
        bare = {"added_tokens": added, "post_processor": None, "truncation": None, "padding": None}
        return json.dumps({**made, **bare, "model": _without(made["model"], names)})

    def with_max_length(self, positions: int) -> dict[str, bytes]:
        """The files for a model: longer texts than it has positions are truncated."""
        config = json.loads(self.files[TOKENIZER_CONFIG_FILE])
        longest = config.get("model_max_length")
        if isinstance(longest, int) and longest <= positions:
            return dict(self.files)
        return {**self.files, TOKENIZER_CONFIG_FILE: _as_json({**config, "model_max_length": positions})}


def read_saved_tokenizer(folder: Path) -> SavedTokenizer:
    """Read the tokenizer of a folder, whatever its kind.

    Returns:
        The tokenizer; where tokenizer_config.json is missing, or does not name a special token, it is made to.

    Raises:
        VocabularyError: there is no tokenizer.json, it is malformed, or a special token is missing.
        SourceError: a file may not be read.
    """
    if not (folder / TOKENIZER_FILE).is_file():
        raise VocabularyError(f"{folder} has no {TOKENIZER_FILE}", _SAVE_AGAIN)
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and kind_of(path.name) == "tokenizer")
    return saved_tokenizer({name: read_small(folder / name) for name in names}, folder)


def saved_tokenizer(files: Mapping[str, bytes], folder: Path) -> SavedTokenizer:
    """Make out what the files of a tokenizer say.

    Args:
        files: by name, tokenizer.json among them.
        folder: where they are from, for messages.

    Raises:
        VocabularyError: as read_saved_tokenizer.
    """
    tokenizer = parse_tokenizer(files[TOKENIZER_FILE], folder / TOKENIZER_FILE)
    ids: dict[str, int] = tokenizer.get_vocab(with_added_tokens=True)
    config = _object(files, TOKENIZER_CONFIG_FILE, folder)
    if config.get("auto_map"):
        raise VocabularyError(
            f"{folder / TOKENIZER_CONFIG_FILE} names code of its own (auto_map), which is not run here",
            f"{TOKENIZER_FILE} alone, in a folder of its own, is taken as it is.",
        )
    special = _special(ids, {**_object(files, SPECIAL_TOKENS_FILE, folder), **config}, tokenizer, folder)
    vocabulary = _vocabulary(ids, folder / TOKENIZER_FILE)
    uses = Counter(ids.values())
    if shared := [own for own in special.values() if uses[ids[own]] > 1]:
        raise VocabularyError(
            f"{folder / TOKENIZER_FILE} gives {listing(map(reprlib.repr, shared))} the id of another token",
            "Save the tokenizer again.",
        )
    missing = {_ROLES[name][0][0]: own for name, own in special.items() if not _states(config, name)}
    if missing:
        kept = config or {"tokenizer_class": "PreTrainedTokenizerFast"}
        files = {**files, TOKENIZER_CONFIG_FILE: _as_json({**kept, **missing})}
    notices = _remarks(tokenizer, {ids[special["[CLS]"]], ids[special["[SEP]"]]}, folder)
    return SavedTokenizer(files, special, vocabulary, notices)


def _vocabulary(ids: Mapping[str, int], path: Path) -> Vocabulary:
    """The tokens by their ids; of an id that none has, ""."""
    names = {index: piece for piece, index in ids.items()}
    if max(names) >= _MOST_PIECES:
        raise VocabularyError(f"{path} has a token of the id {max(names)}, which no model has an embedding for")
    pieces = tuple(names.get(index, "") for index in range(max(names) + 1))
    return Vocabulary(pieces, b"", path)


def _object(files: Mapping[str, bytes], name: str, folder: Path) -> dict[str, Any]:
    try:
        value = decode_json(files.get(name, b"{}"))
    except ValueError as error:
        raise VocabularyError(f"{folder / name} is not JSON: {error}", "Copy or save it again.") from error
    if not isinstance(value, dict):
        raise VocabularyError(f"{folder / name} is not a JSON object", "Copy or save it again.")
    return value


def _special(ids: Mapping[str, int], config: Mapping[str, Any], tokenizer: Tokenizer, folder: Path) -> dict[str, str]:
    """Find each special token: as the files name it, else by its usual names."""
    found = {name: _named(name, config) or _usual(name, ids) for name in SPECIAL_TOKENS}
    found["[UNK]"] = found["[UNK]"] or getattr(tokenizer.model, "unk_token", None)
    absent = {name: own for name, own in found.items() if own is not None and own not in ids}
    if absent.keys() - {"[UNK]"}:
        raise VocabularyError(
            f"{folder}: its tokenizer has no {listing(map(reprlib.repr, absent.values()))}, which "
            f"{TOKENIZER_CONFIG_FILE} names",
            "Save the tokenizer again.",
        )
    lacking = [name for name, own in found.items() if own is None and name != "[UNK]"]
    if lacking:
        keys = [_ROLES[name][0][0] for name in lacking]
        example = ", ".join(f"{key!r}: {_ROLES[name][1][1]!r}" for key, name in zip(keys, lacking, strict=True))
        raise VocabularyError(
            f"{folder}: its tokenizer has no {listing(keys)}, and ELECTRA is trained with one",
            f"Add it and save the tokenizer again: tokenizer.add_special_tokens({{{example}}}).",
        )
    return {name: own for name, own in found.items() if own is not None and name not in absent}


def _named(name: str, config: Mapping[str, Any]) -> str | None:
    stated = (config.get(key) for key in _ROLES[name][0])
    contents = (value.get("content") if isinstance(value, dict) else value for value in stated)
    return next((content for content in contents if isinstance(content, str)), None)


def _states(config: Mapping[str, Any], name: str) -> bool:
    """Whether transformers finds a special token by the name of its role in ELECTRA."""
    return config.get(_ROLES[name][0][0]) is not None


def _usual(name: str, ids: Mapping[str, int]) -> str | None:
    return next((own for own in _ROLES[name][1] if own in ids), None)


def _remarks(tokenizer: Tokenizer, around: Iterable[int], folder: Path) -> tuple[str, ...]:
    """What is said of a tokenizer that does not put the tokens around a text that it is trained between."""
    if {*around} <= {*tokenizer.encode("").ids}:
        return ()
    return (
        f"The tokenizer of {folder} puts no special tokens around a text; the model is trained with them at both "
        "ends, so put them there where the model is used.",
    )


def _without(model: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """A model that does not find special tokens in a text that spells them; BPE makes them of no merges."""
    vocabulary = model.get("vocab")
    if isinstance(vocabulary, list):
        hidden = [[_NEVER + piece if piece in names else piece, *rest] for piece, *rest in vocabulary]
        return {**model, "vocab": hidden}
    if model.get("type", "WordPiece") == "BPE" or not isinstance(vocabulary, dict):
        return model
    return {**model, "vocab": {piece: index for piece, index in vocabulary.items() if piece not in names}}


def _as_json(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode("utf-8", "surrogatepass")
