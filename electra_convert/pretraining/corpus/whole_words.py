"""Which tokens of a line belong to one word, so that they are masked together.

A word is what stands between white space, and a sign of punctuation is a word of its own. Ideographs without a space
between them are one word, whatever the tokenizer makes of them; a list of words cuts such runs where they end.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from electra_convert.errors import VocabularyError
from electra_convert.tokenizer.vocabulary import read_small

if TYPE_CHECKING:
    from tokenizers import Encoding

# Set in an id, until it is stored and after, of a token that continues the word of the token before it.
CONTINUES = 1 << 30
_SPACE, _SIGN, _LETTER = 0, 1, 2
_A_LIST = "Give a text file with one word on each line."
_RUN = re.compile(rf"{chr(_LETTER)}+")


@dataclass(frozen=True)
class Words:
    """What a word is.

    Attributes:
        listed: words of scripts without spaces; empty where the corpus separates words by spaces.
        raw: the file that lists them, for the record of a run.
    """

    listed: frozenset[str] = frozenset()
    raw: bytes = b""

    @property
    def fingerprint(self) -> str:
        """What tells it from others."""
        return sha256(self.raw).hexdigest()

    @property
    def longest(self) -> int:
        """How many characters the longest listed word has."""
        return max(map(len, self.listed), default=0)


def read_words(path: Path) -> Words:
    """Read a list of words, one on each line; what stands behind a first white space, such as a count, is left out.

    Raises:
        VocabularyError: it is no UTF-8 text, or has no words.
        SourceError: it is missing or may not be read.
    """
    raw = read_small(path)
    try:
        lines = raw.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise VocabularyError(f"{path} is not UTF-8: {error}", _A_LIST) from error
    listed = frozenset(parts[0] for line in lines if (parts := line.split()))
    if not listed:
        raise VocabularyError(f"{path} has no words", _A_LIST)
    return Words(listed, raw)


class Marker:
    """Marks the tokens of lines that continue a word."""

    def __init__(self, words: Words) -> None:
        self._kinds, self._listed, self._longest = _Kinds(), words.listed, words.longest

    def mark(self, line: str, encoding: Encoding) -> list[int]:
        """The ids of a line, with CONTINUES in those of tokens that continue the word of the one before."""
        ids = np.array(encoding.ids, np.int64)
        if len(ids) > 1:
            starts = np.array([start for start, _ in encoding.offsets])
            words = self.numbers(line)[np.minimum(starts, len(line) - 1)]
            ids[1:] |= np.where(words[1:] == words[:-1], CONTINUES, 0)
        return [int(one) for one in ids]

    def numbers(self, line: str) -> NDArray[np.int64]:
        """The number of the word that each character of a line is of; white space is of the word after it."""
        kinds = np.frombuffer(line.translate(self._kinds).encode("ascii"), np.uint8)
        before = np.concatenate(([_SPACE], kinds[:-1]))
        begins = (kinds == _SIGN) | ((kinds == _LETTER) & (before != _LETTER))
        if self._listed:
            begins[self._ends_within(line, kinds)] = True
        count: NDArray[np.int64] = np.cumsum(begins) + (kinds == _SPACE)
        return count

    def _ends_within(self, line: str, kinds: NDArray[np.uint8]) -> list[int]:
        """Where the words of a run of letters begin, apart from the run's own beginning: the longest word counts."""
        found = []
        for run in _RUN.finditer(kinds.tobytes().decode("ascii")):
            place, known = run.start(), True
            while place < run.end():
                length = self._length_at(line, place, run.end())
                if place > run.start() and (length or known or _is_ideograph(line[place])):
                    found.append(place)
                known = bool(length) or _is_ideograph(line[place])
                place += max(1, length)
        return found

    def _length_at(self, line: str, start: int, stop: int) -> int:
        """How long the longest listed word is that begins there; 0 where none does."""
        most = min(self._longest, stop - start)
        return next((length for length in range(most, 0, -1) if line[start : start + length] in self._listed), 0)


class _Kinds(dict[int, str]):
    """A table of str.translate that says of each character which kind it is, and remembers."""

    def __missing__(self, code: int) -> str:
        kind = self[code] = chr(_kind(chr(code)))
        return kind


def _kind(character: str) -> int:
    if character.isspace():
        return _SPACE
    # _is_punctuation (model/tokenization.py): all that is printable in ASCII, neither letter nor digit, and class P.
    is_sign = character.isascii() and character.isprintable() and not character.isalnum()
    return _SIGN if is_sign or unicodedata.category(character).startswith("P") else _LETTER


def _is_ideograph(character: str) -> bool:
    return unicodedata.name(character, "").startswith("CJK ")


def marked(ids: Sequence[int], continuing: frozenset[int]) -> list[int]:
    """Ids without their text, with CONTINUES in those of pieces that stand within a word."""
    return [one | CONTINUES if one in continuing else one for one in ids]
