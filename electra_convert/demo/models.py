"""A model and its tokenizer, opened from whatever a person points at; computes nothing."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from electra_convert import tokenizer as tokenizer_files
from electra_convert.checkpoint import Checkpoint, Model, open_checkpoint
from electra_convert.conversion import run_conversion
from electra_convert.demo.cache import cache_folder, converted
from electra_convert.errors import NamesError, VocabularyError, listing
from electra_convert.names.rules import Role
from electra_convert.options import Options, hparams_text
from electra_convert.pytorch import load_model
from electra_convert.targets.plan import Progress

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# What transformers loads as it is, under the names that it looks for.
_LOADED_DIRECTLY = ("model.safetensors", "model.safetensors.index.json")
_USES = {"discriminator": "tell which tokens were replaced", "generator": "suggest tokens"}


@dataclass(frozen=True)
class LoadedModel:
    """A model that is ready to run.

    Attributes:
        source: what was pointed at.
        role: discriminator or generator.
        network: the transformers model, in PyTorch, in evaluation mode.
        tokenizer: its tokenizer, without truncation and padding.
        special: the id of each special token: [PAD], [UNK], [CLS], [SEP], [MASK].
        positions: the longest input, [CLS] and [SEP] included.
        notices: what was guessed or left out in opening it, one sentence each.
    """

    source: Path
    role: Role
    network: Any
    tokenizer: Tokenizer
    special: Mapping[str, int]
    positions: int
    notices: tuple[str, ...]


@dataclass(frozen=True)
class _Found:
    folder: Path
    vocab: Path | None
    notices: tuple[str, ...]


def roles_of(source: str | Path, generator: str | Path | None = None) -> tuple[Role, ...]:
    """Say which models there are.

    Args:
        source: anything that convert takes.
        generator: a folder with the generator that belongs to a discriminator at source.

    Returns:
        The roles, the discriminator first.

    Raises:
        ElectraConvertError: the source is not an ELECTRA checkpoint.
    """
    with open_checkpoint(Path(source), Path(generator) if generator is not None else None) as checkpoint:
        return tuple(role for role in ("discriminator", "generator") if role in checkpoint.models)


def open_model(
    source: str | Path,
    role: Role = "discriminator",
    generator: str | Path | None = None,
    vocab: str | Path | None = None,
    hparams: str | Path | Mapping[str, Any] | None = None,
    config: str | Path | None = None,
    progress: Progress | None = None,
) -> LoadedModel:
    """Open a model to score texts with, or to fill masks.

    A TensorFlow checkpoint, and any file that transformers would not load as it is, is first converted into the
    user's cache.

    Args:
        source: anything that convert takes.
        role: which model of it.
        generator: a folder with the generator that belongs to a discriminator at source.
        vocab: the vocabulary; by default the tokenizer beside the model.
        hparams: google-research/electra's hparams: a mapping, JSON, or the name of a file that holds it.
        config: a transformers config.json.
        progress: told how many bytes of how many have been read in converting.

    Returns:
        The model and its tokenizer.

    Raises:
        ElectraConvertError: there is no such model, it lacks its head or its vocabulary, or it does not load.
    """
    options = Options(
        model=role,
        to="safetensors",
        generator=Path(generator) if generator is not None else None,
        hparams=hparams_text(hparams),
        config=Path(config) if config is not None else None,
        vocab=Path(vocab) if vocab is not None else None,
    )
    with open_checkpoint(Path(source), options.generator) as checkpoint:
        _require(checkpoint, role)
        found = _find(checkpoint, options, progress)
    with _collector_paused():
        network = load_model(found.folder, role)
    tokenizer = _load_tokenizer(found, network.config.vocab_size)
    ids = tokenizer.get_vocab(with_added_tokens=True)
    special = {token: ids[token] for token in tokenizer_files.SPECIAL_TOKENS}
    return LoadedModel(
        Path(source), role, network, tokenizer, special, network.config.max_position_embeddings, found.notices
    )


def _require(checkpoint: Checkpoint, role: Role) -> None:
    model = checkpoint.models.get(role)
    if model is None:
        there: Role = next(iter(checkpoint.models))
        raise NamesError(
            f"{checkpoint.path} holds a {there} and no {role}: a {there} cannot {_USES[role]}", _other_use(there)
        )
    if not model.head:
        raise NamesError(
            f"{checkpoint.path} holds an encoder without the pretraining head that it takes to {_USES[role]}",
            "Fine-tuning leaves that head out: take the checkpoint it started from.",
        )


def _other_use(role: Role) -> str:
    if role == "generator":
        return "Give the discriminator, or the folder of both. A generator fills [MASK]: --fill 5."
    return "Give the folder that holds both, or name the generator's with --generator."


def _find(checkpoint: Checkpoint, options: Options, progress: Progress | None) -> _Found:
    assert options.model in {"discriminator", "generator"}
    model = checkpoint.models["generator" if options.model == "generator" else "discriminator"]
    if _loads_directly(checkpoint, model, options):
        checkpoint.require_mapped()
        return _Found(model.folder, options.vocab, checkpoint.notices)
    # Said every time, though converted once: what is guessed of a model does not become certain in the cache.
    plan = run_conversion(checkpoint.path, cache_folder() / "none", Options(**{**vars(options), "dry_run": True}))
    folder = converted(checkpoint, options, progress)
    # Optimiser slots are of no use here.
    notices = (notice for notice in plan.notices if "--optimizer" not in notice)
    return _Found(folder, None, (*notices, *plan.warnings))


def _loads_directly(checkpoint: Checkpoint, model: Model, options: Options) -> bool:
    told = options.hparams is not None or options.config is not None
    files = {path.name for source in checkpoint.sources if (path := source.path).parent == model.folder}
    return (
        checkpoint.variant is None
        and not told
        and not files.isdisjoint(_LOADED_DIRECTLY)
        and (model.folder / "config.json").is_file()
    )


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Importing transformers makes a million objects, none of them garbage; looking for some takes half a second."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _load_tokenizer(found: _Found, rows: int) -> Tokenizer:
    from tokenizers import Tokenizer

    path = found.folder / "tokenizer.json"
    if found.vocab is None and path.is_file():
        data = tokenizer_files.read_small(path)
    else:
        data = _made_of_vocabulary(found, rows)
    try:
        tokenizer = Tokenizer.from_buffer(data)
    except Exception as error:
        raise VocabularyError(f"{path} cannot be read: {error}", "Give the vocabulary with --vocab.") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    _check_tokenizer(tokenizer, path, rows)
    return tokenizer


def _made_of_vocabulary(found: _Found, rows: int) -> bytes:
    folder = found.folder
    if found.vocab is not None:
        vocabulary = tokenizer_files.read_vocabulary(found.vocab)
    elif (folder / "vocab.txt").is_file():
        vocabulary = tokenizer_files.read_vocabulary(folder / "vocab.txt")
    else:
        raise VocabularyError(
            "the model has no vocabulary: neither tokenizer.json nor vocab.txt is beside it", "Give it with --vocab."
        )
    tokenizer_files.check_size(vocabulary, rows, pad=False)
    casing = tokenizer_files.decide_casing(None, tokenizer_files.casing_of_folder(folder), vocabulary)
    accents = tokenizer_files.accents_of_folder(folder)
    strips = casing.lower_case if accents is None else accents
    return tokenizer_files.encode_tokenizer(vocabulary, casing.lower_case, strips)


def _check_tokenizer(tokenizer: Tokenizer, path: Path, rows: int) -> None:
    ids = tokenizer.get_vocab(with_added_tokens=True)
    if missing := [token for token in tokenizer_files.SPECIAL_TOKENS if token not in ids]:
        raise VocabularyError(f"{path} lacks {listing(missing)}", "Give the model's vocabulary with --vocab.")
    if (highest := max(ids.values())) >= rows:
        raise VocabularyError(
            f"{path} has a piece of id {highest}, but the word embedding has {rows} rows",
            "This vocabulary belongs to another model.",
        )
