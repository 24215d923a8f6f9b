"""ONNX files as a source: the tensors that a graph holds, and all else of it as it is encoded; runs nothing.

Every step is bounded by what the file holds, and no more than the encoding's own rules is taken on trust: what other
readers would merge or pass over, such as a second graph, is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

from electra_convert.errors import CorruptFileError
from electra_convert.formats.files import LARGEST_SMALL_FILE, Closing, ReadFile
from electra_convert.formats.onnx.model import EXTERNAL, TYPES, Graph, encode_model
from electra_convert.formats.wire import (
    MalformedError,
    blame,
    content,
    decode_name,
    decode_varint,
    fields,
    shown,
    signed,
)
from electra_convert.tensors.spec import DTYPES, DType, Tensor, TensorSpec, fits_an_array

# A tag and a length are varints of at most ten bytes each.
_LONGEST_START = 20
_MOST_FIELDS = 1 << 20
_LONGEST_NAME = 1 << 12
# All that the messages walked through here are made of: numbers, and what has a length.
_VARINT, _LENGTH = 0, 2
# Fields of ModelProto, GraphProto and TensorProto (onnx/onnx.proto).
_GRAPH, _NODE, _TENSOR = 7, 1, 5
_DIMS, _TYPE, _NAME, _RAW, _PLACE, _LOCATION = 1, 2, 8, 9, 13, 14
_OPERATOR, _DOMAIN = 4, 7
_DTYPES = {number: DTYPES[name] for name, number in TYPES.items()}


class Span(NamedTuple):
    """Where in a file some bytes lie."""

    start: int
    length: int


Field = tuple[int, int | bytes]


class OnnxFile(Closing):
    """An opened ONNX model, as a source.

    Attributes:
        path: the file.
        tensors: what its graph holds as initialisers, by name; weights and other constants alike.
        frame: all other fields of the model and its graph, in their order.
    """

    format = "onnx"
    notices: tuple[str, ...] = ()

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stack = ExitStack()
        self._file = self._stack.enter_context(ReadFile(path))
        self._beside: dict[str, ReadFile] = {}
        self._fields_left, self._bytes_left = _MOST_FIELDS, LARGEST_SMALL_FILE
        self.tensors: dict[str, Tensor] = {}
        try:
            with blame(path):
                self.frame = tuple(self._read())
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file, and the one beside it."""
        self._stack.close()

    @property
    def operators(self) -> frozenset[str]:
        """What its nodes do, by ONNX' names; with a domain before them where they are not ONNX' own.

        Raises:
            CorruptFileError: a node is damaged.
        """
        with blame(self.path):
            nodes = (value for number, value in self.frame if number == _NODE and isinstance(value, bytes))
            return frozenset(map(_operator, nodes))

    def _read(self) -> Iterator[Field]:
        graphs = []
        for number, value in self._fields(Span(0, self._file.size)):
            if number == _GRAPH and isinstance(value, Span):
                graphs.append(value)
            else:
                yield -number, self._held(value)
        if len(graphs) != 1:
            raise MalformedError(f"it holds {len(graphs)} graphs, expected one")
        for number, value in self._fields(graphs[0]):
            if number == _TENSOR and isinstance(value, Span):
                self._add(value)
            else:
                yield number, self._held(value)

    def _fields(self, span: Span) -> Iterator[tuple[int, int | Span]]:
        """The fields of a message in the file: numbers, and where bytes lie."""
        position, end = span.start, span.start + span.length
        while position < end:
            self._fields_left -= 1
            if self._fields_left < 0:
                raise MalformedError(f"it has more than {_MOST_FIELDS:,} fields")
            start = self._file.read(min(_LONGEST_START, end - position), position)
            tag, used = decode_varint(start, 0)
            number, wire_type = tag >> 3, tag & 7
            if wire_type not in {_VARINT, _LENGTH}:
                raise MalformedError(f"a field has the unknown wire type {wire_type}")
            value, used = decode_varint(start, used)
            position += used
            if wire_type == _VARINT:
                yield number, value
                continue
            if value > end - position:
                raise MalformedError(f"a field of {value} bytes is longer than the {end - position} left for it")
            yield number, Span(position, value)
            position += value

    def _held(self, value: int | Span, most: int = LARGEST_SMALL_FILE) -> int | bytes:
        """A field's value; of all that is kept in memory, the sum is bounded."""
        if isinstance(value, int):
            return value
        self._bytes_left -= value.length
        if value.length > most or self._bytes_left < 0:
            raise MalformedError("what is no tensor is longer than any graph of a model")
        return self._file.read(value.length, value.start)

    def _add(self, span: Span) -> None:
        found: dict[int, list[int | Span]] = {}
        for number, value in self._fields(span):
            found.setdefault(number, []).append(value)
        name = self._name(found)
        if name in self.tensors:
            raise MalformedError(f"the tensor {shown(name)!r} is there twice")
        if unknown := found.keys() - {_DIMS, _TYPE, _NAME, _RAW, _PLACE, _LOCATION}:
            raise MalformedError(f"the tensor {shown(name)!r} has a field {min(unknown)}, expected raw bytes alone")
        shape = tuple(signed(_number(size)) for size in found.get(_DIMS, ()))
        spec = TensorSpec(name, self._dtype(name, found), shape)
        if any(size < 0 for size in spec.shape) or not fits_an_array(spec):
            raise MalformedError(f"the tensor {shown(name)!r} has the shape {list(spec.shape)[:8]}")
        file, start, length = self._bytes(name, found)
        if length != spec.nbytes:
            raise MalformedError(f"the tensor {shown(name)!r} of {spec.nbytes} bytes holds {length}")
        stream = partial(file.pieces, offset=start, nbytes=length)
        self.tensors[name] = Tensor(name, spec.dtype, spec.shape, stream)

    def _name(self, found: dict[int, list[int | Span]]) -> str:
        names = [decode_name(bytes(content(self._held(value, _LONGEST_NAME)))) for value in found.get(_NAME, [])]
        if len(names) != 1 or not names[0]:
            raise MalformedError("a tensor has not one name")
        return names[0]

    def _dtype(self, name: str, found: dict[int, list[int | Span]]) -> DType:
        numbers = [_number(value) for value in found.get(_TYPE, [])]
        if len(numbers) != 1 or numbers[0] not in _DTYPES:
            raise MalformedError(f"the tensor {shown(name)!r} is of type {numbers}, which is not known")
        return _DTYPES[numbers[0]]

    def _bytes(self, name: str, found: dict[int, list[int | Span]]) -> tuple[ReadFile, int, int]:
        """The file that a tensor's bytes lie in, where in it, and how many they are."""
        raw, places = found.get(_RAW, []), found.get(_PLACE, [])
        beside = [_number(value) for value in found.get(_LOCATION, [])] == [EXTERNAL]
        if len(raw) == 1 and isinstance(raw[0], Span) and not places and not beside:
            return self._file, *raw[0]
        if raw or not beside:
            raise MalformedError(f"the tensor {shown(name)!r} does not hold its bytes in one place")
        said = dict(_pair(bytes(content(self._held(value, _LONGEST_NAME)))) for value in places)
        if len(said) != len(places) or not said.keys() <= {"location", "offset", "length"}:
            raise MalformedError(f"the tensor {shown(name)!r} says twice where it lies, or more than that")
        file = self._open(said.get("location", ""))
        start, length = (_decimal(name, said.get(key, "")) for key in ("offset", "length"))
        if start + length > file.size:
            raise CorruptFileError(
                f"{file.path} is cut short: {shown(name)!r} ends at {start + length}, it at {file.size}",
                "Copy or download the file again.",
            )
        return file, start, length

    def _open(self, name: str) -> ReadFile:
        if name != f"{self.path.name}_data":
            raise MalformedError(f"tensors lie in {shown(name)!r}, expected {self.path.name}_data")
        if name not in self._beside:
            self._beside[name] = self._stack.enter_context(ReadFile(self.path.with_name(name)))
        return self._beside[name]


def frame_of(graph: Graph) -> tuple[Field, ...]:
    """What OnnxFile.frame is of a model that is written here, whose weights are as the graph expects them."""
    without = Graph(graph.nodes, graph.inputs, graph.outputs)
    found: list[Field] = []
    inner: list[Field] = []
    for number, value in fields(encode_model(without, 0)):
        if number == _GRAPH:
            inner += [(field, _plain(held)) for field, held in fields(content(value))]
        else:
            found.append((-number, _plain(value)))
    return (*found, *inner)


def _plain(value: int | bytes | memoryview) -> int | bytes:
    return value if isinstance(value, int) else bytes(value)


def _operator(node: bytes) -> str:
    names = {_OPERATOR: "", _DOMAIN: ""}
    for number, value in fields(node):
        if number in names:
            names[number] = decode_name(bytes(content(value)))
    return f"{names[_DOMAIN]}.{names[_OPERATOR]}" if names[_DOMAIN] else names[_OPERATOR]


def _number(value: int | Span) -> int:
    if not isinstance(value, int):
        raise MalformedError("a number is stored as bytes")
    return value


def _pair(entry: bytes) -> tuple[str, str]:
    parts = dict.fromkeys((1, 2), "")
    for number, value in fields(entry):
        if number in parts:
            parts[number] = decode_name(bytes(content(value)))
    return parts[1], parts[2]


def _decimal(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise MalformedError(f"the tensor {shown(name)!r} lies at {shown(text)!r}, expected a number")
    return int(text)
