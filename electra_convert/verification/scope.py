"""Which models two sides have in common, and what of and beside them the verdict does not count; reads no weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache

from electra_convert import tokenizer
from electra_convert.errors import ElectraConvertError, NamesError, listing
from electra_convert.schemes.mapping import Role
from electra_convert.tokenizer.of_checkpoint import vocabulary_files
from electra_convert.verification.sides import Side

Ids = Mapping[str, int]


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
        notes += _head_notes(reference, candidate, role)
    return roles, notes


def _head_notes(reference: Side, candidate: Side, role: Role) -> list[str]:
    heads = [side.checkpoint.models[role].head.unmapped for side in (reference, candidate)]
    names = listing(sorted({name for head in heads for name in head}))
    if all(heads):
        return [f"Of a fine-tuned head the weights are compared, but it is not run: {names}."]
    return [f"A fine-tuned head is not compared, since the other side has none: {names}."] if any(heads) else []


def vocabulary_notes(reference: Side, candidate: Side, roles: Sequence[Role]) -> list[str]:
    """Compare the vocabularies beside two sides, which are no part of a model, yet decide what a text becomes.

    Args:
        reference: what the candidate is held to.
        candidate: the other side; of a transformers folder vocab.txt and tokenizer.json are both looked at.
        roles: the models to look at.

    Returns:
        One sentence for each file of the candidate that differs.
    """
    read = cache(tokenizer.ids_of_file)  # both models of a pair have the same files
    notes = []
    for role in roles:
        expected, *_ = [*_vocabularies(reference, role, read).values(), {}]
        for name, found in _vocabularies(candidate, role, read).items():
            if expected and found != expected:
                told = f"The {role}'s vocabulary differs, which the verdict does not count"
                notes.append(f"{told}: {_difference(expected, found)} in the candidate's {name}.")
    return notes


def _vocabularies(side: Side, role: Role, read: Callable[[str, bytes], Ids]) -> dict[str, Ids]:
    """The id of each piece by the file's name; nothing is told of what is damaged or of another kind of tokenizer."""
    found = {}
    for path in vocabulary_files(side.checkpoint, side.checkpoint.models[role]):
        with suppress(ElectraConvertError):
            found[path.name] = read(path.name, tokenizer.read_small(path))
    return found


def _difference(expected: Ids, found: Ids) -> str:
    sides = [{index: piece for piece, index in ids.items()} for ids in (expected, found)]
    place = min(index for index in {*sides[0], *sides[1]} if sides[0].get(index) != sides[1].get(index))
    one, other = (f"“{side[place]}”" if place in side else "no piece" for side in sides)
    return f"id {place} is {one} in the reference, {other}"
