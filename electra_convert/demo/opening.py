"""A model opened from whatever a person points at, a TensorFlow checkpoint too; writes nothing, computes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from electra_convert import tokenizer as tokenizer_files
from electra_convert.checkpoint import Checkpoint, Model, open_path
from electra_convert.config.hparams import hparams_text
from electra_convert.config.sources import Findings, electric_notice, gather
from electra_convert.conversion.options import lowers_case, read_added_tokens, read_path
from electra_convert.demo.model import LoadedModel
from electra_convert.demo.network import ACTIVATIONS, Architecture, Network, usable_device
from electra_convert.errors import (
    ConfigError,
    NamesError,
    UsageError,
    VocabularyError,
    arguments_for_options,
    listing,
)
from electra_convert.formats.names import TOKENIZER_FILE, VOCABULARY_FILE
from electra_convert.hub.download import as_source, local_source
from electra_convert.schemes.heads import PRETRAINING
from electra_convert.schemes.mapping import Role
from electra_convert.schemes.models import naming, require_tied
from electra_convert.tokenizer.coverage import check
from electra_convert.tokenizer.kinds import code_of_folder, other_tokenizer
from electra_convert.tokenizer.of_checkpoint import (
    TokenizerOptions,
    find_casing,
    find_settings,
    find_vocabulary,
    findings_of_folder,
    saved_in,
)
from electra_convert.tokenizer.saved import read_saved_tokenizer

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

_ROLES: tuple[Role, ...] = ("discriminator", "generator")
_USES = {"discriminator": "tell which tokens were replaced", "generator": "suggest tokens"}


def roles_of(source: str | Path, generator: str | Path | None = None) -> tuple[Role, ...]:
    """Say which models there are, the discriminator first; the arguments are open_model's.

    Raises:
        ElectraConvertError: the source is not an ELECTRA checkpoint.
    """
    with _opened(source, generator) as checkpoint:
        return tuple(role for role in _ROLES if role in checkpoint.models)


@arguments_for_options(model="role")
def open_model(
    source: str | Path,
    role: Role = "discriminator",
    generator: str | Path | None = None,
    vocab: str | Path | None = None,
    hparams: str | Path | Mapping[str, Any] | None = None,
    config: str | Path | None = None,
    device: str | torch.device = "cpu",
    *,
    cased: bool | None = None,
    uncased: bool | None = None,
    strip_accents: bool | None = None,
    tokenize_chinese_chars: bool | None = None,
    added_tokens: str | Path | Sequence[str] | None = None,
) -> LoadedModel:
    """Open a model to score texts with, or to fill masks.

    The weights are read from wherever they are, a TensorFlow checkpoint as well; nothing is written.

    Args:
        source: anything that convert takes.
        role: which model of it.
        generator: a folder with the generator that belongs to a discriminator at source.
        vocab: the vocabulary file, or a tokenizer's folder; by default the tokenizer beside the model.
        hparams: google-research/electra's hparams: a mapping, JSON, or the name of a file that holds it.
        config: a transformers config.json.
        device: where PyTorch computes, such as "cpu", "cuda" or "cuda:1"; in float32 everywhere.
        cased: whether the tokenizer keeps upper case; by default as its files say, or the hparams, or the vocabulary.
        uncased: the opposite of cased, for those who would rather say it so.
        strip_accents: whether the tokenizer strips accents; by default as its files say, or whenever it lower-cases.
        tokenize_chinese_chars: whether each ideograph is a word of its own; by default as its files say, or it is.
        added_tokens: pieces of the vocabulary that are matched whole: a list, or a file with one on each line.

    Returns:
        The model and its tokenizer, with methods score and fill.

    Raises:
        ElectraConvertError: there is no such model, it lacks its head or its vocabulary, or it is damaged.
        UsageError: the role is none, or PyTorch cannot compute on the device.
        MissingPackageError: PyTorch is not installed.

    >>> model = open_model("fixtures/default", vocab="fixtures/vocab.txt")
    >>> model
    <LoadedModel: discriminator of fixtures/default on cpu>
    >>> model.score("Return the banana.")
    [<ScoredText 'Return the banana.': 0 of 7 tokens called replaced>]
    """
    if role not in _ROLES:
        raise UsageError(f"the role is {role!r}, expected {' or '.join(_ROLES)}")
    options = TokenizerOptions(
        vocab=read_path("vocab", vocab),
        lower_case=lowers_case(cased, uncased),
        strip_accents=strip_accents,
        tokenize_chinese_chars=tokenize_chinese_chars,
        added_tokens=read_added_tokens(added_tokens),
    )
    return load(source, role, generator, options, hparams, config, device)


def load(
    source: str | Path,
    role: Role,
    generator: str | Path | None,
    options: TokenizerOptions,
    hparams: str | Path | Mapping[str, Any] | None,
    config: str | Path | None,
    device: str | torch.device = "cpu",
) -> LoadedModel:
    """open_model, its errors in the words of the command line."""
    place = usable_device(device, role)
    with _opened(source, generator) as checkpoint:
        model = _required(checkpoint, role)
        checkpoint.require_mapped()
        require_tied(checkpoint.path, model)
        findings = gather(checkpoint, hparams_text(hparams), Path(config) if config is not None else None)
        tokenizer, names, notices = _tokenizer(checkpoint, model, findings, options)
        with naming(checkpoint.path):
            weights = {name: weight.read_float32() for name, weight in model.weights.items()}
        electric = electric_notice(checkpoint, findings) if role == "discriminator" else []
    ids = _checked_ids(tokenizer, names, model)
    if model.sizes.positions < 3:
        raise NamesError(f"{source} has {model.sizes.positions} positions, too few for [CLS], a token and [SEP]")
    return LoadedModel(
        source=as_source(source),
        role=role,
        network=Network(_architecture(checkpoint, model, findings), weights, place),
        tokenizer=tokenizer,
        special={token: ids[own] for token, own in names.items()},
        spelt=names,
        positions=model.sizes.positions,
        notices=(*notices, *electric, *findings.warnings),
    )


def _opened(source: str | Path, generator: str | Path | None) -> AbstractContextManager[Checkpoint]:
    return open_path(local_source(source), None if generator is None else local_source(generator))


def _required(checkpoint: Checkpoint, role: Role) -> Model:
    model = checkpoint.models.get(role)
    if model is None:
        layout = checkpoint.layout
        if layout is not None and layout.name == "two_tower_generator":
            raise NamesError(
                f"{checkpoint.path}: its generator is {layout.foreign_is}; the demo cannot run it either"
            )
        there: Role = next(iter(checkpoint.models))
        raise NamesError(
            f"{checkpoint.path} holds a {there} and no {role}: a {there} cannot {_USES[role]}",
            _other_use(there, checkpoint),
        )
    if model.head is not PRETRAINING[role]:
        raise NamesError(
            f"{checkpoint.path} holds an encoder without the pretraining head that it takes to {_USES[role]}",
            "Fine-tuning leaves that head out: take the checkpoint it started from.",
        )
    return model


def _other_use(role: Role, checkpoint: Checkpoint) -> str:
    if role == "generator":
        return "Give the discriminator, or the folder of both. A generator fills [MASK]: --fill 5."
    if not checkpoint.scheme.described:
        return "Give a checkpoint that holds both."
    return "Give the folder that holds both, or name the generator's with --generator."


def _architecture(checkpoint: Checkpoint, model: Model, findings: Findings) -> Architecture:
    config = findings.configs[model.role]
    activation = config["hidden_act"]
    if activation not in ACTIVATIONS:
        raise ConfigError(f"{checkpoint.path}: hidden_act is {activation!r}, expected {', '.join(ACTIVATIONS)}")
    gelu_head = model.role == "generator" and checkpoint.scheme.described
    return Architecture(
        role=model.role,
        layers=model.sizes.layers,
        heads=config["num_attention_heads"],
        activation=activation,
        head_activation="gelu" if gelu_head else activation,
        epsilon=config["layer_norm_eps"],
    )


def _tokenizer(
    checkpoint: Checkpoint, model: Model, findings: Findings, options: TokenizerOptions
) -> tuple[Tokenizer, Mapping[str, str], tuple[str, ...]]:
    """A transformers model's own tokenizer.json as it is; else one made of the vocabulary, as convert makes it.

    Returns:
        The tokenizer, how it spells each of ELECTRA's special tokens, and what is to be said of it.
    """
    from tokenizers import Tokenizer

    path = model.folder / TOKENIZER_FILE
    notices: tuple[str, ...] = ()
    names: Mapping[str, str] = {token: token for token in tokenizer_files.SPECIAL_TOKENS}
    other = other_tokenizer(model.folder) if checkpoint.scheme.described and options.vocab is None else None
    if other and (options.make_one or not path.is_file() or code_of_folder(model.folder)):
        raise VocabularyError(
            f"{model.folder}: its tokenizer is {other}, which is not run here; ELECTRA's would give other tokens",
            "Use the model in transformers; or give a vocabulary of ELECTRA's kind with --vocab.",
        )
    if other:
        saved = read_saved_tokenizer(model.folder)
        data, names = saved.files[TOKENIZER_FILE], saved.special
    elif checkpoint.scheme.described and not options.make_one and path.is_file():
        data = tokenizer_files.read_small(path)
        found = findings_of_folder(model.folder)
        notices = (*found.notices, *found.warnings)
    else:
        own = model.folder / VOCABULARY_FILE
        if checkpoint.scheme.described and options.vocab is None and own.is_file():
            # What is wrong with it is then an error, not a notice that there is none.
            options = replace(options, vocab=own)
        data, notices = _made_of_vocabulary(checkpoint, model, findings, options)
    try:
        tokenizer = Tokenizer.from_buffer(data)
    except Exception as error:
        raise VocabularyError(f"{path} cannot be read: {error}", "Give the vocabulary with --vocab.") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer, names, notices


def _made_of_vocabulary(
    checkpoint: Checkpoint, model: Model, findings: Findings, options: TokenizerOptions
) -> tuple[bytes, tuple[str, ...]]:
    vocabulary, notices = find_vocabulary(checkpoint, model, options)
    casing = find_casing(checkpoint, model, vocabulary, findings.hparams, options)
    if vocabulary is None or casing is None:
        googles = "; Google's code keeps vocab.txt in DATA_DIR, two levels above the checkpoint"
        raise VocabularyError(
            f"{checkpoint.path} has no vocabulary beside it, so no text can be cut into its tokens",
            f"Give it with --vocab{'' if checkpoint.scheme.described else googles}.",
        )
    settings = find_settings(vocabulary, casing, options, saved_in(checkpoint, model, options))
    found = check(vocabulary, settings)
    told = () if casing.notice is None else (f"{casing.notice}.",)
    data = tokenizer_files.encode_tokenizer(vocabulary, settings)
    return data, (*notices, *told, *found.notices, *found.warnings)


def _checked_ids(tokenizer: Tokenizer, names: Mapping[str, str], model: Model) -> dict[str, int]:
    ids: dict[str, int] = tokenizer.get_vocab(with_added_tokens=True)
    if missing := [token for token in names.values() if token not in ids]:
        raise VocabularyError(
            f"the tokenizer of {model.folder} lacks {listing(missing)}", "Give the model's vocabulary with --vocab."
        )
    if (highest := max(ids.values())) >= model.sizes.vocabulary:
        raise VocabularyError(
            f"the tokenizer of {model.folder} has a piece of id {highest}, but the word embedding has "
            f"{model.sizes.vocabulary} rows",
            "This vocabulary belongs to another model.",
        )
    mask = names["[MASK]"]
    if (read := tokenizer.encode(mask, add_special_tokens=False)).ids != [ids[mask]]:
        raise VocabularyError(
            f"the tokenizer of {model.folder} reads {mask} as {listing(read.tokens)}, not as one token",
            "Give the model's vocabulary with --vocab.",
        )
    return ids
