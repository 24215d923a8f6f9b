"""What is known of a model's parity: parity.json held against the files themselves, or why there need be none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from electra_convert.errors import ParityError, SourceError, listing
from electra_convert.formats.json_objects import decode_object
from electra_convert.formats.names import CARD_FILE, CONVERSION_FILE, ONNX_SUFFIX, PARITY_FILE, TRAINING_FILE
from electra_convert.hub.card.model_folder import ModelFolder
from electra_convert.output import is_unfinished
from electra_convert.schemes.mapping import Role
from electra_convert.tokenizer import read_small

SCHEMA = 1
_LARGEST_TOLERANCE = 1e-4  # what verify itself lets pass
_AGAIN = "Run electra-convert verify REFERENCE CANDIDATE --save, which writes it anew."
_AS_WRITTEN = "Give the folder as electra-convert wrote it."
_UNVERIFIED = "Or upload it as it is with --unverified; the card will say so."


@dataclass(frozen=True)
class Proof:
    """Whether a model was shown to be its source's.

    Attributes:
        state: verified: by a passed parity.json whose hashes are those of the files; pretrained: made here, by a
            training.json whose hashes are those of the files, so that there is no source; fine-tuned: the same, from
            the model that it names; unverified: none of these.
        line: the same in one sentence.
        parity: the parity.json of a verified model, or of the ONNX models of one that was made here.
        training: the training.json, where there is one.
    """

    state: Literal["verified", "pretrained", "fine-tuned", "unverified"]
    line: str
    parity: Mapping[str, Any] | None = None
    training: Mapping[str, Any] | None = None


def require_proof(folder: ModelFolder, unverified: bool) -> Proof:
    """Find out whether a model, its files hashed, may be uploaded; an unverified one only if that is asked for.

    Raises:
        ParityError: there is no parity.json, it did not pass, or it is of other files.
        CorruptFileError: a record is damaged.
    """
    try:
        return _proof(folder)
    except ParityError as error:
        if not unverified:
            raise ParityError(error.message, f"{error.hint} {_UNVERIFIED}") from error
        return Proof("unverified", "Not verified against the model it was converted from.")


def _proof(folder: ModelFolder) -> Proof:
    training = read_record(folder.path / TRAINING_FILE)
    parity = read_record(folder.path / PARITY_FILE)
    if training is not None and not folder.has(CONVERSION_FILE) and (parity is None or _is_of_onnx(folder, parity)):
        own = replace(folder, files=tuple(file for file in folder.files if file not in folder.onnx))
        _require_trained_here(own, training)
        parity = parity if folder.onnx else None
        if folder.onnx:
            _require_same_files(replace(folder, files=folder.onnx), parity or {}, PARITY_FILE, _AGAIN)
        if training.get("finetuned_for") is not None:
            return Proof("fine-tuned", _told_of(training), parity, training)
        told = "Pretrained with electra_convert; there is no source to compare with."
        return Proof("pretrained", told, parity, training)
    if parity is None:
        raise ParityError(f"{folder.path} has no {PARITY_FILE}: it was not verified", _AGAIN)
    _require_passed(folder, parity)
    _require_same_files(folder, parity, PARITY_FILE, _AGAIN)
    if folder.pickles_beside:
        raise ParityError(
            f"{folder.path / PARITY_FILE} compares the weights in safetensors, not {listing(folder.pickles_beside)}",
            "Leave --include-pickles out.",
        )
    return Proof("verified", str(parity.get("summary", "The same model as its source.")), parity, training)


def without_unproved_onnx(folder: ModelFolder) -> ModelFolder:
    """A model folder of whose ONNX models those are published that its parity.json says of that they passed.

    Raises:
        CorruptFileError: that is damaged.
    """
    parity = read_record(folder.path / PARITY_FILE)
    passed = parity is not None and parity.get("verdict") == "same" and parity.get("weights_only") is False
    passed = passed and _is_strict((parity or {}).get("tolerance"))
    models = [file.name for file in folder.onnx if file.name.endswith(ONNX_SUFFIX)]
    proved = [name for name in models if passed and onnx_parity(parity, folder.role, name)]
    kept = {file for name in proved for file in (name, f"{name}_data")}
    if proved and proved == models:
        kept |= {file.name for file in folder.onnx if file.name.endswith(f"/{CONVERSION_FILE}")}
    for file in folder.onnx:
        folder = folder if file.name in kept else folder.without(file.name)
    return folder


def onnx_parity(parity: Mapping[str, Any] | None, role: Role, name: str) -> Mapping[str, Any]:
    """What a parity.json says of an ONNX model; empty where it says nothing."""
    return object_in(object_in(parity, "models"), f"{role} in {name}")


def _is_of_onnx(folder: ModelFolder, parity: Mapping[str, Any]) -> bool:
    """Whether a parity.json is of nothing but ONNX models."""
    return bool(object_in(parity, "models")) and folder.role not in object_in(parity, "models")


def _told_of(training: Mapping[str, Any]) -> str:
    """From which model a fine-tuned one was made, how far that one is known, and by what."""
    base, data = object_in(training, "base"), object_in(object_in(training, "data"), "train")
    return (
        f"Fine-tuned with electra_convert for {training['finetuned_for']} on {data.get('name')}, from "
        f"{base.get('name')}. {base.get('line')}"
    )


def read_record(path: Path) -> Mapping[str, Any] | None:
    """Read a JSON record that this tool wrote, where there is one.

    Raises:
        CorruptFileError: it is not a JSON object.
        SourceError: it is of a later version of the tool, or cannot be read.
    """
    if not path.is_file():
        return None
    record = decode_object(read_small(path), str(path))
    if record.get("schema") != SCHEMA:
        raise SourceError(f"{path} has schema {record.get('schema')!r}, expected {SCHEMA}", "Use a later version.")
    return record


def _require_passed(folder: ModelFolder, parity: Mapping[str, Any]) -> None:
    where = folder.path / PARITY_FILE
    if parity.get("verdict") != "same":
        raise ParityError(f"{where}: the verdict is {parity.get('verdict')!r}, expected 'same'", _AGAIN)
    if folder.role not in (models := object_in(parity, "models")):
        raise ParityError(f"{where} is of {listing(models) or 'no model'}, the model is a {folder.role}", _AGAIN)
    if parity.get("weights_only") is not False or not stages_of(parity, folder.role):
        raise ParityError(
            f"{where} compares weights alone, which does not show that the model computes the same",
            "Run electra-convert verify without --weights-only.",
        )
    if not object_in(object_in(models, folder.role), "weights"):
        raise ParityError(
            f"{where} compares recorded outputs alone, and no weights",
            "Run electra-convert verify SOURCE FOLDER --save, with the checkpoint that it was converted from.",
        )
    if "tolerance" not in parity:
        raise ParityError(f"{where} does not say with what tolerance it was made", _AGAIN)
    if not _is_strict(tolerance := parity["tolerance"]):
        raise ParityError(
            f"{where} was made with a tolerance of {tolerance}, expected at most {_LARGEST_TOLERANCE:g}",
            "Run electra-convert verify without --tolerance.",
        )


def _is_strict(tolerance: object) -> bool:
    """Whether what verify was told to let pass is no more than what it lets pass of itself."""
    if tolerance is None:
        return True
    return isinstance(tolerance, int | float) and 0 <= tolerance <= _LARGEST_TOLERANCE


def stages_of(parity: Mapping[str, Any], role: Role, key: str = "stages") -> Mapping[str, Mapping[str, Any]]:
    """The figures of a parity.json at every stage of a forward pass, such as layer 1 or logits; empty where none ran.

    Under the key rounding stands what the rounding of weights to a smaller dtype changed.
    """
    forward = object_in(object_in(object_in(parity, "models"), role), "forward")
    return {name: figures for name, figures in object_in(forward, key).items() if isinstance(figures, dict)}


def object_in(record: Mapping[str, Any] | None, key: str) -> Mapping[str, Any]:
    """The object under a key of a record, an empty one where there is none."""
    value = (record or {}).get(key)
    return value if isinstance(value, dict) else {}


def _require_trained_here(folder: ModelFolder, training: Mapping[str, Any]) -> None:
    tool = object_in(training, "tool").get("name")
    if tool != "electra_convert":
        raise ParityError(
            f"{folder.path / TRAINING_FILE} was not written by electra_convert, but by {tool!r}", _AS_WRITTEN
        )
    _require_same_files(folder, training, TRAINING_FILE, _AS_WRITTEN)


def _require_same_files(folder: ModelFolder, record: Mapping[str, Any], name: str, hint: str) -> None:
    where, hashes = folder.path / name, object_in(record, "files")
    checked = [file for file in folder.files if file.name not in {CARD_FILE, PARITY_FILE, name}]
    unknown = [file.name for file in checked if file.name not in hashes]
    changed = [file.name for file in checked if file.name in hashes and hashes[file.name] != file.sha256]
    if changed:
        raise ParityError(f"{where} is of other files: {listing(changed)} changed since", hint)
    if unknown:
        raise ParityError(f"{where} says nothing of {listing(unknown)}", hint)
    gone = [
        name
        for name in hashes
        if name != CARD_FILE and not is_unfinished(name) and not (folder.path / name).is_file()
    ]
    if gone:
        raise ParityError(f"{where} is of files that are gone: {listing(gone)}", hint)
