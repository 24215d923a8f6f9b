"""Which files of a repository a source needs: the weights that transformers would take, and what lies beside them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from electra_convert.formats.locate import PAIR
from electra_convert.formats.names import SAVED_MODEL_FILE, SHARD_INDEX, STATE_FILE

# What from_pretrained looks for, in its order, and the shards that an index stands for.
_WEIGHTS = (
    re.compile(r"model\.safetensors"),
    re.compile(r"model\.safetensors\.index\.json|model-\d{5}-of-\d{5}\.safetensors"),
    re.compile(r"pytorch_model\.bin"),
    re.compile(r"pytorch_model\.bin\.index\.json|pytorch_model-\d{5}-of-\d{5}\.bin"),
)
_TENSORFLOW = re.compile(
    r"checkpoint|[^/]*\.(index|meta|data-\d{5}-of-\d{5})|saved_model\.pb|variables/variables\.[^/]*"
)
_BESIDE = frozenset(
    """
    config.json hparams.json vocab.txt assets/vocab.txt tokenizer.json tokenizer_config.json special_tokens_map.json
    added_tokens.json conversion.json parity.json training.json optimizer.safetensors
    """.split()
)


def needed_files(names: Iterable[str], path: str) -> tuple[list[str], str]:
    """Choose what to download.

    Args:
        names: of all files of a repository.
        path: what is meant in it: nothing for the repository itself, a folder, a file, or a TensorFlow prefix.

    Returns:
        The names to download, none of them weights where there are none that can be read; and the path to point at,
        which is a file of weights where its folder holds a TensorFlow checkpoint too.
    """
    every = sorted(names)
    inside = _within(every, path)
    if inside or not path:
        return _of_folder(inside, path)
    folder, name = _parts(path)
    beside = _within(every, folder)
    chosen = [other for other in beside if other == name or _belongs(other, name)]
    if not chosen:
        return [], path
    return _under(folder, [*chosen, *(other for other in beside if other in _BESIDE and other not in chosen)]), path


def _of_folder(names: Sequence[str], folder: str) -> tuple[list[str], str]:
    beside = [name for name in names if name in _BESIDE]
    for pattern in _WEIGHTS:
        if weights := [name for name in names if pattern.fullmatch(name)]:
            first = next((name for name in weights if name.endswith(".json")), weights[0])
            mixed = any(_TENSORFLOW.fullmatch(name) for name in names)
            return _under(folder, [*weights, *beside]), _join(folder, first) if mixed else folder
    if tensorflow := [name for name in names if _TENSORFLOW.fullmatch(name)]:
        return _under(folder, [*tensorflow, *beside]), folder
    found: list[str] = []
    for half in PAIR:
        found += _under(half, _of_half(_within(names, half)))
    return _under(folder, found), folder


def _of_half(names: Sequence[str]) -> list[str]:
    for pattern in _WEIGHTS:
        if weights := [name for name in names if pattern.fullmatch(name)]:
            return [*weights, *(name for name in names if name in _BESIDE)]
    return []


def _belongs(name: str, given: str) -> bool:
    """Whether a file is of the TensorFlow checkpoint, or a shard of the index, that a name stands for."""
    if given.endswith(SHARD_INDEX):
        return any(pattern.fullmatch(given) and pattern.fullmatch(name) for pattern in _WEIGHTS)
    if given in {STATE_FILE, SAVED_MODEL_FILE}:
        return _TENSORFLOW.fullmatch(name) is not None
    prefix = re.sub(r"\.index$|\.meta$|\.data-\d{5}-of-\d{5}$", "", given)
    return name.startswith(f"{prefix}.") and _TENSORFLOW.fullmatch(name) is not None


def _within(names: Iterable[str], folder: str) -> list[str]:
    if not folder:
        return list(names)
    return [name.removeprefix(f"{folder}/") for name in names if name.startswith(f"{folder}/")]


def _under(folder: str, names: Iterable[str]) -> list[str]:
    return [_join(folder, name) for name in names]


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _parts(path: str) -> tuple[str, str]:
    pure = PurePosixPath(path)
    return "" if pure.parent == PurePosixPath(".") else str(pure.parent), pure.name
