"""The graphs saved with tensors: TensorFlow 2's of objects, which says what variable a key stands for, and TensorFlow
1's of operations (`.meta`, `saved_model.pb`), with the values of its scalar constants.

Source: tensorflow/core/protobuf/trackable_object_graph.proto, meta_graph.proto and saved_model.proto,
framework/graph.proto, function.proto, node_def.proto, attr_value.proto, tensor.proto, and WriteStringTensor in
tensor_bundle.cc.
"""

from __future__ import annotations

import mmap
import struct
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from crc32c import crc32c

from electra_convert.errors import SourceError
from electra_convert.formats.names import SAVED_MODEL_FILE
from electra_convert.formats.wire import (
    Bytes,
    MalformedError,
    Value,
    blame,
    content,
    decode_name,
    decode_varint,
    fields,
    messages,
)

GRAPH_KEY = b"_CHECKPOINTABLE_OBJECT_GRAPH"
# What tf.train.Checkpoint keeps for itself: the graph, and how often it has saved.
BOOKKEEPING = frozenset({GRAPH_KEY, b"save_counter/.ATTRIBUTES/VARIABLE_VALUE"})

_WORD_BYTES = 4
_FLOAT32 = 1


def decode_text(stored: bytes, checksum: int, byteorder: Literal["little", "big"]) -> bytes:
    """Decode a string tensor of one element: its length, a checksum of that, and its bytes.

    The entry's CRC32C runs over the length as a 32-bit word in place of the varint.

    Raises:
        MalformedError: the lengths do not fit, or the checksum does not match.
    """
    length, position = decode_varint(stored, 0)
    if length != len(stored) - position - _WORD_BYTES:
        raise MalformedError(f"a string of {length} bytes is stored in {len(stored)}")
    found = crc32c(stored[position:], crc32c(length.to_bytes(_WORD_BYTES, byteorder)))
    if found != checksum:
        raise MalformedError(f"a string has CRC32C {found:08x}, {checksum:08x} is stored for it")
    return stored[position + _WORD_BYTES :]


def variable_names(graph: bytes, keys: Collection[bytes]) -> dict[bytes, bytes]:
    """The names, by key, that variables have in a TrackableObjectGraph: those that nothing else goes by."""
    names = {key: name for key, name in _attributes(graph) if key in keys and name}
    uses = Counter(names.values())
    return {key: name for key, name in names.items() if uses[name] == 1 and name not in keys}


def _attributes(graph: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the checkpoint_key and the full_name of every value of every object."""
    for node in messages(graph, 1):
        for attribute in messages(node, 2):
            texts = {number: bytes(content(value)) for number, value in fields(attribute) if number in (2, 3)}
            yield texts.get(3, b""), texts.get(2, b"")


@dataclass(frozen=True)
class Node:
    """An operation of the graph.

    Attributes:
        name: its full name, with all scopes.
        op: what it does, such as Const or MatMul.
        value: of a Const that is one float32, otherwise None.
    """

    name: str
    op: str
    value: float | None


def read_nodes(path: Path, wanted: Callable[[str, str], bool]) -> Iterator[Node]:
    """Walk through the nodes of a graph, and of the functions in its library, that are wanted by their name and op.

    The file is mapped, not read, so that large ones take no memory.

    Raises:
        SourceError: the file cannot be read.
        CorruptFileError: it is not a graph, or a damaged one.
    """
    with blame(path):
        content = _mapped(path)
        graphs = messages(content, 2) if path.name == SAVED_MODEL_FILE else [content]
        for message in (message for graph in graphs for message in _node_messages(graph)):
            node = _node(message, wanted)
            if node:
                yield node


def _mapped(path: Path) -> memoryview:
    try:
        with path.open("rb") as file:
            if not file.seek(0, 2):
                return memoryview(b"")
            # It is unmapped when the last view of it is gone: closing it before would be an error.
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SourceError(f"{path} cannot be read: {reason}") from error


def _node_messages(meta_graph: Bytes) -> Iterator[Bytes]:
    for graph in messages(meta_graph, 2):
        yield from messages(graph, 1)
        for library in messages(graph, 2):
            for function in messages(library, 1):
                yield from messages(function, 3)


def _node(message: Bytes, wanted: Callable[[str, str], bool]) -> Node | None:
    texts = {number: _text(value) for number, value in fields(message) if number in (1, 2)}
    name, op = texts.get(1, ""), texts.get(2, "")
    if not wanted(name, op):
        return None
    return Node(name, op, _constant(message) if op == "Const" else None)


def _text(value: Value) -> str:
    return decode_name(bytes(content(value)))


def _constant(node: Bytes) -> float | None:
    for attribute in messages(node, 5):
        parts = dict(fields(attribute))
        if bytes(content(parts.get(1, b""))) == b"value":
            for tensor in messages(content(parts.get(2, b"")), 8):
                return _scalar(tensor)
    return None


def _scalar(tensor: Bytes) -> float | None:
    """Take a TensorProto for one float32, which it holds as bytes, as a packed field or as a plain one."""
    parts = dict(fields(tensor))
    if parts.get(1) != _FLOAT32:
        return None
    value = parts.get(4) or parts.get(5, b"")
    stored = value.to_bytes(8, "little")[:4] if isinstance(value, int) else bytes(value[:5])
    return float(struct.unpack("<f", stored)[0]) if len(stored) == 4 else None
