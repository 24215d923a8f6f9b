from concurrent.futures import ThreadPoolExecutor
from shutil import copyfile

import numpy as np
import pytest
from crc32c import crc32c
from tf_bundle_files import (
    PREFIXES,
    assert_same,
    change_entry,
    change_index,
    data_of,
    flip,
    read,
    some_arrays,
    write,
)

from electra_convert.errors import CorruptFileError, SourceError
from electra_convert.formats.tf_bundle import container_version, data_path, index_path, open_source, refuse_v1
from electra_convert.formats.wire import encode_content, encode_number
from electra_convert.tensors.spec import DTYPES


@pytest.fixture
def prefix(tmp_path):
    return write(tmp_path / "model.ckpt-7", some_arrays())


def test_a_source_lists_its_tensors_in_order_without_touching_the_data(prefix):
    data_of(prefix).unlink()
    with open_source(prefix) as source:
        assert list(source.tensors) == sorted(some_arrays())
        assert (source.path, source.format, source.from_object_graph) == (prefix, "tensorflow", False)
        kernel = source.tensors["embeddings/kernel"]
        assert (kernel.dtype, kernel.shape) == (DTYPES["float32"], (5, 3))
        assert kernel.checksum == crc32c(some_arrays()["embeddings/kernel"].tobytes())


def test_every_value_is_read_as_it_was_written(prefix):
    with open_source(prefix) as source:
        assert_same(read(source), some_arrays())


@pytest.mark.parametrize("prefix", PREFIXES, ids=lambda prefix: prefix.parent.name)
def test_every_checksum_of_a_real_checkpoint_holds(prefix):
    with open_source(prefix) as source:
        for tensor in source.tensors.values():
            assert crc32c(tensor.read().tobytes()) == tensor.checksum


def test_a_tensor_longer_than_the_scratch_space_is_streamed_in_pieces(tmp_path):
    values = np.arange(1000, dtype="<f8")
    with open_source(write(tmp_path / "long", {"a": values})) as source:
        # 100 bytes hold twelve whole elements.
        pieces = [bytes(piece) for piece in source.tensors["a"].stream(memoryview(bytearray(100)))]
    assert {len(piece) for piece in pieces[:-1]} == {96}
    assert b"".join(pieces) == values.tobytes()


def test_several_threads_read_at_once(prefix):
    with open_source(prefix) as source, ThreadPoolExecutor(8) as pool:
        names = list(source.tensors) * 20
        for name, array in zip(names, pool.map(lambda name: source.tensors[name].read(), names), strict=True):
            assert array.tobytes() == some_arrays()[name].tobytes()


def test_closing_a_source_twice_is_no_error(prefix):
    source = open_source(prefix)
    source.tensors["mask"].read()
    source.close()
    source.close()


def test_a_flipped_byte_in_the_data_names_the_file_and_the_tensor(prefix):
    flip(data_of(prefix), 3)
    with open_source(prefix) as source:
        with pytest.raises(
            CorruptFileError, match=r"data-00000-of-00001 is damaged.*embeddings/bias have CRC32C"
        ) as error:
            source.tensors["embeddings/bias"].read()
        assert "another save" not in error.value.message
        source.tensors["embeddings/kernel"].read()


def test_a_lone_damaged_tensor_says_nothing_of_another_save(tmp_path):
    prefix = write(tmp_path / "lone", {"a": np.ones(3, "<f4")})
    flip(data_of(prefix), 0)
    with open_source(prefix) as source, pytest.raises(CorruptFileError, match=r"bytes of a have CRC32C [^;]*$"):
        source.tensors["a"].read()


def test_the_index_of_another_save_of_the_same_model_is_said_to_be_one(tmp_path):
    first = write(tmp_path / "first", some_arrays(1))
    second = write(tmp_path / "second", some_arrays(2))
    copyfile(index_path(second), index_path(first))
    with (
        open_source(first) as source,
        pytest.raises(CorruptFileError, match="index is of another save than the data"),
    ):
        source.tensors["embeddings/kernel"].read()


@pytest.mark.parametrize("surplus", [b"\0" * 5000, b"\1"])
def test_data_longer_than_the_index_describes_is_of_another_save(prefix, surplus):
    data_of(prefix).write_bytes(data_of(prefix).read_bytes() + surplus)
    with open_source(prefix) as source, pytest.raises(CorruptFileError, match=r"the index is of another save"):
        source.tensors["mask"].read()


def test_padding_behind_the_last_tensor_is_none_of_its_bytes(prefix):
    data_of(prefix).write_bytes(data_of(prefix).read_bytes() + bytes(40))
    with open_source(prefix) as source:
        assert_same(read(source), some_arrays())


def test_an_empty_data_file_is_said_to_be_empty(prefix):
    data_of(prefix).write_bytes(b"")
    with open_source(prefix) as source, pytest.raises(CorruptFileError, match="is empty, the index describes"):
        source.tensors["mask"].read()


def test_a_data_file_cut_short_is_said_to_be(prefix):
    data_of(prefix).write_bytes(data_of(prefix).read_bytes()[:-1])
    with open_source(prefix) as source, pytest.raises(CorruptFileError, match="it is cut short, or the index is"):
        source.tensors["embeddings/bias"].read()


def test_a_missing_data_file_is_named(prefix):
    data_of(prefix).unlink()
    with (
        open_source(prefix) as source,
        pytest.raises(SourceError, match="data-00000-of-00001 cannot be read") as error,
    ):
        source.tensors["mask"].read()
    assert error.value.hint
    assert "Put it beside the index" in error.value.hint


def test_a_missing_index_is_named(tmp_path):
    with pytest.raises(SourceError, match=r"absent.index cannot be read"):
        open_source(tmp_path / "absent")


def test_an_index_without_a_header_is_refused(prefix):
    change_index(prefix, lambda table: table.pop(b"") and None)
    with pytest.raises(CorruptFileError, match=r"model.ckpt-7.index is damaged: it has no header"):
        open_source(prefix)


def test_a_newer_format_is_refused_as_newer(prefix):
    version = encode_content(3, encode_number(2, 9))
    change_index(prefix, lambda table: table.update({b"": encode_number(1, 1) + version}))
    with pytest.raises(SourceError, match="written by a newer TensorFlow"):
        open_source(prefix)


def test_an_impossible_entry_is_refused_by_name(prefix):
    change_entry(prefix, "mask", shape=(-3,))
    with pytest.raises(CorruptFileError, match=r"in the entry of mask, is damaged: its shape \[-3\]"):
        open_source(prefix)


def test_tensors_on_top_of_each_other_are_refused(prefix):
    change_entry(prefix, "mask", offset=0)
    with pytest.raises(CorruptFileError, match="two tensors share the byte 0"):
        open_source(prefix)


def test_a_name_that_is_not_text_is_shown_escaped_and_keeps_its_bytes(prefix):
    change_index(prefix, lambda table: table.update({b"x\xff\n": table.pop(b"wave")}))
    flip(data_of(prefix), -1)
    with open_source(prefix) as source:
        name = next(reversed(source.tensors))
        assert name.encode("utf-8", "surrogateescape") == b"x\xff\n"
        with pytest.raises(CorruptFileError, match=r"the bytes of x\\udcff\\n have") as error:
            source.tensors[name].read()
    assert error.value.message.isprintable()


@pytest.mark.parametrize(
    ("number", "phrase"), [(7, "text, not numbers"), (20, "a resource"), (29, "int4 elements, narrower than a byte")]
)
def test_what_is_not_numbers_is_listed_and_refuses_to_be_read(prefix, number, phrase):
    change_entry(prefix, "mask", data_type=number)
    with open_source(prefix) as source:
        mask = source.tensors["mask"]
        assert mask.dtype.kind == "opaque"
        with pytest.raises(CorruptFileError, match=f"mask holds {phrase}"):
            next(mask.stream(memoryview(bytearray(8))))


def test_the_version_of_a_container_is_told(prefix, tmp_path):
    assert container_version(index_path(prefix)) == 2
    assert container_version(data_of(prefix)) is None
    refuse_v1(index_path(prefix))
    with pytest.raises(SourceError, match="cannot be read"):
        container_version(tmp_path / "absent")


def test_a_checkpoint_in_the_old_format_is_refused_as_such(prefix):
    change_index(prefix, lambda table: table.update({b"": encode_content(1, b"")}))
    old = index_path(prefix)
    with pytest.raises(SourceError, match="old V1 format"):
        open_source(prefix)
    with pytest.raises(SourceError, match="old V1 format") as error:
        open_source(old)
    assert error.value.hint
    assert "SaverDef.V2" in error.value.hint


def test_data_files_are_numbered_with_five_digits(tmp_path):
    assert data_path(tmp_path / "m.1", 2, 12).name == "m.1.data-00002-of-00012"
