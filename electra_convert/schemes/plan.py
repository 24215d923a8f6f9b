"""The rule table made finite for one network: every tensor it has, in both schemes, with its shape; reads nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from electra_convert.errors import NamesError, counted, listing
from electra_convert.schemes.mapping import RULES, Dimension, Role, Rule, RuleTable


@dataclass(frozen=True)
class Network:
    """Where one model's variables live in a TensorFlow checkpoint.

    Attributes:
        role: which of the two models it is.
        embeddings: the scope that owns its embeddings.
        encoder: the scope that owns its projection and layers.
        head: whether its pretraining head is part of it.
    """

    role: Role
    embeddings: str
    encoder: str
    head: bool = True


# A rule with its templates filled in: one tensor of a network under both its names.
Binding = Rule


@dataclass(frozen=True)
class Sizes:
    """What the shapes of a network's tensors say about it."""

    vocabulary: int
    positions: int
    types: int
    embedding: int
    hidden: int
    intermediate: int
    layers: int

    def shape(self, dims: tuple[Dimension, ...]) -> tuple[int, ...]:
        """The sizes of the named dimensions."""
        return tuple(1 if dim == "one" else getattr(self, dim) for dim in dims)


def expand(network: Network, layers: int, projects: bool, rules: RuleTable = RULES) -> tuple[Binding, ...]:
    """List every tensor of a network.

    Args:
        network: its scopes, role and head.
        layers: how many layers its encoder has.
        projects: whether its embeddings are projected to its hidden width.
        rules: the table.

    Returns:
        The bindings; no name of either scheme occurs twice.

    Raises:
        NamesError: the table is not one to one.
    """
    once = rules.embeddings + (rules.projection if projects else ())
    once += rules.heads[network.role] if network.head else ()
    bindings = [_bind(rule, network, 0) for rule in once]
    bindings += [_bind(rule, network, layer) for layer in range(layers) for rule in rules.layer]
    _require_one_to_one(bindings)
    return tuple(bindings)


def _bind(rule: Rule, network: Network, layer: int) -> Binding:
    words = {"embeddings": network.embeddings, "encoder": network.encoder, "layer": layer}
    return replace(rule, tf=rule.tf.format(**words), hf=rule.hf.format(**words))


def _require_one_to_one(bindings: Iterable[Binding]) -> None:
    bindings = tuple(bindings)
    counts = Counter(binding.tf for binding in bindings) + Counter(binding.hf for binding in bindings)
    if repeated := [name for name, count in counts.items() if count > 1]:
        raise NamesError(f"the rule table names these tensors more than once: {listing(repeated)}")


def measure(shapes: Mapping[str, tuple[int, ...]], dims: Mapping[str, tuple[Dimension, ...]], layers: int) -> Sizes:
    """Find the sizes on which a network's tensors agree.

    Every dimension takes the size that most tensors give it, so that those of another shape can be named.

    Args:
        shapes: the shape of each tensor, in TensorFlow's orientation.
        dims: for each tensor the names of its dimensions.
        layers: how many layers the encoder has.

    Returns:
        The sizes; every tensor has the shape they give it.

    Raises:
        NamesError: tensors whose shapes do not fit the others, each with the shape expected and found.
    """
    votes: dict[Dimension, Counter[int]] = {}
    for name, names in dims.items():
        if len(shapes[name]) == len(names):
            for dim, size in zip(names, shapes[name], strict=True):
                votes.setdefault(dim, Counter())[size] += 1
    chosen = {dim: counter.most_common(1)[0][0] for dim, counter in votes.items() if dim != "one"}
    expected = {
        name: tuple(1 if dim == "one" else chosen.get(dim, 0) for dim in names) for name, names in dims.items()
    }
    if wrong := [name for name in dims if shapes[name] != expected[name]]:
        told = listing([f"{name} is {list(shapes[name])}, expected {list(expected[name])}" for name in wrong], 8)
        raise NamesError(
            f"{counted(len(wrong), 'tensor')} of a shape that does not fit the rest of the model: {told}",
            "The checkpoint mixes models of different sizes, or is not from google-research/electra.",
        )
    return Sizes(**{str(dim): size for dim, size in chosen.items()}, layers=layers)
