"""The vocabulary a corpus is tokenised with, borrowed or trained on it, and the function that tokenises."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from electra_convert import tokenizer
from electra_convert.errors import VocabularyError
from electra_convert.formats.names import VOCABULARY_FILE
from electra_convert.tokenizer import SPECIAL_TOKENS, Vocabulary
from electra_convert.tokenizer.vocabulary import decode_vocabulary

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Encode = Callable[[list[str]], list[list[int]]]
# configure_pretraining.py lower-cases where it is not told.
_GOOGLE_LOWER_CASE = True
_LARGEST_ALPHABET = 6000  # enough for Chinese; a stray character beyond it becomes [UNK]


@dataclass(frozen=True)
class WordPieces:
    """A vocabulary, and how text is made ready for it.

    Attributes:
        vocabulary: the pieces.
        lower_case: whether text is lower-cased.
        strip_accents: whether accents are stripped.
        notices: what a reader should know.
    """

    vocabulary: Vocabulary
    lower_case: bool
    strip_accents: bool
    notices: tuple[str, ...] = ()

    @property
    def definition(self) -> str:
        """The tokenizer as tokenizer.json, without special tokens: those are not known inside a text."""
        made = json.loads(tokenizer.encode_tokenizer(self.vocabulary, self.lower_case, self.strip_accents))
        return json.dumps({**made, "added_tokens": [], "post_processor": None})


def read_word_pieces(
    place: Path, lower_case: bool | None, strip_accents: bool | None, stated_lower_case: bool | None
) -> WordPieces:
    """Read a vocabulary.

    Args:
        place: a vocab.txt, or a folder with the files of a tokenizer.
        lower_case: the option, None where it is to be found out.
        strip_accents: the option, None where it is to be found out.
        stated_lower_case: do_lower_case of the hparams, None where they do not state it.

    Returns:
        Where nothing says whether accents are stripped, they are when text is lower-cased, as in Google's code.

    Raises:
        VocabularyError: there is none, or it contradicts an option.
        SourceError: a file is missing or may not be read.
    """
    vocabulary = tokenizer.read_vocabulary_of_folder(place) if place.is_dir() else tokenizer.read_vocabulary(place)
    if vocabulary is None:
        raise VocabularyError(
            f"{place} holds neither vocab.txt nor tokenizer.json", "Give a tokenizer's folder, or a vocab.txt."
        )
    saved_casing = tokenizer.casing_of_folder(place) if place.is_dir() else None
    saved_accents = tokenizer.accents_of_folder(place) if place.is_dir() else None
    said = saved_casing if stated_lower_case is None else stated_lower_case
    casing = tokenizer.decide_casing(lower_case, said, vocabulary)
    strips = next((value for value in (strip_accents, saved_accents) if value is not None), casing.lower_case)
    told = (casing.notice, tokenizer.check_accents(vocabulary, casing.lower_case, strips))
    notices = (*vocabulary.notices, *(line for line in told if line))
    return WordPieces(vocabulary, casing.lower_case, casing.lower_case and strips, notices)


def train_word_pieces(
    lines: Callable[[], Iterable[str]], size: int, lower_case: bool | None, strip_accents: bool | None
) -> WordPieces:
    """Train a WordPiece vocabulary, on text prepared as it will be tokenised; the same text gives the same pieces.

    Args:
        lines: gives the text from its beginning, twice.
        size: how many pieces there are to be.
        lower_case: whether text is lower-cased; None for Google's default, which lower-cases.
        strip_accents: whether accents are stripped; None for Google's rule, which strips when it lower-cases.

    Raises:
        VocabularyError: the text gives no pieces, or too many characters for the size.
    """
    from tokenizers import Tokenizer, models, trainers

    lower = _GOOGLE_LOWER_CASE if lower_case is None else lower_case
    strips = lower and (True if strip_accents is None else strip_accents)
    empty = decode_vocabulary("".join(f"{token}\n" for token in SPECIAL_TOKENS).encode(), Path(VOCABULARY_FILE))
    trained = Tokenizer.from_str(WordPieces(empty, lower, strips).definition)
    alphabet, beginnings = _alphabet(trained, lines(), size // 4)
    if not alphabet:
        raise VocabularyError(
            "the corpus has no text that a vocabulary could be trained on", "Give files with something in them."
        )
    letters = [*SPECIAL_TOKENS, *alphabet, *(f"##{letter}" for letter in alphabet if letter in beginnings)]
    if len(letters) > size:
        raise VocabularyError(
            f"a vocabulary of {size} pieces is asked for, but the special tokens and the commonest characters alone "
            f"are {len(letters)}",
            "Ask for more pieces; thousands are usual.",
        )
    trained.model = models.WordPiece(unk_token="[UNK]")
    # The trainer numbers pieces in the order of a hash table, and settles ties by these numbers, so that every run
    # would give others; pieces that it is given beforehand it numbers as they come.
    trainer = trainers.WordPieceTrainer(
        vocab_size=size,
        special_tokens=letters,
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        show_progress=False,
    )
    trained.train_from_iterator(lines(), trainer)
    pieces = sorted(trained.get_vocab().items(), key=lambda item: item[1])
    vocabulary = decode_vocabulary("".join(f"{piece}\n" for piece, _ in pieces).encode(), Path(VOCABULARY_FILE))
    short = f"The corpus gives {len(pieces)} pieces, not the {size} that were asked for."
    return WordPieces(vocabulary, lower, strips, (short,) if len(pieces) != size else ())


def _alphabet(tokenizer: Tokenizer, lines: Iterable[str], most: int) -> tuple[list[str], set[str]]:
    """The commonest characters of a text, sorted, and those of them that can stand within a word."""
    counts: Counter[str] = Counter()
    for line in lines:
        counts.update(tokenizer.normalizer.normalize_str(line))
    ranked = sorted((letter for letter in counts if not letter.isspace()), key=lambda one: (-counts[one], one))
    kept = sorted(ranked[: max(1, min(most, _LARGEST_ALPHABET))])
    within = {one for one in kept if len(tokenizer.pre_tokenizer.pre_tokenize_str(f"a{one}a")) == 1}
    return (kept if ranked else []), within


def encoder(definition: str) -> Encode:
    """What tokenises many lines at once by WordPieces.definition, on all cores, without special tokens."""
    from tokenizers import Tokenizer

    made = Tokenizer.from_str(definition)

    def encode(lines: list[str]) -> list[list[int]]:
        return [encoding.ids for encoding in made.encode_batch_fast(lines, add_special_tokens=False)]

    return encode
