"""Which tokenizer a run has: WordPiece, whole words or characters, or one of any kind that is taken as it is."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from electra_convert.checkpoint import Checkpoint
from electra_convert.config.hparams import Hparams
from electra_convert.config.keys import OWN, TOKENIZERS
from electra_convert.errors import CorpusError, SourceError, UsageError, VocabularyError
from electra_convert.formats.names import VOCABULARY_FILE
from electra_convert.pretraining.corpus.counted import borrowed, count_tokens
from electra_convert.pretraining.corpus.documents import lines_of_corpus
from electra_convert.pretraining.corpus.files import CorpusFile
from electra_convert.pretraining.corpus.vocabulary import (
    Pieces,
    WordPieces,
    read_word_pieces,
    train_word_pieces,
)
from electra_convert.pretraining.options import PretrainOptions
from electra_convert.pretraining.starting.models import pieces_of as word_pieces_of
from electra_convert.tokenizer.for_google import lacking_in_google
from electra_convert.tokenizer.kinds import other_tokenizer
from electra_convert.tokenizer.of_checkpoint import (
    TokenizerOptions,
    find_vocabulary,
    read_vocabulary_at,
    read_vocabulary_of,
)
from electra_convert.tokenizer.saved import SavedTokenizer, read_saved_tokenizer
from electra_convert.tokenizer.vocabulary import first_difference
from electra_convert.tokenizer.whole_tokens import Unit

# What the hparam is in the record of a run whose tokenizer was a folder's.
FOLDER = "folder"
# How many tokens a vocabulary of whole ones has where nothing is said: as many characters as WordPiece begins with.
_SIZES: dict[Unit, int] = {"whitespace": 100_000, "characters": 6_000}


def kind_of(stated: str) -> str:
    """The kind that the hparam tokenizer names, as it is recorded: any folder is FOLDER."""
    return stated if stated in TOKENIZERS else FOLDER


def with_kind(hparams: Hparams, pieces: Pieces) -> Hparams:
    """State the kind of tokenizer that a run has, and no place on a machine."""
    stated = kind_of(hparams["tokenizer"])
    whole = stated if stated != "wordpiece" else FOLDER
    return replace(
        hparams, given={**hparams.given, "tokenizer": "wordpiece" if isinstance(pieces, WordPieces) else whole}
    )


def require_vocabulary(hparams: Hparams, options: PretrainOptions, known: bool) -> None:
    """Refuse what does not go with a kind of tokenizer, and to do without a vocabulary, before anything is read.

    Args:
        known: whether a checkpoint or the run itself has a vocabulary.

    Raises:
        UsageError: names what to give.
    """
    kind = kind_of(hparams["tokenizer"])
    _require_folder(hparams["tokenizer"], known)
    if kind != "wordpiece":
        _require_no_rules(kind, hparams, options)
    if kind == "wordpiece" and not known and options.vocab is None and options.train_vocab is None:
        raise UsageError(
            "no vocabulary to tokenise with",
            "Borrow one with --vocab, or train one on the corpus with --train-vocab SIZE.",
        )


def _require_folder(stated: str, known: bool) -> None:
    if kind_of(stated) == FOLDER and not Path(stated).is_dir() and not (known and stated == FOLDER):
        raise UsageError(f"--tokenizer is {stated!r}, expected {', '.join(TOKENIZERS)}, or the folder of a tokenizer")


def _require_no_rules(kind: str, hparams: Hparams, options: PretrainOptions) -> None:
    named = kind if kind in TOKENIZERS else "FOLDER"
    rules = {
        "--strip-accents": options.strip_accents,
        "--tokenize-chinese-chars": options.tokenize_chinese_chars,
        "--added-tokens": options.added_tokens,
        "--extend-vocabulary": options.extend_vocabulary,
        "the hparam max_word_length": None
        if hparams["max_word_length"] == OWN["max_word_length"]
        else hparams["max_word_length"],
    }
    if kind == FOLDER:
        rules |= {"--cased": options.lower_case, "--vocab": options.vocab, "--train-vocab": options.train_vocab}
    if given := [name for name, value in rules.items() if value is not None]:
        why = "whose tokenizer is taken as it is" if kind == FOLDER else "of which every token is a whole one"
        raise UsageError(f"{given[0]} does not go with --tokenizer {named}, {why}", f"Leave {given[0]} out.")


def chosen_pieces(files: Sequence[CorpusFile], hparams: Hparams, options: PretrainOptions) -> Pieces:
    """Read, train or count the vocabulary of a run that begins with new models.

    Raises:
        VocabularyError: there is none, or it contradicts an option.
        CorpusError: a vocabulary is to be made of a corpus that is tokenised already.
    """
    kind = hparams["tokenizer"]
    if kind_of(kind) == FOLDER:
        return read_saved_tokenizer(Path(kind))
    stated = hparams["do_lower_case"]
    lower_case = stated if options.lower_case is None else options.lower_case
    tokenizer = options.tokenizer_options(hparams)
    if options.vocab is not None:
        if kind != "wordpiece":
            return borrowed(read_vocabulary_at(options.vocab), kind, bool(lower_case))
        return read_word_pieces(tokenizer, stated)
    if recorded := next((file.path for file in files if file.kind == "TFRecords"), None):
        raise CorpusError(
            f"{recorded} holds TFRecords, whose text is tokenised already", "Give their vocabulary: --vocab."
        )
    if kind != "wordpiece":
        size = _SIZES[kind] if options.train_vocab is None else options.train_vocab
        return count_tokens(lambda: lines_of_corpus(files), kind, size, bool(lower_case))
    assert options.train_vocab is not None  # as required before
    return train_word_pieces(
        lambda: lines_of_corpus(files), options.train_vocab, replace(tokenizer, lower_case=lower_case)
    )


def pieces_of(start: Checkpoint, hparams: Hparams, options: PretrainOptions) -> Pieces:
    """Find the vocabulary of a run that begins with a checkpoint: its own, unless options name another.

    Raises:
        VocabularyError: there is none, or it contradicts an option.
    """
    kind = hparams["tokenizer"]
    model = next(iter(start.models.values()))
    if kind_of(kind) == FOLDER and kind != FOLDER:
        return read_saved_tokenizer(Path(kind))
    if options.vocab is not None:
        return _compared(chosen_pieces((), hparams, options), start, options.vocab)
    if start.scheme.described and other_tokenizer(model.folder):
        return read_saved_tokenizer(model.folder)
    if kind not in ("whitespace", "characters"):
        return word_pieces_of(start, hparams, options)
    vocabulary, _ = find_vocabulary(start, model, TokenizerOptions())
    if vocabulary is None:
        raise VocabularyError(f"{start.path} has no vocabulary to tokenise with", "Give it with --vocab.")
    return borrowed(vocabulary, kind, bool(hparams["do_lower_case"]))


def _compared(pieces: Pieces, start: Checkpoint, given: Path) -> Pieces:
    """A vocabulary that was given, with a warning where the checkpoint's own has other pieces for the same ids."""
    own = None
    with suppress(VocabularyError, SourceError):
        own = read_vocabulary_of(start, next(iter(start.models.values())), TokenizerOptions())
    told = None if own is None else first_difference(pieces.vocabulary, own)
    if told is None or own is None or not isinstance(pieces, WordPieces):
        return pieces
    line = (
        f"{given} is not the vocabulary that the checkpoint was trained with, {own.path}: {told}. Its embeddings are "
        "of other pieces; leave --vocab out to tokenise with its own."
    )
    return replace(pieces, warnings=(line, *pieces.warnings))


def lacking_of(pieces: Pieces) -> str | None:
    """What is said of a tokenizer that Google's code does not have; None where it has it."""
    if not isinstance(pieces, WordPieces):
        return lacking_in_google(isinstance(pieces, SavedTokenizer) and VOCABULARY_FILE in pieces.files)
    settings = pieces.settings
    usual = settings.tokenize_chinese_chars and settings.longest_word == OWN["max_word_length"]
    if usual and not settings.added_tokens:
        return None
    return "Google's code has no place for how this tokenizer splits texts; it splits them by its own rules."
