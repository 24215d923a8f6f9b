"""What is fine-tuned: any model that this tool reads, as a folder of transformers, or one of another architecture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from electra_convert.checkpoint import open_path
from electra_convert.conversion.convert import run_conversion
from electra_convert.conversion.options import Options
from electra_convert.demo.architectures import folders_of
from electra_convert.errors import ElectraConvertError, NamesError, SourceError, VocabularyError, listing
from electra_convert.finetuning.options import TaskName
from electra_convert.formats.json_objects import decode_object
from electra_convert.formats.names import CONFIG_FILE, TOKENIZER_FILE
from electra_convert.hub.card.model_folder import read_folder
from electra_convert.hub.card.proof import require_proof, without_unproved_onnx
from electra_convert.hub.client import Tell
from electra_convert.hub.download import local_source
from electra_convert.schemes.family import ELECTRA
from electra_convert.schemes.foreign import family_of_folder, stated_beside
from electra_convert.schemes.mapping import Role
from electra_convert.tokenizer.folder import max_length_of_folder
from electra_convert.tokenizer.of_checkpoint import TokenizerOptions
from electra_convert.tokenizer.saved import SavedTokenizer, read_saved_tokenizer
from electra_convert.tokenizer.vocabulary import read_small

# Where neither the model nor its tokenizer bounds a row.
_UNBOUNDED = 512


@dataclass(frozen=True)
class Start:
    """A model as transformers loads it, here.

    Attributes:
        folder: its folder.
        is_electra: whether it is ELECTRA.
        tokenizer: its tokenizer.
        config: its config.json.
        longest: the longest row it takes.
        base: what it is and how far that is known, for the record of what is made of it.
        notices: what a reader should know of it.
    """

    folder: Path
    is_electra: bool
    tokenizer: SavedTokenizer
    config: Mapping[str, Any]
    longest: int
    base: Mapping[str, Any]
    notices: tuple[str, ...] = ()


@contextmanager
def opened(source: str | Path, task: TaskName, vocab: Path | None, tell: Tell) -> Iterator[Start]:
    """Bring a model to where transformers loads it, for as long as the context lasts.

    Args:
        source: anything that convert takes, a folder that pretrain left behind, or a folder or hf:// address of any
            other architecture.
        task: fill-mask needs a generator, the others an encoder, of which the discriminator's is the first choice.
        vocab: the vocabulary of a checkpoint that has none beside it.
        tell: told what is downloaded.

    Raises:
        ElectraConvertError: there is no such model, or it has no tokenizer.
    """
    path = local_source(source, tell)
    with TemporaryDirectory(prefix="electra_convert-") as scratch:
        if made_here := folders_of(path):
            role = _role(made_here, task, path)
            yield _start(made_here[role], source, False, {"format": "safetensors", **_proof_of(made_here[role])})
        elif _is_of_another_architecture(path):
            told = {"format": "transformers", "state": "unverified", "line": "It was not converted by this tool."}
            yield _start(path, source, False, told)
        else:
            folder = Path(scratch) / "model"
            base, notices = _converted(path, folder, task, vocab)
            yield replace(_start(folder, source, True, base), notices=notices)


def _is_of_another_architecture(path: Path) -> bool:
    named = stated_beside(path, "model_type")
    return named is not None and named != family_of_folder(path).model_type


def _role(models: Mapping[Role, Any], task: TaskName, path: Path) -> Role:
    if task == "fill-mask":
        if "generator" in models:
            return "generator"
        raise NamesError(
            f"{path} holds a discriminator and no generator, and a discriminator cannot fill masks",
            "Give the generator, or the folder of both.",
        )
    return "discriminator" if "discriminator" in models else "generator"


def _converted(
    path: Path, folder: Path, task: TaskName, vocab: Path | None
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Have an ELECTRA checkpoint converted for the time of the run; what is known of it, and what is said of it."""
    with open_path(path) as checkpoint:
        role = _role(checkpoint.models, task, path)
        found = {"format": checkpoint.format, "step": checkpoint.step}
        proof = _proof_of(checkpoint.models[role].folder) if checkpoint.scheme.described else _READ
    options = Options(model=role, to="safetensors", tokenizer=TokenizerOptions(vocab=vocab))
    result = run_conversion(path, folder, options)
    if not (folder / CONFIG_FILE).is_file():
        names = sorted(one.name for one in folder.iterdir())
        raise NamesError(
            f"{path} was fine-tuned for several tasks: {listing(names)}",
            "Convert it with --task, and give what comes out.",
        )
    return {**found, **proof}, result.warnings


_READ = {"state": "read", "line": "Its weights were read from that checkpoint, bit for bit."}


def _proof_of(folder: Path) -> dict[str, str]:
    try:
        proof = require_proof(without_unproved_onnx(read_folder(folder)), unverified=True)
    except ElectraConvertError:
        return {"state": "unverified", "line": "It was not verified."}
    return {"state": proof.state, "line": proof.line}


def _start(folder: Path, source: str | Path, is_electra: bool, base: Mapping[str, Any]) -> Start:
    path = folder / CONFIG_FILE
    if not path.is_file():
        raise SourceError(f"{source} has no {CONFIG_FILE}", "Give the folder of a model.")
    if not (folder / TOKENIZER_FILE).is_file():
        raise VocabularyError(
            f"{source} has no tokenizer beside it, so no text can be cut into its tokens",
            "Give the vocabulary with --vocab."
            if is_electra
            else "AutoTokenizer.from_pretrained(...).save_pretrained(FOLDER) of transformers writes one.",
        )
    config = decode_object(read_small(path), str(path))
    name = source if isinstance(source, str) else _name(source)
    tokenizer = read_saved_tokenizer(folder)
    return Start(folder, is_electra, tokenizer, config, _longest(folder, config), {"name": name, **base})


def _name(path: Path) -> str:
    """What a folder is called; one within a run by its run as well."""
    whole = path.resolve()
    return "/".join(whole.parts[-2:]) if whole.name in ("model", "discriminator", "generator") else whole.name


def _longest(folder: Path, config: Mapping[str, Any]) -> int:
    stated, positions = max_length_of_folder(folder), config.get("max_position_embeddings")
    if not isinstance(positions, int) or positions <= 0:
        positions = _UNBOUNDED
    elif config.get("model_type") != ELECTRA.model_type:
        # RoBERTa and its kin number positions from the one after padding's; their tokenizers usually say so.
        positions -= 1 + int(config.get("pad_token_id") or 0)
    return int(min(stated, positions)) if stated and stated > 0 else positions
