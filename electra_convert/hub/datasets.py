"""hf://datasets/OWNER/NAME[@REVISION][/CONFIG/SPLIT]: the Parquet files of a split, in huggingface_hub's cache."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from electra_convert.errors import HubError, SourceError, UsageError, counted, listing, nearest
from electra_convert.frameworks import import_huggingface_hub
from electra_convert.hub.answers import Listing
from electra_convert.hub.client import Hub, Tell
from electra_convert.hub.download import (
    PARQUET_REVISION,
    SCHEME,
    Address,
    cached_files,
    download_files,
    list_files,
    parse_address,
)

_PREFIX = f"{SCHEME}datasets/"
_PAGE = "https://huggingface.co/datasets/"
# What the Hub makes of any data set; of a large one, the first 5 GB.
_CONVERTED = re.compile(r"([^/]+)/(partial-)?([^/]+)/\d+\.parquet")
# What the library `datasets` pushes, and most people; in data/ where the config has no name.
_PUSHED = re.compile(r"(?:(.+)/)?([^/]+?)(?:-\d{5}-of-\d{5}(?:-[0-9a-f]+)?)?\.parquet")
_UNNAMED, _TRAINING = "default", "train"


@dataclass(frozen=True)
class Split:
    """The files of a split of a data set.

    Attributes:
        source: the address that was given.
        address: of the revision they are in.
        config: one of the data set's parts or versions.
        name: the split.
        sizes: of each file, in bytes, by its name; None where it is in the cache already.
        is_partial: whether the Hub has the beginning of a larger one alone.
    """

    source: str
    address: Address
    config: str
    name: str
    sizes: Mapping[str, int | None]
    is_partial: bool = False

    @property
    def description(self) -> str:
        """What is about to be read, and how large it is."""
        files = counted(len(self.sizes), "Parquet file")
        known = [size for size in self.sizes.values() if size is not None]
        size = f", {sum(known) / 1e6:,.1f} MB" if len(known) == len(self.sizes) else ", from the cache"
        rest = "; the Hub has the first part of it alone as Parquet" if self.is_partial else ""
        return f"{self.source} is {self.config}/{self.name} at {self.address.revision}: {files}{size}{rest}."


def is_dataset(place: object) -> bool:
    """Whether something is the address of a data set, on the Hub or of its page."""
    return isinstance(place, str) and place.startswith((_PREFIX, _PAGE))


class Datasets:
    """The data sets of a Hub.

    Args:
        tell: told what is waited for.
    """

    def __init__(self, tell: Tell) -> None:
        self._hub = Hub(None, tell, reading=True)
        self._there: dict[Address, Listing] = {}

    def find(self, source: str) -> Split:
        """Find the files of a split; downloads none.

        Args:
            source: hf://datasets/OWNER/NAME[@REVISION][/CONFIG/SPLIT]; by default what the Hub made of it, the
                config called default or the only one, and the split called train or the only one.

        Raises:
            UsageError: the address is malformed, or leaves open what is meant.
            SourceError: there are no Parquet files.
            HubError: the Hub cannot be asked.
        """
        if source.startswith(_PAGE):
            named = "/".join(source.removeprefix(_PAGE).split("/")[:2])
            raise UsageError(f"{source} is the address of a page", f"Give it as {_PREFIX}{named}.")
        address = parse_address(source, "dataset")
        if self._hub.is_offline:
            sizes: dict[str, int | None] = dict.fromkeys(cached_files(source, address))
        else:
            address, sizes = self._listed(source, address)
        found = {name: size for name, size in sorted(sizes.items()) if name.endswith(".parquet")}
        if not found:
            raise SourceError(
                f"{source} has no Parquet files at {address.revision}",
                "Download its files, and give these, with --text-column.",
            )
        return _chosen(source, address, found)

    def _listed(self, source: str, address: Address) -> tuple[Address, dict[str, int | None]]:
        library: Any = import_huggingface_hub("to read from the Hub")
        try:
            there = list_files(self._hub, source, address)
        except HubError as error:
            if address.revision != PARQUET_REVISION or not isinstance(
                error.__cause__, library.errors.RevisionNotFoundError
            ):
                raise
            address = replace(address, revision="main")
            there = list_files(self._hub, source, address)
        self._there[address] = there
        return address, {name: file.size for name, file in there.files.items()}

    def download(self, split: Split, names: Sequence[str]) -> list[Path]:
        """Bring files of a split here; what is in the cache is not downloaded again.

        Raises:
            SourceError: the cache lacks one, and HF_HUB_OFFLINE is set.
            HubError: one cannot be downloaded.
        """
        folder = download_files(self._hub, split.source, split.address, list(names), self._there.get(split.address))
        return [folder / name for name in names]


def _chosen(source: str, address: Address, sizes: Mapping[str, int | None]) -> Split:
    if address.path in sizes:
        return Split(source, address, *_part_of(address.path)[:2], {address.path: sizes[address.path]})
    parts: dict[str, dict[str, list[str]]] = {}
    partial = set()
    for file in sizes:
        config, split, is_partial = _part_of(file)
        parts.setdefault(config, {}).setdefault(split, []).append(file)
        partial |= {(config, split)} if is_partial else set()
    wanted_config, _, wanted_split = address.path.partition("/")
    config = _one_of(source, "config", list(parts), wanted_config, _UNNAMED)
    split = _one_of(source, f"split of {config}", list(parts[config]), wanted_split, _TRAINING)
    files = {file: sizes[file] for file in parts[config][split]}
    return Split(source, address, config, split, files, (config, split) in partial)


def _part_of(file: str) -> tuple[str, str, bool]:
    """The config and the split that a file is of, and whether it is of the first part alone."""
    if converted := _CONVERTED.fullmatch(file):
        return converted[1], converted[3], converted[2] is not None
    pushed = _PUSHED.fullmatch(file)
    assert pushed is not None  # it ends in .parquet
    return pushed[1] if pushed[1] not in (None, "data") else _UNNAMED, pushed[2], False


def _one_of(source: str, what: str, names: list[str], wanted: str, usual: str) -> str:
    """The name that is wanted; where none is, the usual one, or the only one."""
    if wanted in names:
        return wanted
    if wanted:
        meant = nearest(wanted, names)
        raise UsageError(
            f"{source}: there is no {what} called {wanted}; there are {listing(names)}",
            f"Did you mean {meant}?" if meant else f"It goes like this: {_PREFIX}OWNER/NAME/CONFIG/SPLIT",
        )
    if usual in names or len(names) == 1:
        return usual if usual in names else names[0]
    raise UsageError(
        f"{source} leaves open which {what} is meant: {listing(names)}",
        f"It goes like this: {_PREFIX}OWNER/NAME/CONFIG/SPLIT",
    )
