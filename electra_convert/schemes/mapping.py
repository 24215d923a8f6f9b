"""The one table of names: what google-research/electra and transformers call the same tensor; no files, no values.

Templates are expanded by scope and layer into finite lists (plan.py), never matched as patterns. The names are those
that model/modeling.py and run_pretraining.py of google-research/electra give their variables, and those of
models/electra/modeling_electra.py of transformers. Optimiser slots need no rules: they are a suffix on any of these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from electra_convert.tensors.ops import Op

Role = Literal["discriminator", "generator"]
Dimension = Literal["vocabulary", "positions", "types", "embedding", "hidden", "intermediate", "one"]

# google-research/electra's model/optimization.py appends these to a variable's name.
SLOT_NAMES = ("adam_m", "adam_v")
STEP_NAME = "global_step"

# transformers repeats the word embeddings under this name in some files; it is checked on reading, never written.
TIED_HEAD = "generator_lm_head.weight"
WORD_EMBEDDINGS = "electra.embeddings.word_embeddings.weight"


@dataclass(frozen=True)
class Rule:
    """One tensor in both schemes.

    Attributes:
        tf: the TensorFlow variable; {embeddings} and {encoder} stand for scopes, {layer} for a number.
        hf: the transformers parameter.
        op: brings the TensorFlow tensor to the form transformers wants.
        dims: the TensorFlow shape, by the names of its dimensions.
    """

    tf: str
    hf: str
    op: Op
    dims: tuple[Dimension, ...]


def dense(tf: str, hf: str, fan_in: Dimension, fan_out: Dimension) -> tuple[Rule, Rule]:
    """The kernel and bias of a dense layer."""
    return (
        Rule(f"{tf}/kernel", f"{hf}.weight", Op.TRANSPOSE, (fan_in, fan_out)),
        Rule(f"{tf}/bias", f"{hf}.bias", Op.KEEP, (fan_out,)),
    )


def norm(tf: str, hf: str, width: Dimension) -> tuple[Rule, Rule]:
    """The gamma and beta of a layer normalisation."""
    return (
        Rule(f"{tf}/gamma", f"{hf}.weight", Op.KEEP, (width,)),
        Rule(f"{tf}/beta", f"{hf}.bias", Op.KEEP, (width,)),
    )


def table(name: str, rows: Dimension) -> Rule:
    """An embedding table."""
    return Rule(
        f"{{embeddings}}/embeddings/{name}", f"electra.embeddings.{name}.weight", Op.KEEP, (rows, "embedding")
    )


@dataclass(frozen=True)
class RuleTable:
    """All rules, by when they apply.

    Attributes:
        embeddings: once a network, in the scope that owns its embeddings.
        projection: once a network whose embeddings are not as wide as its hidden states.
        layer: once a layer.
        heads: once a network of that role that has its pretraining head.
    """

    embeddings: tuple[Rule, ...]
    projection: tuple[Rule, ...]
    layer: tuple[Rule, ...]
    heads: Mapping[Role, tuple[Rule, ...]]


_LAYER_TF = "{encoder}/encoder/layer_{layer}"
_LAYER_HF = "electra.encoder.layer.{layer}"

RULES = RuleTable(
    embeddings=(
        table("word_embeddings", "vocabulary"),
        table("token_type_embeddings", "types"),
        table("position_embeddings", "positions"),
        *norm("{embeddings}/embeddings/LayerNorm", "electra.embeddings.LayerNorm", "embedding"),
    ),
    projection=dense("{encoder}/embeddings_project", "electra.embeddings_project", "embedding", "hidden"),
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
    heads={
        "discriminator": (
            *dense("discriminator_predictions/dense", "discriminator_predictions.dense", "hidden", "hidden"),
            *dense(
                "discriminator_predictions/dense_1", "discriminator_predictions.dense_prediction", "hidden", "one"
            ),
        ),
        "generator": (
            *dense("generator_predictions/dense", "generator_predictions.dense", "hidden", "embedding"),
            *norm("generator_predictions/LayerNorm", "generator_predictions.LayerNorm", "embedding"),
            Rule("generator_predictions/output_bias", "generator_lm_head.bias", Op.KEEP, ("vocabulary",)),
        ),
    },
)
