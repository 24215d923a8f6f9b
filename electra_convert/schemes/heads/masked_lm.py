"""The generator's head: which token stands at a mask."""

from __future__ import annotations

from electra_convert.schemes.heads.computing import Computing, V
from electra_convert.schemes.heads.head import Head
from electra_convert.schemes.mapping import Rule, dense, norm
from electra_convert.tensors.op import Op


def compute(model: Computing[V], states: V) -> tuple[V, ...]:
    """ElectraForMaskedLM of transformers, which has gelu whatever hidden_act is: [batch, length, vocabulary]."""
    seen = model.gelu(model.dense("generator_predictions.dense", states))
    return (model.vocabulary("generator_lm_head", model.normalise("generator_predictions.LayerNorm", seen)),)


# run_pretraining.PretrainingModel._get_masked_lm_output; the output table is that of the word embeddings.
MASKED_LM = Head(
    "masked_lm",
    "generator",
    "ForMaskedLM",
    rules=(
        *dense("generator_predictions/dense", "generator_predictions.dense", "hidden", "embedding"),
        *norm("generator_predictions/LayerNorm", "generator_predictions.LayerNorm", "embedding"),
        Rule(("generator_predictions/output_bias",), "generator_lm_head.bias", Op.KEEP, ("vocabulary",)),
    ),
    tag="fill-mask",
    repeated="generator_lm_head.weight",
    compute=compute,
    in_bert=True,
)
