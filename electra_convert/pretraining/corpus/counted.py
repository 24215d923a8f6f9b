"""Vocabularies of whole tokens, which are counted in a corpus or borrowed: words between spaces, or characters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from electra_convert.errors import VocabularyError
from electra_convert.formats.names import VOCABULARY_FILE
from electra_convert.tokenizer import SPECIAL_TOKENS, Vocabulary
from electra_convert.tokenizer.saved import SavedTokenizer, saved_tokenizer
from electra_convert.tokenizer.vocabulary import decode_vocabulary
from electra_convert.tokenizer.whole_tokens import Unit, splitting, unreachable, whole_token_files

# A word that occurs once is met by no model twice, and where all are known, none learns what [UNK] is.
_LEAST_OFTEN: dict[Unit, int] = {"whitespace": 2, "characters": 1}
# Some 600 MB of words while they are counted; beyond them the rarest are forgotten.
_MOST_COUNTED = 4_000_000
_LONGEST = 1000  # characters of a token that is counted


def borrowed(vocabulary: Vocabulary, unit: Unit, lower_case: bool) -> SavedTokenizer:
    """Make a tokenizer of whole tokens for a vocabulary that there is.

    Raises:
        VocabularyError: no text gives most of its tokens.
    """
    told = unreachable(vocabulary, unit, lower_case)
    made = saved_tokenizer(whole_token_files(vocabulary, unit, lower_case), vocabulary.path.parent)
    notices = (*vocabulary.notices, *([told] if told else []))
    return SavedTokenizer(made.files, made.special, vocabulary, notices)


def count_tokens(
    lines: Callable[[], Iterable[str]], unit: Unit, size: int, lower_case: bool, most: int = _MOST_COUNTED
) -> SavedTokenizer:
    """Make a vocabulary of the commonest words or characters of a text; the same text gives the same.

    Args:
        lines: gives the text from its beginning.
        unit: what a token is.
        size: how many tokens there are to be at most, with the special ones.
        lower_case: whether text is lower-cased.
        most: how many different ones are kept in memory while they are counted.

    Raises:
        VocabularyError: the text has none, or the size has no room for any.
    """
    if size <= len(SPECIAL_TOKENS):
        raise VocabularyError(
            f"a vocabulary of {size} tokens is asked for, and {len(SPECIAL_TOKENS)} are special ones",
            "Ask for more.",
        )
    counts = _counted(_tokens(lines(), unit, lower_case), most)
    ranked = sorted((token for token, count in counts.items() if count >= _LEAST_OFTEN[unit]), key=_by(counts))
    kept = ranked[: size - len(SPECIAL_TOKENS)]
    if not kept:
        raise VocabularyError(
            "the corpus has no words that occur more than once"
            if counts
            else "the corpus has no text that a vocabulary could be made of",
            "Give more text, or a vocabulary with --vocab.",
        )
    raw = "".join(f"{token}\n" for token in (*SPECIAL_TOKENS, *kept)).encode()
    vocabulary = decode_vocabulary(raw, Path(VOCABULARY_FILE))
    made = saved_tokenizer(whole_token_files(vocabulary, unit, lower_case), Path())
    return SavedTokenizer(made.files, made.special, vocabulary, (_told(unit, len(kept), counts),))


def _by(counts: Counter[str]) -> Callable[[str], tuple[int, str]]:
    return lambda token: (-counts[token], token)


def _tokens(lines: Iterable[str], unit: Unit, lower_case: bool) -> Iterator[Iterable[str]]:
    normalizer = splitting(unit, lower_case).normalizer
    for line in lines:
        text = line if normalizer is None else normalizer.normalize_str(line)
        words = text.split()
        yield words if unit == "whitespace" else "".join(words)


def _counted(tokens: Iterable[Iterable[str]], most: int) -> Counter[str]:
    """Count tokens; where there are too many different ones, the rarest are forgotten until half are left."""
    counts: Counter[str] = Counter()
    for group in tokens:
        counts.update(token for token in group if len(token) <= _LONGEST)
        if len(counts) > most:
            ranked = sorted(counts, key=_by(counts))
            counts = Counter({token: counts[token] for token in ranked[: most // 2]})
    return Counter({token: count for token, count in counts.items() if token not in SPECIAL_TOKENS})


def _told(unit: Unit, kept: int, counts: Counter[str]) -> str:
    name = "words" if unit == "whitespace" else "characters"
    return f"The vocabulary has the {kept:,} commonest {name} of the {len(counts):,} that the corpus has."
