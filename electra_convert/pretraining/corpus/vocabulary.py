"""The vocabulary a corpus is tokenised with, borrowed or trained on it, and the function that tokenises."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from electra_convert import tokenizer
from electra_convert.errors import VocabularyError
from electra_convert.formats.names import VOCABULARY_FILE
from electra_convert.pretraining.corpus.long_lines import Encode
from electra_convert.pretraining.corpus.whole_words import Marker
from electra_convert.tokenizer import SPECIAL_TOKENS, TokenizerSettings, Vocabulary
from electra_convert.tokenizer.coverage import check
from electra_convert.tokenizer.encode import LONGEST_WORD
from electra_convert.tokenizer.of_checkpoint import TokenizerOptions, find_settings, read_vocabulary_at
from electra_convert.tokenizer.vocabulary import decode_vocabulary

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# configure_pretraining.py lower-cases where it is not told.
_GOOGLE_LOWER_CASE = True
_LARGEST_ALPHABET = 6000  # enough for Chinese; a stray character beyond it becomes [UNK]
# The trainer keeps every word that it has seen: of text without spaces, which is all of it, 32 bytes a letter.
MOST_LETTERS = 100_000_000
# Longer ones teach no vocabulary anything, even where a run is told to take them.
_LONGEST_TRAINED_ON = 1000
_CUT_AT = 1 << 14
# What certainly stands between words: white space, punctuation of ASCII and of Chinese.
_PARTING = r"\s!-/:-@\[-`{-~\u2010-\u2027\u3001-\u3011\uff01-\uff0f\uff1a-\uff20"


class Pieces(Protocol):
    """The role of a tokenizer that a corpus is tokenised with."""

    @property
    def vocabulary(self) -> Vocabulary:
        """Its tokens."""
        ...

    @property
    def special_ids(self) -> Mapping[str, int]:
        """The id of each special token, by ELECTRA's name; [UNK] may be missing."""
        ...

    @property
    def definition(self) -> str:
        """The tokenizer as tokenizer.json, to which special tokens in a text are text."""
        ...

    @property
    def longest_word(self) -> int | None:
        """How many characters a word may have before it is [UNK]; None for any."""
        ...

    @property
    def continuing(self) -> frozenset[int] | None:
        """The ids of pieces that stand within a word; None where no mark tells."""
        ...

    @property
    def notices(self) -> tuple[str, ...]:
        """What a reader should know."""
        ...

    @property
    def warnings(self) -> tuple[str, ...]:
        """What may well not be as it was meant."""
        ...


@dataclass(frozen=True)
class WordPieces:
    """A vocabulary, and how text is made ready for it.

    Attributes:
        vocabulary: the pieces.
        settings: how text is made ready.
        notices: what a reader should know.
        warnings: what may well not be as it was meant.
    """

    vocabulary: Vocabulary
    settings: TokenizerSettings
    notices: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def special_ids(self) -> Mapping[str, int]:
        """The id of each special token."""
        ids = self.vocabulary.ids
        return {token: ids[token] for token in SPECIAL_TOKENS}

    @property
    def longest_word(self) -> int:
        """How many characters a word may have before it becomes [UNK]."""
        return self.settings.longest_word

    @property
    def continuing(self) -> frozenset[int]:
        """The ids of pieces that stand within a word."""
        return frozenset(row for row, piece in enumerate(self.vocabulary.pieces) if piece.startswith("##"))

    @property
    def definition(self) -> str:
        """The tokenizer as tokenizer.json, without special tokens: those are not known inside a text."""
        made = json.loads(tokenizer.encode_tokenizer(self.vocabulary, self.settings))
        added = [token for token in made["added_tokens"] if not token["special"]]
        return json.dumps({**made, "added_tokens": added, "post_processor": None})


def read_word_pieces(options: TokenizerOptions, stated_lower_case: bool | None) -> WordPieces:
    """Read the vocabulary that options name.

    Args:
        stated_lower_case: do_lower_case of the hparams, None where they do not state it.

    Returns:
        Where nothing says whether accents are stripped, they are when text is lower-cased, as in Google's code.

    Raises:
        VocabularyError: there is none, or it contradicts an option.
        SourceError: a file is missing or may not be read.
    """
    assert options.vocab is not None
    return word_pieces(read_vocabulary_at(options.vocab), options, stated_lower_case)


def word_pieces(vocabulary: Vocabulary, options: TokenizerOptions, stated_lower_case: bool | None) -> WordPieces:
    """A vocabulary, with text made ready for it as read_word_pieces has it; raises VocabularyError."""
    folder = options.vocab if options.vocab is not None and options.vocab.is_dir() else None
    saved = None if folder is None else tokenizer.casing_of_folder(folder)
    casing = tokenizer.decide_casing(
        options.lower_case, saved if stated_lower_case is None else stated_lower_case, vocabulary
    )
    return checked_pieces(vocabulary, casing, find_settings(vocabulary, casing, options, folder))


def checked_pieces(
    vocabulary: Vocabulary, casing: tokenizer.Casing, settings: TokenizerSettings, notices: tuple[str, ...] = ()
) -> WordPieces:
    """A vocabulary with what is to be said of it.

    Raises:
        VocabularyError: no tokenizer can be made of it.
    """
    found = check(vocabulary, settings)
    told = [*notices, *vocabulary.notices, *([casing.notice] if casing.notice else []), *found.notices]
    return WordPieces(vocabulary, settings, tuple(dict.fromkeys(told)), found.warnings)


def train_word_pieces(lines: Callable[[], Iterable[str]], size: int, options: TokenizerOptions) -> WordPieces:
    """Train a WordPiece vocabulary, on text prepared as it will be tokenised; the same text gives the same pieces.

    Args:
        lines: gives the text from its beginning, twice.
        size: how many pieces there are to be.
        options: how text is made ready; as in Google's code where they do not say.

    Raises:
        VocabularyError: the text gives no pieces, or too many characters for the size.
    """
    from tokenizers import Tokenizer, models, trainers

    lower = _GOOGLE_LOWER_CASE if options.lower_case is None else options.lower_case
    empty = decode_vocabulary("".join(f"{token}\n" for token in SPECIAL_TOKENS).encode(), Path(VOCABULARY_FILE))
    settings = TokenizerSettings(
        lower,
        options.strip_accents is not False,
        options.tokenize_chinese_chars is not False,
        longest_word=LONGEST_WORD if options.max_word_length is None else options.max_word_length,
    )
    trained = Tokenizer.from_str(WordPieces(empty, settings).definition)
    alphabet, beginnings, seen = _alphabet(trained, lines(), size // 4)
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
    every = -(-seen // MOST_LETTERS)
    # A tokenizer of its own: the one that is being trained waits for itself.
    splitting = Tokenizer.from_str(WordPieces(empty, settings).definition)
    short_words = partial(_without_long_words, splitting, min(settings.longest_word, _LONGEST_TRAINED_ON))
    trained.train_from_iterator(map(short_words, islice(lines(), None, None, every)), trainer)
    pieces = sorted(trained.get_vocab().items(), key=lambda item: item[1])
    vocabulary = decode_vocabulary("".join(f"{piece}\n" for piece, _ in pieces).encode(), Path(VOCABULARY_FILE))
    told = (
        [f"The corpus gives {len(pieces)} pieces, not the {size} that were asked for."] if len(pieces) != size else []
    )
    if every > 1:
        told.append(f"The vocabulary was trained on one line in {every} of the corpus, {seen // every:,} letters.")
    return WordPieces(vocabulary, settings, tuple(told))


def _without_long_words(tokenizer: Tokenizer, longest: int, line: str) -> str:
    """A line without the words that are [UNK] in any case: to train on one takes the square of its length."""
    runs = line.split()
    if max(map(len, runs), default=0) <= longest or not re.search(rf"[^{_PARTING}]{{{longest + 1}}}", line):
        return line
    # A run without spaces may be words that the tokenizer parts.
    parts = (run[start : start + _CUT_AT] for run in runs for start in range(0, len(run), _CUT_AT))
    return " ".join(
        word
        for part in parts
        for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(part))
        if len(word) <= longest
    )


def _alphabet(tokenizer: Tokenizer, lines: Iterable[str], most: int) -> tuple[list[str], set[str], int]:
    """The commonest characters of a text, sorted, those of them that can stand within a word, and its length."""
    counts: Counter[str] = Counter()
    for line in lines:
        counts.update(tokenizer.normalizer.normalize_str(line))
    ranked = sorted((letter for letter in counts if not letter.isspace()), key=lambda one: (-counts[one], one))
    kept = sorted(ranked[: max(1, min(most, _LARGEST_ALPHABET))])
    within = {one for one in kept if len(tokenizer.pre_tokenizer.pre_tokenize_str(f"a{one}a")) == 1}
    return (kept if ranked else []), within, counts.total()


def encoder(definition: str, marker: Marker | None = None) -> Encode:
    """What tokenises many lines at once by Pieces.definition, on all cores, without special tokens.

    Args:
        marker: marks the tokens that continue a word, where words are to be known.
    """
    from tokenizers import Tokenizer

    made = Tokenizer.from_str(definition)
    if marker is not None:
        return partial(_marked, made, marker)

    def encode(lines: list[str]) -> list[list[int]]:
        return [encoding.ids for encoding in made.encode_batch_fast(lines, add_special_tokens=False)]

    return encode


def _marked(made: Tokenizer, marker: Marker, lines: list[str]) -> list[list[int]]:
    encodings = made.encode_batch(lines, add_special_tokens=False)
    return [marker.mark(line, encoding) for line, encoding in zip(lines, encodings, strict=True)]
