"""Files as flax.serialization writes them, written here byte by byte: nested maps, arrays as extensions, chunks."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

Arrays = Mapping[str, NDArray[np.generic]]
CHUNK_BYTES = 1 << 30


def pack(value: Any) -> bytes:
    """msgpack of maps, lists, texts, bytes, numbers, nothing; an array as flax' extension."""
    match value:
        case None:
            return b"\xc0"
        case bool():
            return b"\xc3" if value else b"\xc2"
        case int():
            return struct.pack("B", value) if 0 <= value < 128 else b"\xd3" + struct.pack(">q", value)
        case float():
            return b"\xcb" + struct.pack(">d", value)
        case str():
            return _headed(value.encode(), 0xA0, 32, (0xD9, 0xDA, 0xDB))
        case bytes():
            return _headed(value, 0, 0, (0xC4, 0xC5, 0xC6))
        case list() | tuple():
            return _count(len(value), 0x90, (0xDC, 0xDD)) + b"".join(map(pack, value))
        case dict():
            return _count(len(value), 0x80, (0xDE, 0xDF)) + b"".join(pack(k) + pack(v) for k, v in value.items())
        case np.ndarray():
            return extension(1, pack([list(value.shape), type_name(value), value.tobytes("C")]))
    raise TypeError(type(value))


def extension(code: int, payload: bytes) -> bytes:
    fixed = {1: 0xD4, 2: 0xD5, 4: 0xD6, 8: 0xD7, 16: 0xD8}
    if len(payload) in fixed:
        return bytes((fixed[len(payload)], code)) + payload
    header = _headed(payload, 0, 0, (0xC7, 0xC8, 0xC9))[: -len(payload) or None]
    return header + bytes((code,)) + payload


def _headed(content: bytes, short: int, room: int, codes: tuple[int, int, int]) -> bytes:
    if len(content) < room:
        return bytes((short | len(content),)) + content
    for code, width in zip(codes, (1, 2, 4), strict=True):
        if len(content) < 1 << (8 * width):
            return bytes((code,)) + len(content).to_bytes(width, "big") + content
    raise ValueError(len(content))


def _count(number: int, short: int, codes: tuple[int, int]) -> bytes:
    if number < 16:
        return bytes((short | number,))
    width = 2 if number < 1 << 16 else 4
    return bytes((codes[width // 4],)) + number.to_bytes(width, "big")


def type_name(array: NDArray[np.generic]) -> str:
    """numpy has no bfloat16: its bits stand in arrays of uint16 here."""
    return "bfloat16" if array.dtype == np.uint16 else array.dtype.name


def nested(arrays: Arrays, chunk_bytes: int = CHUNK_BYTES) -> dict[str, Any]:
    """Maps in maps, by names with dots between, arrays of more bytes than that in flat pieces."""
    tree: dict[str, Any] = {}
    for name, array in arrays.items():
        *keys, leaf = name.split(".")
        place = tree
        for key in keys:
            place = place.setdefault(key, {})
        place[leaf] = array if array.nbytes <= chunk_bytes else _chunked(array, chunk_bytes)
    return tree


def _chunked(array: NDArray[np.generic], chunk_bytes: int) -> dict[str, Any]:
    flat, step = array.reshape(-1), max(1, chunk_bytes // array.itemsize)
    pieces = [flat[start : start + step] for start in range(0, flat.size, step)]
    numbered = ({str(index): value for index, value in enumerate(values)} for values in (array.shape, pieces))
    return dict(zip(("__msgpack_chunked_array__", "shape", "chunks"), (True, *numbered), strict=True))


def in_flax(state: Arrays) -> dict[str, NDArray[np.generic]]:
    """A state dict of transformers under flax' names, dots between, kernels turned."""
    return dict(_renamed(state))


def _renamed(state: Arrays) -> Iterator[tuple[str, NDArray[np.generic]]]:
    for name, array in state.items():
        layer, _, leaf = name.rpartition(".")
        if leaf == "weight" and layer.endswith("LayerNorm"):
            yield f"{layer}.scale", array
        elif leaf == "weight" and layer.endswith("embeddings"):
            yield f"{layer}.embedding", array
        elif leaf == "weight":
            yield f"{layer}.kernel", np.ascontiguousarray(array.T)
        else:
            yield name, array


def write(path: Path, state: Arrays, chunk_bytes: int = CHUNK_BYTES) -> Path:
    """Write a state dict of transformers as flax_model.msgpack holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pack(nested(in_flax(state), chunk_bytes)))
    return path


def write_shards(folder: Path, state: Arrays, count: int) -> Path:
    """Write it in shards with their index, as transformers 4 does (modeling_flax_utils.py, flax_shard_checkpoint)."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = list(in_flax(state).items())
    weight_map = {}
    for number in range(count):
        name = f"flax_model-{number + 1:05d}-of-{count:05d}.msgpack"
        part = dict(arrays[number::count])
        (folder / name).write_bytes(pack(nested(part)))
        weight_map |= {key.replace(".", "/"): name for key in part}
    index = folder / "flax_model.msgpack.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 0}, "weight_map": weight_map}))
    return index


def read_state(folder: Path) -> dict[str, NDArray[np.generic]]:
    """The weights of a model folder."""
    return dict(load_file(folder / "model.safetensors"))
