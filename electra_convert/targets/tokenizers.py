"""The tokenizer files that go with a model: found, checked against it, and made; no tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from electra_convert import tokenizer
from electra_convert.checkpoint import Checkpoint, Model
from electra_convert.config.hparams import Hparams
from electra_convert.config.resolve import Value
from electra_convert.options import Options

VOCABULARY = "vocab.txt"
# What transformers, of any version, may have saved beside a model's weights for its tokenizer.
_SAVED = ("tokenizer.json", "tokenizer_config.json", VOCABULARY, "special_tokens_map.json", "added_tokens.json")


@dataclass(frozen=True)
class TokenizerFiles:
    """What a model folder holds for its tokenizer.

    Attributes:
        files: by name; empty where no vocabulary is known.
        settings: the tokenizer's settings, each with its origin.
        pad: the id of [PAD], with its origin.
        notices: what its reader should know.
    """

    files: Mapping[str, bytes]
    settings: Mapping[str, Value]
    pad: Value
    notices: tuple[str, ...]


def tokenizer_files(
    checkpoint: Checkpoint, model: Model, hparams: Hparams | None, options: Options
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
    vocabulary, notices = find_vocabulary(checkpoint, model, options)
    if vocabulary is None:
        return TokenizerFiles({}, {}, Value(0, "transformers' default"), notices)
    pad = Value(vocabulary.ids["[PAD]"], "vocabulary")
    if kept := _kept(checkpoint, model, options):
        return TokenizerFiles(kept, {}, pad, notices)
    given = None if hparams is None else hparams["do_lower_case"]
    if given is None and checkpoint.variant is None:
        given = tokenizer.casing_of_folder(model.folder)
    lower_case, origin, notice = tokenizer.decide_casing(options.lower_case, given, vocabulary)
    strips = lower_case if options.strip_accents is None else options.strip_accents
    strips_origin = "Google's rule" if options.strip_accents is None else "option"
    files = {
        "tokenizer.json": tokenizer.encode_tokenizer(vocabulary, lower_case, strips),
        "tokenizer_config.json": tokenizer.encode_tokenizer_config(
            vocabulary, lower_case, strips, model.sizes.positions
        ),
        VOCABULARY: vocabulary.raw,
    }
    settings = {"do_lower_case": Value(lower_case, origin), "strip_accents": Value(strips, strips_origin)}
    told = (notice, tokenizer.check_accents(vocabulary, lower_case, strips))
    return TokenizerFiles(files, settings, pad, (*notices, *(line for line in told if line)))


def find_vocabulary(
    checkpoint: Checkpoint, model: Model, options: Options
) -> tuple[tokenizer.Vocabulary | None, tuple[str, ...]]:
    """Find the vocabulary of a model, and check its length.

    Args:
        checkpoint: where the model comes from.
        model: the model.
        options: what was asked for.

    Returns:
        The vocabulary, or None with a notice that says where it is usually kept.

    Raises:
        VocabularyError: it is unreadable, or does not belong to the model.
    """
    vocabulary = _read(checkpoint, model, options)
    if vocabulary is None:
        return None, (_absent(checkpoint.folder),)
    notice = tokenizer.check_size(vocabulary, model.sizes.vocabulary, options.pad_vocab)
    return vocabulary, (*vocabulary.notices, *([notice] if notice else []))


def _read(checkpoint: Checkpoint, model: Model, options: Options) -> tokenizer.Vocabulary | None:
    if options.vocab is not None:
        return tokenizer.read_vocabulary(options.vocab)
    if checkpoint.variant is None:
        return tokenizer.read_vocabulary_of_folder(model.folder)
    places = (checkpoint.folder / VOCABULARY, checkpoint.folder / "assets" / VOCABULARY)
    return next((tokenizer.read_vocabulary(place) for place in places if place.is_file()), None)


def _absent(folder: Path) -> str:
    far = folder.absolute().parent.parent / VOCABULARY
    where = (
        "the one two levels up may be it" if far.is_file() else "Google's code keeps it in DATA_DIR, two levels up"
    )
    return (
        f"No {VOCABULARY} beside the checkpoint, so no tokenizer files are written; {where} (give it with --vocab)."
    )


def _kept(checkpoint: Checkpoint, model: Model, options: Options) -> dict[str, bytes]:
    chosen = (options.vocab, options.lower_case, options.strip_accents)
    if checkpoint.variant is not None or any(choice is not None for choice in chosen):
        return {}
    saved = {name: tokenizer.read_small(model.folder / name) for name in _SAVED if (model.folder / name).is_file()}
    return saved if "tokenizer_config.json" in saved else {}
