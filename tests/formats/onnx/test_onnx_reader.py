"""ONNX files read: what onnx reads of them, and never more than they hold, whatever they claim."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import FIXTURES
from formats.onnx.test_onnx_writer import ADDING, ARRAYS, write

from electra_convert import convert
from electra_convert.errors import CorruptFileError, SourceError
from electra_convert.formats.onnx import OnnxFile, frame_of
from electra_convert.formats.wire import encode_content, encode_number, encode_varint


def content_of(number: int, *parts: bytes) -> bytes:
    return encode_content(number, b"".join(parts))


def tensor(*parts: bytes, dims: bytes = b"\x08\x02", dtype: int = 3, name: bytes = b"t") -> bytes:
    """A tensor of two int8, of which parts say where they are."""
    return content_of(5, dims, encode_number(2, dtype), encode_content(8, name), *parts)


RAW = encode_content(9, b"ab")


def beside(location: str, offset: str = "0", length: str = "2") -> bytes:
    said = {"location": location, "offset": offset, "length": length}
    pairs = (content_of(13, encode_content(1, k.encode()), encode_content(2, v.encode())) for k, v in said.items())
    return b"".join([*pairs, encode_number(14, 1)])


def read(path: Path) -> dict[str, np.ndarray]:
    with OnnxFile(path) as file:
        return {name: found.read() for name, found in file.tensors.items()}


@pytest.mark.parametrize("largest", [None, 100])
def test_what_is_written_is_read_again(tmp_path: Path, largest: int | None):
    write(tmp_path, largest)
    with OnnxFile(tmp_path / "model.onnx") as file:
        assert file.frame == frame_of(ADDING)
        assert file.operators == {"Add"}
        for name, array in ARRAYS.items():
            found = file.tensors[name].read()
            assert (found.dtype, found.shape) == (array.dtype, array.shape)
            np.testing.assert_array_equal(found, array)


def test_a_model_that_onnx_has_saved_again_is_read_as_onnx_reads_it(tmp_path: Path):
    import onnx

    source, vocabulary = FIXTURES / "finetuned" / "mnli", FIXTURES / "vocab.txt"
    convert(source, tmp_path / "out", vocab=vocabulary, to="onnx", quantize="int8")
    for path in sorted((tmp_path / "out" / "onnx").iterdir()):
        model = onnx.load(path)
        onnx.save(model, tmp_path / "again.onnx")
        held = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}
        for place in (path, tmp_path / "again.onnx"):
            found = read(place)
            assert found.keys() == held.keys()
            assert all(np.array_equal(found[name], held[name]) for name in held)


def test_a_file_that_is_cut_short_is_damaged_wherever_it_ends(tmp_path: Path):
    write(tmp_path)
    whole = (tmp_path / "model.onnx").read_bytes()
    for end in [*range(120), *range(120, len(whole), 97), len(whole) - 1]:
        (tmp_path / "cut.onnx").write_bytes(whole[:end])
        with pytest.raises(CorruptFileError, match=r"cut\.onnx is damaged"):
            read(tmp_path / "cut.onnx")


def test_what_lies_beside_a_model_is_looked_for_whole(tmp_path: Path):
    write(tmp_path, 100)
    data = tmp_path / "model.onnx_data"
    data.write_bytes(data.read_bytes()[:-8])
    with pytest.raises(CorruptFileError, match="is cut short"):
        read(tmp_path / "model.onnx")
    data.unlink()
    with pytest.raises(SourceError, match=r"model\.onnx_data cannot be read"):
        read(tmp_path / "model.onnx")


@pytest.mark.parametrize(
    ("graph", "complaint"),
    [
        (tensor(), "does not hold its bytes in one place"),
        (tensor(RAW, RAW), "does not hold its bytes in one place"),
        (tensor(RAW, beside("m.onnx_data")), "does not hold its bytes in one place"),
        (tensor(RAW) + tensor(RAW), "'t' is there twice"),
        (tensor(RAW, name=b""), "has not one name"),
        (tensor(RAW, encode_content(8, b"u")), "has not one name"),
        (tensor(RAW, dtype=99), r"is of type \[99\]"),
        (tensor(RAW, encode_number(5, 1)), "has a field 5"),
        (tensor(RAW, dims=b"\x08\x03"), "of 3 bytes holds 2"),
        (tensor(RAW, dims=b"\x08" + encode_varint(-2)), r"has the shape \[-2\]"),
        (tensor(RAW, dims=b"\x08" + encode_varint(2**62) + b"\x08\x00"), "of 0 bytes holds 2"),
        (tensor(RAW, dims=b"\x0a\x02"), "damaged"),
        (tensor(beside("../secret")), "tensors lie in '../secret', expected m.onnx_data"),
        (tensor(beside("/etc/passwd")), "tensors lie in '/etc/passwd'"),
        (tensor(beside("m.onnx_data", offset="-1")), "lies at '-1', expected a number"),
        (tensor(beside("m.onnx_data"), beside("m.onnx_data")), "in one place|says twice where it lies"),
        (b"\x2a" + encode_varint(1 << 60), "is longer than the"),
        (b"\x2d" + bytes(4), "unknown wire type 5"),
    ],
)
def test_tensors_that_say_more_than_they_hold_are_refused(tmp_path: Path, graph: bytes, complaint: str):
    (tmp_path / "m.onnx_data").write_bytes(b"ab")
    (tmp_path / "m.onnx").write_bytes(content_of(7, graph))
    with pytest.raises(CorruptFileError, match=complaint):
        read(tmp_path / "m.onnx")


@pytest.mark.parametrize("model", [b"", content_of(7) * 2, content_of(8, b"")])
def test_a_model_has_one_graph_as_other_readers_would_merge_two(tmp_path: Path, model: bytes):
    (tmp_path / "m.onnx").write_bytes(model)
    with pytest.raises(CorruptFileError, match=r"it holds \d graphs, expected one"):
        read(tmp_path / "m.onnx")


def test_what_is_no_tensor_is_bounded_in_sum_and_in_number(tmp_path: Path, monkeypatch):
    (tmp_path / "m.onnx").write_bytes(content_of(7, content_of(1, bytes(900)) * 2))
    monkeypatch.setattr("electra_convert.formats.onnx.reader.LARGEST_SMALL_FILE", 1000)
    with pytest.raises(CorruptFileError, match="longer than any graph"):
        read(tmp_path / "m.onnx")
    (tmp_path / "m.onnx").write_bytes(content_of(7, b"\x08\x00" * 50))
    monkeypatch.setattr("electra_convert.formats.onnx.reader._MOST_FIELDS", 40)
    with pytest.raises(CorruptFileError, match="more than 40 fields"):
        read(tmp_path / "m.onnx")


def test_an_operator_of_another_domain_is_called_by_it(tmp_path: Path):
    node = encode_content(4, b"Add") + encode_content(7, b"com.example")
    (tmp_path / "m.onnx").write_bytes(content_of(7, encode_content(1, node)))
    with OnnxFile(tmp_path / "m.onnx") as file:
        assert file.operators == {"com.example.Add"}
