"""One model looked at: what its files say of it, and what should be done; reads no weights and changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from electra_convert.checkpoint import Checkpoint, open_path
from electra_convert.config.sources import Findings, gather
from electra_convert.config.transformers import SIZE_DEFAULTS, read_config, role_of_config
from electra_convert.conversion.layout_transformers import architecture
from electra_convert.errors import (
    ConfigError,
    ElectraConvertError,
    NotElectraError,
    ParityError,
    VocabularyError,
    counted,
)
from electra_convert.formats.json_objects import decode_object
from electra_convert.formats.locate import locate
from electra_convert.formats.names import (
    CONFIG_FILE,
    PARITY_FILE,
    TOKENIZER_CONFIG_FILE,
    TOKENIZER_FILE,
    TRAINING_FILE,
    VOCABULARY_FILE,
    is_found,
)
from electra_convert.hub.account.row import ModelRow, ProofState, TokenizerFindings
from electra_convert.hub.card.model_folder import PublishedFile, has_safetensors, read_folder
from electra_convert.hub.card.proof import require_proof
from electra_convert.schemes.family import ELECTRA
from electra_convert.schemes.heads import of_class
from electra_convert.schemes.mapping import Role
from electra_convert.schemes.models import Model
from electra_convert.tokenizer.folder import max_length_of_folder
from electra_convert.tokenizer.kinds import class_of_folder, other_tokenizer
from electra_convert.tokenizer.of_checkpoint import coverage_of_folder

# Over ranges, each of their tensors would take a request.
_SCATTERED = frozenset({"hdf5", "msgpack"})
_UNREAD = {"tensorflow": "TensorFlow checkpoints", "hdf5": "HDF5 files", "msgpack": "files of flax"}
_LONGEST_NAME = 80  # of a class, of which files may say anything
_NO_LIMIT = 1e9  # transformers writes 1e30 where it knows none
HashOf: TypeAlias = Callable[[Path, str], PublishedFile]


def other_family(config: bytes) -> str | None:
    """What another model than ELECTRA a config.json is of; None where it is ELECTRA's, or does not say.

    Where a conversion.json lies beside it, it may be an ELECTRA model by another family's names.
    """
    found = decode_object(config, CONFIG_FILE).get("model_type")
    return None if found in (None, ELECTRA.model_type) else f"{found!s:.40}"


def of_other_family(row: ModelRow, family: str) -> ModelRow:
    """The row of a model that is none of ELECTRA's."""
    return replace(row, action="leave", why=(f"it is no ELECTRA model: config.json says {family}",))


def looked_at(row: ModelRow, path: Path, hash_of: HashOf) -> ModelRow:
    """Complete a row by what the files at a path say, which may be an outline.

    Args:
        row: its name, containers and size.
        path: a folder, or a file of weights in one.
        hash_of: the hashes of its files.
    """
    try:
        with open_path(path) as checkpoint:
            findings = gather(checkpoint)
            found = _described(row, checkpoint, findings, hash_of)
            return replace(found, **_verdict(found, checkpoint, findings))
    except NotElectraError as error:
        return replace(row, action="leave", why=(f"it is no ELECTRA model: {without(error.message, path)}",))
    except ElectraConvertError as error:
        return failed(row, error, path)


def is_scattered(path: Path) -> bool:
    """Whether what the files at a path say of their tensors lies between the values, all over them."""
    try:
        return locate(path)[0].container in _SCATTERED
    except ElectraConvertError:
        return False


def by_config(row: ModelRow, folder: Path) -> ModelRow:
    """Complete a row by config.json and the tokenizer alone; its weights are none that from_pretrained looks for."""
    try:
        config = read_config(folder / CONFIG_FILE)
        named = config.get("architectures")
        known = of_class(str(named[0])) if isinstance(named, list) and named else None
        if known is None:
            raise ConfigError(f"{CONFIG_FILE} names the class {named!r:.80}, which tells no head", None)
        read = locate(folder)[0].container
        found = replace(
            row,
            containers=(read, *(one for one in row.containers if one != read)),
            models={role_of_config(config): known.architecture()},
            fine_tuned=known.is_of_a_task,
            positions=config.get("max_position_embeddings", SIZE_DEFAULTS["max_position_embeddings"]),
            tokenizer=_tokenizer(folder),
        )
    except ElectraConvertError as error:
        return failed(row, error, folder)
    return replace(found, action="convert", why=(_unread(read), *_of_tokenizer(found, _is_kept(folder))))


def failed(row: ModelRow, error: ElectraConvertError, path: Path | None = None) -> ModelRow:
    """The row of what could not be looked at."""
    message = without(error.message, path) if path else error.message
    hint = without(error.hint, path) if path and error.hint else error.hint
    return replace(row, action="look", error=message, why=(hint,) if hint else ())


def without(text: str, path: Path) -> str:
    """A message without the folder of an outline, which its reader never sees."""
    folder = path if path.is_dir() else path.parent
    return text.replace(f"{folder}/", "").replace(str(folder), "it")


def _described(row: ModelRow, checkpoint: Checkpoint, findings: Findings, hash_of: HashOf) -> ModelRow:
    models = checkpoint.models
    first = next(iter(models.values()))
    read = checkpoint.sources[0].format
    return replace(
        row,
        containers=(read, *(one for one in row.containers if one != read)),
        loads=None if _why_not_loaded(checkpoint, first) else read,
        models={role: architecture(model, findings, checkpoint.scheme.family) for role, model in models.items()},
        fine_tuned=bool(checkpoint.tasks) or any(map(_has_task_head, models.values())),
        positions=min(model.sizes.positions for model in models.values()),
        tokenizer=_tokenizer(first.folder),
        proof=_worst(_proof(model.folder, hash_of) for model in models.values()),
    )


def _why_not_loaded(checkpoint: Checkpoint, model: Model) -> str | None:
    """Why from_pretrained of transformers 5 does not load the weights as they lie there; None where it does."""
    read = checkpoint.sources[0]
    if read.format not in {"safetensors", "torch"}:
        return _unread(read.format)
    if checkpoint.scheme.loads != "transformers":
        return f"its tensors are called as {checkpoint.scheme.name} has it, and not as transformers does"
    if not is_found(read.path.name):
        return f"transformers does not look for a file called {read.path.name}"
    return None if model.config_path.is_file() else f"it has no {CONFIG_FILE}"


def _unread(container: str) -> str:
    return f"transformers 5 loads no {_UNREAD.get(container, container)}"


def _has_task_head(model: Model) -> bool:
    return model.head.is_of_a_task or bool(model.head.unmapped)


def _tokenizer(folder: Path) -> TokenizerFindings:
    kind = other_tokenizer(folder)
    files = kind is not None or any((folder / name).is_file() for name in (TOKENIZER_FILE, VOCABULARY_FILE))
    longest = max_length_of_folder(folder)
    stated = longest if longest is not None and 0 <= longest < _NO_LIMIT else None
    named = kind or class_of_folder(folder)
    found = TokenizerFindings(named and named[:_LONGEST_NAME], stated, files=files)
    try:
        coverage = None if kind else coverage_of_folder(folder)
    except VocabularyError:
        return found
    return found if coverage is None else replace(found, pieces=coverage.total, useless=coverage.lost)


def _proof(folder: Path, hash_of: HashOf) -> ProofState:
    if not any((folder / name).is_file() for name in (PARITY_FILE, TRAINING_FILE)):
        return "none"
    try:
        proof = require_proof(read_folder(folder, pickles=not has_safetensors(folder), hash_of=hash_of), False)
    except ParityError:
        return "of other files"
    return "none" if proof.state == "unverified" else proof.state


def _worst(states: Iterable[ProofState]) -> ProofState:
    order: tuple[ProofState, ...] = ("none", "of other files", "recorded", "verified", "pretrained", "fine-tuned")
    return min(states, key=order.index)


def _verdict(row: ModelRow, checkpoint: Checkpoint, findings: Findings) -> Mapping[str, Any]:
    """What should be done, and why."""
    if checkpoint.unmapped:
        told = f"{counted(len(checkpoint.unmapped), 'tensor')} of no ELECTRA model, such as {checkpoint.unmapped[0]}"
        return {"action": "by hand", "why": (f"{told}: convert with --exclude, if they may go",)}
    first = next(iter(checkpoint.models.values()))
    kept = checkpoint.scheme.described and _is_kept(first.folder)
    limit = _of_tokenizer(row, kept)
    others = (_why_not_loaded(checkpoint, first), _of_pickles(row), *_of_classes(row, checkpoint, findings))
    reasons = (*filter(None, others), *limit)
    if not reasons or (kept and reasons == limit):
        return {"action": "by hand" if reasons else "nothing", "why": reasons}
    if obstacle := _obstacle(checkpoint) or _unstated(findings):
        return {"action": "by hand", "why": (*reasons, obstacle)}
    if len(row.models) == 1 or row.commit is None:  # a folder becomes a folder of both
        return {"action": "convert", "why": reasons}
    role: Role = "generator" if "generator" in row.name else "discriminator"
    told = f"of its pair the {role} is converted, and the other belongs into a repository of its own"
    return {"action": "convert", "why": (*reasons, told), "converted": role}


def _obstacle(checkpoint: Checkpoint) -> str | None:
    """Why one model cannot be put in the place of what is there, unless somebody chooses."""
    if checkpoint.separate_tasks:
        return "it holds several tasks, each of which becomes a model"
    if checkpoint.tasks and all(model.head.is_bare for model in checkpoint.models.values()):
        return "transformers has no head such as its task's, which would be left out"
    if checkpoint.scheme.described and len(checkpoint.models) > 1:
        return "it holds a pair in two folders, which belong into two repositories"
    return None


def _unstated(findings: Findings) -> str | None:
    """What would have to be guessed, so that nothing converted from it could be verified."""
    guessed = sorted({key for config in findings.configs.values() for key in config.guessed})
    return f"nothing says its {' and '.join(guessed)}: convert it with --hparams or --config" if guessed else None


def _of_classes(row: ModelRow, checkpoint: Checkpoint, findings: Findings) -> Iterator[str]:
    """That config.json names a class of another head, which transformers would make of random numbers."""
    for role, found in row.models.items():
        named = findings.bases.get(role, {}).get("architectures")
        said = str(named[0]) if isinstance(named, list) and named else found
        if checkpoint.scheme.family is ELECTRA and of_class(said) and said != found:
            yield f"{CONFIG_FILE} names the class {said}, and its tensors are those of {found}"


def _of_pickles(row: ModelRow) -> str | None:
    return "its weights are pickles, which can run code where they are loaded" if row.loads == "torch" else None


def _is_kept(folder: Path) -> bool:
    """Whether convert keeps the tokenizer of a transformers folder as it is."""
    return any((folder / name).is_file() for name in (TOKENIZER_FILE, TOKENIZER_CONFIG_FILE))


def _of_tokenizer(row: ModelRow, kept: bool) -> tuple[str, ...]:
    longest = row.tokenizer.max_length
    if row.tokenizer.pieces is None or row.positions is None or (longest is not None and longest <= row.positions):
        return ()
    says = "no model_max_length" if longest is None else f"model_max_length {longest:g}"
    told = f"its tokenizer has {says} for {row.positions} positions: longer texts fail in the model"
    return (f"{told}; write {row.positions} into {TOKENIZER_CONFIG_FILE}, which convert keeps" if kept else told,)
