"""The discriminator's head: for each token, whether it was replaced."""

from __future__ import annotations

from electra_convert.schemes.heads.computing import Computing, V
from electra_convert.schemes.heads.head import Head
from electra_convert.schemes.mapping import dense


def compute(model: Computing[V], states: V) -> tuple[V, ...]:
    """ElectraDiscriminatorPredictions of transformers: [batch, length]."""
    seen = model.activate(model.dense("discriminator_predictions.dense", states))
    return model.columns(model.dense("discriminator_predictions.dense_prediction", seen), 1)


# run_pretraining.PretrainingModel._get_discriminator_output.
REPLACED_TOKEN_DETECTION = Head(
    "replaced_token_detection",
    "discriminator",
    "ForPreTraining",
    rules=(
        *dense("discriminator_predictions/dense", "discriminator_predictions.dense", "hidden", "hidden"),
        *dense("discriminator_predictions/dense_1", "discriminator_predictions.dense_prediction", "hidden", "one"),
    ),
    compute=compute,
)
