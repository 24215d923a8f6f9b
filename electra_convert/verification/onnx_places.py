"""Where ONNX models lie: beside the weights of a model folder, or without any, read as the models that they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from electra_convert.checkpoint import Checkpoint
from electra_convert.errors import SourceError
from electra_convert.formats.locate import PAIR, Location, locate
from electra_convert.formats.names import ONNX_FILE, ONNX_FOLDER, ONNX_SUFFIX, QUANTIZED_FILE
from electra_convert.graphs.int8 import SCALE
from electra_convert.graphs.operators import is_constant
from electra_convert.graphs.weights import KERNEL, WEIGHT
from electra_convert.schemes.transformers import TRANSFORMERS, read_models
from electra_convert.tensors.op import Op
from electra_convert.tensors.spec import DTYPES, Source, Tensor, stream_bytes
from electra_convert.tensors.weight import Weight


@dataclass(frozen=True)
class OnnxPlace:
    """An ONNX model: its file, and the folder where its configuration and tokenizer would lie."""

    path: Path
    folder: Path

    @property
    def name(self) -> str:
        """Its path within that folder."""
        return self.path.relative_to(self.folder).as_posix()


def onnx_places(folder: Path) -> tuple[OnnxPlace, ...]:
    """The ONNX models of a model folder, where convert puts them, that of float32 first."""
    paths = (folder / ONNX_FOLDER / name for name in (ONNX_FILE, QUANTIZED_FILE))
    return tuple(OnnxPlace(path, folder) for path in paths if path.is_file())


def onnx_alone(path: Path) -> tuple[OnnxPlace, ...]:
    """The ONNX models that a path stands for: a file, or a folder or pair without other weights; else none."""
    if path.suffix == ONNX_SUFFIX and path.is_file():
        return (OnnxPlace(path, _above(path.parent)),)
    if not path.is_dir():
        return ()
    found = [place for folder in (path, *(path / name for name in PAIR)) for place in onnx_places(folder)]
    if not found and path.name == ONNX_FOLDER:
        found += onnx_places(path.parent)
        return tuple(found)
    return () if not found or _holds_weights(path) else tuple(found)


def _above(folder: Path) -> Path:
    return folder.parent if folder.name == ONNX_FOLDER else folder


def _holds_weights(folder: Path) -> bool:
    try:
        locate(folder)
    except SourceError:
        return False
    return True


@contextmanager
def open_onnx(path: Path, places: tuple[OnnxPlace, ...]) -> Iterator[Checkpoint]:
    """Open the models of a path that holds no other weights, with what lies beside them.

    Raises:
        CorruptFileError: a file is damaged.
        NamesError: parameters are missing, or are no ELECTRA's.
    """
    firsts = {place.folder: place.path for place in reversed(places)}
    locations = [Location("onnx", firsts[folder], folder) for folder in sorted(firsts)]
    with ExitStack() as stack:

        def open_source(location: Location) -> Source:
            source = location.open()
            stack.callback(source.close)
            return source

        yield read_models(TRANSFORMERS, path, locations, open_source, as_parameters)


def as_parameters(tensors: Mapping[str, Tensor]) -> dict[str, Weight]:
    """What a graph holds under transformers' names and in their orientation; of 8 bits what it stands for."""
    found = {}
    for name, tensor in tensors.items():
        scales = tensors.get(f"{name}{SCALE}")
        if is_constant(name) or (name.endswith(SCALE) and name.removesuffix(SCALE) in tensors):
            continue
        turned = name.endswith(KERNEL)
        own = f"{name.removesuffix(KERNEL)}{WEIGHT}" if turned else name
        held = tensor if scales is None else _wide(tensor, scales, turned)
        found[own] = Weight(held, Op.TRANSPOSE if turned else Op.KEEP)
    return found


def _wide(tensor: Tensor, scales: Tensor, turned: bool) -> Tensor:
    """What a matrix of 8 bits stands for, in float32."""

    def stream(scratch: memoryview) -> Iterator[memoryview]:
        steps = Weight(scales).read_float32()
        values = tensor.read().astype(np.float32) * (steps if turned else steps[:, None])
        yield from stream_bytes(values.reshape(-1).view(np.uint8).data, scratch)

    return Tensor(tensor.name, DTYPES["float32"], tensor.shape, stream)
