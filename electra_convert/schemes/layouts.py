"""Which of google-research/electra's layouts a set of variable names is; names only, no shapes and no values.

A layout follows from the hparams a run was started with (run_pretraining.py, PretrainingModel.__init__).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Set
from dataclasses import dataclass, field

from electra_convert.errors import NotElectraError
from electra_convert.schemes.mapping import RULES, SLOT_NAMES, STEP_NAME, Role, RuleTable
from electra_convert.schemes.plan import Binding, Network, expand


@dataclass(frozen=True)
class Variant:
    """A layout of variables.

    Attributes:
        name: what this tool calls it.
        networks: where each model lives.
        hparams: what a run must be started with to have it, beside the defaults.
        foreign: scopes of variables that have no counterpart in transformers.
        foreign_is: what these are.
        shares_config: whether the generator has the discriminator's own sizes and heads.
    """

    name: str
    networks: tuple[Network, ...]
    hparams: Mapping[str, bool] = field(default_factory=dict)
    foreign: tuple[str, ...] = ()
    foreign_is: str = ""
    shares_config: bool = False


_DISCRIMINATOR = Network("discriminator", "electra", "electra")
_ENCODER = Network("discriminator", "electra", "electra", head=False)
_WHOLE_GENERATOR = Network("generator", "electra", "electra")

VARIANTS: Mapping[str, Variant] = {
    variant.name: variant
    for variant in (
        Variant("default", (_DISCRIMINATOR, Network("generator", "electra", "generator"))),
        Variant(
            "untied_generator_embeddings",
            (_DISCRIMINATOR, Network("generator", "generator", "generator")),
            {"untied_generator_embeddings": True},
        ),
        Variant(
            "tied_generator", (_DISCRIMINATOR, _WHOLE_GENERATOR), {"untied_generator": False}, shares_config=True
        ),
        Variant("masked_lm", (_WHOLE_GENERATOR,), {"electra_objective": False}, shares_config=True),
        Variant("uniform_generator", (_DISCRIMINATOR,), {"uniform_generator": True}),
        Variant(
            "two_tower_generator",
            (_DISCRIMINATOR,),
            {"two_tower_generator": True, "electric_objective": True},
            ("generator_ltr/", "generator_rtl/", "cloze_predictions/"),
            "the two-tower generator, which transformers has no class for",
        ),
        Variant("fine_tuned", (_ENCODER,), foreign=("task_specific/",), foreign_is="a fine-tuned task head"),
        Variant("encoder", (_ENCODER,)),
    )
}

_NO_SHAPES: Mapping[str, bool] = {}
# Slots and counters of optimisers other than ELECTRA's own: not part of a model, and of no use to resume it.
OTHER_SLOTS = ("Adam", "Adam_1", "Momentum", "lamb_m", "lamb_v", "ExponentialMovingAverage")
OTHER_COUNTERS = frozenset({"beta1_power", "beta2_power"})


@dataclass(frozen=True)
class Recognition:
    """What the names of a checkpoint say.

    Attributes:
        variant: the layout they fit best.
        bindings: every tensor that each model of the layout has.
        slots: the optimiser slots.
        foreign: variables of the layout with no counterpart in transformers.
        other_slots: slots and counters of other optimisers.
        missing: variables of the layout that are not there.
        unexpected: names that the layout has no place for.
    """

    variant: Variant
    bindings: Mapping[Role, tuple[Binding, ...]]
    slots: frozenset[str]
    foreign: tuple[str, ...]
    other_slots: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]


def recognise(names: Set[str], projects: Mapping[str, bool] = _NO_SHAPES, rules: RuleTable = RULES) -> Recognition:
    """Tell which layout the names of a checkpoint have, from the exact set of them.

    Args:
        names: every name of the checkpoint, slots and counters included.
        projects: of encoder scopes, whether shapes say that their embeddings are projected; where none say, the
            names of a projection do.
        rules: the table.

    Returns:
        The layout, and all that is missing or unexpected in it.
    """
    slots = _suffixed(names, SLOT_NAMES)
    others = _suffixed(names, OTHER_SLOTS) | (names & OTHER_COUNTERS)
    variables = names - slots - others - {STEP_NAME}
    variant = VARIANTS[_closest(variables)]
    foreign = {name for name in variables if name.startswith(variant.foreign)}
    bindings = {
        network.role: expand(
            network,
            max(1, count_layers(variables, network.encoder)),
            projects.get(network.encoder, _has_projection(variables, network.encoder)),
            rules,
        )
        for network in variant.networks
    }
    wanted = {binding.tf for bound in bindings.values() for binding in bound}
    return Recognition(
        variant,
        bindings,
        slots,
        tuple(sorted(foreign)),
        tuple(sorted(others)),
        tuple(sorted(wanted - variables)),
        tuple(sorted(variables - wanted - foreign)),
    )


def _suffixed(names: Set[str], suffixes: Collection[str]) -> frozenset[str]:
    """The names that are another of the names with one of the suffixes."""
    parts = ((name, *name.rpartition("/")) for name in names)
    return frozenset(name for name, variable, _, suffix in parts if suffix in suffixes and variable in names)


def _closest(variables: Set[str]) -> str:
    def has(*scopes: str) -> bool:
        return any(name.startswith(scopes) for name in variables)

    if not has("electra/encoder/", "electra/embeddings/", "generator/encoder/"):
        raise NotElectraError("none of the variables of an ELECTRA encoder (electra/...) is there")
    if has("task_specific/"):
        return "fine_tuned"
    if has("generator_ltr/", "generator_rtl/", "cloze_predictions/"):
        return "two_tower_generator"
    if has("generator/"):
        return "untied_generator_embeddings" if has("generator/embeddings/") else "default"
    if has("generator_predictions/"):
        return "tied_generator" if has("discriminator_predictions/") else "masked_lm"
    return "uniform_generator" if has("discriminator_predictions/") else "encoder"


def count_layers(variables: Iterable[str], encoder: str) -> int:
    """Count the different layer numbers in an encoder scope.

    Args:
        variables: names of variables.
        encoder: the scope, such as electra.

    Returns:
        How many there are; with a gap in the numbers, the highest come out as unexpected and the gap as missing.
    """
    pattern = re.compile(re.escape(encoder) + r"/encoder/layer_(0|[1-9][0-9]{0,5})/")
    return len({match[1] for name in variables if (match := pattern.match(name))})


def _has_projection(variables: Set[str], encoder: str) -> bool:
    return any(name.startswith(f"{encoder}/embeddings_project/") for name in variables)


def collapse(names: Iterable[str]) -> list[str]:
    """Shorten a list of names by writing those that differ in a layer number only as one.

    Args:
        names: names of either scheme, of one or many layers.

    Returns:
        The names sorted, with layers written as layer_{0...11} or layer.{0,3}.
    """
    return list(collapsed(names))


def collapsed(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Group names that differ in a layer number only.

    Args:
        names: names of either scheme, of one or many layers.

    Returns:
        The names of each group by what collapse makes of them, sorted.
    """
    groups: dict[tuple[str, str], dict[int, str]] = {}
    for name in names:
        match = re.match(r"(.*\blayer[_.])([0-9]{1,6})([/.].*)$", name, re.DOTALL)
        start, number, end = match.groups() if match else (name, 0, "")
        groups.setdefault((start, end), {})[int(number)] = name
    shown = {
        f"{start}{_numbers(sorted(members)) if end else ''}{end}": tuple(
            members[number] for number in sorted(members)
        )
        for (start, end), members in groups.items()
    }
    return dict(sorted(shown.items()))


def _numbers(numbers: list[int]) -> str:
    if len(numbers) == 1:
        return str(numbers[0])
    if numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"{{{numbers[0]}...{numbers[-1]}}}"
    return "{" + ",".join(map(str, numbers)) + "}"
