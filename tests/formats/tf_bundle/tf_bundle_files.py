"""Small checkpoints for these tests: written, taken apart, changed and signed again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tf_bundle_tables import encode_any_entry

from electra_convert.errors import ElectraConvertError
from electra_convert.formats.files import ReadFile
from electra_convert.formats.tf_bundle import data_path, index_path, open_sink
from electra_convert.formats.tf_bundle.entries import BundleHeader, decode_entry, encode_header
from electra_convert.formats.tf_bundle.table import Entry, encode_table, read_table
from electra_convert.tensors.spec import DTYPES, Source, Tensor, TensorSpec, stream_bytes

FIXTURES = Path(__file__).parents[3] / "fixtures"
PREFIXES = (
    FIXTURES / "default" / "model.ckpt-4000",
    FIXTURES / "full_size_generator" / "model.ckpt-1200",
    FIXTURES / "untied_embeddings" / "model.ckpt-1200",
)
# The index of one tensor a, float32 [1.0, 2.0], as TensorFlow 2.21 writes it.
SMALLEST_INDEX = bytes.fromhex(
    "00000608011a02080100010f610801120412020802280835593ce5350000000001000000004419559e000000000100000000c0f2a1b00001"
    "026200240000000001000000005a996b352908360e00000000000000000000000000000000000000000000000000000000000000000000"
    "000057fb808b247547db"
)
HEADER = (b"", encode_header(BundleHeader(num_shards=1)))

Arrays = Mapping[str, NDArray[np.generic]]


def some_arrays(seed: int = 0) -> Arrays:
    """Tensors of several types and shapes, none like another."""
    random = np.random.default_rng(seed)
    return {
        "embeddings/kernel": random.normal(size=(5, 3)).astype("<f4"),
        "embeddings/bias": random.normal(size=3).astype("<f4"),
        "global_step": np.array(4000 + seed, "<i8"),
        "half": random.normal(size=(2, 2)).astype("<f2"),
        "mask": np.array([True, False, True]),
        "none": np.zeros((0, 4), "<f4"),
        "wave": (random.normal(size=2) + 1j * random.normal(size=2)).astype("<c8"),
    }


def write(prefix: Path, arrays: Arrays) -> Path:
    """Write arrays as a checkpoint, and return its prefix."""
    specs = [TensorSpec(name, DTYPES[array.dtype.name], array.shape) for name, array in arrays.items()]
    with open_sink(prefix, specs) as sink:
        for name, array in arrays.items():
            sink.writer(name).write(memoryview(array.tobytes()))
    return prefix


def read(source: Source) -> dict[str, NDArray[np.generic]]:
    """Read every tensor of a source."""
    return {name: tensor.read() for name, tensor in source.tensors.items()}


def assert_same(found: Arrays, expected: Arrays) -> None:
    """Compare bit by bit, NaN with NaN too."""
    assert sorted(found) == sorted(expected)
    for name, array in expected.items():
        assert found[name].shape == array.shape, name
        assert found[name].tobytes() == array.tobytes(), name


def tensor_of(name: str, array: NDArray[np.generic]) -> Tensor:
    """A tensor of an array's values."""
    return Tensor(name, DTYPES[array.dtype.name], array.shape, partial(stream_bytes, array.tobytes()))


def table_of(path: Path) -> dict[bytes, bytes]:
    """The keys and values of a table."""
    with ReadFile(path) as file:
        return dict(read_table(file))


def change_index(prefix: Path, change: Callable[[dict[bytes, bytes]], None]) -> None:
    """Change the entries of an index, which is then a sound table again."""
    table = table_of(index_path(prefix))
    change(table)
    index_path(prefix).write_bytes(encode_table(table.items()))


def change_entry(prefix: Path, name: str, **changes: object) -> None:
    """Change numbers in the entry of one tensor."""

    def change(table: dict[bytes, bytes]) -> None:
        entry = decode_entry(table[name.encode()])
        table[name.encode()] = encode_any_entry(replace(entry, **changes))  # type: ignore[arg-type]

    change_index(prefix, change)


def refusal_of(call: Callable[[], object]) -> str | None:
    """The message a call is refused with, or None if it is not; whatever else it raises is a failure."""
    try:
        call()
    except ElectraConvertError as error:
        return error.message
    return None


def flip(path: Path, position: int, bits: int = 0xFF) -> None:
    """Flip bits of one byte of a file."""
    content = bytearray(path.read_bytes())
    content[position] ^= bits
    path.write_bytes(content)


def data_of(prefix: Path) -> Path:
    """The data file of a checkpoint that has one."""
    return data_path(prefix, 0, 1)


def keys_and_values(count: int, key: Callable[[int], bytes], value: bytes) -> Iterable[Entry]:
    """A header and as many entries."""
    return [HEADER, *sorted((key(number), value) for number in range(count))]
