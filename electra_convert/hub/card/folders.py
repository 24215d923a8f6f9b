"""The model folders that a folder stands for: itself, or the two of a pair; what is in them is read elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from electra_convert.config.transformers import read_config, role_of_config
from electra_convert.errors import SourceError, UsageError
from electra_convert.formats.locate import Location, locate
from electra_convert.formats.names import CONFIG_FILE
from electra_convert.hub.card.contents import PICKLES, SAFETENSORS
from electra_convert.schemes.mapping import Role


def find_models(folder: Path) -> tuple[Path, ...]:
    """Find the model folders that a folder stands for.

    Args:
        folder: a transformers model folder, or a pair of them.

    Returns:
        The folder itself, or the two of a pair, the discriminator first.

    Raises:
        SourceError: it is not such a folder, or a half of the pair holds what the other should.
        ConfigError: the config.json of a half is not an ELECTRA model's.
        UsageError: it is on the Hub.
    """
    if folder.parts[:1] == ("hf:",) and not folder.exists():
        raise UsageError(
            f"FOLDER is {folder}, which is on the Hub, expected a folder here",
            "Convert it first: electra-convert convert hf://OWNER/REPO OUTPUT, then verify it.",
        )
    if folder.exists() and not folder.is_dir():
        raise SourceError(f"{folder} is not a folder", "Give the model's folder.")
    locations = locate(folder)
    for location in locations:
        _require_model(location)
        _require_half(location.folder, folder)
    return tuple(location.folder for location in locations)


def _require_model(location: Location) -> None:
    if location.container == "tensorflow":
        raise SourceError(
            f"{location.folder} holds a TensorFlow checkpoint, which no reader of the Hub loads",
            "Convert it first: electra-convert convert SOURCE OUTPUT, then verify it.",
        )
    if location.path.name not in {*SAFETENSORS, *PICKLES}:
        raise SourceError(
            f"{location.path} is not a file that from_pretrained looks for", "Convert it into a folder of its own."
        )
    if not (location.folder / CONFIG_FILE).is_file():
        raise SourceError(f"{location.folder} has no config.json", "Convert the model into a folder of its own.")


def _require_half(path: Path, folder: Path) -> None:
    """The folder's name decides what the repository is called."""
    half = pair_name(path, folder)
    if half is not None and (role := role_of_config(read_config(path / CONFIG_FILE))) != half:
        raise SourceError(f"{path} holds a {role}, expected a {half}", "Call each half of a pair what it is.")


def strays_beside(models: Sequence[Path], folder: Path) -> list[str]:
    """Names of what stands beside the models of a pair; nobody looks for it there."""
    return [] if tuple(models) == (folder,) else sorted(one.name for one in folder.iterdir() if one not in models)


def pair_name(path: Path, folder: Path) -> Role | None:
    """Which half of a pair a model folder is, or None where it stands alone."""
    roles: tuple[Role, ...] = ("discriminator", "generator")
    return next((role for role in roles if path == folder / role), None)
