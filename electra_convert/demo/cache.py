"""Models converted for transformers to load, kept between runs by their content; never beside the source."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from electra_convert.checkpoint import Checkpoint
from electra_convert.conversion import run_conversion
from electra_convert.errors import OutputError
from electra_convert.options import Options
from electra_convert.targets.plan import Progress
from electra_convert.targets.tokenizers import VOCABULARY
from electra_convert.tensors import PIECE_BYTES
from electra_convert.version import __version__

# Beyond this, what was not used for longest goes first.
LARGEST_CACHE = 4 << 30  # bytes
# What was used this recently may be being loaded by another run.
_IN_USE = 3600.0  # seconds
_REMOVED = ".removed"
# Files beside a checkpoint that say something of its models.
_BESIDE = (
    "hparams.json",
    "config.json",
    "conversion.json",
    "tokenizer.json",
    "tokenizer_config.json",
    VOCABULARY,
    f"assets/{VOCABULARY}",
)


def cache_folder() -> Path:
    """Where converted models are kept: `electra_convert` in XDG_CACHE_HOME, or in ~/.cache."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    # An XDG path that is not absolute is to be ignored (XDG Base Directory Specification).
    return (Path(home) if Path(home).is_absolute() else Path.home() / ".cache") / "electra_convert"


def converted(checkpoint: Checkpoint, options: Options, progress: Progress | None = None) -> Path:
    """Find a model of a checkpoint among those converted before, or convert it.

    Args:
        checkpoint: the opened checkpoint.
        options: which model, and what is known of it.
        progress: told how many bytes of how many have been read.

    Returns:
        A transformers model folder, complete.

    Raises:
        ElectraConvertError: it cannot be converted, or the cache cannot be written.
    """
    place = cache_folder() / f"{options.model}-{content_key(checkpoint, options)}"
    if not place.is_dir():
        _convert(checkpoint.path, place, options, progress)
        _shrink(place)
    with suppress(OSError):
        os.utime(place)
    return place


def _convert(source: Path, place: Path, options: Options, progress: Progress | None) -> None:
    try:
        run_conversion(source, place, options, progress)
    except OutputError as error:
        # Another run may have made the same meanwhile.
        if not place.is_dir():
            raise OutputError(error.message, "XDG_CACHE_HOME chooses another place for converted models.") from error


def content_key(checkpoint: Checkpoint, options: Options) -> str:
    """Name what a conversion would be made of.

    Args:
        checkpoint: the opened checkpoint.
        options: which model, and what is known of it.

    Returns:
        32 hexadecimal digits of the SHA-256 of every tensor's checksum, or bytes where the container has none, of the
        files beside it and those that options name, and of this tool's version.
    """
    digest = hashlib.sha256()
    files = [checkpoint.folder / name for name in _BESIDE] + ([checkpoint.graph] if checkpoint.graph else [])
    told = (
        __version__,
        options.model,
        options.hparams if options.hparams and not _is_file(options.hparams) else None,
    )
    digest.update(json.dumps(told).encode())
    for path in (*files, *options.inputs):
        with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError), path.open("rb") as file:
            digest.update(f"{path.name}:{hashlib.file_digest(file, 'sha256').hexdigest()}".encode())
    _add_tensors(digest, checkpoint)
    return digest.hexdigest()[:32]


def _is_file(hparams: str) -> bool:
    return not hparams.lstrip().startswith("{")


def _add_tensors(digest: hashlib._Hash, checkpoint: Checkpoint) -> None:
    scratch = memoryview(bytearray(PIECE_BYTES))
    for source in checkpoint.sources:
        for name, tensor in sorted(source.tensors.items()):
            digest.update(json.dumps([name, tensor.dtype.name, tensor.shape, tensor.checksum]).encode())
            if tensor.checksum is None:
                for piece in tensor.stream(scratch):
                    digest.update(piece)


def _shrink(kept: Path) -> None:
    """Remove what was not used for longest, so that the cache does not grow without end."""
    folders = [path for path in kept.parent.iterdir() if path.is_dir() and path != kept]
    _remove(path for path in folders if path.name.endswith(_REMOVED))
    entries = [path for path in folders if not path.name.startswith(".")]
    used = {path: path.stat().st_mtime for path in entries}
    total = _size(kept) + sum(_size(path) for path in entries)
    for path in sorted(entries, key=lambda path: used[path]):
        if total <= LARGEST_CACHE or time.time() - used[path] < _IN_USE:
            break
        total -= _size(path)
        _remove([path])


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _remove(folders: Iterable[Path]) -> None:
    for folder in folders:
        # Renamed first: a model under its own name is complete.
        aside = folder if folder.name.endswith(_REMOVED) else folder.with_name(f".{folder.name}{_REMOVED}")
        with suppress(OSError):
            folder.rename(aside)
            shutil.rmtree(aside, ignore_errors=True)
