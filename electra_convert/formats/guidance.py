"""What to say of what is no checkpoint: what is there instead, and what to point at or to do; opens no file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from electra_convert.errors import CorruptFileError, listing
from electra_convert.formats.names import BUNDLE_INDEX, SAFETENSORS_FILE, SAVED_MODEL_FILE, SHARD_INDEX, TORCH_FILE

WANTED = "no .index with its .data files, no model.safetensors, no pytorch_model.bin"
WHOLE = "A TensorFlow checkpoint is its .index and all its .data files together."
_OLD_TOOLS = "transformers 4.57 still loads it (from_tf / from_flax); save it there with save_pretrained first."
_UNPACK = "Unpack it, and give the folder or the checkpoint in it."
_ELSEWHERE = "Look for the checkpoint it was made from."
# What a model may come in that is not read, and what to do about it; by the ending of the file's name.
UNREADABLE = {
    ".h5": ("a Keras file", _OLD_TOOLS),
    ".keras": ("a Keras file", _ELSEWHERE),
    ".msgpack": ("a flax file", _OLD_TOOLS),
    ".onnx": ("an ONNX file", _ELSEWHERE),
    ".tflite": ("a TensorFlow Lite file", _ELSEWHERE),
    ".zip": ("an archive", _UNPACK),
    ".tar": ("an archive", _UNPACK),
    ".gz": ("a packed file", _UNPACK),
    ".tgz": ("an archive", _UNPACK),
}
_MODELS = frozenset({SAFETENSORS_FILE, TORCH_FILE, SAVED_MODEL_FILE})
_HALVES = frozenset({"discriminator", "generator"})
# What is looked at to tell a file from what a download may leave in its place, and what that begins with.
START_BYTES = 64
_PLACEHOLDERS = (
    (
        re.compile(rb"version https://git-lfs\.github\.com/spec/"),
        "a Git LFS pointer, which stands for a file that was not downloaded",
        "Run git lfs pull in the repository, or download the file itself.",
    ),
    (
        re.compile(rb"\s*<(!doctype\s+html|html[\s>])", re.IGNORECASE),
        "a web page, not the file that its name says",
        "Download it again: the address led to a page that asks for something, or reports an error.",
    ),
)
# A hint is not worth walking through a whole disk.
_DEEPEST = 3
_MOST_FOLDERS = 500


def refuse_placeholder(path: Path, start: bytes) -> None:
    """Refuse what a download may leave in a file's place.

    Args:
        path: the file.
        start: its first START_BYTES bytes.

    Raises:
        CorruptFileError: says what it is.
    """
    for pattern, what, cure in _PLACEHOLDERS:
        if pattern.match(start):
            raise CorruptFileError(f"{path} is {what}", cure)


def about_missing(path: Path, indices: Sequence[Path]) -> str:
    """What to do about a path that does not exist.

    Args:
        path: what was pointed at.
        indices: the indices of checkpoints in the folder that it would lie in.

    Returns:
        A hint.
    """
    if found := re.match(r"(https?|hf|gs|s3):/+(.*)", str(path)):
        scheme, place = found.groups()
        model = re.match(r"(?:huggingface\.co/)?([\w.-]+/[\w.-]+)", place)
        on_the_hub = scheme == "hf" or place.startswith("huggingface.co/")
        if model and on_the_hub:
            return f"For a model on the Hugging Face Hub write hf://{model[1]}."
        return "Nothing is downloaded but hf://OWNER/REPO: download it, unpack it, and give the folder."
    if indices:
        return f"Checkpoints in {path.parent}: {listing(index.name.removesuffix('.index') for index in indices)}."
    nearest, missing = _nearest(path)
    elsewhere = ""
    if re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", str(path)) and missing == path.parts[0]:
        elsewhere = f" If it is on the Hugging Face Hub, write hf://{path}."
    return f"There is no {missing} in {nearest}.{elsewhere}"


def _nearest(path: Path) -> tuple[Path, str]:
    """The folder furthest down a path that exists, and what is missing in it."""
    whole = path.absolute()
    for parent in whole.parents:
        if os.path.isdir(parent):  # noqa: PTH112 - Path.is_dir raises where a name is too long
            return parent, whole.relative_to(parent).parts[0]
    return Path(whole.anchor), whole.name


def about_folder(folder: Path) -> str:
    """What to do about a folder that holds no checkpoint.

    Args:
        folder: what was pointed at.

    Returns:
        A hint.
    """
    names = sorted(path.name for path in folder.iterdir())
    for name in names:
        if (suffix := Path(name).suffix) in UNREADABLE and (folder / name).is_file():
            what, cure = UNREADABLE[suffix]
            return f"{name} is {what}, which this tool does not read. {cure}"
    if parts := sorted(folder.glob("*_temp*/part-*")):
        return f"{parts[0].parent.name} is left from a save that did not finish."
    if below := list(dict.fromkeys(_below(folder))):
        return f"There are checkpoints further down; give one of these: {listing(below)}."
    if part := next((name for name in names if re.search(r"\.(data-\d{5}-of-\d{5}|meta)$", name)), None):
        return f"{part} is there without its .index. {WHOLE}"
    return f"It holds {listing(names)}." if names else "It is empty."


def _below(folder: Path) -> Iterator[str]:
    """The folders within a folder that hold a checkpoint, or a pair of models; of large trees the first few."""
    for place, folders, files in islice(os.walk(folder), _MOST_FOLDERS):
        inner = Path(place).relative_to(folder)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and len(inner.parts) < _DEEPEST)
        if inner.parts and any(name in _MODELS or name.endswith((BUNDLE_INDEX, SHARD_INDEX)) for name in files):
            yield str(inner.parent if inner.name in _HALVES and inner.parent.parts else inner)
