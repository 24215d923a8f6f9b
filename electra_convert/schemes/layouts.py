"""Which of google-research/electra's layouts a set of variable names is; names only, no shapes and no values.

A layout follows from the hparams a run was started with (run_pretraining.py, PretrainingModel.__init__).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Set
from dataclasses import dataclass, field, replace

from electra_convert.errors import NotElectraError, UsageError
from electra_convert.schemes.heads import (
    HEADS,
    JOINT_LAYER,
    MASKED_LM,
    NONE,
    REPLACED_TOKEN_DETECTION,
    TASKS,
    Head,
    kinds,
)
from electra_convert.schemes.mapping import RULES, SLOT_NAMES, STEP_NAME, Binding, Role, RuleTable, Scopes, expand
from electra_convert.schemes.training_state import Shape, TrainingState, find_training_state


@dataclass(frozen=True)
class Network:
    """Where one model of a layout lives, and what stands on its encoder."""

    head: Head
    scopes: Scopes

    @property
    def role(self) -> Role:
        """Which of the two models it is."""
        return self.head.role

    @property
    def beside(self) -> tuple[str, ...]:
        """Variables of its head, where they are there, that are kept beside the model."""
        return tuple(name.format(task=self.scopes.task) for name in self.head.beside)

    def bindings(self, layers: int, projects: bool, rules: RuleTable = RULES) -> tuple[Binding, ...]:
        """Every tensor it has; see expand."""
        return expand(self.scopes, layers, projects, self.head.rules, rules)


@dataclass(frozen=True)
class Layout:
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


_OWN = Scopes("electra", "electra")
_DISCRIMINATOR = Network(REPLACED_TOKEN_DETECTION, _OWN)
_ENCODER = Network(NONE, _OWN)
_WHOLE_GENERATOR = Network(MASKED_LM, _OWN)

LAYOUTS: Mapping[str, Layout] = {
    layout.name: layout
    for layout in (
        Layout("default", (_DISCRIMINATOR, Network(MASKED_LM, Scopes("electra", "generator")))),
        Layout(
            "untied_generator_embeddings",
            (_DISCRIMINATOR, Network(MASKED_LM, Scopes("generator", "generator"))),
            {"untied_generator_embeddings": True},
        ),
        Layout("tied_generator", (_DISCRIMINATOR, _WHOLE_GENERATOR), {"untied_generator": False}, shares_config=True),
        Layout("masked_lm", (_WHOLE_GENERATOR,), {"electra_objective": False}, shares_config=True),
        Layout("uniform_generator", (_DISCRIMINATOR,), {"uniform_generator": True}),
        Layout(
            "two_tower_generator",
            (_DISCRIMINATOR,),
            {"two_tower_generator": True, "electric_objective": True},
            ("generator_ltr/", "generator_rtl/", "cloze_predictions/"),
            "the two-tower generator, which transformers has no class for",
        ),
        Layout("fine_tuned", (_ENCODER,), foreign=("task_specific/",), foreign_is="a fine-tuned task head"),
        Layout("encoder", (_ENCODER,)),
    )
}

_UNKNOWN: Mapping[str, bool] = {}
_NO_SHAPES: Mapping[str, Shape] = {}


@dataclass(frozen=True)
class Recognition:
    """What the names of a checkpoint say.

    Attributes:
        layout: the layout they fit best.
        bindings: every tensor that each model of the layout has.
        slots: the optimiser slots.
        foreign: variables of the layout with no counterpart in transformers.
        training: what else training left there, of no use to resume it.
        missing: variables of the layout that are not there.
        unexpected: names that the layout has no place for.
        tasks: those that it was fine-tuned for.
    """

    layout: Layout
    bindings: Mapping[Role, tuple[Binding, ...]]
    slots: frozenset[str]
    foreign: tuple[str, ...]
    training: TrainingState
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    tasks: tuple[Task, ...] = ()


def recognise(
    names: Set[str],
    projects: Mapping[str, bool] = _UNKNOWN,
    rules: RuleTable = RULES,
    choice: Choice | None = None,
    shapes: Mapping[str, Shape] = _NO_SHAPES,
) -> Recognition:
    """Tell which layout the names of a checkpoint have, from the exact set of them.

    Args:
        names: every name of the checkpoint, slots and counters included.
        projects: of encoder scopes, whether shapes say that their embeddings are projected; where none say, the
            names of a projection do.
        rules: the table.
        choice: the task whose head is wanted, where there are several, or where its name does not tell what it is.
        shapes: of all that has one, to tell accumulated gradients, slots and counters from variables.

    Returns:
        The layout, and all that is missing or unexpected in it.
    """
    slots = _suffixed(names, SLOT_NAMES)
    training = find_training_state(names - slots - {STEP_NAME}, shapes)
    variables = names - slots - training.names - {STEP_NAME}
    layout = LAYOUTS[_closest(variables)]
    tasks = find_tasks(variables, choice) if layout.name == "fine_tuned" else ()
    chosen = [task for task in tasks if choice is None or task.name == choice.task]
    if len(chosen) == 1 and chosen[0].head is not None:
        layout = fine_tuned(chosen[0].head, chosen[0].name)
    bindings = {
        network.role: network.bindings(
            max(1, count_layers(variables, network.scopes.encoder)),
            projects.get(network.scopes.encoder, _has_projection(variables, network.scopes.encoder)),
            rules,
        )
        for network in layout.networks
    }
    wanted = {name for bound in bindings.values() for binding in bound for name in binding.tf}
    beside = {name for network in layout.networks for name in network.beside}
    foreign = {name for name in variables - wanted - beside if name.startswith(layout.foreign)}
    return Recognition(
        layout,
        bindings,
        slots,
        tuple(sorted(foreign)),
        training,
        tuple(sorted(wanted - variables)),
        tuple(sorted(variables - wanted - foreign - beside)),
        tasks,
    )


@dataclass(frozen=True)
class Task:
    """One task that a checkpoint was fine-tuned for.

    Attributes:
        name: its scope within task_specific.
        variables: all it has there.
        heads: those that have just these variables; none where Google's code computes what no class of transformers
            does.
        head: the one it is: as asked for, as its name tells, or the only one; None where nothing tells.
    """

    name: str
    variables: frozenset[str]
    heads: tuple[Head, ...]
    head: Head | None

    @property
    def is_joint(self) -> bool:
        """Whether it reads with joint_prediction, in which the end of an answer depends on its start."""
        return f"task_specific/{self.name}/{JOINT_LAYER}/kernel" in self.variables


@dataclass(frozen=True)
class Choice:
    """A task that is asked for.

    Attributes:
        task: its name.
        kind: what it is said to be.
        among: where it is one of several that are taken, each by itself, the names of all.
    """

    task: str
    kind: Head | None = None
    among: tuple[str, ...] = ()


def read_task(given: str | None) -> Choice | None:
    """NAME, or NAME=KIND where the name of a task does not tell what it is; raises UsageError for an unknown kind."""
    if given is None:
        return None
    name, said, kind = given.partition("=")
    if not name or (said and kind not in kinds()):
        raise UsageError(f"--task is {given!r}, expected NAME or NAME=KIND", f"KIND is one of {', '.join(kinds())}.")
    return Choice(name, kinds()[kind] if said else None)


def find_tasks(variables: Set[str], choice: Choice | None = None) -> tuple[Task, ...]:
    """The tasks that a checkpoint was fine-tuned for, of a name that the choice may tell the kind of."""
    found: dict[str, set[str]] = {}
    for name in variables:
        if match := re.match(r"task_specific/([^/]+)/", name):
            found.setdefault(match[1], set()).add(name)
    return tuple(_task(name, frozenset(found[name]), choice) for name in sorted(found))


def _task(name: str, variables: frozenset[str], choice: Choice | None) -> Task:
    heads = tuple(head for head in HEADS.values() if head.is_of(variables, name))
    kind = choice.kind if choice and choice.task == name and choice.kind else TASKS.get(name)
    told = kind if kind in heads else None
    return Task(name, variables, heads, told or (heads[0] if len(heads) == 1 and kind is None else None))


def separate(tasks: Iterable[Task]) -> tuple[str, ...]:
    """The names of those that become a model each, where there are several that are known to have a head."""
    names = tuple(task.name for task in tasks if task.head is not None)
    return names if len(names) > 1 else ()


def fine_tuned(head: Head, task: str) -> Layout:
    """The layout of a model that was fine-tuned for one task."""
    return replace(LAYOUTS["fine_tuned"], networks=(Network(head, replace(_OWN, task=task)),))


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
    """Count the different layer numbers in an encoder scope, such as electra.

    With a gap in the numbers, the highest come out as unexpected and the gap as missing.
    """
    pattern = re.compile(re.escape(encoder) + r"/encoder/layer_(0|[1-9][0-9]{0,5})/")
    return len({match[1] for name in variables if (match := pattern.match(name))})


def _has_projection(variables: Set[str], encoder: str) -> bool:
    return any(name.startswith(f"{encoder}/embeddings_project/") for name in variables)


def collapse(names: Iterable[str]) -> list[str]:
    """Sort names, those that differ in a layer number only written as one: layer_{0...11} or layer.{0,3}."""
    return list(collapsed(names))


def collapsed(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Group names that differ in a layer number only, by what collapse makes of them, sorted."""
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
