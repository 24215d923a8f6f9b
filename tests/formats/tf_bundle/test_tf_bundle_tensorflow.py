"""The same files by TensorFlow itself: what it writes is read here, what is written here it reads, byte for byte."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tf_bundle_files import assert_same, data_of, flip, read, refusal_of, table_of, write
from tf_bundle_tables import compressed_table

from electra_convert.errors import CorruptFileError, SourceError
from electra_convert.formats.tf_bundle import container_version, data_path, index_path, open_sink, open_source
from electra_convert.formats.tf_bundle.entries import BY_NUMBER
from electra_convert.tensors.spec import DTYPES, TensorSpec

pytestmark = pytest.mark.slow

NUMPY_TYPES = ("<f4", "<f8", "<f2", "<i1", "<i2", "<i4", "<i8", "<u1", "<u2", "<u4", "<u8", "?", "<c8", "<c16")
OTHER_TYPES = (
    "bfloat16",
    "float8_e5m2",
    "float8_e4m3fn",
    "float8_e4m3fnuz",
    "float8_e4m3b11fnuz",
    "float8_e5m2fnuz",
)
SHAPES = st.lists(st.integers(0, 4), max_size=4).map(tuple)


def stored_as(name, values):
    """Bytes taken for elements of a type that numpy lacks."""
    return values.view(getattr(ml_dtypes, name))


NUMPY_ARRAYS = st.sampled_from(NUMPY_TYPES).flatmap(lambda dtype: arrays(dtype, SHAPES))
OTHER_ARRAYS = st.sampled_from(OTHER_TYPES).flatmap(
    lambda name: arrays("<u2" if name == "bfloat16" else "u1", SHAPES).map(lambda values: stored_as(name, values))
)
NAMES = st.binary(min_size=1, max_size=20)
CHECKPOINTS = st.dictionaries(NAMES, NUMPY_ARRAYS | OTHER_ARRAYS, min_size=1, max_size=8)
FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def tf(imported_tensorflow):
    return imported_tensorflow


def save(tf, prefix, tensors, slices=None):
    """Write what SaveV2 is given in the order of the names, as a Saver does."""
    names = sorted(tensors)
    values = [tf.constant(tensors[name]) for name in names]
    slices = slices or [""] * len(names)
    tf.raw_ops.SaveV2(prefix=str(prefix), tensor_names=names, shape_and_slices=slices, tensors=values)
    return prefix


def restore(tf, prefix, tensors):
    """Read the same tensors with RestoreV2."""
    names = sorted(tensors)
    types = [tf.as_dtype(tensors[name].dtype) for name in names]
    values = tf.raw_ops.RestoreV2(
        prefix=str(prefix), tensor_names=names, shape_and_slices=[""] * len(names), dtypes=types
    )
    return {name: value.numpy() for name, value in zip(names, values, strict=True)}


def text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def by_text(tensors):
    return {text(name): array for name, array in tensors.items()}


def write_anew(prefix, tensors):
    """Write tensors of any type with the sink."""
    specs = [TensorSpec(text(name), DTYPES[array.dtype.name], array.shape) for name, array in tensors.items()]
    with open_sink(prefix, specs) as sink:
        for name, array in tensors.items():
            sink.writer(text(name)).write(memoryview(array.tobytes()))
    return prefix


@FEW
@given(CHECKPOINTS)
def test_both_write_the_same_bytes_and_read_each_others(tf, tmp_path_factory, tensors):
    folder = tmp_path_factory.mktemp("both")
    theirs, ours = save(tf, folder / "theirs", tensors), write_anew(folder / "ours", tensors)
    assert index_path(ours).read_bytes() == index_path(theirs).read_bytes()
    assert data_of(ours).read_bytes() == data_of(theirs).read_bytes()
    with open_source(theirs) as source:
        assert {tensor.dtype.name for tensor in source.tensors.values()} == {
            array.dtype.name for array in tensors.values()
        }
        assert_same(read(source), by_text(tensors))
    assert_same(restore(tf, ours, tensors), tensors)


def test_an_index_of_many_blocks_is_written_byte_for_byte(tf, tmp_path):
    names = [f"scope_{number % 7}/layer_{number}/{'kernel' * (number % 90)}" for number in range(9000)]
    tensors = {name.encode(): np.full(number % 3, number, "<f4") for number, name in enumerate(names)}
    # A key so long that it gets a block of its own, and one that ends in the highest byte.
    tensors |= {b"scope_3/" + b"k" * 600_000: np.zeros((), "<f4"), b"z\xff\xff": np.ones((), "<f4")}
    theirs, ours = save(tf, tmp_path / "theirs", tensors), write_anew(tmp_path / "ours", tensors)
    assert index_path(ours).stat().st_size > 1_000_000
    assert index_path(ours).read_bytes() == index_path(theirs).read_bytes()


@pytest.mark.parametrize("surplus", range(-3, 4))
def test_a_block_ends_at_the_byte_where_tensorflows_does(tf, tmp_path, surplus):
    # With the header, the restarts and a scalar's entry, a key of this length fills the first block of 256 KiB.
    tensors = {b"k" * (262_111 + surplus): np.float32(1), b"l": np.float32(2), b"m": np.float32(3)}
    theirs, ours = save(tf, tmp_path / "theirs", tensors), write_anew(tmp_path / "ours", tensors)
    assert index_path(ours).read_bytes() == index_path(theirs).read_bytes()


def test_a_checkpoint_in_several_data_files_is_read(tf, tmp_path):
    values = {f"part_{number}": np.arange(number + 1, dtype="<f4") for number in range(3)}
    parts = [str(save(tf, tmp_path / f"temporary_{name}", {name: values[name]})) for name in values]
    tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=parts, destination_prefix=str(tmp_path / "model"))
    assert all(data_path(tmp_path / "model", shard, 3).is_file() for shard in range(3))
    with open_source(tmp_path / "model") as source:
        assert_same(read(source), values)


def test_a_partitioned_variable_is_put_together(tf, tmp_path):
    values = np.arange(60, dtype="<f4").reshape(10, 6)
    names = ["a/b", "a/b", "a/b", "other"]
    slices = ["10 6 0,4:-", "10 6 4,6:0,2", "10 6 4,6:2,4", ""]
    tensors = [tf.constant(part) for part in (values[:4], values[4:, :2], values[4:, 2:], np.ones(2, "<f4"))]
    tf.raw_ops.SaveV2(prefix=str(tmp_path / "model"), tensor_names=names, shape_and_slices=slices, tensors=tensors)
    with open_source(tmp_path / "model") as source:
        assert_same(read(source), {"a/b": values, "other": np.ones(2, "<f4")})


@pytest.fixture(scope="module")
def module(tf):
    """Two variables with names of their own, and two that share one."""

    class Module(tf.Module):
        def __init__(self):
            super().__init__()
            self.kernel = tf.Variable(tf.random.normal([3, 2]), name="electra/dense/kernel")
            self.slot = tf.Variable(tf.ones([2]), name="electra/dense/kernel/adam_m")
            self.first = tf.Variable(1.0, name="same")
            self.second = tf.Variable(2.0, name="same")

    return Module()


SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"


def expected_names(module, path=""):
    return {
        "electra/dense/kernel": module.kernel.numpy(),
        "electra/dense/kernel/adam_m": module.slot.numpy(),
        f"{path}first{SUFFIX}": module.first.numpy(),
        f"{path}second{SUFFIX}": module.second.numpy(),
    }


def test_an_object_checkpoint_goes_by_the_names_of_its_variables(tf, tmp_path, module):
    prefix = tf.train.Checkpoint(module=module).save(str(tmp_path / "model"))
    with open_source(tmp_path / prefix) as source:
        assert source.from_object_graph
        assert_same(read(source), expected_names(module, "module/"))


def test_a_saved_model_goes_by_the_names_of_its_variables(tf, tmp_path, module):
    tf.saved_model.save(module, str(tmp_path / "saved"))
    with open_source(tmp_path / "saved" / "variables" / "variables") as source:
        assert source.from_object_graph
        assert_same(read(source), expected_names(module))


def test_a_damaged_object_graph_is_refused(tf, tmp_path, module):
    prefix = tmp_path / tf.train.Checkpoint(module=module).write(str(tmp_path / "model"))
    flip(data_of(prefix), -40)
    with pytest.raises(CorruptFileError, match="in the object graph, is damaged: a string has CRC32C"):
        open_source(prefix)


def test_an_object_graph_greater_than_any_is_refused(tf, tmp_path, module, monkeypatch):
    prefix = tmp_path / tf.train.Checkpoint(module=module).write(str(tmp_path / "model"))
    monkeypatch.setattr("electra_convert.formats.tf_bundle.reader._MAX_GRAPH_BYTES", 100)
    with pytest.raises(CorruptFileError, match="bytes are more than any has"):
        open_source(prefix)


def test_text_is_listed_and_refuses_to_be_read(tf, tmp_path):
    save(tf, tmp_path / "model", {"words": np.array([b"one", b"two"]), "x": np.zeros(2, "<f4")})
    with open_source(tmp_path / "model") as source:
        assert source.tensors["words"].dtype.name == "string"
        message = refusal_of(lambda: list(source.tensors["words"].stream(memoryview(bytearray(8)))))
        assert message
        assert message.endswith("words holds text, not numbers")
        source.tensors["x"].read()


def test_every_type_has_tensorflows_number(tf):
    for number, dtype in BY_NUMBER.items():
        assert tf.as_dtype(number).name.removeprefix("q") == dtype.name


def test_a_checkpoint_in_the_old_format_is_told_and_refused(tf, tmp_path):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.get_variable("a", [3])
        session.run(tf.compat.v1.global_variables_initializer())
        saver = tf.compat.v1.train.Saver(write_version=tf.compat.v1.train.SaverDef.V1)
        prefix = tmp_path / saver.save(session, str(tmp_path / "old"), write_meta_graph=False)
    assert container_version(prefix) == 1
    with pytest.raises(SourceError, match="old is a checkpoint in TensorFlow's old V1 format"):
        open_source(prefix)


def test_a_compressed_index_is_read_by_both(tf, tmp_path):
    values = {f"electra/layer_{number}/kernel": np.full(2, number, "<f4") for number in range(40)}
    prefix = write(tmp_path / "model", values)
    index_path(prefix).write_bytes(compressed_table(table_of(index_path(prefix))))
    with open_source(prefix) as source:
        assert_same(read(source), values)
    assert_same(restore(tf, prefix, values), values)
