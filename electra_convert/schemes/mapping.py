"""The one table of names: what google-research/electra and transformers call the same tensor; no files, no values.

Templates are filled in by scope and layer into finite lists (expand), never matched as patterns. The names are those
that model/modeling.py and run_pretraining.py of google-research/electra (commit 8a46635) give their variables, and
those of models/electra/modeling_electra.py of transformers. The latter are canonical here: whatever scheme a tensor
is read from, the rest of the tool knows it by them. Heads have rules of their own (heads/). Optimiser slots need
none: they are a suffix on any of these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from electra_convert.errors import NamesError, counted, listing
from electra_convert.schemes.family import ELECTRA
from electra_convert.tensors.op import Op

Role = Literal["discriminator", "generator"]
Dimension = Literal["vocabulary", "positions", "types", "embedding", "hidden", "intermediate", "labels", "one"]

# google-research/electra's model/optimization.py appends these to a variable's name.
SLOT_NAMES = ("adam_m", "adam_v")
STEP_NAME = "global_step"
WORD_EMBEDDINGS = f"{ELECTRA.prefix}embeddings.word_embeddings.weight"


@dataclass(frozen=True)
class Rule:
    """One parameter in both schemes, and the variables it is made of.

    Attributes:
        tf: the TensorFlow variable, or several whose rows, after the op, make the parameter one after the other;
            {embeddings}, {encoder} and {task} stand for scopes, {layer} for a number.
        hf: the transformers parameter.
        op: brings a TensorFlow tensor to the form transformers wants.
        dims: the shape of each variable, by the names of its dimensions.
    """

    tf: tuple[str, ...]
    hf: str
    op: Op
    dims: tuple[Dimension, ...]

    def part_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of each variable, given that of the parameter; a shape that cannot be split is left as it is."""
        if len(self.tf) > 1 and shape and shape[0] % len(self.tf) == 0:
            shape = (shape[0] // len(self.tf), *shape[1:])
        return self.op.inverse.shape(shape)


# A rule with its templates filled in: one tensor of a network under both its names.
Binding = Rule


def dense(tf: str, hf: str, fan_in: Dimension, fan_out: Dimension) -> tuple[Rule, Rule]:
    """The kernel and bias of a dense layer."""
    return (
        Rule((f"{tf}/kernel",), f"{hf}.weight", Op.TRANSPOSE, (fan_in, fan_out)),
        Rule((f"{tf}/bias",), f"{hf}.bias", Op.KEEP, (fan_out,)),
    )


def stacked(tf: tuple[str, ...], hf: str, fan_in: Dimension, fan_out: Dimension) -> tuple[Rule, Rule]:
    """The kernel and bias of several dense layers over the same input that are one in transformers."""
    return (
        Rule(tuple(f"{name}/kernel" for name in tf), f"{hf}.weight", Op.TRANSPOSE, (fan_in, fan_out)),
        Rule(tuple(f"{name}/bias" for name in tf), f"{hf}.bias", Op.KEEP, (fan_out,)),
    )


def norm(tf: str, hf: str, width: Dimension) -> tuple[Rule, Rule]:
    """The gamma and beta of a layer normalisation."""
    return (
        Rule((f"{tf}/gamma",), f"{hf}.weight", Op.KEEP, (width,)),
        Rule((f"{tf}/beta",), f"{hf}.bias", Op.KEEP, (width,)),
    )


def table(name: str, rows: Dimension) -> Rule:
    """An embedding table."""
    hf = f"{ELECTRA.prefix}embeddings.{name}.weight"
    return Rule((f"{{embeddings}}/embeddings/{name}",), hf, Op.KEEP, (rows, "embedding"))


@dataclass(frozen=True)
class RuleTable:
    """The rules of an encoder, by when they apply.

    Attributes:
        embeddings: once a network, in the scope that owns its embeddings.
        projection: once a network whose embeddings are not as wide as its hidden states.
        layer: once a layer.
    """

    embeddings: tuple[Rule, ...]
    projection: tuple[Rule, ...]
    layer: tuple[Rule, ...]


_LAYER_TF = "{encoder}/encoder/layer_{layer}"
_LAYER_HF = f"{ELECTRA.prefix}encoder.layer.{{layer}}"

RULES = RuleTable(
    embeddings=(
        table("word_embeddings", "vocabulary"),
        table("token_type_embeddings", "types"),
        table("position_embeddings", "positions"),
        *norm("{embeddings}/embeddings/LayerNorm", f"{ELECTRA.prefix}embeddings.LayerNorm", "embedding"),
    ),
    projection=dense("{encoder}/embeddings_project", f"{ELECTRA.prefix}embeddings_project", "embedding", "hidden"),
    layer=(
        *dense(f"{_LAYER_TF}/attention/self/query", f"{_LAYER_HF}.attention.self.query", "hidden", "hidden"),
        *dense(f"{_LAYER_TF}/attention/self/key", f"{_LAYER_HF}.attention.self.key", "hidden", "hidden"),
        *dense(f"{_LAYER_TF}/attention/self/value", f"{_LAYER_HF}.attention.self.value", "hidden", "hidden"),
        *dense(f"{_LAYER_TF}/attention/output/dense", f"{_LAYER_HF}.attention.output.dense", "hidden", "hidden"),
        *norm(f"{_LAYER_TF}/attention/output/LayerNorm", f"{_LAYER_HF}.attention.output.LayerNorm", "hidden"),
        *dense(f"{_LAYER_TF}/intermediate/dense", f"{_LAYER_HF}.intermediate.dense", "hidden", "intermediate"),
        *dense(f"{_LAYER_TF}/output/dense", f"{_LAYER_HF}.output.dense", "intermediate", "hidden"),
        *norm(f"{_LAYER_TF}/output/LayerNorm", f"{_LAYER_HF}.output.LayerNorm", "hidden"),
    ),
)


@dataclass(frozen=True)
class Scopes:
    """Where one network's variables live in a TensorFlow checkpoint: the words that templates are filled in with."""

    embeddings: str
    encoder: str
    task: str = ""


def expand(
    scopes: Scopes, layers: int, projects: bool, head: tuple[Rule, ...], rules: RuleTable = RULES
) -> tuple[Binding, ...]:
    """List every tensor of a network, no name of either scheme twice: those of its encoder, and of its head.

    Raises:
        NamesError: the rules are not one to one.
    """
    once = rules.embeddings + (rules.projection if projects else ()) + head
    bindings = [_bind(rule, scopes, 0) for rule in once]
    bindings += [_bind(rule, scopes, layer) for layer in range(layers) for rule in rules.layer]
    _require_one_to_one(bindings)
    return tuple(bindings)


def _bind(rule: Rule, scopes: Scopes, layer: int) -> Binding:
    words = {"embeddings": scopes.embeddings, "encoder": scopes.encoder, "task": scopes.task, "layer": layer}
    return replace(rule, tf=tuple(name.format(**words) for name in rule.tf), hf=rule.hf.format(**words))


def _require_one_to_one(bindings: Iterable[Binding]) -> None:
    bindings = tuple(bindings)
    counts = Counter(name for binding in bindings for name in binding.tf)
    counts += Counter(binding.hf for binding in bindings)
    if repeated := [name for name, count in counts.items() if count > 1]:
        raise NamesError(f"the rule table names these tensors more than once: {listing(repeated)}")


@dataclass(frozen=True)
class Sizes:
    """What the shapes of a network's tensors say about it; labels is 0 where no tensor has such a dimension."""

    vocabulary: int
    positions: int
    types: int
    embedding: int
    hidden: int
    intermediate: int
    layers: int
    labels: int = 0


def measure(shapes: Mapping[str, tuple[int, ...]], dims: Mapping[str, tuple[Dimension, ...]], layers: int) -> Sizes:
    """Find the sizes on which a network's tensors agree, from their shapes in TensorFlow's orientation.

    Every dimension takes the size that most tensors give it, so that those of another shape can be named.

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
