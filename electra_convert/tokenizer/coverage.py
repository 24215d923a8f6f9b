"""Which pieces of a vocabulary a tokenizer can ever produce, why not the others, and what would help."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from electra_convert.errors import VocabularyError, listing
from electra_convert.formats.json_objects import decode_json
from electra_convert.tokenizer.definition import parse_tokenizer
from electra_convert.tokenizer.encode import LONGEST_WORD, TokenizerSettings, splitting
from electra_convert.tokenizer.vocabulary import SPECIAL_TOKENS, Vocabulary, require_word_pieces

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_RESERVED = re.compile(r"\[unused\d+\]")
# transformers 5 builds BERT's tokenizer anew, with a limit of its own.
_LONGEST_IN_TRANSFORMERS_5 = 100
# Fewer than one in this many are strays: characters an alphabet was filled up with, not words of a text.
STRAY_SHARE = 100
_DOT_ABOVE = "\u0307"
_DOTLESS_I = "\u0131"


class Cause(Enum):
    """Why no text gives a piece, in words that follow a number of them, and the option that helps, if any."""

    EMPTY = "empty", None
    ADDED = "with an added token in them, which is matched first", None
    UNSEEN = "with white space or control characters, which no word has", None
    PUNCTUATION = "split at punctuation", "--added-tokens FILE keeps those whole that it names"
    IDEOGRAPHS = (
        "split, since each ideograph is a word of its own",
        "--no-tokenize-chinese-chars keeps them together",
    )
    CAPITALS = "with capitals, which are lower-cased", "--cased keeps them"
    DECOMPOSED = "of Hangul or kana, which stripping accents takes apart", "--no-strip-accents keeps them"
    ACCENTS = "with accents, which are stripped", "--no-strip-accents keeps them"
    SIGNS = "of a sign within a word, where it is always a word of its own", None
    OTHERS = "with characters that the tokenizer changes or drops", None
    LONG = "too long for a word", None
    UNBEGUN = "within a word, which no piece can begin", None

    def __init__(self, phrase: str, remedy: str | None) -> None:
        self.phrase = phrase
        self.remedy = remedy


_ORDER = tuple(Cause)


@dataclass(frozen=True)
class Coverage:
    """What a tokenizer can make of its vocabulary.

    Attributes:
        total: how many pieces there are.
        useless: the pieces that no text gives, by the reason; without special tokens and [unusedN], which are
            reserved.
        long: pieces that it gives, of more characters than transformers 5 allows a word.
    """

    total: int
    useless: Mapping[Cause, tuple[str, ...]]
    long: tuple[str, ...]

    @property
    def lost(self) -> int:
        """How many pieces do harm by it: a sign that is always a word of its own is a piece of its own as well."""
        return sum(len(pieces) for cause, pieces in self.useless.items() if cause is not Cause.SIGNS)

    @property
    def share(self) -> str:
        """How many of how many pieces are lost."""
        percent = 100 * self.lost / max(1, self.total)
        return f"{self.lost} of {self.total} pieces ({'under 1' if 0 < percent < 1 else f'{percent:.0f}'}%)"


@dataclass(frozen=True)
class Findings:
    """What is to be said of a vocabulary and its tokenizer."""

    notices: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


NONE = Findings()


def measure(vocabulary: Vocabulary, tokenizer: Tokenizer, longest: int, added_tokens: Collection[str]) -> Coverage:
    """Find the pieces that no text gives.

    The tokenizer itself is asked what it does to every character of the vocabulary, alone and within a word. All of
    its rules look at single characters, and repeated they change nothing. So a word is made of characters that come
    through unchanged, and any such characters make a word. Therefore:

    - A piece that begins a word is produced from some text exactly if it is such a word: of its own text, in which it
      is the longest match.
    - A piece within a word is produced exactly if its characters can stand within a word: after a first piece that no
      longer one begins with, which is matched whatever follows, the rest is the piece, the longest match again. (Of a
      piece within that first piece's length of the limit, which would need a shorter one, this is not looked for.)

    Args:
        tokenizer: with the normalizer and the pre-tokenizer in question; its pieces do not matter.
        longest: the characters of the longest word that is not given up.
        added_tokens: what is matched in the text before all of this.
    """
    pieces = dict.fromkeys(vocabulary.pieces)
    words = _Words.of(tokenizer, pieces, longest, added_tokens)
    doubtful = words.doubtful()
    produced = words.signs(doubtful) | words.beginnings(doubtful) | words.continuations(doubtful)
    useless: dict[Cause, list[str]] = {}
    for piece in doubtful:
        if piece not in produced and not _is_reserved(piece, added_tokens):
            useless.setdefault(words.cause(piece), []).append(piece)
    ordered = {cause: tuple(useless[cause]) for cause in Cause if cause in useless}
    lengths = {piece: len(piece.removeprefix("##")) for piece in doubtful if piece in produced}
    long = tuple(piece for piece, length in lengths.items() if length > _LONGEST_IN_TRANSFORMERS_5)
    return Coverage(len(vocabulary), ordered, long)


@dataclass(frozen=True)
class _Words:
    """What words of a vocabulary's characters a tokenizer can give.

    Attributes:
        pieces: the vocabulary, no piece twice.
        alone: the characters that are a word by themselves.
        within: those that come through unchanged between others.
        causes: why the others do not.
        longest: the characters of the longest word.
        added_tokens: what is matched in the text before all of this.
    """

    pieces: Mapping[str, None]
    alone: frozenset[str]
    within: frozenset[str]
    causes: Mapping[str, Cause]
    longest: int
    added_tokens: Collection[str]

    @classmethod
    def of(
        cls, tokenizer: Tokenizer, pieces: Mapping[str, None], longest: int, added_tokens: Collection[str]
    ) -> _Words:
        """Ask a tokenizer what it does to each character of a vocabulary."""
        characters = sorted(set("".join(pieces)))
        words = _split(tokenizer, " ".join([*characters, *(f"0{character}0" for character in characters)]))
        alone = words.intersection(characters)
        within = frozenset(character for character in characters if f"0{character}0" in words)
        changed = (character for character in characters if character not in within)
        causes = {character: _cause_of_character(character, alone) for character in changed}
        return cls(pieces, alone, within, causes, longest, added_tokens)

    def doubtful(self) -> list[str]:
        """The pieces that may not be produced, in their order: all but plain beginnings of words."""
        if self.added_tokens:
            return list(self.pieces)
        changed = f".*[{re.escape(''.join(self.causes))}].*|" if self.causes else ""
        lengthy = min(self.longest, _LONGEST_IN_TRANSFORMERS_5) + 1
        # All at once: to look at one piece after the other took a tenth of the time of a conversion.
        odd = re.compile(rf"^(?:##.*|{changed}.{{{lengthy},}}|)$", re.MULTILINE)
        return odd.findall("\n".join(self.pieces))

    def among(self, texts: Collection[str], longest: int) -> set[str]:
        """Those of the texts that may stand in a word, wherever."""
        whole = {text for text in filter(self.within.issuperset, texts) if 0 < len(text) <= longest}
        return {text for text in whole if not self._hold(text)} if self.added_tokens else whole

    def signs(self, pieces: Collection[str]) -> set[str]:
        """Those of the pieces that are a word of one character."""
        return {sign for sign in self.alone.intersection(pieces) if self.longest and not self._hold(sign)}

    def beginnings(self, pieces: Collection[str]) -> set[str]:
        """Those of the pieces that can begin a word."""
        return self.among([piece for piece in pieces if not piece.startswith("##")], self.longest)

    def continuations(self, pieces: Collection[str]) -> set[str]:
        """Those of the pieces that can follow others."""
        bodies = [piece[2:] for piece in pieces if piece.startswith("##")]
        return {f"##{body}" for body in self.among(bodies, self.room)}

    @cached_property
    def room(self) -> int:
        """What is left of a word after its first piece: as much as any piece takes, or what the shortest leaves."""
        largest = max(map(len, self.pieces), default=0)
        if not self.begun or 2 * largest <= self.longest:
            return largest if self.begun else 0
        firsts = sorted(self.among(self.pieces, self.longest))
        # A first piece must be one that no longer one begins with.
        ends = [piece for piece, following in pairwise([*firsts, ""]) if not following.startswith(piece)]
        # Its end and the beginning of what follows are not to be an added token together.
        signs = set("".join(self.added_tokens))
        return self.longest - min([len(piece) for piece in ends if piece[-1] not in signs] or map(len, ends))

    @cached_property
    def begun(self) -> bool:
        """Whether any piece can begin a word."""
        return any(self.among([piece], self.longest) for piece in self.pieces)

    def cause(self, piece: str) -> Cause:
        """Why a piece cannot stand in a word: the first cause that its characters give."""
        body = piece.removeprefix("##")
        found = self._causes(body)
        if not found:
            return Cause.LONG if piece == body or self.begun else Cause.UNBEGUN
        if piece != body and body in self.alone and body in self.pieces:
            return Cause.SIGNS
        return min(found, key=_ORDER.index)

    def _causes(self, body: str) -> set[Cause]:
        if not body:
            return {Cause.EMPTY}
        if self._hold(body):
            return {Cause.ADDED}
        return {self.causes[character] for character in body if character in self.causes}

    def _hold(self, text: str) -> bool:
        return any(token in text for token in self.added_tokens)


def _split(tokenizer: Tokenizer, text: str) -> frozenset[str]:
    normalized = text if tokenizer.normalizer is None else tokenizer.normalizer.normalize_str(text)
    if tokenizer.pre_tokenizer is None:
        return frozenset({normalized})
    return frozenset(word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(normalized))


def _is_reserved(piece: str, added_tokens: Collection[str]) -> bool:
    return piece in SPECIAL_TOKENS or piece in added_tokens or _RESERVED.fullmatch(piece) is not None


def _cause_of_character(character: str, alone: Collection[str]) -> Cause:
    category = unicodedata.category(character)
    if character.isspace() or category.startswith("C") or character == "\ufffd":
        return Cause.UNSEEN
    if character in alone:
        return Cause.IDEOGRAPHS if category == "Lo" else Cause.PUNCTUATION
    if character.lower() != character:
        return Cause.CAPITALS
    if takes_apart(character):
        return Cause.DECOMPOSED
    accented = category == "Mn" or unicodedata.normalize("NFD", character) != character
    return Cause.ACCENTS if accented else Cause.OTHERS


def takes_apart(piece: str) -> bool:
    """Whether stripping accents takes Hangul or kana apart in a piece; a Latin letter only loses its accent."""
    return any(
        ("\u3040" <= character <= "\u30ff" or "\uac00" <= character <= "\ud7a3")
        and unicodedata.normalize("NFD", character) != character
        for character in piece
    )


def check(vocabulary: Vocabulary, settings: TokenizerSettings, remedies: bool = True) -> Findings:
    """Say what a tokenizer made of a vocabulary cannot produce.

    Args:
        remedies: whether the options that would help can be given.

    Raises:
        VocabularyError: no such tokenizer can be made: the pieces are SentencePiece's.
    """
    require_word_pieces(vocabulary)
    coverage = measure_made(vocabulary, settings)
    found = _told(vocabulary, coverage, remedies)
    if found.warnings and remedies and (better := _better(vocabulary, settings, coverage)) is not None:
        found = Findings(found.notices, (f"{found.warnings[0]} {better}", *found.warnings[1:]))
    notices = [*found.notices, *_dotted_capital(vocabulary, settings)]
    if coverage.long and settings.longest_word == LONGEST_WORD:
        notices.append(
            f"{len(coverage.long)} pieces of {vocabulary.path.name} are longer than {_LONGEST_IN_TRANSFORMERS_5} "
            f"characters ({_examples(coverage.long)}): the tokenizer that transformers 5 builds makes [UNK] of such "
            "words; PreTrainedTokenizerFast does not."
        )
    return Findings(tuple(notices), found.warnings)


def require_producible(vocabulary: Vocabulary, settings: TokenizerSettings, pieces: Collection[str]) -> None:
    """Refuse some of the pieces of a vocabulary that no text gives; raises VocabularyError with the reasons."""
    wanted = frozenset(pieces)
    found = {
        cause: [piece for piece in useless if piece in wanted]
        for cause, useless in measure_made(vocabulary, settings).useless.items()
    }
    reasons = [f"{len(lost)} {_reason(cause, lost, True)}" for cause, lost in found.items() if lost]
    if reasons:
        raise VocabularyError(
            f"{vocabulary.path}: of {len(wanted)} new pieces some can never be produced: {'; '.join(reasons)}",
            "Write pieces as the tokenizer leaves words: lower-cased and without accents where it is uncased.",
        )


def check_kept(vocabulary: Vocabulary, data: bytes) -> Findings:
    """Say what a tokenizer.json that is kept as it is cannot produce; nothing of one that is no WordPiece."""
    coverage = measure_kept(vocabulary, data)
    return NONE if coverage is None else _told(vocabulary, coverage, True)


def measure_made(vocabulary: Vocabulary, settings: TokenizerSettings) -> Coverage:
    """Find the pieces that no text gives with a tokenizer of these settings."""
    return measure(vocabulary, splitting(settings), settings.longest_word, settings.added_tokens)


def measure_kept(vocabulary: Vocabulary, data: bytes) -> Coverage | None:
    """Find the pieces that no text gives with a tokenizer.json as it is; None of one that is no WordPiece."""
    try:
        made: dict[str, Any] = decode_json(data)
        model = {**made["model"], "vocab": {"[UNK]": 0}, "unk_token": "[UNK]"}
        if model.get("type", "WordPiece") != "WordPiece":
            return None
        added = [token["content"] for token in made.get("added_tokens") or []]
        bare = {**made, "model": model, "added_tokens": [], "post_processor": None, "decoder": None}
        tokenizer = parse_tokenizer(json.dumps(bare).encode(), vocabulary.path)
    except Exception:  # noqa: BLE001 - whatever is wrong with it is for those to say who use it
        return None
    longest = model.get("max_input_chars_per_word", _LONGEST_IN_TRANSFORMERS_5)
    return measure(vocabulary, tokenizer, longest, [token for token in added if token not in SPECIAL_TOKENS])


def _told(vocabulary: Vocabulary, coverage: Coverage, remedies: bool) -> Findings:
    if not coverage.lost:
        return NONE
    harmful = {cause: pieces for cause, pieces in coverage.useless.items() if cause is not Cause.SIGNS}
    reasons = [
        f"{len(pieces)} {reason}" if len(harmful) > 1 else reason
        for cause, pieces in harmful.items()
        for reason in [_reason(cause, pieces, remedies and len(pieces) >= _fewest(cause, coverage.total))]
    ]
    line = f"{coverage.share} of {vocabulary.path.name} can never be produced: {'; '.join(reasons)}."
    return Findings((), (line,)) if coverage.lost * 2 > coverage.total else Findings((line,))


def _fewest(cause: Cause, total: int) -> float:
    """From how many pieces on a remedy is worth its price; to name tokens has none."""
    return 1 if cause is Cause.PUNCTUATION else total / STRAY_SHARE


def _reason(cause: Cause, pieces: Sequence[str], remedy: bool) -> str:
    # Pieces that begin a word are what a reader knows, and what can be an added token.
    shown = [piece for piece in pieces if not piece.startswith("##")] or list(pieces)
    limit = 12 if cause is Cause.PUNCTUATION else 4
    rest = len(pieces) - len(shown[:limit])
    examples = ", ".join(map(repr, shown[:limit])) + (f" and {rest} more" if rest else "")
    return f"{cause.phrase} ({examples}{f'; {cause.remedy}' if remedy and cause.remedy else ''})"


def _examples(pieces: Sequence[str]) -> str:
    return listing((repr(piece if len(piece) < 20 else f"{piece[:12]}...") for piece in pieces), 4)


def _better(vocabulary: Vocabulary, settings: TokenizerSettings, coverage: Coverage) -> str | None:
    """The option under which far fewer pieces are lost, and how many; None where there is none."""
    other = _other(settings, coverage)
    if other is None:
        return None
    option, changed = other
    found = measure_made(vocabulary, changed)
    if found.lost * 2 > coverage.lost:
        return None
    return f"With {option} it would be {found.share}: give it if the model was trained so."


def _other(settings: TokenizerSettings, coverage: Coverage) -> tuple[str, TokenizerSettings] | None:
    """The option that keeps most of the pieces that are lost, and the settings with it."""
    lost = {cause: len(pieces) for cause, pieces in coverage.useless.items()}
    most = max(lost, key=lost.__getitem__)
    if most is Cause.IDEOGRAPHS:
        return "--no-tokenize-chinese-chars", replace(settings, tokenize_chinese_chars=False)
    if most not in {Cause.CAPITALS, Cause.DECOMPOSED, Cause.ACCENTS}:
        return None
    if lost.get(Cause.CAPITALS, 0) >= coverage.total / STRAY_SHARE:
        return "--cased", replace(settings, lower_case=False)
    return "--no-strip-accents", replace(settings, strip_accents=False)


def _dotted_capital(vocabulary: Vocabulary, settings: TokenizerSettings) -> list[str]:
    """What becomes of Turkish words with a dotted capital I, where nothing takes the dot away."""
    text = "".join(vocabulary.pieces)
    if not settings.lower_case or settings.strips or _DOTLESS_I not in text or _DOT_ABOVE in text:
        return []
    return [
        f"The capital \u0130 is lower-cased to i and a dot above (U+0307), which no piece of {vocabulary.path.name} "
        "holds, so that words with it become [UNK], in Google's code as well: write i for it before texts are "
        "tokenized."
    ]
