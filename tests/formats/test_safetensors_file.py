"""The safetensors container against the safetensors library: the same files, the same bytes, the same refusals."""

import json
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import safetensors
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError

from electra_convert.errors import CorruptFileError, ElectraConvertError, OutputError, SourceError
from electra_convert.formats.safetensors_file import open_file, open_folder_sink, open_sink, open_source
from electra_convert.tensors.spec import DTYPES, TensorSpec

CODES = dict(
    pair.split("=")
    for pair in (
        "BOOL=bool U8=uint8 I8=int8 F8_E5M2=float8_e5m2 F8_E4M3=float8_e4m3fn F8_E5M2FNUZ=float8_e5m2fnuz "
        "F8_E4M3FNUZ=float8_e4m3fnuz I16=int16 U16=uint16 F16=float16 BF16=bfloat16 I32=int32 U32=uint32 "
        "F32=float32 C64=complex64 F64=float64 I64=int64 U64=uint64"
    ).split()
)
# What the library holds and this tool does not, with the bits of an element.
NOT_CARRIED = {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "F8_E8M0": 8}

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=8).filter(lambda name: name != "__metadata__")
shapes = st.lists(st.integers(0, 4), max_size=3).map(tuple)


@st.composite
def tensors(draw):
    """Named tensors with their bytes, of every type the format shares with the tool."""
    specs = [
        TensorSpec(name, DTYPES[draw(st.sampled_from(sorted(CODES.values())))], draw(shapes))
        for name in draw(st.lists(names, unique=True, max_size=6))
    ]
    return {spec: draw(st.binary(min_size=spec.nbytes, max_size=spec.nbytes)) for spec in specs}


def library_bytes(contents, metadata=None):
    buffers = {spec.name: np.frombuffer(data, np.uint8) for spec, data in contents.items()}
    described = {
        spec.name: safetensors.TensorSpec(
            dtype=spec.dtype.name,
            shape=spec.shape,
            data_ptr=buffers[spec.name].ctypes.data,
            data_len=spec.nbytes,
        )
        for spec in contents
    }
    # The library writes broken JSON for no tensors with empty metadata.
    return bytes(safetensors.serialize(described, metadata=metadata or None))


def write(path, contents, metadata):
    with open_sink(path, list(contents), metadata) as sink:
        for spec, data in contents.items():
            sink.writer(spec.name).write(memoryview(data))


def with_header(path: Path, header, data=b"") -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def entry(dtype="U8", shape=(1,), offsets=(0, 1)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


small = st.integers(0, 4)
entries = st.builds(entry, st.just("U8"), st.lists(small, max_size=2), st.tuples(small, small))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("safetensors")


@settings(deadline=None)
@given(contents=tensors(), metadata=st.sampled_from([{}, {"format": "pt"}, {'"ключ\n': "\x01\x7f\\"}]))
def test_the_bytes_written_are_those_the_library_writes(folder, contents, metadata):
    path = folder / "written.safetensors"
    path.unlink(missing_ok=True)
    write(path, contents, metadata)
    assert path.read_bytes() == library_bytes(contents, metadata)


@settings(deadline=None)
@given(contents=tensors(), metadata=st.dictionaries(names, names))
def test_what_the_library_writes_is_read_back(folder, contents, metadata):
    path = folder / "read.safetensors"
    path.write_bytes(library_bytes(contents, metadata))
    with open_file(path) as source:
        assert source.metadata == metadata
        assert {
            TensorSpec(tensor.name, tensor.dtype, tensor.shape): tensor.read().tobytes()
            for tensor in source.tensors.values()
        } == contents


def test_tensors_come_in_the_order_of_their_bytes(tmp_path):
    header = {"z": entry(offsets=(0, 1)), "empty": entry(shape=(0,), offsets=(1, 1)), "a": entry(offsets=(1, 2))}
    with open_file(with_header(tmp_path / "a.safetensors", header, b"zy")) as source:
        assert list(source.tensors) == ["z", "empty", "a"]


def test_a_scratch_space_shorter_than_the_tensor_is_filled_again(tmp_path):
    data = bytes(range(200))
    path = tmp_path / "a.safetensors"
    write(path, {TensorSpec("a", DTYPES["uint8"], (200,)): data}, {})
    with open_file(path) as source:
        windows = [bytes(window) for window in source.tensors["a"].stream(memoryview(bytearray(64)))]
    assert b"".join(windows) == data
    assert max(map(len, windows)) == 64


def test_the_format_states_no_checksum(tmp_path):
    path = with_header(tmp_path / "a.safetensors", {"a": entry()}, b"x")
    with closing(open_source(path)) as source:
        assert source.tensors["a"].checksum is None
        assert source.format == "safetensors"
        assert source.path == path


MALFORMED = {
    "nothing": (b"", "0 bytes are too few"),
    "less than a length": (b"1234567", "7 bytes are too few"),
    "a header longer than the file": ((3).to_bytes(8, "little") + b"{}", "header of 3 bytes, at most 2"),
    "a length beyond every file": (b"\xff" * 8 + b"{}", "header of 18446744073709551615 bytes"),
    "text": (b"not a safetensors file", "states a header of"),
}
IMPOSSIBLE_HEADERS = {
    "no header": (b"", "begins with b''"),
    "a list": (b"[]", "begins with b'\\['"),
    "a space before the object": (b" {}", "begins with b' '"),
    "broken JSON": (b'{"a": ', "not valid JSON"),
    "text after the object": (b"{} {}", "not valid JSON"),
    "not UTF-8": (b'{"\xff": 1}', "not valid JSON"),
    "a lone surrogate": (b'{"\\ud800": 1}', "not valid JSON"),
    "not a number": (b'{"a": NaN}', "NaN"),
    "a number of many digits": (b'{"a": ' + b"9" * 5000 + b"}", "not valid JSON"),
    "nesting without end": (b'{"a":' * 100_000, "not valid JSON"),
    "a name twice": (b'{"a":1,"a":2}', "the key 'a' appears 2 times"),
    "an entry that is no object": ({"a": ["U8", [1], [0, 1]]}, "tensor 'a' needs dtype, shape"),
    "no dtype": ({"a": {"shape": [1], "data_offsets": [0, 1]}}, "tensor 'a' needs dtype, shape"),
    "a dtype that is no text": ({"a": entry(dtype=1)}, "tensor 'a' needs dtype, shape"),
    "a negative dimension": ({"a": entry(shape=(-1,))}, "tensor 'a' needs dtype, shape"),
    "a broken dimension": ({"a": entry(shape=(1.0,))}, "tensor 'a' needs dtype, shape"),
    "a dimension that is true": ({"a": entry(shape=(True,))}, "tensor 'a' needs dtype, shape"),
    "three offsets": ({"a": entry(offsets=(0, 1, 1))}, "tensor 'a' needs dtype, shape"),
    "a hole": ({"a": entry(offsets=(1, 2))}, "tensor 'a' should be bytes 0 to 1 of the data, .* says 1 to 2"),
    "an overlap": ({"a": entry(), "b": entry()}, "tensor 'b' should be bytes 1 to 2 of the data, .* says 0 to 1"),
    "offsets backwards": ({"a": entry(offsets=(1, 0))}, "tensor 'a' should be bytes 0 to 1"),
    "too few bytes for the shape": ({"a": entry(shape=(2,))}, "tensor 'a' should be bytes 0 to 2"),
    "a tensor beyond the file": ({"a": entry(shape=(9,), offsets=(0, 9))}, "should be .* bytes long"),
    "bytes that no tensor has": ({}, "should be .* bytes long"),
    "a size that overflows": ({"a": entry(shape=(2**62, 2**62))}, "tensor 'a' has a shape no array can have"),
    "an empty tensor that overflows": ({"a": entry(shape=(0, 2**70))}, "tensor 'a' has a shape no array can have"),
    "too many dimensions": ({"a": entry(shape=(1,) * 100)}, "tensor 'a' has a shape no array can have"),
    "metadata that is no object": ({"__metadata__": [], "a": entry()}, "__metadata__"),
    "metadata that is no text": ({"__metadata__": {"a": 1}, "a": entry()}, "__metadata__"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_file_that_is_too_short_for_its_header_is_refused(tmp_path, case):
    data, message = MALFORMED[case]
    path = tmp_path / "a.safetensors"
    path.write_bytes(data)
    with pytest.raises(CorruptFileError, match=f"a.safetensors is damaged: .*{message}"):
        open_file(path)


@pytest.mark.parametrize("case", IMPOSSIBLE_HEADERS)
def test_a_header_that_says_the_impossible_is_refused(tmp_path, case):
    header, message = IMPOSSIBLE_HEADERS[case]
    path = with_header(tmp_path / "a.safetensors", header, b"x")
    with pytest.raises(CorruptFileError, match=f"a.safetensors.*{message}") as caught:
        open_file(path)
    assert "\n" not in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("code", [*NOT_CARRIED, "F128", ""])
def test_elements_of_a_type_that_is_not_carried_are_refused_by_name(tmp_path, code):
    bits = NOT_CARRIED.get(code, 8)
    path = with_header(tmp_path / "a.safetensors", {"w": entry(code, (8,), (0, bits))}, bytes(bits))
    with pytest.raises(SourceError, match=f"tensor 'w' has elements of type '{code}', expected one of BOOL"):
        open_file(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SourceError, match=r"absent\.safetensors cannot be read: No such file"):
        open_source(tmp_path / "absent.safetensors")


def small_file() -> bytes:
    contents = {
        TensorSpec("w", DTYPES["float32"], (2, 1)): b"weights!",
        TensorSpec("é", DTYPES["bfloat16"], ()): b"b!",
    }
    return library_bytes(contents, {"format": "pt"})


def read_all(path):
    with open_file(path) as source:
        return {
            tensor.name: (tensor.dtype, tensor.shape, tensor.read().tobytes()) for tensor in source.tensors.values()
        }


def test_every_truncation_is_refused(tmp_path):
    whole, path = small_file(), tmp_path / "a.safetensors"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(CorruptFileError, match=r"a\.safetensors"):
            open_file(path)


def test_a_flipped_bit_of_a_header_is_refused_or_read_as_the_library_reads_it(tmp_path):
    whole, path = small_file(), tmp_path / "a.safetensors"
    header_end = whole.index(b"}}") + 8
    for position in range(0, 8 * header_end, 3):  # in every byte, and every bit of one in some
        data = bytearray(whole)
        data[position // 8] ^= 1 << position % 8
        path.write_bytes(data)
        try:
            found = read_all(path)
        except ElectraConvertError:
            continue
        expected = {
            name: (DTYPES[CODES[tensor["dtype"]]], tuple(tensor["shape"]), bytes(tensor["data"]))
            for name, tensor in safetensors.deserialize(bytes(data))
        }
        assert found == expected


@settings(deadline=None)
@given(entries=st.dictionaries(st.sampled_from("abc"), entries), length=st.integers(0, 6))
def test_a_header_is_accepted_exactly_when_the_library_accepts_it(folder, entries, length):
    path = with_header(folder / "layout.safetensors", entries, bytes(length))
    try:
        safetensors.deserialize(path.read_bytes())
    except SafetensorError:
        with pytest.raises(CorruptFileError):
            open_file(path)
    else:
        open_file(path).close()


def test_tensors_written_by_several_threads_at_once_all_arrive(tmp_path):
    generator = np.random.default_rng(0)
    contents = {
        TensorSpec(f"tensor_{number}", DTYPES["uint8"], (3001,)): generator.bytes(3001) for number in range(8)
    }
    path = tmp_path / "a.safetensors"

    def write_one(sink, spec):
        writer = sink.writer(spec.name)
        for start in range(0, spec.nbytes, 10):
            writer.write(memoryview(contents[spec])[start : start + 10])

    with open_sink(path, list(contents), {}) as sink:
        threads = [threading.Thread(target=write_one, args=(sink, spec)) for spec in contents]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert path.read_bytes() == library_bytes(contents)


def test_a_tensor_that_was_not_written_whole_is_named(tmp_path):
    specs = [TensorSpec(name, DTYPES["float32"], (2,)) for name in ("whole", "half", "absent")]
    with pytest.raises(OutputError, match=r"a\.safetensors: tensors were not written whole: 'absent', 'half'$"):  # noqa: PT012, SIM117
        with open_sink(tmp_path / "a.safetensors", specs, {}) as sink:
            sink.writer("whole").write(memoryview(bytes(8)))
            sink.writer("half").write(memoryview(bytes(4)))


def test_another_error_while_writing_is_not_hidden_by_what_is_missing(tmp_path):
    spec = TensorSpec("a", DTYPES["float32"], (2,))
    with pytest.raises(KeyboardInterrupt), open_sink(tmp_path / "a.safetensors", [spec], {}):
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("name", "written", "message"),
    [("a", 9, "tensor 'a' has 8 bytes, 9 were written$"), ("b", 1, "tensor 'b' was not declared")],
)
def test_bytes_that_were_not_declared_are_refused(tmp_path, name, written, message):
    spec = TensorSpec("a", DTYPES["float32"], (2,))
    with pytest.raises(OutputError, match=message), open_sink(tmp_path / "a.safetensors", [spec], {}) as sink:
        sink.writer(name).write(memoryview(bytes(written)))


@pytest.mark.parametrize(
    ("names", "dtype", "message"),
    [
        (["a", "a"], "float32", "two entries named 'a'"),
        (["__metadata__"], "float32", "two entries named '__metadata__'"),
        (["a", "b"], "complex128", r"these types: 'a' \(complex128\), 'b' \(complex128\)"),
        (["a"], "string", r"'a' \(string\)"),
        (["\ud800"], "float32", "not Unicode"),
    ],
)
def test_a_tensor_the_format_cannot_hold_is_refused_before_a_file_is_made(tmp_path, names, dtype, message):
    path = tmp_path / "a.safetensors"
    with pytest.raises(OutputError, match=message):
        open_sink(path, [TensorSpec(name, DTYPES[dtype], (1,)) for name in names], {})
    assert not path.exists()


def test_a_file_that_exists_is_not_written_over(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"precious")
    with pytest.raises(OutputError, match="File exists"):
        open_sink(path, [], {})
    assert path.read_bytes() == b"precious"


def test_a_folder_gets_one_file_that_says_its_tensors_are_for_torch(tmp_path):
    with open_folder_sink(tmp_path, [TensorSpec("a", DTYPES["uint8"], (1,))], None) as sink:
        sink.writer("a").write(memoryview(b"x"))
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]
    with open_file(tmp_path / "model.safetensors") as source:
        assert source.metadata == {"format": "pt"}


@pytest.mark.slow
def test_the_bytes_written_are_those_of_the_torch_side_of_the_library(tmp_path):
    import torch
    from safetensors.torch import save_file

    state = {
        "z": torch.arange(6, dtype=torch.float32).reshape(2, 3),
        "b": torch.ones(3, dtype=torch.bfloat16),
        "a": torch.zeros((), dtype=torch.int64),
        "f": torch.ones(5).to(torch.float8_e4m3fn),
    }
    save_file(state, tmp_path / "library.safetensors", {"format": "pt"})
    contents = {
        TensorSpec(name, DTYPES[str(values.dtype).removeprefix("torch.")], tuple(values.shape)): values.reshape(-1)
        .view(torch.uint8)
        .numpy()
        .tobytes()
        for name, values in state.items()
    }
    write(tmp_path / "ours.safetensors", contents, {"format": "pt"})
    assert (tmp_path / "ours.safetensors").read_bytes() == (tmp_path / "library.safetensors").read_bytes()
