"""What training leaves in a checkpoint beside the model, and Google's code never made: slots of other optimisers,
accumulated gradients, counters; told by names and, where they are known, by shapes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass

Shape = tuple[int, ...]

# A slot is named after its variable and its optimiser (slot_creator.py in TensorFlow): kernel/Adam, kernel/Adam_1.
_SLOT = re.compile(
    r"(.*(adam|lamb|optimi[sz]er|momentum|accum|grad).*|rms(prop)?|adagrad|adadelta|adafactor|ftrl|lars|sm3|yogi"
    r"|exponentialmovingaverage|next_[mv]|m|v|v[rc])(_\d+)?",
    re.IGNORECASE,
)
# Keras and some forks put a scope in front: training/Adam/electra/.../kernel/m, accum_grad/electra/.../kernel.
_SCOPE = re.compile(r".*(adam|lamb|optimi[sz]e|momentum|accum|grad|training).*|train", re.IGNORECASE)
_POWERS = re.compile(r"beta_?[12]_power(_\d+)?")
_COUNTERS = re.compile(
    r"((\w+_)?loss_scale|(\w+_)?(good|bad|skipped|overflow)_steps?|(local|accum\w*|micro\w*)_(steps?|count(er)?)"
    r"|iter(ations?)?|learning_rate|lr)(_\d+)?",
    re.IGNORECASE,
)
# tf.Variable without a name, or with one that says what it sums up.
_SUMS = re.compile(r"(Variable|\w*(accum|grad)\w*?)(_\d+)?", re.IGNORECASE)


@dataclass(frozen=True)
class TrainingState:
    """The variables of a checkpoint that are of its training alone.

    Attributes:
        slots: those of optimisers, by name the variable and what is kept of it, such as Adam.
        powers: the optimisers' own counters.
        gradients: accumulated gradients, each of the shape of a variable.
        counters: the scalars of mixed precision, and steps other than the global one.
    """

    slots: Mapping[str, tuple[str, str]]
    powers: frozenset[str]
    gradients: frozenset[str]
    counters: frozenset[str]

    @property
    def names(self) -> frozenset[str]:
        """All of them."""
        return self.powers | self.gradients | self.counters | self.slots.keys()


def find_training_state(names: Set[str], shapes: Mapping[str, Shape]) -> TrainingState:
    """Tell the variables of training, Google's own slots and the global step left out, from those of a model.

    Without shapes only names decide, and what has none of its own is taken for part of a model.
    """
    powers = {name for name in names if _POWERS.fullmatch(_last(name)) and _is_scalar(shapes.get(name))}
    counters = {name for name in names - powers if _counts(name) and _is_scalar(shapes.get(name))}
    slots = {
        name: found
        for name in names - powers - counters
        for found in _slot(name, names)
        if _fits(name, found, shapes)
    }
    rest = names - powers - counters - slots.keys()
    sums = {name for name in rest if name in shapes and _SUMS.fullmatch(_last(name))}
    return TrainingState(slots, frozenset(powers), _of_variables(sums, rest - sums, shapes), frozenset(counters))


def _last(name: str) -> str:
    return name.rpartition("/")[2]


def _is_scalar(shape: Shape | None) -> bool:
    return shape in {None, (), (1,)}


def _counts(name: str) -> bool:
    scope, _, last = name.partition("/")
    return _COUNTERS.fullmatch(_last(name)) is not None or bool("/" not in last and last and _SCOPE.fullmatch(scope))


def _slot(name: str, names: Set[str]) -> Iterator[tuple[str, str]]:
    """The variable that a slot is of, and the slot's own name: what is left of the whole."""
    parts = name.split("/")
    scopes = next((index for index, part in enumerate(parts) if not _SCOPE.fullmatch(part)), len(parts))
    for start in range(scopes + 1):
        for end in (len(parts), len(parts) - 1):
            variable = "/".join(parts[start:end])
            has_suffix = end < len(parts)
            if variable != name and variable in names and not (has_suffix and not _SLOT.fullmatch(parts[-1])):
                yield variable, "/".join([*parts[:start], *(["..."] if start else []), *parts[end:]])
                return


def _fits(name: str, slot: tuple[str, str], shapes: Mapping[str, Shape]) -> bool:
    """Whether a slot has its variable's shape, or, factored as in Adafactor, that of its rows, columns or sum."""
    own, whole = shapes.get(name), shapes.get(slot[0])
    if own is None or whole is None:
        return True
    return own == whole or _is_scalar(own) or own in {whole[:i] + whole[i + 1 :] for i in range(len(whole))}


def _of_variables(sums: Set[str], variables: Set[str], shapes: Mapping[str, Shape]) -> frozenset[str]:
    """Those that are gradients by their shapes: no more of a shape than there are variables of it."""
    there = Counter(shapes[name] for name in variables if name in shapes)
    found = Counter(shapes[name] for name in sums)
    return frozenset(name for name in sums if shapes[name] and found[shapes[name]] <= there[shapes[name]])
