"""What the two sides make of a text: their vocabularies, special tokens and tokenizers, and what is said of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

from electra_convert import tokenizer
from electra_convert.checkpoint import Checkpoint, Model
from electra_convert.errors import ElectraConvertError, UsageError
from electra_convert.formats.names import TOKENIZER_FILE
from electra_convert.schemes.mapping import Role
from electra_convert.tokenizer.definition import parse_tokenizer
from electra_convert.tokenizer.kinds import code_of_folder, other_tokenizer
from electra_convert.tokenizer.of_checkpoint import (
    TokenizerOptions,
    find_vocabulary,
    findings_of_folder,
    saved_files,
    tokenizer_files,
)
from electra_convert.tokenizer.saved import read_saved_tokenizer
from electra_convert.tokenizer.vocabulary import read_small
from electra_convert.verification.inputs import Specials
from electra_convert.verification.sides import Ids, Side

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_SPECIALS = ("[PAD]", "[CLS]", "[SEP]", "[MASK]")


def vocabulary_notes(reference: Side, candidate: Side, roles: Sequence[Role]) -> list[str]:
    """Tell which of the candidate's vocabularies differ: no part of a model, yet they decide what a text becomes."""
    read = cache(tokenizer.ids_of_file)  # both models of a pair have the same files
    notes = []
    for role in roles:
        expected, *_ = [*reference.vocabularies(role, read).values(), {}]
        for name, found in candidate.vocabularies(role, read).items():
            if expected and found != expected:
                told = f"The {role}'s vocabulary differs, which the verdict does not count"
                notes.append(f"{told}: {_difference(expected, found)} in the candidate's {name}.")
    return notes


def tokenizer_notes(candidate: Side, roles: Sequence[Role]) -> list[str]:
    """Tell what the candidate's tokenizer cannot do, which the verdict does not count either."""
    told: dict[str, None] = {}
    known: list[Mapping[str, bytes]] = []  # both models of a pair have the same files
    for role in roles:
        model = candidate.checkpoint.models[role]
        try:
            if candidate.checkpoint.scheme.described:
                files = saved_files(model.folder)
                if files in known:
                    continue
                found = findings_of_folder(model.folder)
                known.append(files)
            else:
                hparams = candidate.findings.hparams if candidate.findings else None
                found = tokenizer_files(
                    candidate.checkpoint, model, hparams, TokenizerOptions(pad_vocab=True)
                ).findings
        except ElectraConvertError as error:
            told[f"The candidate has no tokenizer: {candidate.by_name(error.message)}."] = None
            continue
        told |= dict.fromkeys(f"The candidate's tokenizer: {line}" for line in (*found.warnings, *found.notices))
    return list(told)


def _difference(expected: Ids, found: Ids) -> str:
    sides = [{index: piece for piece, index in ids.items()} for ids in (expected, found)]
    place = min(index for index in {*sides[0], *sides[1]} if sides[0].get(index) != sides[1].get(index))
    one, other = (f"“{side[place]}”" if place in side else "no piece" for side in sides)
    return f"id {place} is {one} in the reference, {other}"


def find_specials(sides: Sequence[Side], role: Role) -> Specials:
    """The ids of special tokens in the first vocabulary that fits its model, else those of BERT's vocabularies."""
    for side in sides:
        try:
            model = side.checkpoint.models[role]
            ids = _special_ids(side.checkpoint, model)
        except ElectraConvertError:
            continue
        if ids is not None:
            return Specials(*(ids[token] for token in _SPECIALS))
    return Specials()


def _special_ids(checkpoint: Checkpoint, model: Model) -> Mapping[str, int] | None:
    """The ids of a model's special tokens by ELECTRA's names; None where it has no vocabulary."""
    if _by_file(checkpoint, model):
        return read_saved_tokenizer(model.folder).special_ids
    vocabulary, _ = find_vocabulary(checkpoint, model, TokenizerOptions(pad_vocab=True))
    return None if vocabulary is None else vocabulary.ids


def _by_file(checkpoint: Checkpoint, model: Model) -> bool:
    """Whether a model's tokenizer is another than ELECTRA's, and its tokenizer.json there."""
    described = checkpoint.scheme.described and (model.folder / TOKENIZER_FILE).is_file()
    return described and other_tokenizer(model.folder) is not None and code_of_folder(model.folder) is None


def find_tokenizer(sides: Sequence[Side], role: Role) -> Tokenizer:
    """Make the tokenizer of the first side that has one.

    Raises:
        UsageError: no side has a vocabulary.
    """
    from tokenizers import Tokenizer

    # What a tokenizer.json says is known; one that is made of a vocabulary may be guessed.
    for side in sorted(sides, key=lambda side: not side.checkpoint.scheme.described):
        if side.findings is None:
            continue
        model = side.checkpoint.models[role]
        if _by_file(side.checkpoint, model):
            path = model.folder / TOKENIZER_FILE
            return parse_tokenizer(read_small(path), path)
        files = tokenizer_files(side.checkpoint, model, side.findings.hparams, TokenizerOptions())
        if TOKENIZER_FILE in files.files:
            return Tokenizer.from_str(files.files[TOKENIZER_FILE].decode())
    raise UsageError(
        "--text needs a tokenizer, and neither side has a vocabulary",
        "Put vocab.txt beside the checkpoint, or give ids with --inputs.",
    )
