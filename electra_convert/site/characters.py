"""What a tokenizer does with each character, written out, so that no browser's own version of Unicode decides."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

from electra_convert.demo.text import TRAILING
from electra_convert.errors import VocabularyError, listing
from electra_convert.tokenizer.encode import TokenizerSettings, splitting

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# A range of code points, its first and its last, one range after the other.
Ranges = list[int]
# All that Unicode has characters in; of what no version assigns, and of private use, the first stand for the others.
_TRIED: Sequence[Sequence[int]] = (range(0xD800), range(0xE000, 0x40001), range(0xE0000, 0xF0001))
_ALIKE = {0x40000: 0xDFFFF, 0xF0000: 0x10FFFF}
_CHUNK = 1 << 14  # characters that are tried in one text
_SIGMAS = _CAPITAL_SIGMA, _SIGMA, _FINAL_SIGMA = "\u03a3", "\u03c3", "\u03c2"
# What nothing changes or removes, and what has no case: it stands between the characters that are tried.
_BETWEEN = "0"


def written_out(tokenizer: Tokenizer, name: str) -> dict[str, Any]:
    """Try every character on a tokenizer of ELECTRA's kind, and say what became of it.

    Args:
        tokenizer: as a tokenizer.json has it.
        name: what the model is called, for messages.

    Returns:
        JSON: what is `mapped` to what; ranges of what is `dropped`, `spaced` (set between spaces), a `space` between
        words, `single` (a word of its own), `trailing` (a sign on the character before it), `blank` (what Python
        strips off a text) and `alphanumeric`; and with which a capital sigma is a final one, where that is heeded.

    Raises:
        VocabularyError: the tokenizer is of another kind, which the page has no code for.
    """
    _require_known(json.loads(tokenizer.to_str()), name)
    every = [chr(point) for points in _TRIED for point in points]
    became = dict(zip(every, _normalised(tokenizer, every), strict=True))
    left = [one for one, to in became.items() if to]
    kinds = dict(zip(left, _kinds(tokenizer, left), strict=True))
    mapped = {one: to for one, to in became.items() if to not in {one, "", f" {one} "}}
    return {
        "mapped": {"from": "".join(mapped), "to": "\n".join(mapped.values())},
        "dropped": _ranges(one for one, to in became.items() if to == ""),
        "spaced": _ranges(one for one, to in became.items() if to == f" {one} "),
        "space": _ranges(one for one, kind in kinds.items() if kind == "space"),
        "single": _ranges(one for one, kind in kinds.items() if kind == "single"),
        "trailing": _ranges(filter(lambda one: unicodedata.category(one) in TRAILING, every)),
        "blank": _ranges(filter(str.isspace, every)),
        "alphanumeric": _ranges(filter(str.isalnum, every)),
        "final_sigma": _final_sigma(tokenizer, [one for one in every if became[one] or _is_accent(one)]),
    }


def _require_known(definition: dict[str, Any], name: str) -> None:
    """Refuse what the page's own code does not do: other models and steps than ELECTRA's, and tokens with flags."""
    model = definition["model"]
    flags = ("single_word", "lstrip", "rstrip")
    flagged = [token["content"] for token in definition["added_tokens"] if any(token[flag] for flag in flags)]
    found = None
    if model["type"] != "WordPiece":
        found = f"is of the kind {model['type']}"
    elif definition["normalizer"] not in _normalizers() and not _is(definition["normalizer"], "BertNormalizer"):
        found = "prepares a text otherwise (its normalizer)"
    elif definition["pre_tokenizer"] not in _splitters() and not _is(definition["pre_tokenizer"], "BertPreTokenizer"):
        found = "cuts a text into other words (its pre_tokenizer)"
    elif flagged:
        found = f"takes white space with {listing(flagged, 3)}, or matches them as whole words only"
    if found:
        raise VocabularyError(
            f"the tokenizer of {name} {found}, and the page in the browser has ELECTRA's WordPiece alone",
            "Use demo --web, which runs the tokenizer as it is.",
        )


def _is(step: object, kind: str) -> bool:
    return isinstance(step, dict) and step.get("type") == kind


def _made_here() -> Iterator[dict[str, Any]]:
    for lower_case, strip_accents, ideographs in product((False, True), repeat=3):
        yield json.loads(splitting(TokenizerSettings(lower_case, strip_accents, ideographs)).to_str())


def _normalizers() -> list[Any]:
    return [made["normalizer"] for made in _made_here()]


def _splitters() -> list[Any]:
    return [made["pre_tokenizer"] for made in _made_here()]


def _normalised(tokenizer: Tokenizer, every: Sequence[str]) -> Iterator[str]:
    """What each character becomes by itself."""
    for chunk in _chunks(every):
        text = tokenizer.normalizer.normalize_str("".join(f"{_BETWEEN}{one}" for one in chunk if one != _BETWEEN))
        parts = iter(text.split(_BETWEEN)[1:])
        yield from (_BETWEEN if one == _BETWEEN else next(parts) for one in chunk)


def _kinds(tokenizer: Tokenizer, every: Sequence[str]) -> Iterator[str]:
    """Whether each character is a space between words, a word of its own, or a letter among letters."""
    for chunk in _chunks(every):
        words = tokenizer.pre_tokenizer.pre_tokenize_str(" ".join(f"a{one}b" for one in chunk))
        counts = [0] * len(chunk)
        for _, (start, _) in words:
            counts[start // 4] += 1
        yield from (("", "letter", "space", "single")[count] for count in counts)


def _is_accent(character: str) -> bool:
    """What may be stripped in the end, and is there when sigmas are looked at."""
    return unicodedata.category(character) == "Mn"


def _final_sigma(tokenizer: Tokenizer, every: Sequence[str]) -> dict[str, Ranges] | None:
    """After which characters a capital sigma becomes a final one, and which are looked past; None where none does.

    The rule is looked for as it is in tokenizer.encode: a cased character before, and none behind.
    """
    if tokenizer.normalizer.normalize_str(f"A{_CAPITAL_SIGMA}")[-1] != _FINAL_SIGMA:
        return None
    cased = _with_sigma(tokenizer, every, lambda one: f"{one}{_CAPITAL_SIGMA}", _FINAL_SIGMA)
    passed = _with_sigma(tokenizer, every, lambda one: f"A{_CAPITAL_SIGMA}{one}A", _SIGMA)
    return {"cased": _ranges(sorted({*cased, *_SIGMAS})), "ignorable": _ranges(sorted({*passed}.difference(cased)))}


def _with_sigma(tokenizer: Tokenizer, every: Sequence[str], made: Callable[[str], str], found: str) -> list[str]:
    """The characters with which a text's sigma becomes this one."""
    right = []
    for chunk in _chunks([one for one in every if one not in (_BETWEEN, *_SIGMAS)]):
        text = tokenizer.normalizer.normalize_str("".join(f"{_BETWEEN}{made(one)}" for one in chunk))
        right += [one for one, part in zip(chunk, text.split(_BETWEEN)[1:], strict=True) if found in part]
    return right


def _chunks(every: Sequence[str]) -> Iterator[Sequence[str]]:
    yield from (every[start : start + _CHUNK] for start in range(0, len(every), _CHUNK))


def _ranges(characters: Iterable[str]) -> Ranges:
    ranges: Ranges = []
    for point in map(ord, characters):
        last = _ALIKE.get(point, point)
        if ranges and ranges[-1] == point - 1:
            ranges[-1] = last
        else:
            ranges += [point, last]
    return ranges
