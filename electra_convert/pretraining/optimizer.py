"""Google's optimiser on top of torch's fused AdamW, and its schedule; knows no model and no loss.

The formulas are those of create_optimizer and AdamWeightDecayOptimizer in model/optimization.py
(google-research/electra, 8a46635).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import numpy as np
import torch

from electra_convert.pretraining.options import Settings
from electra_convert.schemes.mapping import SLOT_NAMES

# Google's Adam corrects no bias. AdamW divides by 1 - beta ** step, which at such a step is exactly 1; a float32 as
# large as this also stays what it is when AdamW adds 1 to it.
_STEP = float(1 << 40)
_BETAS = (0.9, 0.999)
_EPSILON = 1e-6
_CLIP_NORM = 1.0
# AdamW's names of the slots, in the order of SLOT_NAMES.
_MOMENTS = ("exp_avg", "exp_avg_sq")


def learning_rate(settings: Settings, step: int) -> float:
    """The rate of the update that takes a model from one step to the next.

    Polynomial decay to zero, times the warm-up: both at once, in float32, in the order TensorFlow computes them.

    Args:
        settings: the training hparams.
        step: the global step before the update, from 0.
    """
    total = np.float32(settings.num_train_steps)
    # TensorFlow turns the division by a constant into a multiplication; the last bit of some rates depends on it.
    left = np.float32(1) - np.minimum(np.float32(step), total) * (np.float32(1) / total)
    rate = np.float32(settings.learning_rate) * np.power(left, np.float32(settings.lr_decay_power))
    if settings.num_warmup_steps:
        rate *= np.minimum(np.float32(1), np.float32(step) / np.float32(settings.num_warmup_steps))
    return float(rate)


def is_decayed(parameter: torch.nn.Parameter) -> bool:
    """Whether weight decay applies to a parameter: to all but layer normalisations and biases, which are vectors."""
    return parameter.ndim > 1


def make_optimizer(parameters: Mapping[str, torch.nn.Parameter], weight_decay_rate: float) -> torch.optim.AdamW:
    """Make the optimiser, its moments zero.

    Args:
        parameters: every parameter once, by name, on the device it is to be trained on.
        weight_decay_rate: the decoupled decay.

    Returns:
        The optimiser; its learning rate is 0 until set_learning_rate.
    """
    decayed = [parameter for parameter in parameters.values() if is_decayed(parameter)]
    others = [parameter for parameter in parameters.values() if not is_decayed(parameter)]
    groups = [{"params": decayed, "weight_decay": weight_decay_rate}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=0.0, betas=_BETAS, eps=_EPSILON, fused=True)
    begin_uncorrected(optimizer)
    return optimizer


def begin_uncorrected(optimizer: torch.optim.AdamW) -> None:
    """Begin with moments of zero, at a step at which AdamW corrects no bias, as Google's Adam never does."""
    for parameter in (one for group in optimizer.param_groups for one in group["params"]):
        moments = {moment: torch.zeros_like(parameter, requires_grad=False) for moment in _MOMENTS}
        # On the processor unless a fused kernel takes steps, which wants it where the parameter is.
        device = parameter.device if optimizer.defaults["fused"] else None
        step = torch.tensor(_STEP, dtype=torch.float32, device=device)
        optimizer.state[parameter] = {"step": step, **moments}


def moments_of(optimizer: torch.optim.AdamW, parameter: torch.nn.Parameter) -> dict[str, torch.Tensor]:
    """The optimiser's two moments of a parameter, by the names of Google's slots; the tensors themselves."""
    state = optimizer.state[parameter]
    return {slot: state[moment] for slot, moment in zip(SLOT_NAMES, _MOMENTS, strict=True)}


def set_learning_rate(optimizer: torch.optim.AdamW, rate: float) -> None:
    """Set the rate of the next step."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def clip_gradients(
    parameters: Iterable[torch.nn.Parameter],
    measured: Collection[torch.nn.Parameter] = (),
    norm_of_measured: torch.Tensor | None = None,
) -> torch.Tensor:
    """Scale gradients down together to a global norm of 1, as tf.clip_by_global_norm does.

    torch's own clip_grad_norm_ divides by the norm plus 1e-6.

    Args:
        parameters: those with gradients; each once.
        measured: those of them whose gradients count by another norm than their own.
        norm_of_measured: that norm, a scalar; None where there are none.

    Returns:
        The norm before, a scalar on the gradients' device.
    """
    known = set(measured)
    gradients = {parameter: parameter.grad for parameter in parameters if parameter.grad is not None}
    norm = torch.nn.utils.get_total_norm([one for parameter, one in gradients.items() if parameter not in known])
    if norm_of_measured is not None:
        norm = torch.hypot(norm, norm_of_measured)
    torch._foreach_mul_(list(gradients.values()), _CLIP_NORM / norm.clamp(min=_CLIP_NORM))
    return norm
