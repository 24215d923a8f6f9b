"""What a head is: a name, the rules of its tensors, and its class in transformers; knows none by name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from electra_convert.schemes.family import ELECTRA, Family
from electra_convert.schemes.mapping import Role, Rule


@dataclass(frozen=True)
class Head:
    """What stands on an encoder.

    Attributes:
        name: what this tool calls it.
        role: the model that has it; an encoder without a pretraining head counts as a discriminator.
        suffix: what its class in transformers is called after the family's name.
        rules: its tensors in both schemes, {task} standing for the scope of a task.
        repeated: a parameter that transformers repeats in some files; it must equal the word embeddings, and is never
            written.
        unmapped: names of tensors of a head that no rule describes; they go unchanged from one transformers folder
            to another, and nowhere else.
    """

    name: str
    role: Role
    suffix: str
    rules: tuple[Rule, ...] = ()
    repeated: str | None = None
    unmapped: tuple[str, ...] = ()

    def architecture(self, family: Family = ELECTRA) -> str:
        """The class of transformers that a model with this head is of."""
        return f"{family.classes}{self.suffix}"

    @property
    def parameters(self) -> frozenset[str]:
        """Its parameters in transformers."""
        return frozenset(rule.hf for rule in self.rules)

    @property
    def parts(self) -> frozenset[str]:
        """What its parameters begin with, up to the first dot."""
        return frozenset(name.partition(".")[0] for name in self.parameters)

    @property
    def is_bare(self) -> bool:
        """Whether there is none, so that the encoder's parameters have no prefix in a file."""
        return not self.rules and not self.unmapped


def none() -> Head:
    """No head: an encoder alone."""
    return Head("none", "discriminator", "Model")


def carried(names: Iterable[str]) -> Head:
    """A head known by the names of its tensors alone."""
    return Head("fine-tuned", "discriminator", "Model", unmapped=tuple(sorted(names)))
