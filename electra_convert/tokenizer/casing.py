"""Whether a model's tokenizer lower-cases its text, and what its vocabulary says about that; reads no files."""

from __future__ import annotations

import re
import string
import unicodedata
from dataclasses import dataclass
from typing import NamedTuple

from electra_convert.errors import VocabularyError, listing
from electra_convert.tokenizer.coverage import STRAY_SHARE, takes_apart
from electra_convert.tokenizer.vocabulary import Vocabulary

# Hangul and kana that stripping would take apart decide where they are so many times the lower-case pieces: of text
# that was stripped there would be none, and in an alphabet's list of Latin letters there is no evidence.
_OUTWEIGH = 4
_WITHOUT_PUNCTUATION = re.compile(rf"^(?:##)?[^{re.escape(string.punctuation)}\n]*$", re.MULTILINE)


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
        apart: how many of them are of Hangul or kana, which it would take apart.
        count: how many pieces a text can give at all.
    """

    name: str
    upper: tuple[str, ...]
    lower: int
    accented: int
    apart: int
    count: int

    @property
    def lower_case(self) -> bool | None:
        """What the vocabulary was made with; None where its script has no case."""
        with_case = len(self.upper) + self.lower
        return _are_strays(len(self.upper), with_case) if with_case else None

    @property
    def default(self) -> bool:
        """What is assumed where nothing is stated."""
        if self.lower_case is None:
            return _are_strays(self.accented, self.count)
        decomposed = not _are_strays(self.apart, self.count) and self.apart > _OUTWEIGH * self.lower
        return self.lower_case and not decomposed


def decide_casing(option: bool | None, hparams_value: bool | None, vocabulary: Vocabulary) -> Casing:
    """Decide by an explicit option, else by the hparams, else by the vocabulary itself.

    A piece that changes when it is lower-cased can never come out of a tokenizer that lower-cases. Pieces with
    punctuation among other characters, such as [CLS] or <S>, come out of no text and count for nothing. Of Hangul and
    kana, stripping accents would leave nothing; of scripts whose vowel signs it strips, such as Bengali, it leaves
    what models were really trained on.

    Args:
        option: True for --uncased, False for --cased, None for neither.
        hparams_value: do_lower_case of the hparams, None where it is not stated.

    Raises:
        VocabularyError: --uncased, though the vocabulary is cased and no hparams say otherwise.
    """
    evidence = _weigh(vocabulary)
    if option is not None:
        if option and evidence.lower_case is False and not hparams_value:
            examples = listing(map(repr, evidence.upper), 4)
            raise VocabularyError(
                f"{vocabulary.path} has {len(evidence.upper)} upper-case pieces ({examples}), which --uncased could "
                "never produce",
                'Leave --uncased out, or state "do_lower_case": true in --hparams if the model was trained so.',
            )
        return Casing(option, "--uncased" if option else "--cased", _notice(option, evidence))
    if hparams_value is not None:
        return Casing(hparams_value, "hparams do_lower_case", _notice(hparams_value, evidence))
    return Casing(evidence.default, _origin(evidence), _notice(evidence.default, evidence))


def _are_strays(count: int, among: int) -> bool:
    return count * STRAY_SHARE < among or count == 0


def _weigh(vocabulary: Vocabulary) -> _Evidence:
    # All at once: to look at one piece after the other took a tenth of the time of a conversion.
    pieces = _WITHOUT_PUNCTUATION.findall("\n".join(vocabulary.pieces))
    lowered = list(map(str.lower, pieces))
    upper = tuple(piece for piece, lower in zip(pieces, lowered, strict=True) if lower != piece)
    raised = zip(pieces, lowered, map(str.upper, pieces), strict=True)
    lower = sum(piece == below != above for piece, below, above in raised)
    # Accents, Hangul and kana are not ASCII.
    foreign = [piece for piece in pieces if not piece.isascii()]
    accented = sum(_strip_accents(piece) != piece for piece in foreign)
    apart = sum(map(takes_apart, foreign))
    return _Evidence(vocabulary.path.name, upper, lower, accented, apart, len(pieces))


def _strip_accents(piece: str) -> str:
    decomposed = unicodedata.normalize("NFD", piece)
    return "".join(character for character in decomposed if unicodedata.category(character) != "Mn")


def _origin(evidence: _Evidence) -> str:
    if evidence.lower_case is None:
        return "the vocabulary (no piece has case)"
    apart = f", {evidence.apart} of Hangul or kana" if evidence.lower_case and not evidence.default else ""
    return f"the vocabulary ({len(evidence.upper) or 'no'} upper-case, {evidence.lower} lower-case pieces{apart})"


def _notice(lower_case: bool, evidence: _Evidence) -> str | None:
    if lower_case or not evidence.lower_case:
        return None
    count = len(evidence.upper) or "no"
    return f"{evidence.name} has {count} upper-case pieces: in a cased tokenizer most capitalised words become [UNK]"
