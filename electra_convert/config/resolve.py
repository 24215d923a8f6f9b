"""One configuration out of several sources, each value with its origin; disagreement is an error, not a choice.

The weights' shapes rule over everything; then explicit options, files beside the checkpoint, its graph, and last
Google's rules.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

from electra_convert.config.hparams import Hparams, google_heads
from electra_convert.errors import ConfigError
from electra_convert.schemes.layouts import Layout
from electra_convert.schemes.mapping import Role, Sizes

# transformers' names of what shapes say, and the sizes they are.
SIZE_KEYS: Mapping[str, str] = {
    "vocab_size": "vocabulary",
    "embedding_size": "embedding",
    "hidden_size": "hidden",
    "num_hidden_layers": "layers",
    "intermediate_size": "intermediate",
    "max_position_embeddings": "positions",
    "type_vocab_size": "types",
}
# What shapes do not say, with the values of google-research/electra's code where nothing else is known.
DEFAULTS: Mapping[str, Any] = {
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "initializer_range": 0.02,
}
# Values that no forward pass depends on: a default must not contradict what another source states.
TRAINING_KEYS = ("hidden_dropout_prob", "attention_probs_dropout_prob", "initializer_range")
# Layouts that may have been taken out of a run of any other.
_TAKEN_OUT = frozenset({"uniform_generator", "fine_tuned", "encoder"})
_GOOGLE_DEFAULT = "google-research/electra's default"
_GUESS = "a guess by Google's rule, max(1, hidden // 64)"
_SETTLE_HINT = "Give --hparams (what run_pretraining.py was given) or --config to settle it."


class Rank(IntEnum):
    """The authority of a source, the highest first."""

    OPTION = 0
    BESIDE = 1
    GRAPH = 2


@dataclass(frozen=True)
class Value:
    """A configuration value and where it came from."""

    value: Any
    origin: str


def plain(values: Mapping[str, Value]) -> dict[str, Any]:
    """A configuration without its origins."""
    return {key: value.value for key, value in values.items()}


def origins(values: Mapping[str, Value]) -> dict[str, str]:
    """The origins of a configuration's values."""
    return {key: value.origin for key, value in values.items()}


@dataclass(frozen=True)
class Evidence:
    """What one source says of one model.

    Attributes:
        origin: the source, for messages and the record.
        rank: its authority.
        values: by transformers' names.
        stated: the keys it states itself; the others follow from its defaults.
    """

    origin: str
    rank: Rank
    values: Mapping[str, Any]
    stated: frozenset[str]


@dataclass(frozen=True)
class Resolved:
    """A model's configuration by transformers' names, with origins; and what was guessed or put aside."""

    values: Mapping[str, Value]
    warnings: tuple[str, ...]

    @property
    def guessed(self) -> frozenset[str]:
        """The keys that differ from run to run, and for whose values nothing speaks but a guess or a default."""
        unsupported = {key for key, value in self.values.items() if value.origin in {_GUESS, _GOOGLE_DEFAULT}}
        return frozenset(unsupported & {"num_attention_heads", "hidden_act"})

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401 - JSON values
        return self.values[key].value


def hparams_evidence(
    hparams: Hparams, rank: Rank, role: Role, layout: Layout, sizes: Sizes, changes: Hparams | None = None
) -> Evidence:
    """What hparams say of a model: of all, or only of those that were changed, with all that follows from them.

    Where the hparams state no heads, Google's rule goes by the weights' sizes.
    """
    values = hparams.expected(role, layout.shares_config)
    speaking = hparams if changes is None else changes
    stated = frozenset(key for key in values if speaking.states(key, role, layout.shares_config))
    ruled = role == "generator" and not layout.shares_config
    if ruled or "num_attention_heads" not in stated:
        values["num_attention_heads"] = google_heads(sizes.hidden)
    if ruled or "intermediate_size" not in stated:
        values["intermediate_size"] = 4 * sizes.hidden
        stated -= {"intermediate_size"}
    evidence = Evidence(hparams.origin, rank, values, stated)
    return evidence if changes is None else only_stated(evidence)


def only_stated(evidence: Evidence) -> Evidence:
    """The same evidence without what follows from a source's defaults alone."""
    values = {key: value for key, value in evidence.values.items() if key in evidence.stated}
    return replace(evidence, values=values)


def check_layout(hparams: Hparams, layout: Layout) -> None:
    """Refuse hparams that describe another layout than the checkpoint has.

    Raises:
        ConfigError: names the hparam.
    """
    if layout.name not in _TAKEN_OUT and hparams.layout not in {None, layout.name}:
        raise ConfigError(
            f"{hparams.origin} asks for the {hparams.layout} layout ({json.dumps(hparams.layout_keys)}), but the "
            f"checkpoint's variables are of the {layout.name} layout",
            "These hparams belong to another run; give those it was started with (--hparams).",
        )


def resolve(role: Role, sizes: Sizes, evidence: Sequence[Evidence], shares_config: bool) -> Resolved:
    """Settle a model's configuration: every value with its origin, and warnings.

    A generator that shares its configuration has the discriminator's own.

    Raises:
        ConfigError: a source contradicts the weights, or two of them each other with no option to decide.
    """
    values = {key: Value(getattr(sizes, size), "weights") for key, size in SIZE_KEYS.items()}
    decided = any(source.rank is Rank.OPTION for source in evidence)
    warnings = [line for source in evidence for line in _check_sizes(role, values, source, decided)]
    for key in ("num_attention_heads", *DEFAULTS):
        settled = _settle(role, key, evidence, warnings)
        values[key] = settled or _default(role, key, sizes, shares_config)
    if values["num_attention_heads"].origin == _GUESS:
        warnings.append(_guess_warning(role, values))
    _check_heads(role, values)
    return Resolved(values, tuple(warnings))


def _check_sizes(role: Role, values: Mapping[str, Value], source: Evidence, decided: bool) -> list[str]:
    """Compare sizes with those of the weights; once an option decides, other sources only get a warning."""
    differing = {
        key: (source.values[key], known.value)
        for key, known in values.items()
        if source.values.get(key, known.value) != known.value
    }
    stated = {key: pair for key, pair in differing.items() if key in source.stated}
    if stated and (source.rank is Rank.OPTION or not decided):
        key, (said, has) = next(iter(stated.items()))
        raise ConfigError(
            f"{source.origin} says the {role}'s {key} is {said}, but the weights have {has}",
            "It belongs to another checkpoint; give what this one was made with (--hparams or --config).",
        )
    left = {key: pair for key, pair in differing.items() if key not in stated}
    return [
        f"{source.origin} {verb} the {role}'s {', '.join(f'{key} {at} {said}' for key, (said, _) in pairs.items())}; "
        f"the weights have {', '.join(str(has) for _, has in pairs.values())}."
        for verb, at, pairs in (("says", "is", stated), ("leaves", "at", left))
        if pairs
    ]


def _settle(role: Role, key: str, evidence: Sequence[Evidence], warnings: list[str]) -> Value | None:
    said = sorted((source for source in evidence if key in source.values), key=lambda source: source.rank)
    said = _without_mere_defaults(role, key, said, warnings)
    if not said:
        return None
    first = said[0]
    for other in said[1:]:
        if other.values[key] == first.values[key]:
            continue
        told = (
            f"{first.origin} says the {role}'s {key} is {first.values[key]}, {other.origin} says {other.values[key]}"
        )
        if first.rank is not Rank.OPTION or other.rank is Rank.OPTION:
            raise ConfigError(told, _SETTLE_HINT)
        warnings.append(f"{told}; the option decides.")
    return Value(first.values[key], first.origin if key in first.stated else f"{first.origin}, by default")


def _without_mere_defaults(role: Role, key: str, said: list[Evidence], warnings: list[str]) -> list[Evidence]:
    """Where a source states a key, an option that leaves it at its default has not decided it."""
    stated = [source for source in said if key in source.stated]
    if not stated or key in TRAINING_KEYS:
        return stated or said
    kept = [source for source in said if source in stated or source.rank is not Rank.OPTION]
    other, value = stated[0].origin, stated[0].values[key]
    warnings += [
        f"{source.origin} leaves the {role}'s {key} at {source.values[key]}; {other} says {value}."
        for source in said
        if source not in kept and source.values[key] != value
    ]
    return kept


def _default(role: Role, key: str, sizes: Sizes, shares_config: bool) -> Value:
    if key != "num_attention_heads":
        return Value(DEFAULTS[key], _GOOGLE_DEFAULT)
    heads = google_heads(sizes.hidden)
    if role == "generator" and not shares_config:
        return Value(heads, "Google's rule for generators, max(1, hidden // 64)")
    return Value(heads, _GUESS)


def _guess_warning(role: Role, values: Mapping[str, Value]) -> str:
    activation = values["hidden_act"]
    alone = activation.origin != _GOOGLE_DEFAULT
    guessed = (
        "is a guess by Google's rule"
        if alone
        else f"and its activation {activation.value} are guesses by Google's rules"
    )
    return (
        f"The {role}'s head count {values['num_attention_heads'].value} {guessed}: the weights do not tell, and no "
        "hparams.json, config.json or .meta beside them does. A wrong head count loads without an error and computes "
        f"something else. {_SETTLE_HINT}"
    )


def _check_heads(role: Role, values: Mapping[str, Value]) -> None:
    heads, hidden = values["num_attention_heads"], values["hidden_size"].value
    if heads.value < 1 or hidden % heads.value:
        raise ConfigError(
            f"{heads.value} attention heads ({heads.origin}) cannot share the {role}'s hidden width {hidden}",
            _SETTLE_HINT,
        )
