"""The configuration values that change what a model computes, compared; nothing is computed with them here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from electra_convert.config.resolve import SIZE_KEYS, Resolved

# Beside the sizes: transformers' names of what a forward pass depends on and no shape tells.
_COMPUTING_KEYS = ("num_attention_heads", "hidden_act", "layer_norm_eps")
# Other names of one function, and functions that no run of Google's code has, whatever it was started with.
_SAME = {"gelu_python": "gelu"}
_OTHERS_ACTIVATIONS = ("gelu_new", "gelu_fast", "gelu_pytorch_tanh", "gelu_10", "quick_gelu", "silu", "swish")
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


def compare_dtype(stored: Sequence[str], declared: str | None) -> tuple[SettingParity, ...]:
    """Compare the dtype that a config.json declares with those of the weights beside it.

    Args:
        stored: the dtypes of the weights.
        declared: what config.json says; from_pretrained rounds the weights to it.

    Returns:
        One row where they disagree, else none.
    """
    if declared is None or declared.removeprefix("torch.") in stored:
        return ()
    return (SettingParity("dtype", ", ".join(stored), "the candidate's weights", declared, "differs"),)


def _compare(key: str, reference: Resolved, candidate: Resolved) -> SettingParity:
    expected, found = reference.values[key], candidate.values[key].value
    same = _SAME.get(expected.value, expected.value) == _SAME.get(found, found)
    state: State = "equal" if same else "differs"
    if key in reference.guessed | candidate.guessed and (same or found not in _OTHERS_ACTIVATIONS):
        state = "not verified"
    return SettingParity(key, expected.value, expected.origin, found, state)
