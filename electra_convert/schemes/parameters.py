"""What a transformers state dict holds, whatever version wrote it: its model, aliases and old names; names only."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from electra_convert.errors import NamesError, NotElectraError, listing
from electra_convert.schemes.mapping import RULES, TIED_HEAD, Role, RuleTable
from electra_convert.schemes.plan import Binding, Network, expand

# Before transformers 4.31 these buffers were saved with the weights; they hold 0, 1, 2, ... and zeros.
BUFFERS = ("electra.embeddings.position_ids", "electra.embeddings.token_type_ids")
_BASE_PARTS = ("embeddings.", "embeddings_project.", "encoder.")
_OLD_NORM = {".LayerNorm.gamma": ".LayerNorm.weight", ".LayerNorm.beta": ".LayerNorm.bias"}


@dataclass(frozen=True)
class StateDict:
    """What the names of one model's state dict say.

    Attributes:
        role: which model it is; one without a pretraining head counts as a discriminator.
        head: whether it has its pretraining head.
        bindings: every tensor such a model has.
        stored: the name in the file of each tensor that is there, by its name today.
        tied_head: the name in the file of the repeated word embeddings, or None.
        buffers: names in the file of buffers, which hold no weights.
        task_head: names in the file of a fine-tuned head.
        missing: tensors of the model that are not there.
        unexpected: names in the file that such a model has no place for.
    """

    role: Role
    head: bool
    bindings: tuple[Binding, ...]
    stored: Mapping[str, str]
    tied_head: str | None
    buffers: tuple[str, ...]
    task_head: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]


def recognise(names: Iterable[str], projects: bool | None = None, rules: RuleTable = RULES) -> StateDict:
    """Tell which model a state dict is, from the exact set of its names.

    Args:
        names: every name in the file or files.
        projects: whether the shapes say that the embeddings are projected; where they do not say, None, the names of
            a projection do.
        rules: the table.

    Returns:
        The model, and all that is missing or unexpected in it.

    Raises:
        NotElectraError: there is no ELECTRA encoder.
        NamesError: both heads are there, or two names mean the same tensor.
    """
    stored = _current_names(names)
    role, head = _role(stored)
    if projects is None:
        projects = any(name.startswith("electra.embeddings_project.") for name in stored)
    bindings = expand(Network(role, "", "", head), max(1, _count_layers(stored)), projects, rules)
    wanted = {binding.hf for binding in bindings}
    extra = stored.keys() - wanted - {TIED_HEAD} - set(BUFFERS)
    task_head = {name for name in extra if not head and not name.startswith("electra.")}
    return StateDict(
        role,
        head,
        bindings,
        {name: stored[name] for name in wanted & stored.keys()},
        stored.get(TIED_HEAD) if role == "generator" else None,
        tuple(sorted(stored[name] for name in BUFFERS if name in stored)),
        tuple(sorted(stored[name] for name in task_head)),
        tuple(sorted(wanted - stored.keys())),
        tuple(sorted(stored[name] for name in extra - task_head)),
    )


def _current_names(names: Iterable[str]) -> dict[str, str]:
    raw = sorted(names)
    bare = not any(name.startswith("electra.") for name in raw)
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
    """The name that today's transformers gives a parameter.

    Args:
        name: its name in a file.
        bare: whether the file has the names of ElectraModel, without the electra. prefix.

    Returns:
        The name with the prefix, and with weight and bias for gamma and beta.
    """
    if bare and name.startswith(_BASE_PARTS):
        name = f"electra.{name}"
    for old, new in _OLD_NORM.items():
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name


def _role(stored: Mapping[str, str]) -> tuple[Role, bool]:
    if not any(name.startswith(("electra.encoder.", "electra.embeddings.")) for name in stored):
        raise NotElectraError("none of the parameters of an ELECTRA encoder (electra....) is there")
    discriminator = any(name.startswith("discriminator_predictions.") for name in stored)
    generator = any(name.startswith(("generator_predictions.", "generator_lm_head.")) for name in stored)
    if discriminator and generator:
        raise NamesError(
            "the heads of a discriminator and of a generator are both there; a transformers model has one",
            "Save the two models apart, each with its own encoder.",
        )
    return ("generator" if generator else "discriminator"), discriminator or generator


def _count_layers(stored: Mapping[str, str]) -> int:
    pattern = re.compile(r"electra\.encoder\.layer\.(0|[1-9][0-9]{0,5})\.")
    return len({match[1] for name in stored if (match := pattern.match(name))})
