"""The configuration values that change what a model computes, compared; nothing is computed with them here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from electra_convert.checkpoint import Model
from electra_convert.config.labels import Labels
from electra_convert.config.resolve import SIZE_KEYS, Resolved
from electra_convert.config.transformers import SIZE_DEFAULTS
from electra_convert.tensors.cast import WIDER
from electra_convert.verification.weights import dtypes_of

# Beside the sizes: transformers' names of what a forward pass depends on and no shape tells.
_COMPUTING_KEYS = ("num_attention_heads", "hidden_act", "layer_norm_eps")
# Other names of one function, and functions that no run of Google's code has, whatever it was started with.
_SAME = {"gelu_python": "gelu"}
_OTHERS_ACTIVATIONS = ("gelu_new", "gelu_fast", "gelu_pytorch_tanh", "gelu_10", "quick_gelu", "silu", "swish")
_OWN_WEIGHTS = "the candidate's weights"
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

    @property
    def cells(self) -> tuple[str, ...]:
        """What a table shows: the value's name, the reference's with its origin, the candidate's, and the state."""
        return self.key, str(self.reference), self.origin, str(self.candidate), self.state

    @property
    def fault(self) -> str:
        """How a value that differs does, in words."""
        if self.origin == _OWN_WEIGHTS:
            said = "not given" if self.candidate is None else self.candidate
            return f"{self.key} is {said} in the candidate's config.json, and its weights are {self.reference}"
        return f"{self.key} is {self.candidate}, the reference has {self.reference} ({self.origin})"

    @property
    def guess(self) -> str:
        """That nothing but a guess speaks for a value, and how it is stated."""
        return (
            f"{self.key} is {self.candidate} in the candidate, and nothing but a guess says what it was in training: "
            "state it with --hparams (what run_pretraining.py was given) or --config"
        )


def compare_settings(
    reference: Resolved, candidate: Resolved, own: Mapping[str, Any] | None = None
) -> tuple[SettingParity, ...]:
    """Compare what two models compute with.

    Where the candidate's own config.json, if it is to be gone by, leaves out a size, transformers takes its default,
    whatever the weights are.
    """
    left_out = {} if own is None else {key: size for key, size in SIZE_DEFAULTS.items() if key not in own}
    return tuple(_compare(key, reference, candidate, left_out) for key in (*SIZE_KEYS, *_COMPUTING_KEYS))


def compare_own(config: Mapping[str, Any], model: Model) -> tuple[SettingParity, ...]:
    """Find where a config.json disagrees with the weights beside it, and transformers would go by the config.json."""
    return (*_compare_dtype(dtypes_of(model), config), *_compare_tying(model, config))


def compare_labels(reference: Labels, candidate: Labels) -> SettingParity:
    """Compare what the classes of a head are called, and tell those that differ."""
    expected, found = ({str(index): name for index, name in enumerate(side.names)} for side in (reference, candidate))
    if expected == found:
        return SettingParity("id2label", expected, reference.origin, found, "equal")
    apart = [dict(sorted(one.items() - other.items())) for one, other in ((expected, found), (found, expected))]
    return SettingParity("id2label", apart[0], reference.origin, apart[1], "differs")


def _compare_dtype(stored: Sequence[str], config: Mapping[str, Any]) -> tuple[SettingParity, ...]:
    """from_pretrained brings all weights to one dtype: the one declared, else that of any of them."""
    declared = config.get("dtype")
    declared = config.get("torch_dtype") if declared is None else declared
    if len(stored) > 1:
        fits = all(declared == dtype or declared in WIDER.get(dtype, ()) for dtype in stored)
    else:
        fits = declared is None or declared in stored
    return () if fits else (SettingParity("dtype", ", ".join(stored), _OWN_WEIGHTS, declared, "differs"),)


def _compare_tying(model: Model, config: Mapping[str, Any]) -> tuple[SettingParity, ...]:
    """An output layer that is neither stored nor tied to the word embeddings would be random."""
    tied = config.get("tie_word_embeddings", True)
    if tied or model.role == "discriminator" or model.tied or not model.is_tied:
        return ()
    return (SettingParity("tie_word_embeddings", True, "no output layer is stored", tied, "differs"),)


def _compare(key: str, reference: Resolved, candidate: Resolved, left_out: Mapping[str, Any]) -> SettingParity:
    expected, found = reference.values[key], left_out.get(key, candidate.values[key].value)
    same = _SAME.get(expected.value, expected.value) == _SAME.get(found, found)
    state: State = "equal" if same else "differs"
    if key in reference.guessed | candidate.guessed and (same or found not in _OTHERS_ACTIVATIONS):
        state = "not verified"
    return SettingParity(key, expected.value, expected.origin, found, state)
