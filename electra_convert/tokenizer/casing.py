"""Whether a model's tokenizer lower-cases its text, and what its vocabulary says about that; reads no files."""

from __future__ import annotations

import string
import unicodedata
from dataclasses import dataclass
from typing import NamedTuple

from electra_convert.errors import VocabularyError, listing
from electra_convert.tokenizer.vocabulary import Vocabulary

# Fewer than one in this many are strays: characters an alphabet was filled up with (Ⅱ, Ω), not words of a text.
_STRAY_SHARE = 100


class Casing(NamedTuple):
    """A decision, and where it came from.

    Attributes:
        lower_case: whether text is lower-cased.
        origin: the source that decided, for messages and conversion.json.
        notice: what speaks against the decision, None where nothing does.
    """

    lower_case: bool
    origin: str
    notice: str | None


@dataclass(frozen=True)
class _Evidence:
    """The pieces that only one of the two casings can give.

    Attributes:
        name: the vocabulary's file name.
        upper: pieces that lower-casing would change.
        lower: how many pieces have lower-case letters and no others.
        accented: how many pieces stripping the accents would change.
        count: how many pieces a text can give at all.
    """

    name: str
    upper: tuple[str, ...]
    lower: int
    accented: int
    count: int

    @property
    def lower_case(self) -> bool | None:
        """What the vocabulary was made with; None where its script has no case."""
        with_case = len(self.upper) + self.lower
        return _are_strays(len(self.upper), with_case) if with_case else None

    @property
    def examples(self) -> str:
        return f"{len(self.upper)} upper-case pieces ({listing(map(repr, self.upper), 4)})"


def decide_casing(option: bool | None, hparams_value: bool | None, vocabulary: Vocabulary) -> Casing:
    """Decide by an explicit option, else by the hparams, else by the vocabulary itself.

    A piece that changes when it is lower-cased can never come out of a tokenizer that lower-cases. Pieces with
    punctuation among other characters, such as [CLS] or <S>, come out of no text and count for nothing.

    Args:
        option: True for --uncased, False for --cased, None for neither.
        hparams_value: do_lower_case of the hparams, None where it is not stated.

    Raises:
        VocabularyError: --uncased, though the vocabulary is cased and no hparams say otherwise.
    """
    evidence = _weigh(vocabulary)
    if option is not None:
        if option and evidence.lower_case is False and not hparams_value:
            raise VocabularyError(
                f"{vocabulary.path} has {evidence.examples}, which --uncased could never produce",
                'Leave --uncased out, or state "do_lower_case": true in --hparams if the model was trained so.',
            )
        return Casing(option, "--uncased" if option else "--cased", _notice(option, evidence))
    if hparams_value is not None:
        return Casing(hparams_value, "hparams do_lower_case", _notice(hparams_value, evidence))
    lower_case = evidence.lower_case
    if lower_case is None:
        lower_case = _are_strays(evidence.accented, evidence.count)
    return Casing(lower_case, _origin(evidence), _notice(lower_case, evidence))


def check_accents(
    vocabulary: Vocabulary, lower_case: bool, strip_accents: bool, remedy: str = "--no-strip-accents"
) -> str | None:
    """Say whether stripping accents would leave many pieces of a vocabulary without use.

    Returns:
        A notice, None where nothing is amiss.
    """
    if not (lower_case and strip_accents):
        return None
    accented = [piece for piece in vocabulary.pieces if _strip_accents(piece) != piece]
    if _are_strays(len(accented), len(vocabulary)):
        return None
    examples = listing(map(repr, accented), 4)
    return (
        f"{len(accented)} of {len(vocabulary)} pieces of {vocabulary.path.name} ({examples}) are of no use once "
        f"accents are stripped; {remedy} keeps them"
    )


def _are_strays(count: int, among: int) -> bool:
    return count * _STRAY_SHARE < among or count == 0


def _weigh(vocabulary: Vocabulary) -> _Evidence:
    punctuation = frozenset(string.punctuation)
    pieces = [piece for piece in vocabulary.pieces if punctuation.isdisjoint(piece.removeprefix("##"))]
    upper = tuple(piece for piece in pieces if piece.lower() != piece)
    lower = sum(piece.lower() == piece != piece.upper() for piece in pieces)
    accented = sum(_strip_accents(piece) != piece for piece in pieces)
    return _Evidence(vocabulary.path.name, upper, lower, accented, len(pieces))


def _strip_accents(piece: str) -> str:
    if piece.isascii():
        return piece
    decomposed = unicodedata.normalize("NFD", piece)
    return "".join(character for character in decomposed if unicodedata.category(character) != "Mn")


def _origin(evidence: _Evidence) -> str:
    if evidence.lower_case is None:
        return "the vocabulary (no piece has case)"
    return f"the vocabulary ({len(evidence.upper) or 'no'} upper-case, {evidence.lower} lower-case pieces)"


def _notice(lower_case: bool, evidence: _Evidence) -> str | None:
    if lower_case and evidence.upper:
        return f"{evidence.name} has {evidence.examples}, which no lower-cased text can give"
    if not lower_case and evidence.lower_case:
        count = len(evidence.upper) or "no"
        return (
            f"{evidence.name} has {count} upper-case pieces: in a cased tokenizer most capitalised words become [UNK]"
        )
    return None
