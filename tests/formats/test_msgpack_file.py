"""flax' container: what flax writes is read to the bit, and a hostile file is one error, soon, in little memory."""

from __future__ import annotations

import re
import tracemalloc
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from support.flax_files import extension, nested, pack, type_name, write_shards

from electra_convert.errors import CorruptFileError, ElectraConvertError, SourceError
from electra_convert.formats.msgpack_file import open_file, open_source

TYPES = ("float16", "float32", "float64", "uint16", "int8", "int32", "int64", "uint8", "bool", "complex64")
ONE = np.ones(2, "<f4")
PACKED = pack([[2], "float32", ONE.tobytes()])


def values_in(path: Path, scratch: int = 1 << 16) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    with open_source(path) as source:
        return {
            name: (
                tensor.dtype.name,
                tensor.shape,
                b"".join(bytes(piece) for piece in tensor.stream(memoryview(bytearray(scratch)))),
            )
            for name, tensor in source.tensors.items()
        }


def expected_of(arrays: dict[str, np.ndarray]) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    return {
        name.replace(".", "/"): (type_name(array), array.shape, array.tobytes("C")) for name, array in arrays.items()
    }


ARRAYS = st.sampled_from(TYPES).flatmap(
    lambda name: hnp.arrays(np.dtype(name), hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=7))
)


@given(
    arrays=st.dictionaries(st.sampled_from(["a", "b.c", "b.d.0.kernel", "electra.x", "é"]), ARRAYS),
    chunk=st.sampled_from([16, 17, 64, 1 << 30]),
    scratch=st.sampled_from([16, 48, 1 << 16]),
)
def test_arrays_of_every_type_whole_or_in_chunks_are_read_to_the_bit(tmp_path_factory, arrays, chunk, scratch):
    path = tmp_path_factory.mktemp("flax") / "a.msgpack"
    path.write_bytes(pack(nested(arrays, chunk)))
    assert values_in(path, scratch) == expected_of(arrays)


# What flax 0.12.8 made of {"a": {"kernel": float32 [2, 3]}, "b": float32}, whole, and with MAX_CHUNK_SIZE 16.
BY_FLAX = {
    1 << 30: (
        b"\x82\xa1a\x81\xa6kernel\xc7&\x01\x93\x92\x02\x03\xa7float32\xc4\x18\x00\x00\x00\x00\x00\x00\x80?\x00\x00\x00@\x00"
        b"\x00@@\x00\x00\x80@\x00\x00\xa0@\xa1b\xd8\x01\x93\x90\xa7float32\xc4\x04\x00\x00\xc0?"
    ),
    16: (
        b"\x82\xa1a\x81\xa6kernel\x83\xb9__msgpack_chunked_array__\xc3\xa5shape\x82\xa10\x02\xa11\x03\xa6chunks\x82\xa10"
        b"\xc7\x1d\x01\x93\x91\x04\xa7float32\xc4\x10\x00\x00\x00\x00\x00\x00\x80?\x00\x00\x00@\x00\x00@@\xa11\xc7\x15\x01\x93\x91"
        b"\x02\xa7float32\xc4\x08\x00\x00\x80@\x00\x00\xa0@\xa1b\xd8\x01\x93\x90\xa7float32\xc4\x04\x00\x00\xc0?"
    ),
}


@pytest.mark.parametrize("chunk", BY_FLAX)
def test_what_flax_itself_wrote_is_read_and_is_what_tests_write(tmp_path, chunk):
    arrays = {"a.kernel": np.arange(6, dtype="<f4").reshape(2, 3), "b": np.array(1.5, "<f4")}
    assert pack(nested(arrays, chunk)) == BY_FLAX[chunk]
    (tmp_path / "a.msgpack").write_bytes(BY_FLAX[chunk])
    assert values_in(tmp_path / "a.msgpack") == expected_of(arrays)


def test_shards_are_read_by_their_index(tmp_path):
    arrays = {f"a.{number}.bias": np.arange(number, dtype="<f4") for number in range(9)}
    assert values_in(write_shards(tmp_path, arrays, 4)) == expected_of(arrays)


def test_what_is_beside_the_arrays_of_a_training_state_is_named(tmp_path):
    tree = {
        "a": ONE,
        "step": 70_000,
        "lr": 0.1,
        "name": "run" * 999,
        "none": None,
        "raw": b"x",
        "done": True,
        "empty": {},
    }
    (tmp_path / "a.msgpack").write_bytes(pack(tree))
    with open_file(tmp_path / "a.msgpack") as source:
        assert list(source.tensors) == ["a"]
        assert source.notices == ("Left out, values that are no arrays: done, lr, name, none, raw, step.",)


def deep(levels: int) -> bytes:
    return b"\x81\xa1a" * levels + b"\x80"


HOSTILE = {
    "nothing": (b"", "0 are left"),
    "a number": (b"\x07", "no map of arrays by their names"),
    "an array alone": (extension(1, PACKED), "no map of arrays by their names"),
    "a byte of no meaning": (b"\x81\xa1a\xc1", "no value begins with 0xc1"),
    "bytes after the end": (pack({"a": ONE}) + b"\0", "1 bytes follow the end of a value"),
    "deep nesting": (deep(100_000), "nested deeper than 32"),
    "a map that states 4 billion entries": (b"\xdf\xff\xff\xff\xff" + pack("a"), "are left"),
    "a list that states 4 billion entries": (
        b"\x81\xa1a\xdd\xff\xff\xff\xff" + b"\0" * 300_000,
        "more than 200000 values",
    ),
    "a text that states 4 GB": (b"\x81\xdb\xff\xff\xff\xff", "4294967295 bytes are stated, 0 are left"),
    "bytes that state 4 GB": (b"\x81\xa1a\xc6\xff\xff\xff\xff", "4294967295 bytes are stated, 0 are left"),
    "an array that states 4 GB": (b"\x81\xa1a\xc9\xff\xff\xff\xff\x01" + PACKED, "are left"),
    "a key that is no text": (b"\x81\x01\x02", "a key of a map is not a text"),
    "a key that is there twice": (b"\x82" + 2 * (pack("a") + extension(1, PACKED)), "the key 'a' is there twice"),
    "a text that is no Unicode": (b"\x81\xa1\xff\x00", "not Unicode"),
    "two arrays by one name": (pack({"a": {"b": ONE}, "a/b": ONE}), "two arrays that go by the name 'a/b'"),
    "names of megabytes": (pack({"a" * 1000: {"b" * 1000: ONE}}), "names of more than 1024 characters"),
    "an array of two parts": (pack({"a": 0})[:-1] + extension(1, pack([[2], "float32"])), "no shape, type and bytes"),
    "a shape below nothing": (pack({"a": 0})[:-1] + extension(1, pack([[-2], "float32", b""])), "no shape, type and"),
    "a shape of texts": (pack({"a": 0})[:-1] + extension(1, pack([["2"], "float32", b"8"])), "no shape, type and"),
    "a shape that no array has": (
        pack({"a": 0})[:-1] + extension(1, pack([[1 << 62, 1 << 62, 0], "float32", b""])),
        "a shape no array can have",
    ),
    "a shape of many dimensions": (
        pack({"a": 0})[:-1] + extension(1, pack([[1] * 100, "float32", b"1234"])),
        "a shape no array can have",
    ),
    "fewer bytes than the shape says": (
        pack({"a": 0})[:-1] + extension(1, pack([[3], "float32", ONE.tobytes()])),
        "needs 12 bytes, it has 8",
    ),
    "chunks that make no array": (
        pack({"a": {"__msgpack_chunked_array__": True, "shape": {"0": 5}, "chunks": {"0": ONE, "1": ONE}}}),
        "do not make an array of shape",
    ),
    "chunks of two types": (
        pack(
            {
                "a": {
                    "__msgpack_chunked_array__": True,
                    "shape": {"0": 3},
                    "chunks": {"0": ONE, "1": ONE[:1].view("i4")},
                }
            }
        ),
        "do not make an array of shape",
    ),
    "chunks that are none": (
        pack({"a": {"__msgpack_chunked_array__": True, "shape": {"1": 2}, "chunks": {"0": 1}}}),
        "is not in chunks as flax has them",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_is_one_error_that_names_it_in_little_memory(tmp_path, case):
    data, message = HOSTILE[case]
    (tmp_path / "a.msgpack").write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(CorruptFileError, match=re.escape(message)) as caught:
            open_file(tmp_path / "a.msgpack")
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
    assert "a.msgpack" in caught.value.message
    assert len(caught.value.message) < 1000


@pytest.mark.parametrize("name", ["object", "str", "<U3", "string", "datetime64[ns]", "float4"])
def test_elements_of_a_type_that_no_model_has_are_refused_by_name(tmp_path, name):
    (tmp_path / "a.msgpack").write_bytes(pack({"a": 0})[:-1] + extension(1, pack([[1], name, b"12345678"])))
    with pytest.raises(SourceError, match=rf"array 'a' has elements of type '{re.escape(name)}'"):
        open_file(tmp_path / "a.msgpack")


SMALL = pack(nested({"a.kernel": np.ones((2, 3), "<f4"), "b": np.ones(3, np.uint16), "n": np.array(1.0)}, 16))


@pytest.mark.parametrize("length", range(len(SMALL)))
def test_every_truncation_is_refused(tmp_path, length):
    (tmp_path / "a.msgpack").write_bytes(SMALL[:length])
    with pytest.raises(CorruptFileError, match=r"a\.msgpack"):
        open_file(tmp_path / "a.msgpack")


@given(place=st.integers(0, len(SMALL) - 1), byte=st.integers(0, 255), more=st.binary(max_size=3))
def test_a_changed_byte_is_refused_or_read_and_never_another_error(tmp_path_factory, place, byte, more):
    path = tmp_path_factory.mktemp("flax") / "a.msgpack"
    path.write_bytes(SMALL[:place] + bytes((byte,)) + more + SMALL[place + 1 :])
    with suppress(ElectraConvertError):
        values_in(path)


@given(data=st.binary(max_size=200))
def test_junk_is_refused_or_read_and_never_another_error(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("flax") / "a.msgpack"
    path.write_bytes(b"\x81\xa1a" + data)
    with suppress(ElectraConvertError):
        values_in(path)
