"""The tokenizer files that go with a model: found, checked against it, and made; no tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from electra_convert import tokenizer
from electra_convert.config.hparams import Hparams
from electra_convert.config.resolve import Value
from electra_convert.errors import VocabularyError
from electra_convert.formats.names import (
    ADDED_TOKENS_FILE,
    SPECIAL_TOKENS_FILE,
    TOKENIZER_CONFIG_FILE,
    TOKENIZER_FILE,
    VOCABULARY_FILE,
)
from electra_convert.schemes.models import Checkpoint, Model
from electra_convert.tokenizer.kinds import other_tokenizer

# What transformers, of any version, may have saved beside a model's weights for its tokenizer.
_SAVED = (TOKENIZER_FILE, TOKENIZER_CONFIG_FILE, VOCABULARY_FILE, SPECIAL_TOKENS_FILE, ADDED_TOKENS_FILE)

_STAYS = "The tokenizer is {}, not ELECTRA's WordPiece: its files are carried as they are, and none are made."
_NO_EFFECT = (
    "--strip-accents has no effect: Google's code strips accents only when it lower-cases, and this is cased."
)


@dataclass(frozen=True)
class TokenizerOptions:
    """What may be asked of a tokenizer; None where the tool is to find out.

    Attributes:
        vocab: a vocabulary file.
        pad_vocab: accept a vocabulary with fewer pieces than the embeddings have rows.
        lower_case: whether it lower-cases.
        strip_accents: whether it strips accents.
    """

    vocab: Path | None = None
    pad_vocab: bool = False
    lower_case: bool | None = None
    strip_accents: bool | None = None


@dataclass(frozen=True)
class TokenizerFiles:
    """What a model folder holds for its tokenizer.

    Attributes:
        files: by name; empty where no vocabulary is known and none are kept.
        settings: the tokenizer's settings, each with its origin.
        pad: the id of [PAD], or None where no vocabulary is known.
        notices: what its reader should know.
        replaces: whether the model had a tokenizer of another kind, in whose place a vocabulary was given.
    """

    files: Mapping[str, bytes]
    settings: Mapping[str, Value]
    pad: int | None
    notices: tuple[str, ...]
    replaces: bool = False


def tokenizer_files(
    checkpoint: Checkpoint, model: Model, hparams: Hparams | None, options: TokenizerOptions
) -> TokenizerFiles:
    """Make the tokenizer files of one model.

    Args:
        checkpoint: where the model comes from.
        model: the model.
        hparams: the hparams of the run, where they are known.
        options: what was asked for.

    Returns:
        The files; those of a transformers model are kept as they are unless an option says otherwise.

    Raises:
        VocabularyError: the vocabulary is unreadable, does not belong to the model, or contradicts an option.
    """
    other = other_tokenizer(model.folder) if checkpoint.scheme.described else None
    if other and options.vocab is None:
        _require_unchanged(model, other, options)
        return TokenizerFiles({}, {}, None, (_STAYS.format(other),))
    vocabulary, notices = find_vocabulary(checkpoint, model, options)
    notices += (f"ELECTRA's tokenizer, of {options.vocab}, is in the place of {other}.",) if other else ()
    own = {} if vocabulary is None else {VOCABULARY_FILE: vocabulary.raw}
    pad = None if vocabulary is None else vocabulary.ids["[PAD]"]
    if kept := _kept(checkpoint, model, options):
        return TokenizerFiles({**own, **kept}, {}, pad, notices)
    casing = find_casing(checkpoint, model, vocabulary, hparams, options)
    if vocabulary is None or casing is None:
        return TokenizerFiles({}, {}, None, notices)
    strips = casing.lower_case and options.strip_accents is not False
    files = {
        TOKENIZER_FILE: tokenizer.encode_tokenizer(vocabulary, casing.lower_case, strips, _segment(model)),
        TOKENIZER_CONFIG_FILE: tokenizer.encode_tokenizer_config(
            vocabulary, casing.lower_case, strips, _longest(model, hparams), _segment(model)
        ),
        **own,
    }
    settings = {
        "do_lower_case": Value(casing.lower_case, casing.origin),
        "strip_accents": Value(strips, "Google's rule" if options.strip_accents in {None, not strips} else "option"),
    }
    told = (
        casing.notice,
        tokenizer.check_accents(vocabulary, casing.lower_case, strips),
        _NO_EFFECT if options.strip_accents and not strips else None,
    )
    return TokenizerFiles(files, settings, pad, (*notices, *(line for line in told if line)), bool(other))


def _require_unchanged(model: Model, other: str, options: TokenizerOptions) -> None:
    """Refuse options that would turn a tokenizer into ELECTRA's."""
    if options.lower_case is not None or options.strip_accents is not None:
        raise VocabularyError(
            f"{model.folder}: its tokenizer is {other}, not ELECTRA's, whose casing and accents could be chosen",
            "Leave those options out, and it is carried as it is; or give ELECTRA's vocabulary with --vocab.",
        )


def _segment(model: Model) -> int:
    """The token type that a text is given: 0 but for tasks in which Google's code gives another."""
    return model.head.segment if model.task else 0


def _longest(model: Model, hparams: Hparams | None) -> int:
    """The longest input: a fine-tuned model has seen none beyond its run's max_seq_length."""
    stated = hparams.given.get("max_seq_length") if hparams and model.task else None
    return min(stated, model.sizes.positions) if isinstance(stated, int) and stated > 0 else model.sizes.positions


def find_casing(
    checkpoint: Checkpoint,
    model: Model,
    vocabulary: tokenizer.Vocabulary | None,
    hparams: Hparams | None,
    options: TokenizerOptions,
) -> tokenizer.Casing | None:
    """Decide whether a model's tokenizer lower-cases.

    Args:
        checkpoint: where the model comes from.
        model: the model.
        vocabulary: its vocabulary, where one is known.
        hparams: the hparams of the run, where they are known.
        options: what was asked for.

    Returns:
        The decision, or None where nothing speaks for either.

    Raises:
        VocabularyError: the vocabulary contradicts an option, or a file of the tokenizer is malformed.
    """
    given = None if hparams is None else hparams["do_lower_case"]
    saved = tokenizer.casing_of_folder(model.folder) if given is None and checkpoint.scheme.described else None
    said = saved if given is None else given
    if vocabulary is not None:
        casing = tokenizer.decide_casing(options.lower_case, said, vocabulary)
        decided = options.lower_case is None and saved is not None
        return casing._replace(origin="the tokenizer's files") if decided else casing
    said = said if options.lower_case is None else options.lower_case
    return None if said is None else tokenizer.Casing(said, "option, hparams or the tokenizer's files", None)


def find_vocabulary(
    checkpoint: Checkpoint, model: Model, options: TokenizerOptions
) -> tuple[tokenizer.Vocabulary | None, tuple[str, ...]]:
    """Find the vocabulary of a model, and check its length.

    Args:
        checkpoint: where the model comes from.
        model: the model.
        options: what was asked for.

    Returns:
        The vocabulary, or None with a notice that says why; a transformers model may well have a tokenizer that
        vocab.txt cannot express.

    Raises:
        VocabularyError: it is unreadable, or does not belong to the model.
    """
    try:
        vocabulary = _read(checkpoint, model, options)
        if vocabulary is None:
            return None, (_absent(checkpoint),)
        notice = tokenizer.check_size(vocabulary, model.sizes.vocabulary, options.pad_vocab)
    except VocabularyError as error:
        if options.vocab is not None or not checkpoint.scheme.described:
            raise
        return None, (f"No {VOCABULARY_FILE} is made: {error.message.replace(f'{model.folder}/', '')}.",)
    return vocabulary, (*vocabulary.notices, *([notice] if notice else []))


def _read(checkpoint: Checkpoint, model: Model, options: TokenizerOptions) -> tokenizer.Vocabulary | None:
    if options.vocab is not None:
        return tokenizer.read_vocabulary(options.vocab)
    if checkpoint.scheme.described:
        return tokenizer.read_vocabulary_of_folder(model.folder)
    return next((tokenizer.read_vocabulary(place) for place in vocabulary_files(checkpoint, model)), None)


def vocabulary_files(checkpoint: Checkpoint, model: Model) -> list[Path]:
    """Find the files that hold a model's vocabulary.

    Args:
        checkpoint: where the model comes from.
        model: the model.

    Returns:
        What there is of them, the one that Google's code would read first.
    """
    places = [checkpoint.folder / VOCABULARY_FILE, checkpoint.folder / "assets" / VOCABULARY_FILE]
    if checkpoint.scheme.described:
        places = [model.folder / VOCABULARY_FILE, model.folder / TOKENIZER_FILE]
    return [place for place in places if place.is_file()]


def _absent(checkpoint: Checkpoint) -> str:
    if checkpoint.scheme.described:
        return f"No {VOCABULARY_FILE} and no tokenizer.json beside the model (give a vocabulary with --vocab)."
    far = checkpoint.folder.absolute().parent.parent / VOCABULARY_FILE
    where = (
        "the one two levels up may be it" if far.is_file() else "Google's code keeps it in DATA_DIR, two levels up"
    )
    return f"No vocab.txt beside the checkpoint, so no tokenizer files are written; {where} (give it with --vocab)."


def _kept(checkpoint: Checkpoint, model: Model, options: TokenizerOptions) -> dict[str, bytes]:
    chosen = (options.vocab, options.lower_case, options.strip_accents)
    if not checkpoint.scheme.described or any(choice is not None for choice in chosen):
        return {}
    saved = {name: tokenizer.read_small(model.folder / name) for name in _SAVED if (model.folder / name).is_file()}
    return saved if saved.keys() & {TOKENIZER_CONFIG_FILE, TOKENIZER_FILE} else {}
