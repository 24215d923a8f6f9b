"""What the names of a state dict say, all together: which model it is, and which are old, repeated or no weights."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from electra_convert.errors import NamesError, NotElectraError, listing
from electra_convert.schemes.family import ELECTRA
from electra_convert.schemes.heads import HEADS, NONE, Head, carried
from electra_convert.schemes.mapping import RULES, Binding, RuleTable, Scopes, expand

# Before transformers 4.31 these buffers were saved with the weights; they hold 0, 1, 2, ... and zeros.
BUFFERS = (f"{ELECTRA.prefix}embeddings.position_ids", f"{ELECTRA.prefix}embeddings.token_type_ids")
_BASE_PARTS = ("embeddings.", "embeddings_project.", "encoder.")
_OLD_NORM = {".LayerNorm.gamma": ".LayerNorm.weight", ".LayerNorm.beta": ".LayerNorm.bias"}


@dataclass(frozen=True)
class StateDict:
    """What the names of one model's state dict say.

    Attributes:
        head: what stands on its encoder.
        bindings: every tensor that such a model has.
        stored: the name in the file of each tensor that is there, by its name today.
        repeated: the name in the file of the repeated word embeddings, or None.
        buffers: names in the file of buffers, which hold no weights.
        missing: tensors of the model that are not there.
        unexpected: names in the file that such a model has no place for.
    """

    head: Head
    bindings: tuple[Binding, ...]
    stored: Mapping[str, str]
    repeated: str | None
    buffers: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]


def recognise(names: Iterable[str], projects: bool | None = None, rules: RuleTable = RULES) -> StateDict:
    """Tell which model a state dict is, from the exact set of its names, and what is missing or unexpected in it.

    Where shapes do not say whether the embeddings are projected, the names of a projection do.

    Raises:
        NotElectraError: there is no ELECTRA encoder.
        NamesError: two heads are there, or two names mean the same tensor.
    """
    stored = _current_names(names)
    if not any(name.startswith((f"{ELECTRA.prefix}encoder.", f"{ELECTRA.prefix}embeddings.")) for name in stored):
        raise NotElectraError("none of the parameters of an ELECTRA encoder (electra....) is there")
    head = _head(stored)
    if projects is None:
        projects = any(name.startswith(f"{ELECTRA.prefix}embeddings_project.") for name in stored)
    bindings = expand(Scopes("", ""), max(1, _count_layers(stored)), projects, head.parameters, rules)
    wanted = {binding.hf for binding in bindings}
    known = wanted | set(BUFFERS) | set(head.unmapped) | {head.repeated}
    return StateDict(
        head,
        bindings,
        {name: stored[name] for name in (wanted | set(head.unmapped)) & stored.keys()},
        stored.get(head.repeated) if head.repeated else None,
        tuple(sorted(stored[name] for name in BUFFERS if name in stored)),
        tuple(sorted(wanted - stored.keys())),
        tuple(sorted(stored[name] for name in stored.keys() - known)),
    )


def _head(stored: Mapping[str, str]) -> Head:
    """The head of which parameters are there; what no head of the table has is carried as it is."""
    others = {name for name in stored if not name.startswith(ELECTRA.prefix)}
    begin = {name.partition(".")[0] for name in others}
    found = [head for head in HEADS.values() if not head.is_of_a_task and head.parts & begin]
    if len(found) > 1:
        raise NamesError(
            f"the heads of {' and of '.join(f'a {head.role}' for head in found)} are both there; a transformers "
            "model has one",
            "Save the two models apart, each with its own encoder.",
        )
    found += [head for head in HEADS.values() if head.is_of_a_task and head.names == others]
    return next(iter(found), carried(others) if others else NONE)


def _current_names(names: Iterable[str]) -> dict[str, str]:
    raw = sorted(names)
    bare = not any(name.startswith(ELECTRA.prefix) for name in raw)
    stored: dict[str, str] = {}
    clashes = []
    for name in raw:
        today = current_name(name, bare)
        if today in stored:
            clashes.append(f"{stored[today]} and {name}")
        stored[today] = name
    if clashes:
        raise NamesError(f"these names mean the same tensor: {listing(clashes)}")
    return stored


def current_name(name: str, bare: bool) -> str:
    """The name that today's transformers gives a parameter; a bare file is one of ElectraModel, without prefix."""
    if bare and name.startswith(_BASE_PARTS):
        name = f"{ELECTRA.prefix}{name}"
    for old, new in _OLD_NORM.items():
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name


def _count_layers(stored: Mapping[str, str]) -> int:
    pattern = re.compile(re.escape(ELECTRA.prefix) + r"encoder\.layer\.(0|[1-9][0-9]{0,5})\.")
    return len({match[1] for name in stored if (match := pattern.match(name))})
