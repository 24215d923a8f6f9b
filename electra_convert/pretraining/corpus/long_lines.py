"""Lines that are longer than a sequence, split at the ends of sentences and then between words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from electra_convert.pretraining.corpus.packing import Line

Encode = Callable[[list[str]], list[list[int]]]
# A sign that ends a sentence and what closes with it, up to the next word; unspaced scripts need no space there.
# The signs of Latin, Arabic and Indic scripts, and those of Chinese and Japanese.
_SPACED, _UNSPACED = ".!?\u2026\u061f\u06d4\u0964\u0965", "\u3002\uff01\uff1f\uff61"
_CLOSING = "\"'\u00bb\u2019\u201d)\\]\u300d\u300f\uff09"
_SENTENCE_END = re.compile(rf"[{_SPACED}]+[{_CLOSING}]*\s+|[{_UNSPACED}]+[{_CLOSING}]*\s*")


def sentences(line: str) -> list[str]:
    """Cut a line at the ends of its sentences.

    >>> sentences("The birds sing. It is spring! 鳥が歌う。春だ。")
    ['The birds sing.', 'It is spring!', '鳥が歌う。', '春だ。']
    """
    ends = [0, *(found.end() for found in _SENTENCE_END.finditer(line)), len(line)]
    return [part for start, end in pairwise(ends) if (part := line[start:end].strip())]


def fitting(line: str, ids: list[int], encode: Encode, room: int) -> Iterator[Line]:
    """Split a line until every part fits: at the ends of sentences, between words, and within a word at last.

    Args:
        line: the line.
        ids: its tokens.
        encode: tokenises many texts at once.
        room: the most tokens of a part.
    """
    if len(ids) <= room:
        yield Line(ids, len(line))
        return
    parts = sentences(line)
    for part, part_ids in zip(parts, encode(parts) if len(parts) > 1 else [ids], strict=True):
        yield from _by_words(part.split(), part_ids, encode, room)


def _by_words(words: Sequence[str], ids: list[int], encode: Encode, room: int) -> Iterator[Line]:
    """Words in as many parts, nearly alike, as their tokens need."""
    if len(ids) <= room:
        yield Line(ids, len(" ".join(words)))
        return
    if len(words) == 1:
        yield from _within_word(words[0], ids, room)
        return
    count = min(len(words), -(-len(ids) // room))
    groups = [words[start:end] for start, end in pairwise(len(words) * part // count for part in range(count + 1))]
    for group, group_ids in zip(groups, encode([" ".join(group) for group in groups]), strict=True):
        yield from _by_words(group, group_ids, encode, room)


def _within_word(word: str, ids: list[int], room: int) -> Iterator[Line]:
    for start in range(0, len(ids), room):
        part = ids[start : start + room]
        yield Line(part, max(1, len(word) * len(part) // len(ids)))
