"""Google's FullTokenizer (model/tokenization.py of google-research/electra), told again from its rules."""

from __future__ import annotations

import functools
import string
import unicodedata
from collections.abc import Mapping

LONGEST_WORD = 200
IDEOGRAPHS = (
    range(0x4E00, 0xA000),
    range(0x3400, 0x4DC0),
    range(0x20000, 0x2A6E0),
    range(0x2A700, 0x2B740),
    range(0x2B740, 0x2B820),
    range(0x2B820, 0x2CEB0),
    range(0xF900, 0xFB00),
    range(0x2F800, 0x2FA20),
)


def words(text: str, lower_case: bool, strip_accents: bool = True) -> list[str]:
    """What the basic tokenizer hands to WordPiece."""
    found: list[str] = []
    for word in "".join(map(_clean, text)).split():
        if lower_case:
            word = word.lower()
        if lower_case and strip_accents:
            decomposed = unicodedata.normalize("NFD", word)
            word = "".join(sign for sign in decomposed if unicodedata.category(sign) != "Mn")
        found += "".join(f" {sign} " if _is_punctuation(sign) else sign for sign in word).split()
    return found


def tokens(text: str, vocabulary: Mapping[str, int], lower_case: bool, strip_accents: bool = True) -> list[str]:
    """The WordPieces of a text, without any special token."""
    return [piece for word in words(text, lower_case, strip_accents) for piece in _pieces(word, vocabulary)]


@functools.cache
def _clean(sign: str) -> str:
    category = unicodedata.category(sign)
    if sign in "\t\n\r" or category == "Zs":
        return " "
    if sign == "\ufffd" or category.startswith("C"):
        return ""
    return f" {sign} " if any(ord(sign) in block for block in IDEOGRAPHS) else sign


@functools.cache
def _is_punctuation(sign: str) -> bool:
    return sign in string.punctuation or unicodedata.category(sign).startswith("P")


def _pieces(word: str, vocabulary: Mapping[str, int]) -> list[str]:
    if len(word) > LONGEST_WORD:
        return ["[UNK]"]
    found: list[str] = []
    rest = word
    while rest:
        prefix = "##" if found else ""
        longest = next((rest[:end] for end in range(len(rest), 0, -1) if prefix + rest[:end] in vocabulary), None)
        if longest is None:
            return ["[UNK]"]
        found.append(prefix + longest)
        rest = rest[len(longest) :]
    return found
