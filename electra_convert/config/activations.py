"""The activations that ELECTRA is computed with, by transformers' names."""

from __future__ import annotations

from collections.abc import Mapping

# What get_activation of model/modeling.py knows (google-research/electra, 8a46635), in any case; its gelu is the
# exact one, and nothing at all stands for linear.
ACTIVATIONS = ("gelu", "relu", "tanh", "linear")
# The operation that tells of each in a TensorFlow graph; linear has none.
ACTIVATION_OPERATIONS: Mapping[str, str] = {"Erf": "gelu", "Relu": "relu", "Tanh": "tanh"}
# What transformers computes a generator's head with, whatever its configuration says (ElectraGeneratorPredictions).
GENERATOR_HEAD = "gelu"
