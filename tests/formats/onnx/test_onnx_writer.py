"""ONNX files as this package writes them, read by onnx."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from electra_convert.errors import OutputError
from electra_convert.formats.onnx import Graph, Node, Port, data_files, open_folder_sink
from electra_convert.formats.onnx.model import encode_model
from electra_convert.tensors.spec import DTYPES, TensorSpec

FLOAT = DTYPES["float32"]
ARRAYS = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.arange(5000, dtype=np.int8),
    "c": np.array(7, np.float32),
    "d": np.zeros((0, 4), np.uint8),
}
SPECS = [TensorSpec(name, DTYPES[array.dtype.name], array.shape) for name, array in ARRAYS.items()]
# x + a
ADDING = Graph(
    (Node("Add", ("x", "a"), ("y",)),),
    (Port("x", FLOAT, ("rows", 3)),),
    (Port("y", FLOAT, ("rows", 3)),),
)


def write(folder: Path, largest: int | None = None) -> None:
    limit = {} if largest is None else {"largest": largest}
    with open_folder_sink(folder, SPECS, "model.onnx", ADDING, **limit) as sink:
        for name, array in ARRAYS.items():
            for piece in np.array_split(array.reshape(-1).view(np.uint8), 3):
                sink.writer(name).write(piece.data)


@pytest.mark.parametrize("largest", [None, 100])
def test_tensors_are_held_in_the_model_or_where_they_are_too_large_beside_it(tmp_path: Path, largest: int | None):
    import onnx
    import onnxruntime

    write(tmp_path, largest)
    names = ["model.onnx"] if largest is None else ["model.onnx", "model.onnx_data"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert list(data_files("model.onnx", SPECS, largest or 10_000)) == names
    onnx.checker.check_model(tmp_path / "model.onnx", full_check=True)
    model = onnx.load(tmp_path / "model.onnx")
    for tensor in model.graph.initializer:
        found = onnx.numpy_helper.to_array(tensor)
        assert found.dtype == ARRAYS[tensor.name].dtype
        np.testing.assert_array_equal(found, ARRAYS[tensor.name])
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    (found,) = session.run(None, {"x": np.ones((2, 3), np.float32)})
    np.testing.assert_array_equal(found, ARRAYS["a"] + 1)


def test_weights_that_a_message_of_two_gigabytes_would_not_hold_are_beside_the_model():
    fitting, large = (TensorSpec("a", FLOAT, (count,)) for count in (499_000_000, 2**29 - 1))
    assert data_files("model.onnx", [fitting]) == {"model.onnx": fitting.nbytes}
    assert data_files("model.onnx", [large]) == {"model.onnx": 0, "model.onnx_data": large.nbytes}


def test_tensors_beside_a_model_begin_at_whole_pages(tmp_path: Path):
    import onnx

    write(tmp_path, 100)
    model = onnx.load(tmp_path / "model.onnx", load_external_data=False)
    pairs = [pair for tensor in model.graph.initializer for pair in tensor.external_data]
    offsets = [pair.value for pair in pairs if pair.key == "offset"]
    assert offsets == ["0", "4096", "12288", "16384"]


@given(st.integers(-(2**63), 2**63 - 1), st.floats(width=32), st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_attributes_are_read_as_they_were_meant(integer: int, number: float, integers: list[int]):
    import onnx

    attributes = {"integer": integer, "number": number, "integers": integers}
    node = Node("Something", ("x", "", "y"), ("z", "w"), attributes)
    model = onnx.ModelProto.FromString(encode_model(Graph((node,), (), ()), 0))
    (read,) = model.graph.node
    found = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in read.attribute}
    np.testing.assert_equal(found, attributes)
    assert (list(read.input), list(read.output), read.op_type) == (["x", "", "y"], ["z", "w"], "Something")


def test_a_tensor_that_was_not_written_whole_is_refused(tmp_path: Path):
    sink = open_folder_sink(tmp_path, SPECS, "model.onnx", ADDING)
    with pytest.raises(OutputError, match="tensors were not written whole: 'b', 'c'"), sink:
        sink.writer("a").write(ARRAYS["a"].reshape(-1).view(np.uint8).data)


def test_a_tensor_that_was_not_declared_is_refused(tmp_path: Path):
    with pytest.raises(OutputError, match="'e' was not declared"):
        open_folder_sink(tmp_path, SPECS, "model.onnx", ADDING).writer("e")


def test_a_tensor_that_onnx_has_no_type_for_is_refused(tmp_path: Path):
    spec = TensorSpec("a", DTYPES["complex64"], (2,))
    with pytest.raises(OutputError, match="an ONNX file cannot hold 'a', which is complex64"):
        open_folder_sink(tmp_path, [spec], "model.onnx", ADDING)
