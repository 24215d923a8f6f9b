"""Sharded checkpoints: spread as huggingface_hub does, read by transformers, refused when their parts disagree."""

import json
import math

import numpy as np
import pytest
from huggingface_hub.serialization import split_state_dict_into_shards_factory
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from electra_convert.errors import CorruptFileError, OutputError, SourceError
from electra_convert.formats.safetensors_file import open_folder_sink, open_source
from electra_convert.formats.shards import plan_shards
from electra_convert.tensors.spec import DTYPES, TensorSpec

INDEX = "model.safetensors.index.json"


def spec(name, length):
    return TensorSpec(name, DTYPES["uint8"], (length,))


def write_folder(folder, arrays, max_bytes):
    specs = [TensorSpec(name, DTYPES[array.dtype.name], array.shape) for name, array in arrays.items()]
    with open_folder_sink(folder, specs, max_bytes) as sink:
        for name, array in arrays.items():
            sink.writer(name).write(memoryview(array.tobytes()))


def write_index(folder, weight_map):
    (folder / INDEX).write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}))
    return folder / INDEX


@pytest.fixture
def arrays():
    generator = np.random.default_rng(0)
    return {name: generator.standard_normal((2, 3)).astype(np.float32) for name in ("b", "a", "d", "c")}


@pytest.fixture
def sharded(tmp_path):
    """Two shards of one tensor each, and the index of both."""
    for name in ("one", "two"):
        save_file({name: np.zeros(1, np.float32)}, tmp_path / f"{name}.safetensors")
    return write_index(tmp_path, {"one": "one.safetensors", "two": "two.safetensors"})


@settings(deadline=None)
@given(
    lengths=st.dictionaries(st.text("abc", min_size=1, max_size=3), st.integers(0, 20), min_size=1),
    max_bytes=st.integers(0, 30),
)
def test_tensors_are_spread_as_huggingface_hub_spreads_them(lengths, max_bytes):
    split = split_state_dict_into_shards_factory(
        {name: lengths[name] for name in sorted(lengths)},
        get_storage_size=lambda length: length,
        filename_pattern="model{suffix}.safetensors",
        max_shard_size=max_bytes,
    )
    plan = plan_shards([spec(name, length) for name, length in lengths.items()], max_bytes, "model.safetensors")
    assert {file: [tensor.name for tensor in tensors] for file, tensors in plan.items()} == split.filename_to_tensors


def test_without_a_limit_and_without_tensors_there_is_one_file():
    assert list(plan_shards([spec("a", 10**12)], None, "pytorch_model.bin")) == ["pytorch_model.bin"]
    assert plan_shards([], 0, "model.safetensors") == {"model.safetensors": []}


@pytest.mark.parametrize("max_bytes", [1, 24, 48, 72, None])
def test_what_was_spread_is_read_back_whole(tmp_path, arrays, max_bytes):
    write_folder(tmp_path, arrays, max_bytes)
    path = tmp_path / (INDEX if (tmp_path / INDEX).exists() else "model.safetensors")
    with open_source(path) as source:
        assert source.path == path
        assert source.format == "safetensors"
        assert {name: tensor.read().tolist() for name, tensor in source.tensors.items()} == {
            name: array.tolist() for name, array in arrays.items()
        }


def test_the_files_and_the_index_are_those_transformers_writes(tmp_path, arrays):
    write_folder(tmp_path, arrays, 50)
    shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [*shards, INDEX]
    assert [sorted(load_file(tmp_path / shard)) for shard in shards] == [["a", "b"], ["c", "d"]]
    weight_map = {"a": shards[0], "b": shards[0], "c": shards[1], "d": shards[1]}
    layout = json.dumps(
        {"metadata": {"total_parameters": 24, "total_size": 96}, "weight_map": weight_map}, indent=2, sort_keys=True
    )
    assert (tmp_path / INDEX).read_text() == layout + "\n"


def test_an_incomplete_shard_is_named_and_leaves_no_index(tmp_path):
    specs = [spec("a", 4), spec("b", 4)]
    with pytest.raises(OutputError, match=r"model-00002-of-00002\.safetensors: .* not written whole: 'b'"):  # noqa: SIM117
        with open_folder_sink(tmp_path, specs, 4) as sink:
            sink.writer("a").write(memoryview(b"1234"))
    assert not (tmp_path / INDEX).exists()


def test_an_error_while_writing_leaves_no_index(tmp_path):
    with pytest.raises(KeyboardInterrupt), open_folder_sink(tmp_path, [spec("a", 0), spec("b", 1)], 0):
        raise KeyboardInterrupt
    assert not (tmp_path / INDEX).exists()


def test_a_tensor_that_was_not_declared_has_no_writer(tmp_path):
    with (
        pytest.raises(OutputError, match="tensor 'b' was not declared"),
        open_folder_sink(tmp_path, [], None) as sink,
    ):
        sink.writer("b")


def test_the_tensors_of_all_shards_are_one_source(sharded):
    with open_source(sharded) as source:
        assert list(source.tensors) == ["one", "two"]


def test_shards_may_lie_in_a_folder_below_the_index(tmp_path):
    (tmp_path / "parts").mkdir()
    save_file({"a": np.zeros(1, np.float32)}, tmp_path / "parts" / "a.safetensors")
    with open_source(write_index(tmp_path, {"a": "parts/a.safetensors"})) as source:
        assert list(source.tensors) == ["a"]


def test_all_missing_shards_are_listed(sharded):
    for name in ("one", "two"):
        (sharded.parent / f"{name}.safetensors").unlink()
    with pytest.raises(SourceError, match=r"not there: 'one\.safetensors', 'two\.safetensors'"):
        open_source(sharded)


def test_all_files_outside_the_folder_are_listed(tmp_path):
    index = write_index(tmp_path, {"a": "../a.safetensors", "b": "/etc/passwd", "c": "x/../../c", "d": "d"})
    with pytest.raises(CorruptFileError, match=r"outside its folder: '\.\./a\.safetensors', '/etc/passwd', 'x/\.\./"):
        open_source(index)


@pytest.mark.parametrize("file", ["", ".", "\0", "x" * 5000, "line\nbreak"])
def test_a_name_no_file_can_have_is_a_missing_shard(tmp_path, file):
    with pytest.raises(SourceError, match="lists files that are not there") as caught:
        open_source(write_index(tmp_path, {"a": file}))
    assert "\n" not in caught.value.message


def test_all_disagreements_of_index_and_shards_are_listed(sharded):
    write_index(sharded.parent, {"one": "two.safetensors", "three": "one.safetensors", "two": "two.safetensors"})
    with pytest.raises(CorruptFileError, match="does not agree with its shards") as caught:
        open_source(sharded)
    for fault in (
        "'one' is not in 'two.safetensors'",
        "'three' is not in 'one.safetensors'",
        "'one' is in 'one.safetensors' but not listed there",
    ):
        assert fault in caught.value.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "is not valid JSON"),
        (b"\xff", "is not valid JSON"),
        (b"[1]", "is not a JSON object but a list"),
        (b"{}", "has no weight_map"),
        (b'{"weight_map": {}}', "has no weight_map"),
        (b'{"weight_map": ["a"]}', "has no weight_map"),
        (b'{"weight_map": {"a": 1}}', "the file of 'a' is not a text"),
        (b'{"weight_map": {"a": "x", "a": "y"}}', "the key 'a' appears 2 times"),
        (b'{"weight_map": {"a": "\\udfff"}}', "is not valid JSON"),
        (b'{"metadata": {"total_size": Infinity}}', "Infinity is not a JSON number"),
    ],
)
def test_an_index_that_lists_no_tensors_is_refused(tmp_path, text, message):
    (tmp_path / INDEX).write_bytes(text)
    with pytest.raises(CorruptFileError, match=rf"index\.json.*{message}"):
        open_source(tmp_path / INDEX)


def test_a_damaged_shard_is_named(sharded):
    (sharded.parent / "two.safetensors").write_bytes(b"short")
    with pytest.raises(CorruptFileError, match=r"two\.safetensors is damaged"):
        open_source(sharded)


@pytest.mark.slow
@pytest.mark.parametrize("container", ["safetensors", "torch"])
@pytest.mark.parametrize("share", [None, 3, math.inf])
def test_transformers_reads_every_kind_of_folder(tmp_path, tiny_model, container, share):
    import torch
    from transformers import ElectraForPreTraining

    from electra_convert.formats import safetensors_file, torch_file

    contents = {name: values.numpy() for name, values in tiny_model.state_dict().items()}
    specs = [TensorSpec(name, DTYPES[array.dtype.name], array.shape) for name, array in contents.items()]
    total = sum(tensor.nbytes for tensor in specs)
    # One file, about three, or a file for every tensor.
    max_bytes = None if share is None else int(total / share)
    module = safetensors_file if container == "safetensors" else torch_file
    with module.open_folder_sink(tmp_path, specs, max_bytes) as sink:
        for name, array in contents.items():
            sink.writer(name).write(memoryview(array.tobytes()))
    tiny_model.config.save_pretrained(tmp_path)
    loaded, report = ElectraForPreTraining.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report.values())
    assert all(torch.equal(loaded.state_dict()[name], values) for name, values in tiny_model.state_dict().items())


@pytest.fixture(scope="module")
def tiny_model():
    from transformers import ElectraConfig, ElectraForPreTraining

    sizes = {"hidden_size": 8, "embedding_size": 4, "num_attention_heads": 2, "intermediate_size": 8}
    return ElectraForPreTraining(ElectraConfig(vocab_size=30, num_hidden_layers=2, **sizes)).eval()
