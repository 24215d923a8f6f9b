"""A model opened from whatever a person points at, a TensorFlow checkpoint too; writes nothing, computes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from electra_convert import tokenizer as tokenizer_files
from electra_convert.checkpoint import Checkpoint, Model, open_path
from electra_convert.config.hparams import hparams_text
from electra_convert.config.labels import Labels, configured_labels, find_labels, read_labels
from electra_convert.config.record import recorded_layout
from electra_convert.config.sources import Findings, electric_notice, gather
from electra_convert.conversion.options import lowers_case, read_added_tokens, read_path
from electra_convert.demo.architectures import AnyNetwork, folders_of
from electra_convert.demo.model import LoadedModel
from electra_convert.demo.network import ACTIVATIONS, BESIDE, Architecture, Network, usable_device
from electra_convert.demo.tasks import TASKS
from electra_convert.errors import (
    ConfigError,
    NamesError,
    UsageError,
    VocabularyError,
    arguments_for_options,
    listing,
)
from electra_convert.formats.names import CONVERSION_FILE, TOKENIZER_FILE, VOCABULARY_FILE
from electra_convert.hub.download import as_source, local_source
from electra_convert.schemes.family import ELECTRA
from electra_convert.schemes.google import reason_left_out
from electra_convert.schemes.heads import PRETRAINING, kinds
from electra_convert.schemes.layouts import Choice, collapse, read_task
from electra_convert.schemes.mapping import Role
from electra_convert.schemes.models import naming, require_tied
from electra_convert.tokenizer.coverage import check
from electra_convert.tokenizer.definition import parse_tokenizer
from electra_convert.tokenizer.folder import max_length_of_folder
from electra_convert.tokenizer.kinds import code_of_folder, other_tokenizer
from electra_convert.tokenizer.of_checkpoint import (
    TokenizerOptions,
    find_casing,
    find_settings,
    find_vocabulary,
    findings_of_folder,
    longest_input,
    saved_in,
    segment_of,
)
from electra_convert.tokenizer.saved import read_saved_tokenizer

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

# Of a model that nothing bounds, a window is as long as Google's longest.
_UNBOUNDED = 512
_ROLES: tuple[Role, ...] = ("discriminator", "generator")
_USES = {"discriminator": "tell which tokens were replaced", "generator": "suggest tokens"}


def roles_of(source: str | Path, generator: str | Path | None = None) -> tuple[Role, ...]:
    """Say which models there are, the discriminator first; the arguments are open_model's.

    Raises:
        ElectraConvertError: the source is not an ELECTRA checkpoint.
    """
    if any_architecture := folders_of(local_source(source)):
        return tuple(role for role in _ROLES if role in any_architecture)
    with _opened(source, generator, None) as checkpoint:
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
    task: str | None = None,
    labels: str | Path | Sequence[str] | None = None,
) -> LoadedModel:
    """Open a model to score texts with, to fill masks, or to do what it was fine-tuned for.

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
        task: of a checkpoint that Google's code fine-tuned: which of several tasks is meant, NAME, or NAME=KIND where
            the name does not tell what it is; KIND is one of those that the help of --task lists.
        labels: what the classes of a fine-tuned model are called: a list, or a file with one a line.

    Returns:
        The model and its tokenizer, with a method for what it is for: score of a discriminator, fill of a generator;
        classify, estimate, tag or answer of a fine-tuned one.

    Raises:
        ElectraConvertError: there is no such model, it lacks its head or its vocabulary, or it is damaged.
        UsageError: the role is none, or the generator's, and the model was fine-tuned; or PyTorch cannot compute on
            the device.
        MissingPackageError: PyTorch is not installed.

    >>> model = open_model("fixtures/default", vocab="fixtures/vocab.txt")
    >>> model
    <LoadedModel: discriminator of fixtures/default on cpu>
    >>> model.score("Return the banana.")
    [<ScoredText 'Return the banana.': 0 of 7 tokens called replaced>]
    >>> model = open_model("fixtures/finetuned/mnli", vocab="fixtures/vocab.txt")
    >>> model.classify("range group token", "group range")
    [<Classification 'range group token': contradiction 63.0%, entailment 20.3%, neutral 16.7%>]
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
    fine_tuned = FineTuned(read_task(task), read_labels(labels))
    return load(source, role, generator, options, hparams, config, device, fine_tuned)


@dataclass(frozen=True)
class FineTuned:
    """What a fine-tuned checkpoint does not tell of itself.

    Attributes:
        task: which of its tasks is meant, and of what kind it is.
        labels: what its classes are called.
    """

    task: Choice | None = None
    labels: str | tuple[str, ...] | None = None


def load(
    source: str | Path,
    role: Role,
    generator: str | Path | None,
    options: TokenizerOptions,
    hparams: str | Path | Mapping[str, Any] | None,
    config: str | Path | None,
    device: str | torch.device = "cpu",
    fine_tuned: FineTuned = FineTuned(),
) -> LoadedModel:
    """open_model, its errors in the words of the command line."""
    place = usable_device(device, role)
    if any_architecture := folders_of(local_source(source)):
        if (generator, options, hparams, config, fine_tuned) != (None, TokenizerOptions(), None, None, FineTuned()):
            raise UsageError(
                f"{source} is as pretrain left it, with a tokenizer and a configuration that no option changes",
                "Give the model alone, and for which role.",
            )
        return _of_any_architecture(source, role, any_architecture, place)
    with _opened(source, generator, fine_tuned.task) as checkpoint:
        model = _required(checkpoint, role)
        checkpoint.require_mapped()
        require_tied(checkpoint.path, model)
        findings = gather(checkpoint, hparams_text(hparams), Path(config) if config is not None else None)
        tokenizer, names, notices = _tokenizer(checkpoint, model, findings, options)
        with naming(checkpoint.path):
            weights = {name: weight.read_float32() for name, weight in model.weights.items()}
            weights |= _beside(model)
        electric = electric_notice(checkpoint, findings) if role == "discriminator" else []
        labels = _labels(checkpoint, model, findings, fine_tuned.labels)
        positions = _longest(checkpoint, model, findings)
    ids = checked_ids(tokenizer, names, model.folder, model.sizes.vocabulary)
    if positions < 3:
        raise NamesError(f"{source} has {positions} positions, too few for [CLS], a token and [SEP]")
    return LoadedModel(
        source=as_source(source),
        network=Network(_architecture(checkpoint, model, findings), weights, place),
        tokenizer=tokenizer,
        special={token: ids[own] for token, own in names.items()},
        spelt=names,
        positions=positions,
        segment=min(next(iter(tokenizer.encode(names["[MASK]"]).type_ids), 0), model.sizes.types - 1),
        labels=labels.names if labels else (),
        problem_type=findings.bases.get(role, {}).get("problem_type"),
        role=role,
        head=model.head,
        task=model.task,
        notices=(*notices, *electric, *findings.warnings, *([labels.warning] if labels and labels.warning else [])),
    )


def _of_any_architecture(
    source: str | Path, role: Role, folders: Mapping[Role, Path], device: torch.device
) -> LoadedModel:
    """A model that pretrain left behind, of an architecture that transformers runs, with its tokenizer."""
    if role not in folders:
        there: Role = next(iter(folders))
        raise NamesError(
            f"{source} holds a {there} and no {role}: a {there} cannot {_USES[role]}", "Give the folder of both."
        )
    folder = folders[role]
    saved = read_saved_tokenizer(folder)
    tokenizer, names = read_tokenizer(folder / TOKENIZER_FILE, saved.files[TOKENIZER_FILE]), saved.special
    network = AnyNetwork(folder, role, device)
    ids = checked_ids(tokenizer, names, folder, network.vocabulary)
    longest = max_length_of_folder(folder)
    return LoadedModel(
        source=as_source(source),
        role=role,
        head=PRETRAINING[role],
        network=network,
        tokenizer=tokenizer,
        special={token: ids[own] for token, own in names.items()},
        spelt=names,
        positions=int(longest) if longest else _UNBOUNDED,
        notices=(),
    )


def _beside(model: Model) -> dict[str, NDArray[np.float32]]:
    """What is kept beside a model, under the names and in the orientation that the network knows."""
    made = {}
    for name, weight in model.beside.items():
        layer, part = name.split("/")[-2:]
        array = weight.read_float32()
        made[f"{BESIDE}.{layer}.{'weight' if part == 'kernel' else part}"] = np.ascontiguousarray(array.T)
    return made


def _labels(
    checkpoint: Checkpoint, model: Model, findings: Findings, given: str | tuple[str, ...] | None
) -> Labels | None:
    """What the classes of a head are called, as convert would write them, or as config.json has them."""
    if not model.sizes.labels:
        if given is not None:
            raise UsageError(f"--labels names classes, and {checkpoint.path} is of a model without any")
        return None
    if given is None and checkpoint.scheme.described:
        return configured_labels(findings.bases.get(model.role, {}), model.sizes.labels)
    return find_labels(checkpoint.folder, model.task, model.head, model.sizes.labels, given)


def _longest(checkpoint: Checkpoint, model: Model, findings: Findings) -> int:
    """The longest input; a fine-tuned model is given none beyond what it was fine-tuned on, where that is known."""
    if not model.head.is_of_a_task:
        return model.sizes.positions
    if not checkpoint.scheme.described:
        return longest_input(model, findings.hparams)
    stated = max_length_of_folder(model.folder)
    return int(min(stated, model.sizes.positions)) if stated and stated > 0 else model.sizes.positions


def _opened(
    source: str | Path, generator: str | Path | None, choice: Choice | None
) -> AbstractContextManager[Checkpoint]:
    return open_path(local_source(source), None if generator is None else local_source(generator), choice)


def _required(checkpoint: Checkpoint, role: Role) -> Model:
    model = checkpoint.models.get(role)
    if model is None:
        layout = checkpoint.layout
        if layout is not None and layout.name == "two_tower_generator":
            raise NamesError(
                f"{checkpoint.path}: its generator is {layout.foreign_is}; the demo cannot run it either"
            )
        there: Role = next(iter(checkpoint.models))
        if checkpoint.models[there].head.name in TASKS:
            task = TASKS[checkpoint.models[there].head.name]
            raise UsageError(
                f"{checkpoint.path} is {task.fine_tuned}, and has no {role} to {_USES[role]}",
                f"It takes {task.takes}.",
            )
        raise NamesError(
            f"{checkpoint.path} holds a {there} and no {role}: a {there} cannot {_USES[role]}",
            _other_use(there, checkpoint),
        )
    if model.head is not PRETRAINING[role] and model.head.name not in TASKS:
        raise _headless(checkpoint, model, role)
    return model


def _headless(checkpoint: Checkpoint, model: Model, role: Role) -> NamesError:
    names = [task.name for task in checkpoint.tasks]
    if len(names) > 1:
        return NamesError(
            f"{checkpoint.path} was fine-tuned for {len(names)} tasks: {listing(names)}",
            f"Say which is meant, such as --task '{names[0]}'.",
        )
    if names:
        (task,) = checkpoint.tasks
        those = [kind for kind, head in kinds().items() if head in task.heads]
        return NamesError(
            f"{checkpoint.path}: the head of {task.name} cannot be run: {reason_left_out(task)}",
            f"Say what it is: --task '{task.name}={those[0]}', or one of the others." if those else None,
        )
    if own := model.head.unmapped or model.head.names:
        return NamesError(
            f"{checkpoint.path} has a head that the demo does not know: {listing(collapse(own))}",
            "transformers runs it, in the class that its config.json names.",
        )
    if recorded_layout(model.record) == "fine_tuned":
        return NamesError(
            f"{checkpoint.path} is a fine-tuned encoder without the head of its task, which was left out when it was "
            "converted",
            f"Its {CONVERSION_FILE} says why. What it was converted from has that head; a new one can be "
            "fine-tuned on this encoder.",
        )
    if checkpoint.scheme.family is not ELECTRA:
        return NamesError(
            f"{checkpoint.path} holds an encoder under the names of {checkpoint.scheme.family.model_type}, which "
            f"have none for the pretraining head that it takes to {_USES[role]}",
            f"Give what it was converted from, which its {CONVERSION_FILE} names.",
        )
    return NamesError(
        f"{checkpoint.path} holds an encoder without the pretraining head that it takes to {_USES[role]}",
        "Fine-tuning leaves that head out: take the checkpoint it started from, or the one with the new head.",
    )


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
    gelu_head = model.role == "generator" and checkpoint.scheme.gelu_in_generators
    return Architecture(
        role=model.role,
        head=task.compute if (task := TASKS.get(model.head.name)) else None,
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
    return read_tokenizer(path, data), names, notices


def read_tokenizer(path: Path, data: bytes) -> Tokenizer:
    """The tokenizer of a tokenizer.json, without truncation and padding."""
    tokenizer = parse_tokenizer(data, path, "Give the vocabulary with --vocab.")
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


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
    data = tokenizer_files.encode_tokenizer(vocabulary, settings, segment_of(model))
    return data, (*notices, *told, *found.notices, *found.warnings)


def checked_ids(tokenizer: Tokenizer, names: Mapping[str, str], folder: Path, rows: int) -> dict[str, int]:
    """The ids of a tokenizer, which has the special tokens and fits a word embedding of so many rows."""
    ids: dict[str, int] = tokenizer.get_vocab(with_added_tokens=True)
    if missing := [token for token in names.values() if token not in ids]:
        raise VocabularyError(
            f"the tokenizer of {folder} lacks {listing(missing)}", "Give the model's vocabulary with --vocab."
        )
    if (highest := max(ids.values())) >= rows:
        raise VocabularyError(
            f"the tokenizer of {folder} has a piece of id {highest}, but the word embedding has {rows} rows",
            "This vocabulary belongs to another model.",
        )
    mask = names["[MASK]"]
    if (read := tokenizer.encode(mask, add_special_tokens=False)).ids != [ids[mask]]:
        raise VocabularyError(
            f"the tokenizer of {folder} reads {mask} as {listing(read.tokens)}, not as one token",
            "Give the model's vocabulary with --vocab.",
        )
    return ids
