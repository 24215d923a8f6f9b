"""The two architectures that google-research/electra's hparams make; nothing from any other source.

The arithmetic is that of util/training_utils.py (get_bert_config) and run_pretraining.py (get_generator_config, the
debug settings); the keys are in keys.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from electra_convert.config.keys import (
    HANDLED,
    IGNORED,
    MODEL_SIZES,
    OVERRIDES,
    OWN,
    SPELT_OUT,
    SWITCHES,
    TRAINING,
    activation,
    check_keys,
    split_keys,
)
from electra_convert.errors import ConfigError, UsageError, listing
from electra_convert.formats.files import small_text
from electra_convert.formats.json_objects import decode_json
from electra_convert.schemes.mapping import Role

_SMALL_EMBEDDING = 128
_INLINE = "--hparams"
_TRUTHY = "Google's code takes any text for true."
_UNUSED = "Google's pretraining does not use it."
_QUOTES = "In JSON, names and texts stand in double quotes, and no comma follows the last."
LAYOUT_KEYS = (
    "electra_objective",
    "electric_objective",
    "uniform_generator",
    "two_tower_generator",
    "untied_generator_embeddings",
    "untied_generator",
)
_DEBUG = {"hidden_size": 144, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 576}


@dataclass(frozen=True)
class Hparams:
    """The hparams a run was started with.

    Attributes:
        given: the keys that were given, with their values.
        origin: where they were given, for messages and the record.
        warnings: what was taken in another way than it is written.
    """

    given: Mapping[str, Any]
    origin: str
    warnings: tuple[str, ...] = ()

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401 - JSON values
        return self.given[key] if key in self.given else {**HANDLED, **TRAINING, **OWN}[key]

    @property
    def overrides(self) -> Mapping[str, Any]:
        """The transformer's own hparams that were given."""
        return self.given.get("model_hparam_overrides") or {}

    @property
    def layout_keys(self) -> dict[str, bool]:
        """Those given that decide which variables a run has."""
        return {key: self.given[key] for key in LAYOUT_KEYS if key in self.given}

    @property
    def layout(self) -> str | None:
        """The layout of variables that a run has: PretrainingModel.__init__ of run_pretraining.py.

        None where no key that decides it was given.
        """
        if not self.layout_keys:
            return None
        if self["uniform_generator"]:
            return "uniform_generator"
        if not (self["electra_objective"] or self["electric_objective"]):
            return "masked_lm"
        if not self["untied_generator"]:
            return "tied_generator"
        if self["two_tower_generator"]:
            return "two_tower_generator"
        return "untied_generator_embeddings" if self["untied_generator_embeddings"] else "default"

    def expected(self, role: Role, shares_config: bool) -> dict[str, Any]:
        """The architecture that these hparams give a model.

        Returns:
            The values by their names in transformers' ElectraConfig.
        """
        values = self._discriminator()
        if role == "generator" and not shares_config:
            hidden = round(values["hidden_size"] * self["generator_hidden_size"])
            embedding = hidden if self["untied_generator_embeddings"] else values["embedding_size"]
            values |= {
                "hidden_size": hidden,
                "num_hidden_layers": round(values["num_hidden_layers"] * self["generator_layers"]),
                "intermediate_size": 4 * hidden,
                "num_attention_heads": google_heads(hidden),
                "embedding_size": embedding,
            }
        return values

    def _discriminator(self) -> dict[str, Any]:
        hidden, layers = MODEL_SIZES[self["model_size"]]
        values = {"vocab_size": self["vocab_size"], "hidden_size": hidden, "num_hidden_layers": layers}
        values = {**OVERRIDES, **values, **self.overrides}
        hidden = values["hidden_size"]
        values["num_attention_heads"] = self.overrides.get("num_attention_heads", google_heads(hidden))
        values["intermediate_size"] = self.overrides.get("intermediate_size", 4 * hidden)
        values["hidden_act"] = activation(values["hidden_act"])
        # transformers refuses a config.json with a whole number here.
        values["initializer_range"] = float(values["initializer_range"])
        values |= _DEBUG if self["debug"] else {}
        small = _SMALL_EMBEDDING if self["model_size"] == "small" else None
        width = self.given.get("embedding_size", small)
        return values | {"embedding_size": values["hidden_size"] if width is None else width}

    def states(self, key: str, role: Role, shares_config: bool) -> bool:
        """Whether a value of the architecture follows from a key that was given, not from a default alone."""
        if self["debug"] and key in _DEBUG:
            return True
        own = {"hidden_size": "generator_hidden_size", "num_hidden_layers": "generator_layers"}
        if self["untied_generator_embeddings"]:
            own["embedding_size"] = "generator_hidden_size"
        if role == "generator" and not shares_config and key in own:
            return own[key] in self.given
        if key in {"hidden_size", "num_hidden_layers"}:
            return key in self.overrides or "model_size" in self.given
        return key in self.given or key in self.overrides


def google_heads(hidden: int) -> int:
    """The head count that get_bert_config and get_generator_config give a hidden width."""
    return max(1, hidden // 64)


def read_hparams(text: str) -> Hparams:
    """Read hparams as run_pretraining.py's --hparams takes them: JSON, or the name of a file that holds it.

    Raises:
        ConfigError: not JSON, an unknown key, or a value of the wrong kind.
    """
    if not text.strip():
        raise ConfigError("--hparams is empty", "Give a JSON file, or the JSON itself.")
    if text.lstrip().startswith("{"):
        return parse_hparams(text, _INLINE)
    return read_hparams_file(Path(text), f"--hparams {Path(text).name}")


def read_hparams_beside(path: Path) -> Hparams:
    """Read the hparams that lie beside a checkpoint; keys of a fork of Google's code are passed over, with a warning.

    Raises:
        ConfigError: it cannot be read, is not JSON, or a known key has a value of the wrong kind.
    """
    return read_hparams_file(path, path.name, of_a_fork=True)


def read_hparams_file(path: Path, origin: str, of_a_fork: bool = False) -> Hparams:
    """Read a file of hparams; of a fork's, keys that Google's code does not know are left out, with a warning.

    Raises:
        ConfigError: it cannot be read, is not JSON, has an unknown key, or a value of the wrong kind.
    """
    try:
        return parse_hparams(small_text(path), origin, of_a_fork)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text, or no path"
        raise ConfigError(f"{path} cannot be read: {reason}", "Give a JSON file, or the JSON itself.") from error


def parse_hparams(text: str, origin: str, of_a_fork: bool = False) -> Hparams:
    """Check hparams given as JSON text; see read_hparams_file for those of a fork.

    Raises:
        ConfigError: not a JSON object, an unknown key, or a value of the wrong kind.
    """
    try:
        given = decode_json(text)
    except ValueError as error:
        shell = " In a shell, put single quotes around all of it." if origin == _INLINE else ""
        raise ConfigError(f"{origin} is not JSON: {error}", f"{_QUOTES}{shell}") from error
    if not isinstance(given, dict):
        raise ConfigError(f"{origin} is not a JSON object", 'Give one such as {"model_size": "base"}.')
    known, unknown = split_keys(given) if of_a_fork else (given, [])
    check_keys(known, origin)
    read = _spelt_out(Hparams(known, origin))
    if not unknown:
        return read
    warning = (
        f"{origin} has keys that google-research/electra does not know; they are passed over: {listing(unknown)}."
    )
    return replace(read, warnings=(*read.warnings, warning))


def _spelt_out(hparams: Hparams) -> Hparams:
    """The same hparams, switches true or false where they are the text "true" or "false", as a tutorial has them."""
    meant = {
        key: SPELT_OUT[value.lower()]
        for key, value in hparams.given.items()
        if key in SWITCHES and isinstance(value, str) and value.lower() in SPELT_OUT
    }
    warnings = tuple(
        f'{hparams.origin} has {key} "{hparams.given[key]}", a text; it is taken for {str(value).lower()}, without '
        f"quotes. {_UNUSED if key == 'do_lower_case' else _TRUTHY}"
        for key, value in meant.items()
        if key not in IGNORED
    )
    return replace(hparams, given={**hparams.given, **meant}, warnings=warnings)


def hparams_text(given: str | Path | Mapping[str, Any] | None) -> str | None:
    """Hparams as the command line takes them: JSON, or the name of a file that holds it."""
    if isinstance(given, Mapping):
        try:
            return json.dumps(dict(given))
        except (TypeError, ValueError) as error:
            raise UsageError(f"--hparams cannot be written as JSON: {error}") from error
    return str(given) if isinstance(given, Path) else given
