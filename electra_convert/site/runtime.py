"""ONNX Runtime for browsers: npm's package, downloaded once, held to its hash, and kept; no part of this one."""

from __future__ import annotations

import base64
import gzip
import hashlib
import logging
import os
import tarfile
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO, cast

from electra_convert.caches import cache_folder
from electra_convert.errors import CorruptFileError, SourceError, UsageError, unwritable

_LOG = logging.getLogger(__name__)
_REGISTRY = "https://registry.npmjs.org/"
_REGISTRY_IS = ("npm_config_registry", "NPM_CONFIG_REGISTRY")  # as npm itself has them
_PATIENCE = 60.0  # seconds without a byte
_PIECE = 1 << 20


@dataclass(frozen=True)
class Package:
    """A version of a package on npm.

    Attributes:
        name: what npm calls it.
        version: which.
        integrity: the SHA-512 of its archive, in base64, as npm states it.
        size: of the archive, in bytes.
        files: what is taken of it, by path within the archive, and what each is called here.
    """

    name: str
    version: str
    integrity: str
    size: int
    files: Mapping[str, str]

    @property
    def archive(self) -> str:
        """What its archive is called."""
        return f"{self.name}-{self.version}.tgz"


ONNXRUNTIME_WEB = Package(
    "onnxruntime-web",
    "1.30.0",
    "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==",
    33_106_585,
    # Not every server knows .mjs, and a browser runs no module that is not said to be JavaScript.
    {
        "package/dist/ort.wasm.min.mjs": "ort.wasm.min.js",
        "package/dist/ort-wasm-simd-threaded.mjs": "ort-wasm-simd-threaded.js",
        "package/dist/ort-wasm-simd-threaded.wasm": "ort-wasm-simd-threaded.wasm",
    },
)


def runtime_archive(package: Package = ONNXRUNTIME_WEB) -> Path:
    """Give the archive of the runtime, downloaded unless it is kept already.

    npm_config_registry names another registry than npm's, as for npm itself.

    Raises:
        SourceError: it cannot be downloaded, or is another than was meant.
        OutputError: it cannot be kept.
    """
    kept = cache_folder("packages") / package.archive
    if kept.is_file() and _hash_of(kept) == package.integrity:
        return kept
    address = _address(package)
    _LOG.info(f"Downloading {package.archive} ({package.size / 1e6:.0f} MB), which is kept in {kept.parent}.")
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with _part(kept) as part:
            _download(address, part, package.size)
            if _hash_of(part) != package.integrity:
                raise SourceError(
                    f"{address} is not the {package.archive} that was meant: its SHA-512 differs",
                    "Is npm_config_registry a registry that hands on npm's packages as they are?",
                )
            part.replace(kept)
    except (ValueError, HTTPException, urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise SourceError(
            f"{address}, which the page runs its model with, cannot be downloaded: {error}",
            f"It is downloaded once. Without a network, bring that file from elsewhere to {kept}.",
        ) from error
    except OSError as error:
        raise unwritable(kept, error) from error
    return kept


def runtime_files(archive: Path, package: Package = ONNXRUNTIME_WEB) -> dict[str, bytes]:
    """Take the files of the runtime out of its archive, whose hash was checked, under their names here.

    Raises:
        CorruptFileError: one is not in it.
    """
    try:
        with tarfile.open(archive, "r:gz") as opened:
            members = ((name, opened.extractfile(path)) for path, name in package.files.items())
            return {name: member.read() for name, member in members if member is not None}
    except (KeyError, tarfile.TarError, gzip.BadGzipFile, EOFError) as error:
        raise CorruptFileError(f"{archive} lacks a file of the runtime: {error}", "Remove it.") from error


def _address(package: Package) -> str:
    given = next((os.environ[name] for name in _REGISTRY_IS if os.environ.get(name)), _REGISTRY)
    if not given.startswith(("https://", "http://")):
        raise UsageError(f"npm_config_registry is {given!r}, expected an address that begins with https://")
    return f"{given.rstrip('/')}/{package.name}/-/{package.archive}"


def _download(address: str, place: Path, size: int) -> None:
    with urllib.request.urlopen(address, timeout=_PATIENCE) as answer, place.open("wb") as file:
        left = size
        while piece := cast(BinaryIO, answer).read(min(_PIECE, left)):
            file.write(piece)
            left -= len(piece)


@contextmanager
def _part(kept: Path) -> Iterator[Path]:
    """A file beside the one that is kept, under a name of its own: two runs may download at once."""
    descriptor, name = tempfile.mkstemp(".part", kept.name, kept.parent)
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _hash_of(path: Path) -> str:
    with path.open("rb") as file:
        return base64.b64encode(hashlib.file_digest(file, "sha512").digest()).decode()
