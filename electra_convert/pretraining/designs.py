"""Configurations that models are given in full: read, and put into Google's hparams where those make such models.

A configuration is a config.json of transformers of any architecture, or sizes under the names of its ELECTRA.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from electra_convert.config.hparams import Hparams
from electra_convert.config.keys import OVERRIDES, check_keys
from electra_convert.errors import ConfigError, ElectraConvertError
from electra_convert.formats.files import small_bytes
from electra_convert.formats.json_objects import decode_object
from electra_convert.formats.names import CONFIG_FILE
from electra_convert.schemes.family import ELECTRA
from electra_convert.schemes.mapping import Role

Design = Mapping[str, Any]
Given = str | Path | Mapping[str, Any]

# What a model is shaped by in Google's hparams, under transformers' names.
_SHAPE = frozenset(OVERRIDES) - {"vocab_size"} | {"embedding_size"}
# transformers' ElectraConfig, for what a config.json of ELECTRA leaves out.
_ELECTRA: Design = {
    **{key: value for key, value in OVERRIDES.items() if value is not None},
    "embedding_size": 128,
    "hidden_size": 256,
    "num_hidden_layers": 12,
    "num_attention_heads": 4,
    "intermediate_size": 1024,
}
_SIZES: Mapping[Role, tuple[str, ...]] = {
    "discriminator": ("model_size", "embedding_size", "debug"),
    "generator": ("generator_layers", "generator_hidden_size", "debug"),
}
_PAIRS = (None, "default", "untied_generator_embeddings")
_BOTH = "Give --generator and --discriminator, and none of the hparams that choose a layout."
_KNOWN = ("model_type", "hidden_size", "num_hidden_layers", "embedding_size")
_GOOGLES_EPSILON = 1e-12


def read_designs(generator: Given | None, discriminator: Given | None) -> dict[Role, Design]:
    """Read the configurations that were given, the discriminator's first.

    Raises:
        ConfigError: one cannot be read, or is no configuration.
    """
    given: dict[Role, Given | None] = {"discriminator": discriminator, "generator": generator}
    return {role: _read(one, role) for role, one in given.items() if one is not None}


def _read(given: Given, role: Role) -> Design:
    origin, design = _content(given, role)
    if not any(key in design for key in _KNOWN) or not isinstance(design.get("model_type", ""), str):
        raise ConfigError(
            f"{origin} is no configuration of a model: it has none of {', '.join(_KNOWN)}",
            "Give a config.json of transformers, or sizes such as "
            """'{"embedding_size": 128, "hidden_size": 256, "num_hidden_layers": 12}'.""",
        )
    if "model_type" not in design:
        sizes = {key: value for key, value in design.items() if key != "embedding_size"}
        check_keys({"model_hparam_overrides": sizes}, origin)
        check_keys({key: value for key, value in design.items() if key == "embedding_size"}, origin)
    return design


def _content(given: Given, role: Role) -> tuple[str, Design]:
    if isinstance(given, Mapping):
        return f"--{role}", dict(given)
    if isinstance(given, str) and given.lstrip().startswith("{"):
        text, origin = given.encode(), f"--{role}"
    else:
        path = Path(given) / CONFIG_FILE if Path(given).is_dir() else Path(given)
        origin = str(path)
        try:
            text = small_bytes(path)
        except OSError as error:
            raise ConfigError(
                f"--{role} is {path}, which cannot be read: {error.strerror}",
                "Give a config.json, or the JSON itself.",
            ) from error
    try:
        return origin, decode_object(text, origin)
    except ElectraConvertError as error:
        raise ConfigError(error.message, "Give a config.json of transformers, or the JSON itself.") from error


def of_any_architecture(designs: Mapping[Role, Design], hparams: Hparams) -> str | None:
    """Why Google's hparams cannot make the models; None where they can, or there are no designs."""
    for role, design in designs.items():
        kind = design.get("model_type", ELECTRA.model_type)
        if kind != ELECTRA.model_type:
            return f"the {role} is of the architecture {kind}, and Google's code has ELECTRA alone"
        if design.get("layer_norm_eps", _GOOGLES_EPSILON) != _GOOGLES_EPSILON:
            return f"the {role}'s layer_norm_eps is {design['layer_norm_eps']}, and Google's code has 1e-12 built in"
    return _differing_generator(designs, hparams) if "generator" in designs else None


def completed(designs: Mapping[Role, Design], hparams: Hparams) -> dict[Role, Design]:
    """Designs that Google's hparams cannot make, with what ELECTRA's leave out, and as a record keeps them.

    Raises:
        ConfigError: there is one alone, the hparams ask for other models, or one cannot be written as JSON.
    """
    if len(designs) == 1:
        [role] = designs
        raise ConfigError(f"--{role} is not Google's ELECTRA, so the other model does not follow from it", _BOTH)
    _require_generator(hparams)
    _require_unstated([*_SIZES["discriminator"], *_SIZES["generator"], "model_hparam_overrides"], hparams)
    made: dict[Role, Design] = {}
    for role, design in designs.items():
        sizes = hparams_of(designs, hparams).expected(role, shares_config=False) if "model_type" not in design else {}
        made[role] = {**sizes, "model_type": ELECTRA.model_type, **design}
    try:
        kept: dict[Role, Design] = json.loads(json.dumps(made))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"a configuration cannot be written as JSON: {error}") from error
    return kept


def _differing_generator(designs: Mapping[Role, Design], hparams: Hparams) -> str | None:
    made = hparams_of(designs, hparams).expected("generator", shares_config=False)
    for key, value in _shape(designs["generator"]).items():
        if made[key] != value:
            return f"the generator's {key} is {value}, and Google's code would make it {made[key]}"
    return None


def _shape(design: Design) -> dict[str, Any]:
    whole = {**_ELECTRA, **design} if "model_type" in design else design
    return {key: whole[key] for key in sorted(_SHAPE & whole.keys())}


def hparams_of(designs: Mapping[Role, Design], hparams: Hparams) -> Hparams:
    """The hparams with those in them that make ELECTRA models of such designs.

    Raises:
        ConfigError: they state sizes too.
    """
    given = dict(hparams.given)
    shape = _shape(designs.get("discriminator", {}))
    _require_unstated([*(key for role in designs for key in _SIZES[role]), *shape], hparams)
    if "discriminator" in designs:
        width = shape.pop("embedding_size", None)
        given["model_hparam_overrides"] = {**shape, **hparams.overrides}
        given |= {} if width is None else {"embedding_size": width}
    if "generator" in designs:
        _require_generator(hparams)
        given |= _generator_shares(_shape(designs["generator"]), Hparams(given, ""))
    return Hparams(given, hparams.origin)


def _require_generator(hparams: Hparams) -> None:
    """Refuse a generator's configuration where hparams ask for none of its own."""
    if hparams.layout not in _PAIRS:
        raise ConfigError(f"{hparams.origin}: {hparams.layout} has no generator of its own sizes", _BOTH)


def _require_unstated(keys: Iterable[str], hparams: Hparams) -> None:
    if stated := [key for key in keys if key in {**hparams.given, **hparams.overrides}]:
        raise ConfigError(
            f"{hparams.origin}: {stated[0]} is stated beside a configuration that has the sizes", "Leave it out."
        )


def _generator_shares(shape: Mapping[str, Any], hparams: Hparams) -> dict[str, Any]:
    """What Google's hparams call the generator's width and depth: shares of the discriminator's."""
    main = hparams.expected("discriminator", shares_config=False)
    shares: dict[str, Any] = {}
    for key, name in (("hidden_size", "generator_hidden_size"), ("num_hidden_layers", "generator_layers")):
        if key in shape:
            shares[name] = shape[key] / main[key]
    if shape.get("embedding_size", main["embedding_size"]) != main["embedding_size"]:
        shares["untied_generator_embeddings"] = True
    return shares
