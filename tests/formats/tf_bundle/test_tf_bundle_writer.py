import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tf_bundle_files import PREFIXES, SMALLEST_INDEX, assert_same, data_of, read, some_arrays, write

from electra_convert.errors import OutputError
from electra_convert.formats.tf_bundle import index_path, open_sink, open_source
from electra_convert.tensors.spec import DTYPES, PIECE_BYTES, TensorSpec

SPEC = TensorSpec("a", DTYPES["float32"], (2,))


def test_the_smallest_checkpoint_is_tensorflows(tmp_path):
    write(tmp_path / "a", {"a": np.array([1, 2], "<f4")})
    assert index_path(tmp_path / "a").read_bytes() == SMALLEST_INDEX
    assert data_of(tmp_path / "a").read_bytes() == np.array([1, 2], "<f4").tobytes()


@pytest.mark.parametrize("prefix", PREFIXES, ids=lambda prefix: prefix.parent.name)
def test_a_real_checkpoint_is_written_again_byte_for_byte(prefix, tmp_path):
    scratch = memoryview(bytearray(PIECE_BYTES))
    with open_source(prefix) as source:
        # Neither the order of declaring nor that of writing shows.
        tensors = list(reversed(source.tensors.values()))
        with open_sink(tmp_path / "again", tensors) as sink:
            for tensor in tensors[1:] + tensors[:1]:
                for piece in tensor.stream(scratch):
                    sink.writer(tensor.name).write(piece)
    assert index_path(tmp_path / "again").read_bytes() == index_path(prefix).read_bytes()
    assert data_of(tmp_path / "again").read_bytes() == data_of(prefix).read_bytes()


NUMERIC = [dtype for dtype in DTYPES.values() if dtype.kind != "opaque"]
SPECS = st.lists(
    st.builds(
        TensorSpec,
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=12),
        st.sampled_from(NUMERIC),
        st.lists(st.integers(0, 3), max_size=3).map(tuple),
    ),
    max_size=6,
    unique_by=lambda spec: spec.name,
)


@settings(max_examples=50, deadline=None)
@given(SPECS, st.randoms())
def test_whatever_is_written_is_read_again(tmp_path_factory, specs, random):
    prefix = tmp_path_factory.mktemp("any") / "model"
    contents = {spec.name: random.randbytes(spec.nbytes) for spec in specs}
    with open_sink(prefix, specs) as sink:
        for name, content in contents.items():
            sink.writer(name).write(memoryview(content))
    with open_source(prefix) as source:
        assert {name: TensorSpec(name, tensor.dtype, tensor.shape) for name, tensor in source.tensors.items()} == {
            spec.name: spec for spec in specs
        }
        assert {name: values.tobytes() for name, values in read(source).items()} == contents


def test_pieces_of_different_tensors_may_alternate(tmp_path):
    arrays = some_arrays()
    specs = [TensorSpec(name, DTYPES[array.dtype.name], array.shape) for name, array in arrays.items()]
    with open_sink(tmp_path / "model", specs) as sink:
        for start in range(0, 60, 3):
            for name, array in arrays.items():
                sink.writer(name).write(memoryview(array.tobytes()[start : start + 3]))
    with open_source(tmp_path / "model") as source:
        assert_same(read(source), arrays)


def test_a_tensor_not_written_whole_is_refused_and_there_is_no_index(tmp_path):
    with (
        pytest.raises(OutputError, match="tensor 'a' has 8 bytes, 4 were written"),
        open_sink(tmp_path / "m", [SPEC]) as sink,
    ):
        sink.writer("a").write(memoryview(bytes(4)))
    assert not index_path(tmp_path / "m").exists()


def test_more_than_the_tensor_has_is_refused_before_it_is_written(tmp_path):
    with open_sink(tmp_path / "m", [SPEC]) as sink:
        sink.writer("a").write(memoryview(bytes(8)))
        with pytest.raises(OutputError, match="tensor 'a' has 8 bytes, 12 were written"):
            sink.writer("a").write(memoryview(bytes(4)))
    assert data_of(tmp_path / "m").stat().st_size == 8


@pytest.mark.parametrize(("name", "said"), [("b", "b"), ("\ud800", r"\\ud800")])
def test_a_tensor_that_was_not_declared_is_refused(tmp_path, name, said):
    with (
        pytest.raises(OutputError, match=f"m: tensor {said} was not declared$"),
        open_sink(tmp_path / "m", [SPEC]) as sink,
    ):
        sink.writer(name)


def test_after_an_error_no_index_is_written(tmp_path):
    sink = open_sink(tmp_path / "m", [SPEC])
    sink.writer("a").write(memoryview(bytes(8)))
    sink.__exit__(RuntimeError, RuntimeError(), None)
    assert not index_path(tmp_path / "m").exists()


def test_an_existing_checkpoint_is_not_written_over(tmp_path):
    write(tmp_path / "m", some_arrays())
    with pytest.raises(OutputError, match="data-00000-of-00001 cannot be written: File exists"):
        open_sink(tmp_path / "m", [SPEC])


@pytest.mark.parametrize(
    ("specs", "complaint"),
    [
        ([SPEC, SPEC], "two tensors are called a"),
        ([TensorSpec("", DTYPES["float32"], ())], "a tensor has no name"),
        ([TensorSpec("\ud800", DTYPES["float32"], ())], r"the name \\ud800 cannot be encoded"),
        ([TensorSpec("s", DTYPES["string"], ())], "s is of type string, which is not written"),
    ],
)
def test_what_cannot_be_in_a_checkpoint_is_refused(tmp_path, specs, complaint):
    with pytest.raises(OutputError, match=complaint):
        open_sink(tmp_path / "m", specs)
    assert not list(tmp_path.iterdir())
