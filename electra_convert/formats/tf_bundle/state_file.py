"""The text file `checkpoint` that says which checkpoint of a folder is the latest; opens no checkpoint.

Source: tensorflow/python/training/checkpoint_state.proto and checkpoint_management.py; the escapes are those of C.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from electra_convert.errors import SourceError
from electra_convert.formats.files import ReadFile
from electra_convert.formats.tf_bundle.index import index_path
from electra_convert.formats.wire import decode_name, encode_name, shown

_MAX_BYTES = 1 << 20
_STRING = rb'"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\''
_FIELD = re.compile(
    rb"(?P<name>[A-Za-z_]\w*)\s*:\s*(?:(?P<text>(?:%s)(?:\s*(?:%s))*)|(?P<number>[-+.\w]+))\s*[,;]?"
    % (_STRING, _STRING)
)
_SPACE = re.compile(rb"(?:\s|#[^\n]*)*")
_ESCAPE = re.compile(rb"\\(?:([0-7]{1,3})|[xX]([0-9A-Fa-f]{1,2})|(.))", re.DOTALL)
_LETTERS = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
_ESCAPED = {0x09: "\\t", 0x0A: "\\n", 0x0D: "\\r", 0x22: '\\"', 0x27: "\\'", 0x5C: "\\\\"}
_STRING_FIELDS = ("model_checkpoint_path", "all_model_checkpoint_paths")
_NUMBER_FIELDS = ("all_model_checkpoint_timestamps", "last_preserved_timestamp")


@dataclass(frozen=True)
class CheckpointState:
    """What the file says.

    Attributes:
        latest: the prefix of the latest checkpoint, absolute or relative to the folder.
        all: the prefixes of those that are kept, the oldest first.
    """

    latest: str
    all: tuple[str, ...]


def read_state(path: Path) -> CheckpointState:
    """Read a `checkpoint` file.

    Raises:
        SourceError: it cannot be read, or is something else.
    """
    with ReadFile(path) as file:
        if file.size > _MAX_BYTES:
            raise _junk(path, f"it has {file.size} bytes")
        text = file.read(file.size, 0)
    found: dict[str, list[str]] = {name: [] for name in _STRING_FIELDS}
    position = _skip_space(text, 0)
    while position < len(text):
        field = _FIELD.match(text, position)
        if field is None or not _is_known(field):
            line = text.count(b"\n", 0, position) + 1
            raise _junk(path, f"line {line} is not one of its fields")
        if field["text"]:
            found[field["name"].decode()].append(_unquote(field["text"]))
        position = _skip_space(text, field.end())
    latest, kept = (found[name] for name in _STRING_FIELDS)
    if not latest or not latest[-1]:
        raise _junk(path, "it names no checkpoint")
    return CheckpointState(latest[-1], tuple(kept))


def _skip_space(text: bytes, position: int) -> int:
    space = _SPACE.match(text, position)
    return space.end() if space else position


def _is_known(field: re.Match[bytes]) -> bool:
    return field["name"].decode() in (_STRING_FIELDS if field["text"] else _NUMBER_FIELDS)


def _junk(path: Path, reason: str) -> SourceError:
    return SourceError(
        f"{path} is not a TensorFlow checkpoint state file: {reason}",
        "Name the checkpoint itself, by what its files' names begin with, such as model.ckpt-1000.",
    )


def _unquote(text: bytes) -> str:
    strings = re.findall(_STRING, text)
    return decode_name(b"".join(_ESCAPE.sub(_unescape, string[1:-1]) for string in strings))


def _unescape(escape: re.Match[bytes]) -> bytes:
    octal, hexadecimal, character = escape.groups()
    if octal:
        return bytes([int(octal, 8) & 0xFF])
    if hexadecimal:
        return bytes([int(hexadecimal, 16)])
    return _LETTERS.get(character, character)


def encode_state(basename: str) -> bytes:
    """Encode the `checkpoint` file of a folder that holds one checkpoint, as Google's Estimator writes it."""
    quoted = "".join(_ESCAPED.get(byte) or _printable(byte) for byte in encode_name(basename))
    return "".join(f'{name}: "{quoted}"\n' for name in _STRING_FIELDS).encode("ascii")


def _printable(byte: int) -> str:
    return chr(byte) if 0x20 <= byte < 0x7F else f"\\{byte:03o}"


def latest_prefix(state_path: Path) -> Path:
    """Find the latest checkpoint of a folder.

    A folder that was copied or moved still names the place it came from, which may even be there; so the checkpoint
    of that base name beside the file comes first.

    Raises:
        SourceError: the file cannot be read, or there is no checkpoint at either place.
    """
    latest = read_state(state_path).latest
    named = state_path.parent / latest
    beside = state_path.parent / re.split(r"[/\\]", latest)[-1]
    for prefix in (beside, named) if Path(latest).is_absolute() else (named, beside):
        if _is_there(prefix):
            return prefix
    raise SourceError(
        f"{state_path} names the checkpoint {shown(latest)}, but {_absence(named, beside)}",
        "Copy the checkpoint's files into the folder, or name another one by its prefix.",
    )


def _absence(*prefixes: Path) -> str:
    """Say that none of the checkpoints is there, each place once."""
    places = list(dict.fromkeys(shown(str(index_path(prefix))) for prefix in prefixes))
    return f"{places[0]} is not there" if len(places) == 1 else f"neither {' nor '.join(places)} is there"


def _is_there(prefix: Path) -> bool:
    """Whether there is a checkpoint at the prefix, be it one in the old format, which is one file."""
    try:
        return index_path(prefix).is_file() or prefix.is_file()
    except (OSError, ValueError):
        return False
