"""The nodes of the graph saved beside a checkpoint (`.meta`), with the values of its scalar constants; no tensors.

Source: tensorflow/core/protobuf/meta_graph.proto and framework/graph.proto, function.proto, node_def.proto,
attr_value.proto, tensor.proto.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from electra_convert.errors import SourceError
from electra_convert.formats.tf_bundle.damage import blame
from electra_convert.formats.tf_bundle.names import decode_name
from electra_convert.formats.tf_bundle.wire import Bytes, Value, content, fields, messages

_FLOAT32 = 1


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
    """Walk through a graph, and through the functions in its library.

    The file is mapped, not read, so that large ones take no memory.

    Args:
        path: the .meta file.
        wanted: of a name and an op, whether to yield the node.

    Yields:
        The nodes wanted, in the file's order.

    Raises:
        SourceError: the file cannot be read.
        CorruptFileError: it is not a graph, or a damaged one.
    """
    with blame(path):
        for message in _node_messages(_mapped(path)):
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
