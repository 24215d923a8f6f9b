"""The configuration values that change what a model computes, compared; nothing is computed with them here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from electra_convert.config.resolve import SIZE_KEYS, Resolved

# Beside the sizes: transformers' names of what a forward pass depends on and no shape tells.
_COMPUTING_KEYS = ("num_attention_heads", "hidden_act", "layer_norm_eps")
State = Literal["equal", "differs", "not verified"]


@dataclass(frozen=True)
class SettingParity:
    """One configuration value of two models.

    Attributes:
        key: its name in transformers' ElectraConfig.
        reference: its value in the reference.
        origin: where that came from.
        candidate: its value in the candidate.
        state: equal, differs, or not verified where nothing but a guess speaks for one of them.
    """

    key: str
    reference: Any
    origin: str
    candidate: Any
    state: State


def compare_settings(reference: Resolved, candidate: Resolved) -> tuple[SettingParity, ...]:
    """Compare what two models compute with.

    Args:
        reference: what the candidate is held to.
        candidate: the other model's configuration.

    Returns:
        Every value that changes the computation.
    """
    return tuple(_compare(key, reference, candidate) for key in (*SIZE_KEYS, *_COMPUTING_KEYS))


def _compare(key: str, reference: Resolved, candidate: Resolved) -> SettingParity:
    expected, found = reference.values[key], candidate.values[key].value
    if key in reference.guessed | candidate.guessed:
        state: State = "not verified"
    else:
        state = "equal" if expected.value == found else "differs"
    return SettingParity(key, expected.value, expected.origin, found, state)
