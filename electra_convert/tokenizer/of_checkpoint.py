"""The tokenizer files that go with a model: found, checked against it, and made; no tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from electra_convert.config.hparams import Hparams
from electra_convert.config.resolve import Value
from electra_convert.errors import UsageError, VocabularyError
from electra_convert.formats.names import (
    ADDED_TOKENS_FILE,
    SPECIAL_TOKENS_FILE,
    TOKENIZER_CONFIG_FILE,
    TOKENIZER_FILE,
    VOCABULARY_FILE,
)
from electra_convert.schemes.models import Checkpoint, Model
from electra_convert.tokenizer.casing import Casing, decide_casing
from electra_convert.tokenizer.coverage import (
    NONE,
    Coverage,
    Findings,
    check,
    check_kept,
    measure_kept,
    measure_made,
)
from electra_convert.tokenizer.encode import (
    LONGEST_WORD,
    TokenizerSettings,
    encode_tokenizer,
    encode_tokenizer_config,
)
from electra_convert.tokenizer.folder import (
    ANOTHER_KIND,
    SavedSettings,
    casing_of_folder,
    max_length_of_folder,
    read_vocabulary_of_folder,
    settings_of_folder,
)
from electra_convert.tokenizer.kinds import never_split_of_folder, other_tokenizer
from electra_convert.tokenizer.saved import read_saved_tokenizer
from electra_convert.tokenizer.vocabulary import (
    Vocabulary,
    check_size,
    decode_vocabulary,
    read_added_tokens,
    read_small,
    read_vocabulary,
    sentencepiece_remark,
)

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
        vocab: a vocabulary file, or a folder with the files of a tokenizer.
        pad_vocab: accept a vocabulary with fewer pieces than the embeddings have rows.
        lower_case: whether it lower-cases.
        strip_accents: whether it strips accents.
        tokenize_chinese_chars: whether each ideograph is a word of its own.
        added_tokens: pieces matched whole before anything else, or a file with one on each line.
        no_tokenizer: make none, and carry the vocabulary as it is.
        max_word_length: how many characters a word may have before it is [UNK]; 200 in Google's code.
        kept: a folder with a tokenizer of any kind, which the model has as it is.
    """

    vocab: Path | None = None
    pad_vocab: bool = False
    lower_case: bool | None = None
    strip_accents: bool | None = None
    tokenize_chinese_chars: bool | None = None
    added_tokens: Path | tuple[str, ...] | None = None
    no_tokenizer: bool = False
    max_word_length: int | None = None
    kept: Path | None = None

    def __post_init__(self) -> None:
        if self.no_tokenizer and replace(self, vocab=None, no_tokenizer=False).make_one:
            raise UsageError("--no-tokenizer makes no tokenizer, and another option says how it is to be made")

    @property
    def make_one(self) -> bool:
        """Whether another tokenizer is asked for than the one there is."""
        choices = (self.lower_case, self.strip_accents, self.tokenize_chinese_chars, self.added_tokens, self.vocab)
        return any(choice is not None for choice in choices)


@dataclass(frozen=True)
class TokenizerFiles:
    """What a model folder holds for its tokenizer.

    Attributes:
        files: by name; empty where no vocabulary is known and none are kept.
        settings: the tokenizer's settings, each with its origin.
        pad: the id of [PAD], or None where no vocabulary is known.
        notices: what its reader should know of where it comes from.
        findings: what it cannot do.
        replaces: whether the model had a tokenizer of another kind, in whose place a vocabulary was given.
    """

    files: Mapping[str, bytes]
    settings: Mapping[str, Value]
    pad: int | None
    notices: tuple[str, ...]
    findings: Findings = NONE
    replaces: bool = False


def tokenizer_files(
    checkpoint: Checkpoint, model: Model, hparams: Hparams | None, options: TokenizerOptions
) -> TokenizerFiles:
    """Make the tokenizer files of one model.

    Args:
        hparams: the hparams of the run, where they are known.

    Returns:
        The files; those of a transformers model are kept as they are unless an option says otherwise.

    Raises:
        VocabularyError: the vocabulary is unreadable, no WordPiece's, does not belong to the model, or contradicts an
            option.
    """
    if options.no_tokenizer:
        return carried(checkpoint, model, options)
    if options.kept is not None:
        saved = read_saved_tokenizer(options.kept)
        return TokenizerFiles(saved.with_max_length(model.sizes.positions), {}, saved.special_ids["[PAD]"], ())
    other = other_tokenizer(model.folder) if checkpoint.scheme.described else None
    if other and options.vocab is None:
        _require_unchanged(model, other, options)
        return TokenizerFiles({}, {}, None, (_STAYS.format(other), *_kept_remarks(model)))
    vocabulary, notices = find_vocabulary(checkpoint, model, options)
    if other and options.vocab is not None:
        notices += (f"ELECTRA's tokenizer, of {options.vocab.name}, is in the place of {other}.",)
    own = {} if vocabulary is None else {VOCABULARY_FILE: vocabulary.raw}
    pad = None if vocabulary is None else vocabulary.ids["[PAD]"]
    if kept := _kept(checkpoint, model, options):
        notices = (*notices, *_kept_remarks(model))
        return TokenizerFiles({**own, **kept}, {}, pad, notices, findings_of_folder(model.folder))
    casing = find_casing(checkpoint, model, vocabulary, hparams, options)
    if vocabulary is None or casing is None:
        return TokenizerFiles({}, {}, None, notices)
    settings = find_settings(vocabulary, casing, options, saved_in(checkpoint, model, options))
    files = {
        TOKENIZER_FILE: encode_tokenizer(vocabulary, settings, segment_of(model)),
        TOKENIZER_CONFIG_FILE: encode_tokenizer_config(
            vocabulary, settings, longest_input(model, hparams), segment_of(model)
        ),
        **own,
    }
    told = (casing.notice, _NO_EFFECT if options.strip_accents and not settings.strips else None)
    return TokenizerFiles(
        files,
        _recorded(casing, settings, options),
        pad,
        (*notices, *(line for line in told if line)),
        check(vocabulary, settings),
        replaces=bool(other),
    )


def _require_unchanged(model: Model, other: str, options: TokenizerOptions) -> None:
    """Refuse options that would turn a tokenizer into ELECTRA's."""
    if options.make_one:
        raise VocabularyError(
            f"{model.folder}: its tokenizer is {other}, not ELECTRA's, which options could change",
            "Leave those options out, and it is carried as it is; or give ELECTRA's vocabulary with --vocab.",
        )


def _recorded(casing: Casing, settings: TokenizerSettings, options: TokenizerOptions) -> dict[str, Value]:
    """What conversion.json says of a tokenizer: what is not Google's rule in any case only where it is so."""
    asked = options.strip_accents not in {None, not settings.strips}
    usual = settings.strips == settings.lower_case
    strip_origin = "option" if asked else "Google's rule" if usual else "the tokenizer's files"
    recorded = {
        "do_lower_case": Value(casing.lower_case, casing.origin),
        "strip_accents": Value(settings.strips, strip_origin),
    }
    if not settings.tokenize_chinese_chars or options.tokenize_chinese_chars is not None:
        origin = "the tokenizer's files" if options.tokenize_chinese_chars is None else "option"
        recorded["tokenize_chinese_chars"] = Value(settings.tokenize_chinese_chars, origin)
    if settings.added_tokens:
        origin = "the tokenizer's files" if options.added_tokens is None else "option"
        recorded["added_tokens"] = Value(list(settings.added_tokens), origin)
    return recorded


def carried(checkpoint: Checkpoint, model: Model, options: TokenizerOptions) -> TokenizerFiles:
    """The vocabulary alone, whatever it holds; of a folder with tokenizer.json instead, nothing."""
    places = vocabulary_files(checkpoint, model) if options.vocab is None else [options.vocab]
    files = (place / VOCABULARY_FILE if place.is_dir() else place for place in places if place.name != TOKENIZER_FILE)
    place = next((path for path in files if path.exists()), None)
    if place is None:
        return TokenizerFiles({}, {}, None, ("No tokenizer is written (--no-tokenizer).",))
    raw = read_small(place)
    try:
        pad = decode_vocabulary(raw, place).ids["[PAD]"]
    except VocabularyError:
        pad = None
    told = f"No tokenizer is written (--no-tokenizer); {place.name} is carried as it is"
    renamed = "" if place.name == VOCABULARY_FILE else f", as {VOCABULARY_FILE}"
    rest = ". transformers, if asked for a tokenizer, makes one for WordPiece of it."
    return TokenizerFiles({VOCABULARY_FILE: raw}, {}, pad, (f"{told}{renamed}{rest}",))


def find_settings(
    vocabulary: Vocabulary, casing: Casing, options: TokenizerOptions, folder: Path | None
) -> TokenizerSettings:
    """Decide how text is made ready: by the options, else by the files of a tokenizer, else as Google's code does.

    Args:
        folder: the folder with those files, None where there is none.

    Raises:
        VocabularyError: --added-tokens names what is no piece, or a file is malformed.
        SourceError: a file may not be read.
    """
    saved = SavedSettings() if folder is None else settings_of_folder(folder)
    # Where nothing is lower-cased, accents are written as kept, which says nothing of a tokenizer that lower-cases.
    same_casing = casing_of_folder(folder) in {None, casing.lower_case} if folder is not None else False
    strips = saved.strip_accents if options.strip_accents is None and same_casing else options.strip_accents
    splits = (
        saved.tokenize_chinese_chars if options.tokenize_chinese_chars is None else options.tokenize_chinese_chars
    )
    added = tuple(token for token in saved.added_tokens if token in vocabulary.ids)
    if options.added_tokens is not None:
        added = read_added_tokens(options.added_tokens, vocabulary)
    longest = LONGEST_WORD if options.max_word_length is None else options.max_word_length
    return TokenizerSettings(casing.lower_case, strips is not False, splits is not False, added, longest)


def saved_in(checkpoint: Checkpoint, model: Model, options: TokenizerOptions) -> Path | None:
    """The folder whose tokenizer says what options do not."""
    if options.vocab is not None and options.vocab.is_dir():
        return options.vocab
    return model.folder if checkpoint.scheme.described else None


def findings_of_folder(folder: Path) -> Findings:
    """What the tokenizer of a transformers folder cannot do; of one without tokenizer.json, as its settings say.

    Nothing is said of a folder without a vocabulary, or with one that is no WordPiece's.

    Raises:
        VocabularyError: tokenizer_config.json is malformed.
        SourceError: a file may not be read.
    """
    try:
        vocabulary = read_vocabulary_of_folder(folder)
    except VocabularyError:
        vocabulary = None
    if vocabulary is None:
        return NONE
    if (remark := sentencepiece_remark(vocabulary)) is not None:
        return Findings((), (f"{remark}.",))
    if (folder / TOKENIZER_FILE).is_file():
        return check_kept(vocabulary, read_small(folder / TOKENIZER_FILE))
    casing = decide_casing(None, casing_of_folder(folder), vocabulary)
    return check(vocabulary, find_settings(vocabulary, casing, TokenizerOptions(), folder))


def coverage_of_folder(folder: Path) -> Coverage | None:
    """What the tokenizer of a transformers folder can make of its vocabulary; None where it is no WordPiece's.

    Raises:
        VocabularyError: a file is malformed.
        SourceError: a file may not be read.
    """
    vocabulary = read_vocabulary_of_folder(folder)
    if vocabulary is None or sentencepiece_remark(vocabulary) is not None:
        return None
    if (folder / TOKENIZER_FILE).is_file():
        return measure_kept(vocabulary, read_small(folder / TOKENIZER_FILE))
    casing = decide_casing(None, casing_of_folder(folder), vocabulary)
    return measure_made(vocabulary, find_settings(vocabulary, casing, TokenizerOptions(), folder))


def _kept_remarks(model: Model) -> list[str]:
    """What has not the effect that it seems to have in a tokenizer_config.json that is kept."""
    if not (model.folder / TOKENIZER_CONFIG_FILE).is_file():
        return []
    unsplit = never_split_of_folder(model.folder)
    return [*_untruncated(model), *([unsplit] if unsplit else [])]


def _untruncated(model: Model) -> list[str]:
    """What is said of a tokenizer_config.json that lets texts be longer than the model has positions."""
    longest, positions = max_length_of_folder(model.folder), model.sizes.positions
    if longest is not None and longest <= positions:
        return []
    says = "no model_max_length" if longest is None else f"model_max_length {longest:g}"
    return [
        f"{TOKENIZER_CONFIG_FILE} is kept and has {says}, and the model {positions} positions: longer texts are not "
        f"cut, and fail in the model. Write {positions} there."
    ]


def segment_of(model: Model) -> int:
    """The token type that a text is given: 0 but for tasks in which Google's code gives another."""
    return model.head.segment if model.task else 0


def longest_input(model: Model, hparams: Hparams | None) -> int:
    """The longest input: a fine-tuned model has seen none beyond its run's max_seq_length."""
    stated = hparams.given.get("max_seq_length") if hparams and model.task else None
    return min(stated, model.sizes.positions) if isinstance(stated, int) and stated > 0 else model.sizes.positions


def find_casing(
    checkpoint: Checkpoint,
    model: Model,
    vocabulary: Vocabulary | None,
    hparams: Hparams | None,
    options: TokenizerOptions,
) -> Casing | None:
    """Decide whether a model's tokenizer lower-cases.

    Args:
        vocabulary: its vocabulary, where one is known.
        hparams: the hparams of the run, where they are known.

    Returns:
        The decision, or None where nothing speaks for either.

    Raises:
        VocabularyError: the vocabulary contradicts an option, or a file of the tokenizer is malformed.
    """
    given = None if hparams is None else hparams["do_lower_case"]
    folder = saved_in(checkpoint, model, options)
    saved = casing_of_folder(folder) if given is None and folder is not None else None
    said = saved if given is None else given
    if vocabulary is not None:
        casing = decide_casing(options.lower_case, said, vocabulary)
        decided = options.lower_case is None and saved is not None
        return casing._replace(origin="the tokenizer's files") if decided else casing
    said = said if options.lower_case is None else options.lower_case
    return None if said is None else Casing(said, "option, hparams or the tokenizer's files", None)


def find_vocabulary(
    checkpoint: Checkpoint, model: Model, options: TokenizerOptions
) -> tuple[Vocabulary | None, tuple[str, ...]]:
    """Find the vocabulary of a model, and check its length.

    Returns:
        The vocabulary, or None with a notice that says why; a transformers model may well have a tokenizer that
        vocab.txt cannot express.

    Raises:
        VocabularyError: it is unreadable, or does not belong to the model.
    """
    try:
        vocabulary = read_vocabulary_of(checkpoint, model, options)
        if vocabulary is None:
            return None, (_absent(checkpoint),)
        notice = check_size(vocabulary, model.sizes.vocabulary, options.pad_vocab)
    except VocabularyError as error:
        if options.vocab is not None or not checkpoint.scheme.described:
            raise
        return None, (f"No {VOCABULARY_FILE} is made: {error.message.replace(f'{model.folder}/', '')}.",)
    return vocabulary, (*vocabulary.notices, *([notice] if notice else []))


def read_vocabulary_of(checkpoint: Checkpoint, model: Model, options: TokenizerOptions) -> Vocabulary | None:
    """Read the vocabulary of a model, of whatever length, or the one that an option names; None where there is none.

    Raises:
        VocabularyError: it is unreadable, or none of WordPiece.
        SourceError: it may not be read.
    """
    if options.vocab is not None:
        return read_vocabulary_at(options.vocab)
    if checkpoint.scheme.described:
        return read_vocabulary_of_folder(model.folder)
    return next((read_vocabulary(place) for place in vocabulary_files(checkpoint, model)), None)


def read_vocabulary_at(place: Path) -> Vocabulary:
    """Read the vocabulary that an option names: a vocab.txt, or a folder with the files of a tokenizer.

    Raises:
        VocabularyError: there is none, or none of WordPiece.
        SourceError: it may not be read.
    """
    if not place.is_dir():
        return read_vocabulary(place)
    if other := other_tokenizer(place):
        raise VocabularyError(f"{place}: its tokenizer is {other}, not ELECTRA's WordPiece", ANOTHER_KIND)
    vocabulary = read_vocabulary_of_folder(place)
    if vocabulary is None:
        raise VocabularyError(
            f"{place} holds neither vocab.txt nor tokenizer.json", "Give a tokenizer's folder, or a vocab.txt."
        )
    return vocabulary


def vocabulary_files(checkpoint: Checkpoint, model: Model) -> list[Path]:
    """What files there are that hold a model's vocabulary, the one that Google's code would read first."""
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
    if not checkpoint.scheme.described or options.make_one:
        return {}
    saved = saved_files(model.folder)
    return saved if saved.keys() & {TOKENIZER_CONFIG_FILE, TOKENIZER_FILE} else {}


def saved_files(folder: Path) -> dict[str, bytes]:
    """The files of a transformers folder that its tokenizer is made of, by name.

    Raises:
        VocabularyError: one is far larger than any such file.
        SourceError: one may not be read.
    """
    return {name: read_small(folder / name) for name in _SAVED if (folder / name).is_file()}
