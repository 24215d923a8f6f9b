"""Which files of a repository are needed: the weights that transformers would take, and what is read beside them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from electra_convert.formats.locate import PAIR
from electra_convert.formats.names import (
    ADAPTER_FILE,
    BESIDE_FILE,
    CONFIG_FILE,
    CONVERSION_FILE,
    HPARAMS_FILE,
    MODULES_FILE,
    OPTIMIZER_FILE,
    SAVED_MODEL_FILE,
    SHARD_INDEX,
    STATE_FILE,
    TOKENIZER_CONFIG_FILE,
    TOKENIZER_FILE,
    TRAINING_FILE,
    VOCABULARY_FILE,
    is_module,
    is_ones_own,
    kind_of,
    limit_of,
)

# What from_pretrained looks for, in its order, and the shards that an index stands for.
_WEIGHTS = (
    re.compile(r"model\.safetensors"),
    re.compile(r"model\.safetensors\.index\.json|model-\d{5}-of-\d{5}\.safetensors"),
    re.compile(r"pytorch_model\.bin"),
    re.compile(r"pytorch_model\.bin\.index\.json|pytorch_model-\d{5}-of-\d{5}\.bin"),
    re.compile(r"tf_model\.h5"),
    re.compile(r"tf_model\.h5\.index\.json|tf_model-\d{5}-of-\d{5}\.h5"),
    re.compile(r"flax_model\.msgpack"),
    re.compile(r"flax_model\.msgpack\.index\.json|flax_model-\d{5}-of-\d{5}\.msgpack"),
)
# Made of a TensorFlow checkpoint where one lies beside it.
_KERAS = "tf_model"
_TENSORFLOW = re.compile(
    r"checkpoint|[^/]*\.(index|meta|data-\d{5}-of-\d{5})|saved_model\.pb|variables/variables\.[^/]*"
)
# What this tool reads beside any weights, whatever their size; what else is carried is told by kind_of.
_USED = frozenset(
    {
        *(CONFIG_FILE, HPARAMS_FILE, CONVERSION_FILE, TRAINING_FILE, OPTIMIZER_FILE, BESIDE_FILE, ADAPTER_FILE),
        *(VOCABULARY_FILE, f"assets/{VOCABULARY_FILE}", TOKENIZER_FILE, TOKENIZER_CONFIG_FILE),
        *(f"{half}_config/{CONFIG_FILE}" for half in PAIR),
    }
)


def needed_files(names: Iterable[str], path: str, code: bool = False) -> tuple[list[str], str]:
    """Choose what to download: the weights that transformers would take, and what is used or carried beside them.

    Args:
        names: of all files of a repository.
        path: what is meant in it: nothing for the repository itself, a folder, a file, or a TensorFlow prefix.
        code: whether Python code is wanted too.

    Returns:
        The names to download, none where there are no weights that can be read; and the path to point at, which is a
        file of weights where its folder holds a TensorFlow checkpoint too.
    """
    every = sorted(names)
    inside = _within(every, path)
    if inside or not path:
        chosen, weights = _of_folder(inside, code)
        return _under(path, chosen), _join(path, weights)
    folder, _, name = path.rpartition("/")
    beside = _within(every, folder)
    chosen = [other for other in beside if other == name or _belongs(other, name)]
    if not chosen:
        return [], path
    return _under(folder, [*chosen, *(other for other in _beside(beside, code) if other not in chosen)]), path


def _of_folder(names: Sequence[str], code: bool) -> tuple[list[str], str]:
    """What is needed of a folder, and the file of it to point at where a TensorFlow checkpoint is there too."""
    tensorflow = [name for name in names if _TENSORFLOW.fullmatch(name)]
    if (weights := _weights(names)) and not (tensorflow and weights[0].startswith(_KERAS)):
        index = next((name for name in weights if name.endswith(".json")), weights[0])
        return [*weights, *_beside(names, code)], index if tensorflow else ""
    if tensorflow:
        return [*tensorflow, *_beside(names, code)], ""
    halves = {half: _within(names, half) for half in PAIR}
    chosen = {
        half: [*weights, *_beside(inside, code)] for half, inside in halves.items() if (weights := _weights(inside))
    }
    return [name for half, wanted in chosen.items() for name in _under(half, wanted)], ""


def _weights(names: Sequence[str]) -> list[str]:
    """The weights that transformers would take, or else the one file that a program of one's own saved."""
    found = ([name for name in names if pattern.fullmatch(name)] for pattern in _WEIGHTS)
    own = [name for name in names if "/" not in name and is_ones_own(name)]
    return next(filter(None, found), own if len(own) == 1 else [])


def _beside(names: Sequence[str], code: bool) -> list[str]:
    kinds = {"tokenizer", "settings", *(["code"] if code else [])}
    has_modules = MODULES_FILE in names
    folders = {"", *(name.partition("/")[0] for name in names if has_modules and is_module(name.partition("/")[0]))}
    return [
        name for name in names if name in _USED or (name.rpartition("/")[0] in folders and kind_of(name) in kinds)
    ]


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
    return "/".join(part for part in (folder, name) if part)


def is_too_large(name: str, size: int) -> bool:
    """Whether a file would be carried if it were smaller."""
    return name.rpartition("/")[2] not in _USED and 0 < limit_of(kind_of(name)) < size
