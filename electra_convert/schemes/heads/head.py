"""What a head is: a name, its tensors in both schemes, and what depends on it in transformers; knows none by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from electra_convert.schemes.family import ELECTRA, Family
from electra_convert.schemes.heads.computing import Computing
from electra_convert.schemes.mapping import Role, Rule

if TYPE_CHECKING:
    from electra_convert.tensors.weight import Weight


class Algebra(Protocol):
    """How a head that transformers computes otherwise than Google's code is brought there exactly, and back."""

    def forward(self, weights: Mapping[str, Weight]) -> dict[str, Weight]:
        """transformers' parameters, made of Google's variables under the names that the rules give them.

        Raises:
            NamesError: the sizes leave no room for it.
        """

    def remark(self, labels: int, hidden: int) -> str:
        """What somebody who trains the model further should know."""

    def backward(self, weights: Mapping[str, Weight]) -> dict[str, Weight] | None:
        """What forward made them of, to the bit; None where they are not of that form. Reads the head's tensors."""


@dataclass(frozen=True)
class Head:
    """What stands on an encoder.

    Attributes:
        name: what this tool calls it.
        role: the model that has it; an encoder without a pretraining head counts as a discriminator.
        suffix: what its class in transformers is called after the family's name.
        rules: its variables in Google's code, {task} standing for the scope of a task, and the parameter that each
            becomes.
        kind: what a user says that a task of it is (--task NAME=KIND), or None of a head that no task has.
        tag: what the Hub calls its task, or None where it has no name for it.
        has_pipeline: whether transformers has a pipeline of the tag's name.
        algebra: what makes the parameters of those, where the rules alone do not.
        made: the parameters in transformers where algebra makes them; by default those of the rules.
        beside: variables of Google's code that some such heads have, and transformers has no place for: they are kept
            in a file beside the model.
        beside_is: what these are for.
        labels: how many labels it always has, or None where any number.
        problem_type: what config.json states as such, or None.
        segment: the token type that every real token is given, as Google's code does in its task.
        outputs: what its class in transformers answers with, by the names of the fields.
        compute: how those follow from the states of the last layer, [batch, length, hidden], in that class; None
            where it is not known.
        repeated: a parameter that transformers repeats in some files; it must equal the word embeddings, and is never
            written.
        unmapped: names of tensors of a head that no rule describes; they go unchanged from one transformers folder
            to another, and nowhere else.
        in_bert: whether BERT's class of this suffix computes it as ELECTRA's does.
        unlike_bert: how BERT's class of this suffix, where there is one, computes otherwise.
    """

    name: str
    role: Role
    suffix: str
    rules: tuple[Rule, ...] = ()
    kind: str | None = None
    tag: str | None = None
    has_pipeline: bool = True
    algebra: Algebra | None = None
    made: tuple[Rule, ...] | None = None
    beside: tuple[str, ...] = ()
    beside_is: str = ""
    labels: int | None = None
    problem_type: str | None = None
    segment: int = 0
    outputs: tuple[str, ...] = ("logits",)
    compute: Callable[[Computing[Any], Any], tuple[Any, ...]] | None = None
    repeated: str | None = None
    unmapped: tuple[str, ...] = ()
    in_bert: bool = False
    unlike_bert: str = ""

    def architecture(self, family: Family = ELECTRA) -> str:
        """The class of transformers that a model with this head is of."""
        return f"{family.classes}{self.suffix}"

    @property
    def parameters(self) -> tuple[Rule, ...]:
        """Its parameters in transformers."""
        return self.rules if self.made is None else self.made

    @property
    def names(self) -> frozenset[str]:
        """The names of its parameters in transformers."""
        return frozenset(rule.hf for rule in self.parameters)

    @property
    def parts(self) -> frozenset[str]:
        """What its parameters begin with, up to the first dot."""
        return frozenset(name.partition(".")[0] for name in self.names)

    @property
    def is_bare(self) -> bool:
        """Whether there is none, so that the encoder's parameters have no prefix in a file."""
        return not self.rules and not self.unmapped

    @property
    def is_of_a_task(self) -> bool:
        """Whether it was fine-tuned for a task with labels, or for answers, rather than pretrained with."""
        return any("{task}" in name for rule in self.rules for name in rule.tf)

    def is_of(self, variables: Iterable[str], task: str) -> bool:
        """Whether it has just these variables of a task, those that may be kept beside it left out."""
        own = {name.format(task=task) for rule in self.rules for name in rule.tf}
        optional = {name.format(task=task) for name in self.beside}
        return self.is_of_a_task and own == set(variables) - optional


def none() -> Head:
    """No head: an encoder alone."""
    return Head("none", "discriminator", "Model", tag="feature-extraction", outputs=(), in_bert=True)


def carried(names: Iterable[str]) -> Head:
    """A head known by the names of its tensors alone."""
    return Head("fine-tuned", "discriminator", "Model", outputs=(), unmapped=tuple(sorted(names)))
