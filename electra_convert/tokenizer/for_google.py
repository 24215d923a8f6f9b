"""What goes to Google's code of a model's tokenizer: its vocabulary, and what is said of all it has no place for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from electra_convert.config.hparams import Hparams
from electra_convert.errors import listing
from electra_convert.formats.names import VOCABULARY_FILE
from electra_convert.schemes.models import Checkpoint, Model
from electra_convert.tokenizer.casing import Casing
from electra_convert.tokenizer.coverage import NONE, Findings, check
from electra_convert.tokenizer.encode import TokenizerSettings
from electra_convert.tokenizer.folder import SavedSettings, casing_of_folder, settings_of_folder
from electra_convert.tokenizer.of_checkpoint import (
    TokenizerOptions,
    carried,
    find_casing,
    find_vocabulary,
    saved_in,
)
from electra_convert.tokenizer.saved import read_saved_tokenizer
from electra_convert.tokenizer.vocabulary import Vocabulary, sentencepiece_remark


@dataclass(frozen=True)
class GoogleVocabulary:
    """What a checkpoint of Google's has for its tokenizer: vocab.txt, and do_lower_case where it is known.

    Attributes:
        notices: what its reader should know of where it comes from.
        findings: what Google's tokenizer has no place for, and cannot produce.
    """

    files: Mapping[str, bytes]
    lower_case: bool | None
    notices: tuple[str, ...]
    findings: Findings = NONE


def google_vocabulary(
    checkpoint: Checkpoint, model: Model, hparams: Hparams | None, options: TokenizerOptions
) -> GoogleVocabulary:
    """Find what goes to Google's code of a model's tokenizer.

    Raises:
        VocabularyError: the vocabulary is unreadable, does not belong to the model, or contradicts an option.
    """
    if options.no_tokenizer:
        alone = carried(checkpoint, model, options)
        casing = find_casing(checkpoint, model, None, hparams, options)
        return GoogleVocabulary(alone.files, casing.lower_case if casing else None, alone.notices)
    if options.kept is not None:
        return _kept_for_google(options.kept)
    vocabulary, notices = find_vocabulary(checkpoint, model, options)
    casing = find_casing(checkpoint, model, vocabulary, hparams, options)
    if vocabulary is None or casing is None:
        return GoogleVocabulary({}, casing.lower_case if casing else None, notices)
    found = _findings_in_google(vocabulary, casing)
    told = [casing.notice] if casing.notice else []
    if (folder := saved_in(checkpoint, model, options)) is not None:
        told += _without_place(settings_of_folder(folder), casing.lower_case)
    findings = Findings((*told, *found.notices), found.warnings)
    return GoogleVocabulary({VOCABULARY_FILE: vocabulary.raw}, casing.lower_case, notices, findings)


def _kept_for_google(folder: Path) -> GoogleVocabulary:
    """What of a tokenizer of any kind goes to Google's code: vocab.txt at most."""
    saved = read_saved_tokenizer(folder)
    files = {name: data for name, data in saved.files.items() if name == VOCABULARY_FILE}
    return GoogleVocabulary(files, casing_of_folder(folder), (lacking_in_google(bool(files)),))


def lacking_in_google(has_vocabulary: bool) -> str:
    """What is said of a tokenizer that Google's code does not have."""
    written = (
        f"{VOCABULARY_FILE} names the ids all the same" if has_vocabulary else f"no {VOCABULARY_FILE} is written"
    )
    return (
        "Google's code does not have this tokenizer: its WordPiece splits words at punctuation and ideographs, and "
        f"gives other tokens of the same text; {written}."
    )


def _without_place(saved: SavedSettings, lower_case: bool) -> list[str]:
    """What is said of settings that Google's code does not have."""
    told = []
    if saved.strip_accents not in {None, lower_case}:
        does = "strips" if lower_case else "does not strip"
        told.append(
            f"The tokenizer has strip_accents {str(saved.strip_accents).lower()}; Google's code {does} accents here."
        )
    if saved.tokenize_chinese_chars is False:
        told.append("The tokenizer has tokenize_chinese_chars false; Google's code makes each ideograph a word.")
    if saved.added_tokens:
        told.append(
            f"Google's code knows no added tokens, and splits them: {listing(map(repr, saved.added_tokens), 6)}."
        )
    return told


def _findings_in_google(vocabulary: Vocabulary, casing: Casing) -> Findings:
    if (remark := sentencepiece_remark(vocabulary)) is not None:
        return Findings((), (f"{remark}.",))
    return check(vocabulary, TokenizerSettings(casing.lower_case, strip_accents=True), remedies=False)
