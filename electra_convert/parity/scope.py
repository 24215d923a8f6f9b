"""Which models two sides have in common, and what of and beside them the verdict does not count; reads no weights."""

from __future__ import annotations

from itertools import zip_longest

from electra_convert import tokenizer
from electra_convert.errors import ElectraConvertError, NamesError, listing
from electra_convert.names.rules import Role
from electra_convert.options import Options
from electra_convert.parity.sides import Side
from electra_convert.targets.tokenizers import find_vocabulary


def find_roles(reference: Side | None, candidate: Side) -> tuple[list[Role], list[str]]:
    """Find the models that both sides have, and what is not compared.

    Args:
        reference: what the candidate is held to; None with recorded outputs alone.
        candidate: the other side.

    Returns:
        The models, and what the reader should know, one sentence each.

    Raises:
        NamesError: the sides have no model in common.
    """
    there = list(candidate.checkpoint.models)
    if reference is None:
        return there, list(candidate.notes)
    expected = list(reference.checkpoint.models)
    roles = [role for role in there if role in expected]
    if not roles:
        raise NamesError(
            f"{candidate.place.path} holds a {there[0]}, {reference.place.path} a {expected[0]}: "
            "they have no model in common"
        )
    notes = [note for side in (reference, candidate) for note in side.notes]
    for side, other, name in ((there, expected, "candidate"), (expected, there, "reference")):
        alone = [role for role in side if role not in other]
        notes += [f"The {role} of the {name} is not compared: the other side has none." for role in alone]
    for role in roles:
        notes += [*_head_notes(reference, candidate, role), *_vocabulary_notes(reference, candidate, role)]
    return roles, notes


def _head_notes(reference: Side, candidate: Side, role: Role) -> list[str]:
    heads = [side.checkpoint.models[role].task_head for side in (reference, candidate)]
    names = listing(sorted({name for head in heads for name in head}))
    if all(heads):
        return [f"Of a fine-tuned head the weights are compared, but it is not run: {names}."]
    return [f"A fine-tuned head is not compared, since the other side has none: {names}."] if any(heads) else []


def _vocabulary_notes(reference: Side, candidate: Side, role: Role) -> list[str]:
    """A vocabulary is no part of the model, yet decides what a text becomes."""
    expected, found = _vocabularies(reference, role), _vocabularies(candidate, role)
    if not expected:
        return []
    differing = [vocabulary for vocabulary in found if vocabulary.pieces != expected[0].pieces]
    return [
        f"The {role}'s vocabulary differs, which the verdict does not count: {_difference(expected[0], vocabulary)}."
        for vocabulary in differing
    ]


def _vocabularies(side: Side, role: Role) -> list[tokenizer.Vocabulary]:
    """What can be read; a vocabulary that is damaged or of another model says nothing of this one."""
    model = side.checkpoint.models[role]
    try:
        if side.checkpoint.variant is None:
            return tokenizer.read_vocabularies_of_folder(model.folder)
        vocabulary, _ = find_vocabulary(side.checkpoint, model, Options(pad_vocab=True))
    except ElectraConvertError:
        return []
    return [] if vocabulary is None else [vocabulary]


def _difference(expected: tokenizer.Vocabulary, found: tokenizer.Vocabulary) -> str:
    pairs = enumerate(zip_longest(expected.pieces, found.pieces))
    place, (one, other) = next((place, pair) for place, pair in pairs if pair[0] != pair[1])
    shown = ["no piece" if piece is None else f"“{piece}”" for piece in (one, other)]
    return f"id {place} is {shown[0]} in the reference, {shown[1]} in the candidate's {found.path.name}"
