"""ONNX files as a sink: a model with its weights in it, or, where they are too large for one file, beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from electra_convert.errors import OutputError, listing
from electra_convert.formats.files import RegionWriter, WriteFile
from electra_convert.formats.onnx.model import Graph, encode_model, tensor_elsewhere, tensor_start
from electra_convert.tensors.spec import Sink, TensorSpec, TensorWriter

# No message of Protocol Buffers may be longer than 2 GiB; 2 GB leave room for everything that is not a weight.
LARGEST_FILE = 2_000_000_000
# What transformers.js and optimum call the file beside a model.
_BESIDE = "_data"
# Readers map the file beside a model, at whole pages.
_PAGE = 4096


def data_files(name: str, specs: Sequence[TensorSpec], largest: int = LARGEST_FILE) -> dict[str, int]:
    """The files that a model's weights will be in, with their bytes: its own, or where they are too large another."""
    nbytes = sum(spec.nbytes for spec in specs)
    return {name: nbytes} if nbytes <= largest else {name: 0, f"{name}{_BESIDE}": nbytes}


def open_folder_sink(
    folder: Path, specs: Sequence[TensorSpec], name: str, graph: Graph, largest: int = LARGEST_FILE
) -> Sink:
    """Open a new ONNX model in a folder for writing, with the weights that its graph computes with.

    Raises:
        OutputError: a file cannot be made, or the format cannot hold a tensor.
    """
    if len(data_files(name, specs, largest)) > 1:
        return _beside(folder, specs, name, graph)
    return _within(folder / name, specs, graph)


def _within(path: Path, specs: Sequence[TensorSpec], graph: Graph) -> OnnxSink:
    starts = {spec.name: tensor_start(spec) for spec in specs}
    held = sum(len(starts[spec.name]) + spec.nbytes for spec in specs)
    head = encode_model(graph, held)
    file = WriteFile(path, len(head) + held)
    texts, writers, position = [(0, head)], {}, len(head)
    for spec in specs:
        texts.append((position, starts[spec.name]))
        position += len(starts[spec.name])
        writers[spec.name] = RegionWriter(file, spec, position)
        position += spec.nbytes
    return OnnxSink((file,), [(file, *text) for text in texts], writers)


def _beside(folder: Path, specs: Sequence[TensorSpec], name: str, graph: Graph) -> OnnxSink:
    offsets = dict(_offsets(specs))
    last = specs[-1]
    data = WriteFile(folder / f"{name}{_BESIDE}", offsets[last.name] + last.nbytes)
    writers = {spec.name: RegionWriter(data, spec, offsets[spec.name]) for spec in specs}
    places = b"".join(tensor_elsewhere(spec, data.path.name, offsets[spec.name]) for spec in specs)
    file = WriteFile(folder / name)
    return OnnxSink((file, data), [(file, 0, encode_model(graph, len(places)) + places)], writers)


def _offsets(specs: Sequence[TensorSpec]) -> Iterator[tuple[str, int]]:
    position = 0
    for spec in specs:
        yield spec.name, position
        position += spec.nbytes + -spec.nbytes % _PAGE


class OnnxSink:
    """An ONNX model being written; made by open_folder_sink."""

    def __init__(
        self,
        files: Sequence[WriteFile],
        texts: Sequence[tuple[WriteFile, int, bytes]],
        writers: Mapping[str, RegionWriter],
    ) -> None:
        self._files = files
        self._texts = texts
        self._writers = writers
        self._opened = ExitStack()

    def writer(self, name: str) -> TensorWriter:
        """Return the writer of one declared tensor."""
        if name not in self._writers:
            raise OutputError(f"{self._files[0].path}: tensor {name!r} was not declared")
        return self._writers[name]

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            for file in self._files:
                opened.enter_context(file)
            for file, offset, text in self._texts:
                file.write_at(text, offset)
            self._opened = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        incomplete = [repr(name) for name, writer in self._writers.items() if writer.missing]
        if kind is None and incomplete:
            error = OutputError(f"{self._files[0].path}: tensors were not written whole: {listing(incomplete)}")
            self._opened.__exit__(OutputError, error, None)
            raise error
        self._opened.__exit__(kind, error, trace)
