"""The weights a run begins with where it begins with nothing: drawn as google-research/electra draws them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from electra_convert.pretraining.model import named_weights
from electra_convert.schemes.mapping import Role

# tf.layers.dense without an initialiser (modeling.BertModel, run_pretraining._get_discriminator_output).
_GLOROT = ("electra.embeddings_project.weight", "discriminator_predictions.dense_prediction.weight")


def initialise(networks: Mapping[Role, nn.Module], seed: int) -> None:
    """Draw all weights, in place.

    Kernels and embeddings come from a normal distribution cut off at two standard deviations (create_initializer of
    model/modeling.py), but for two kernels that Google leaves to TensorFlow's default; norms are 1 and biases 0.

    Args:
        networks: the models, tied; what they share is drawn once.
        seed: the same seed gives the same weights, on any device.
    """
    random = torch.Generator().manual_seed(seed)
    drawn: set[int] = set()
    for network in networks.values():
        deviation = network.config.initializer_range
        for name, parameter in sorted(named_weights(network).items()):
            if id(parameter) not in drawn:
                drawn.add(id(parameter))
                parameter.data.copy_(_values(name, parameter.shape, deviation, random))


def _values(name: str, shape: torch.Size, deviation: float, random: torch.Generator) -> torch.Tensor:
    values = torch.empty(shape)
    if name.endswith(".bias"):
        return values.zero_()
    if "LayerNorm" in name:
        return values.fill_(1.0)
    if name in _GLOROT:
        return nn.init.xavier_uniform_(values, generator=random)
    if not deviation:
        return values.zero_()
    return nn.init.trunc_normal_(values, std=deviation, a=-2 * deviation, b=2 * deviation, generator=random)
