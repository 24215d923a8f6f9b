"""Google's optimiser of fine-tuning: rates that fall from layer to layer, and its schedule; knows no task.

create_optimizer and _get_layer_lrs in model/optimization.py (google-research/electra, 8a46635).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from electra_convert.finetuning.recipe import Recipe
from electra_convert.frameworks import import_torch

_LAYER = re.compile(r"encoder\.layer\.(\d+)\.")
_NOT_DECAYED = re.compile(r"LayerNorm|layer_norm|bias")


def depth_of(name: str, layers: int) -> int:
    """How far above the embeddings a parameter of transformers' ELECTRA stands, as Google's code counts.

    >>> [depth_of(one, 12) for one in ("electra.embeddings.x", "electra.encoder.layer.0.x", "classifier.bias")]
    [0, 1, 14]
    """
    if found := _LAYER.search(name):
        return int(found[1]) + 1
    return 0 if ".embeddings" in name else layers + 2


def google_optimizer(parameters: Iterable[tuple[str, Any]], layers: int, recipe: Recipe) -> Any:  # noqa: ANN401 - torch's
    """AdamW as Google's code has it: rate * layer_decay ** (layers + 2 - depth), no bias correction.

    Args:
        parameters: by name, each once.
        layers: of the encoder. The last of them is two steps below the head, so it already learns at decay squared.
        recipe: what is to be used.

    Returns:
        A torch.optim.AdamW; clipping is left to whoever takes its steps.
    """
    torch = import_torch("to train")
    from electra_convert.pretraining.optimizer import begin_uncorrected  # which is made of torch

    groups: dict[tuple[int, bool], list[Any]] = {}
    for name, parameter in parameters:
        if parameter.requires_grad:
            decayed = _NOT_DECAYED.search(name) is None
            groups.setdefault((depth_of(name, layers), decayed), []).append(parameter)
    made = [
        {
            "params": members,
            "lr": recipe["learning_rate"] * recipe["layer_decay"] ** (layers + 2 - depth),
            "weight_decay": recipe["weight_decay"] if decayed else 0.0,
        }
        for (depth, decayed), members in sorted(groups.items())
    ]
    optimizer = torch.optim.AdamW(made, lr=recipe["learning_rate"], betas=(0.9, 0.999), eps=recipe["adam_epsilon"])
    begin_uncorrected(optimizer)
    return optimizer


def google_share(step: int, steps: int, warmup: float) -> float:
    """Which share of its rate an update has: linear decay to 0, times the warm-up, both from the first step.

    >>> [google_share(step, 100, 0.1) for step in (0, 5, 10, 100)]
    [0.0, 0.475, 0.9, 0.0]
    """
    rising = min(1.0, step / (steps * warmup)) if warmup else 1.0
    return rising * (1 - min(step, steps) / steps)


def google_schedule(optimizer: Any, steps: int, warmup: float) -> Any:  # noqa: ANN401 - torch's
    """A scheduler that multiplies each group's rate by google_share."""
    schedules: Any = import_torch("to train").optim.lr_scheduler
    return schedules.LambdaLR(optimizer, lambda step: google_share(step, steps, warmup))
