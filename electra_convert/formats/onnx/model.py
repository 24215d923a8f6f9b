"""The messages of an ONNX model, encoded: a graph's nodes, what goes in and out, and its tensors but for their bytes.

The numbers of fields are those of onnx/onnx.proto (onnx 1.23), which is of proto2: a field that is zero is written.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from electra_convert.errors import OutputError
from electra_convert.formats.wire import encode_content, encode_varint
from electra_convert.tensors.spec import DType, TensorSpec

# LayerNormalization came with this opset, and onnx 1.12, whose version of the file format this is, with both.
OPSET = 17
IR_VERSION = 8
# Of TensorProto.DataType, those that tensors here can have.
TYPES = {
    "float32": 1,
    "uint8": 2,
    "int8": 3,
    "int32": 6,
    "int64": 7,
    "bool": 9,
    "float16": 10,
    "float64": 11,
    "bfloat16": 16,
}
_PRODUCER = "electra_convert"
# TensorProto.DataLocation, and of AttributeProto.AttributeType what is used here.
EXTERNAL = 1
_FLOAT, _INT, _INTS = 1, 2, 7
_VARINT, _LENGTH, _FIXED32 = 0, 2, 5
Attribute = int | float | Sequence[int]


@dataclass(frozen=True)
class Node:
    """One operator at work.

    Attributes:
        operator: its name among ONNX' own.
        inputs: what it takes, by the names of other nodes' outputs, of tensors and of what goes into the graph; ""
            stands for one that is left out.
        outputs: what it gives.
        attributes: its settings.
    """

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute] = field(default_factory=dict)


@dataclass(frozen=True)
class Port:
    """What goes into a graph or comes out of it: its shape, a dimension that may have any size being a name."""

    name: str
    dtype: DType
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class Graph:
    """What is computed.

    Attributes:
        nodes: in an order in which they can be computed.
        inputs: what goes in.
        outputs: what comes out.
        constants: small tensors that are no weights, such as shapes, with their bytes.
    """

    nodes: tuple[Node, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    constants: tuple[tuple[TensorSpec, bytes], ...] = ()


def encode_model(graph: Graph, tensors: int) -> bytes:
    """Encode a model up to its weights, which are the last of it.

    Args:
        graph: what it computes.
        tensors: how many bytes those take: of each its start, and what it holds.

    Raises:
        OutputError: there is no type of ONNX for a constant, or for what goes in or out.
    """
    fields = [encode_content(1, _node(node)) for node in graph.nodes]
    fields.append(encode_content(2, b"electra"))
    fields += [tensor_start(spec) + held for spec, held in graph.constants]
    fields += [encode_content(11, _port(port)) for port in graph.inputs]
    fields += [encode_content(12, _port(port)) for port in graph.outputs]
    body = b"".join(fields)
    return _about() + _key(7, _LENGTH) + encode_varint(len(body) + tensors) + body


def tensor_start(spec: TensorSpec) -> bytes:
    """Encode a tensor of a graph up to its bytes, which follow.

    Raises:
        OutputError: ONNX has no type for its elements.
    """
    fields = _description(spec) + _key(9, _LENGTH) + encode_varint(spec.nbytes)
    return _key(5, _LENGTH) + encode_varint(len(fields) + spec.nbytes) + fields


def tensor_elsewhere(spec: TensorSpec, file: str, offset: int) -> bytes:
    """Encode a tensor of a graph whose bytes lie in another file; raises as tensor_start."""
    place = {"location": file, "offset": str(offset), "length": str(spec.nbytes)}
    pairs = (encode_content(1, key.encode()) + encode_content(2, value.encode()) for key, value in place.items())
    fields = _description(spec) + b"".join(encode_content(13, pair) for pair in pairs) + _integer(14, EXTERNAL)
    return encode_content(5, fields)


def _about() -> bytes:
    operators = encode_content(1, b"") + _integer(2, OPSET)
    return b"".join(
        [
            _integer(1, IR_VERSION),
            encode_content(2, _PRODUCER.encode()),
            encode_content(8, operators),
        ]
    )


def _node(node: Node) -> bytes:
    fields = [encode_content(1, name.encode()) for name in node.inputs]
    fields += [encode_content(2, name.encode()) for name in node.outputs]
    fields += [encode_content(3, node.outputs[0].encode()), encode_content(4, node.operator.encode())]
    fields += [encode_content(5, _attribute(name, value)) for name, value in node.attributes.items()]
    return b"".join(fields)


def _attribute(name: str, value: Attribute) -> bytes:
    if isinstance(value, float):
        kind, encoded = _FLOAT, _key(2, _FIXED32) + struct.pack("<f", value)
    elif isinstance(value, int):
        kind, encoded = _INT, _integer(3, value)
    else:
        kind, encoded = _INTS, b"".join(_integer(8, number) for number in value)
    return encode_content(1, name.encode()) + encoded + _integer(20, kind)


def _port(port: Port) -> bytes:
    shape = b"".join(encode_content(1, _dimension(size)) for size in port.shape)
    tensor = _integer(1, _type(port.name, port.dtype)) + encode_content(2, shape)
    return encode_content(1, port.name.encode()) + encode_content(2, encode_content(1, tensor))


def _dimension(size: int | str) -> bytes:
    return _integer(1, size) if isinstance(size, int) else encode_content(2, size.encode())


def _description(spec: TensorSpec) -> bytes:
    dims = b"".join(_integer(1, size) for size in spec.shape)
    return dims + _integer(2, _type(spec.name, spec.dtype)) + encode_content(8, spec.name.encode())


def _type(name: str, dtype: DType) -> int:
    if dtype.name not in TYPES:
        raise OutputError(f"an ONNX file cannot hold {name!r}, which is {dtype}")
    return TYPES[dtype.name]


def _integer(number: int, value: int) -> bytes:
    return _key(number, _VARINT) + encode_varint(value)


def _key(number: int, wire_type: int) -> bytes:
    return encode_varint(number << 3 | wire_type)
