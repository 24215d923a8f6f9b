"""The torch container against torch itself: what it saves is read, what this writes it loads, and no code runs."""

import argparse
import math
import os
import pickle
import sys
import threading
import warnings
import zipfile
from collections import OrderedDict

import pytest

from electra_convert.errors import (
    CorruptFileError,
    ElectraConvertError,
    MissingPackageError,
    OutputError,
    SourceError,
)
from electra_convert.formats.torch_file import open_file, open_folder_sink, open_source
from electra_convert.tensors.spec import DTYPES, TensorSpec

pytestmark = pytest.mark.slow

# opaque: no bytes; b11fnuz: torch does not have it.
CARRIED = [name for name, dtype in DTYPES.items() if dtype.kind != "opaque" and name != "float8_e4m3b11fnuz"]
# What torch itself can save in its older format and not load.
NOT_LEGACY = ("uint16", "uint32", "uint64", "float8_e5m2", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2fnuz")


@pytest.fixture(scope="module")
def torch():
    import torch

    return torch


@pytest.fixture(params=["zip", "legacy"])
def saved(request, torch, tmp_path):
    """Saves an object in one of torch's two formats."""

    def save(state):
        path = tmp_path / "pytorch_model.bin"
        torch.save(state, path, _use_new_zipfile_serialization=request.param == "zip")
        return path

    save.format = request.param
    return save


def as_bytes(values):
    import torch

    return values.detach().resolve_conj().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def spec_of(name, values):
    return TensorSpec(name, DTYPES[str(values.dtype).removeprefix("torch.")], tuple(values.shape))


def values_of(source):
    return {name: tensor.read().tobytes() for name, tensor in source.tensors.items()}


def write_folder(folder, state, max_bytes=None):
    with open_folder_sink(folder, [spec_of(name, values) for name, values in state.items()], max_bytes) as sink:
        for name, values in state.items():
            sink.writer(name).write(memoryview(as_bytes(values)))


@pytest.mark.parametrize("shape", [(), (0, 3), (3, 2)])
@pytest.mark.parametrize(
    ("saved", "dtype"),
    [*(("zip", dtype) for dtype in CARRIED), *(("legacy", dtype) for dtype in CARRIED if dtype not in NOT_LEGACY)],
    indirect=["saved"],
)
def test_every_type_is_read_and_written_as_torch_has_it(torch, tmp_path, saved, dtype, shape):
    flat = torch.arange(96, dtype=torch.uint8) % (2 if dtype == "bool" else 251)
    values = flat.view(getattr(torch, dtype))[: math.prod(shape)].reshape(shape).clone()
    with open_file(saved({"a": values})) as source:
        tensor = source.tensors["a"]
        assert (tensor.name, tensor.dtype, tensor.shape) == ("a", DTYPES[dtype], shape)
        assert values_of(source) == {"a": as_bytes(values)}
    folder = tmp_path / "written"
    folder.mkdir()
    write_folder(folder, {"a": values})
    loaded = torch.load(folder / "pytorch_model.bin", weights_only=True)["a"]
    assert (loaded.dtype, loaded.shape, as_bytes(loaded)) == (values.dtype, values.shape, as_bytes(values))


def test_tensors_that_share_memory_or_do_not_lie_in_a_row_are_read_by_their_values(torch, saved):
    weights = torch.arange(12.0).reshape(3, 4)
    state = OrderedDict(
        own=weights,
        tied=weights,
        transposed=weights.t(),
        part=weights[1:, ::2],
        parameter=torch.nn.Parameter(weights),
        repeated=torch.ones(1).expand(1000),
        conjugated=torch.tensor([1 + 2j]).conj(),
    )
    with open_file(saved(state)) as source:
        assert list(source.tensors) == list(state)
        assert values_of(source) == {name: as_bytes(values) for name, values in state.items()}


def test_a_tensor_can_be_read_through_a_scratch_space_shorter_than_itself(torch, saved):
    values = torch.arange(100, dtype=torch.uint8)
    with open_file(saved({"a": values})) as source:
        windows = [bytes(window) for window in source.tensors["a"].stream(memoryview(bytearray(32)))]
    assert b"".join(windows) == as_bytes(values)


def test_an_archive_that_was_packed_again_with_compression_is_read(torch, tmp_path):
    plain, packed = tmp_path / "plain.bin", tmp_path / "packed.bin"
    state = {"a": torch.arange(1000.0)}
    torch.save(state, plain)
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for record in old.infolist():
            new.writestr(record.filename, old.read(record))
    with open_file(packed) as source:
        assert values_of(source) == {"a": as_bytes(state["a"])}


def test_an_archive_saved_without_checksums_is_read(torch, tmp_path):
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"a": torch.ones(3)}, tmp_path / "a.bin")
    finally:
        torch.serialization.set_crc32_options(True)
    with open_file(tmp_path / "a.bin") as source:
        assert values_of(source) == {"a": as_bytes(torch.ones(3))}


class Marker:
    """Makes a file when it is unpickled carelessly."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


@pytest.mark.parametrize("wrap", [lambda marker: {"a": marker}, lambda marker: marker], ids=["value", "whole"])
def test_a_pickle_that_would_run_code_runs_none(tmp_path, saved, wrap):
    marker = tmp_path / "made_by_the_pickle"
    with pytest.raises(SourceError, match=r"pytorch_model\.bin holds more than tensors: .* run code, \w+\.mkdir"):
        open_file(saved(wrap(Marker(marker))))
    assert not marker.exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_bare_pickle_that_would_run_code_runs_none(tmp_path, protocol):
    marker = tmp_path / "made_by_the_pickle"
    (tmp_path / "a.bin").write_bytes(pickle.dumps(Marker(marker), protocol))
    with pytest.raises(ElectraConvertError, match=r"a\.bin"):
        open_file(tmp_path / "a.bin")
    assert not marker.exists()


def quantised(torch):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.quantize_per_tensor(torch.zeros(3), 0.1, 0, torch.qint8)


NO_STATE_DICTS = {
    "a training state": (
        lambda torch: {"model": {"a": None}, "epoch": 3},
        "a training state.* 'model', 'epoch'",
    ),
    "a list": (lambda torch: [torch.ones(1)], "an object of type list, not a state dict"),
    "a tensor": (lambda torch: torch.ones(1), "an object of type Tensor, not a state dict"),
    "a number": (lambda torch: 3, "an object of type int, not a state dict"),
    "a value that is no tensor": (lambda torch: {"a": torch.ones(1), "b": None}, "no tensors under 'b'"),
    "a key that is no text": (lambda torch: {1: torch.ones(1)}, "no tensors under 1"),
    "a key that is not Unicode": (lambda torch: {"\ud800": torch.ones(1)}, r"no tensors under '\\ud800'"),
    "options of a program": (lambda torch: {"args": argparse.Namespace()}, r"run code, argparse\.Namespace"),
    "a module": (lambda torch: torch.nn.Linear(1, 1), r"run code, torch\.nn\.modules\.linear\.Linear"),
    "a sparse tensor": (lambda torch: {"a": torch.ones(2).to_sparse()}, r"'a' is not dense \(torch\.sparse_coo\)"),
    "a quantised tensor": (lambda torch: {"a": quantised(torch)}, r"'a' is quantised \(torch\.qint8\)"),
    "a tensor without values": (
        lambda torch: {"a": torch.ones(2, device="meta")},
        r"'a' has no values \(device meta\)",
    ),
}


@pytest.mark.parametrize("case", NO_STATE_DICTS)
def test_what_is_no_state_dict_is_refused_and_said_to_be_what_it_is(torch, tmp_path, case):
    make, message = NO_STATE_DICTS[case]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(make(torch), tmp_path / "a.bin")
    with pytest.raises(SourceError, match=rf"a\.bin holds .*{message}") as caught:
        open_file(tmp_path / "a.bin")
    assert "\n" not in caught.value.message
    assert "state_dict()" in caught.value.hint


@pytest.mark.parametrize(
    "data", [b"", b"P", b"PK\x03\x04", b"junk", b"\x80", b"<p>", b"version https://git-lfs", bytes(1000)]
)
def test_junk_is_refused(tmp_path, data):
    (tmp_path / "a.bin").write_bytes(data)
    with pytest.raises(CorruptFileError, match=r"a\.bin cannot be read as a PyTorch file"):
        open_file(tmp_path / "a.bin")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SourceError, match=r"absent\.bin cannot be read: No such file"):
        open_source(tmp_path / "absent.bin")


def test_a_flipped_bit_in_the_values_of_an_archive_names_the_record(torch, tmp_path):
    path = tmp_path / "a.bin"
    torch.save({"a": torch.arange(100.0)}, path)
    data = bytearray(path.read_bytes())
    data[data.index(as_bytes(torch.arange(50.0, 100.0)))] ^= 1
    path.write_bytes(data)
    with pytest.raises(CorruptFileError, match=r"a\.bin.*Bad CRC-32 for file 'a/data/0'"):
        open_file(path)


def test_every_truncation_is_refused(torch, saved):
    path = saved({"a": torch.arange(20.0), "b": torch.ones(2, 2)})
    whole = path.read_bytes()
    for length in range(0, len(whole), 13):
        path.write_bytes(whole[:length])
        with pytest.raises(ElectraConvertError, match=r"pytorch_model\.bin"):
            open_file(path)


def test_a_flipped_bit_is_refused_or_harmless_in_an_archive_and_never_another_error(torch, saved):
    path = saved({"a": torch.arange(20.0), "b": torch.ones(2, 2)})
    whole = path.read_bytes()
    with open_file(path) as source:
        expected = values_of(source)
    for position in range(0, len(whole), 3):
        data = bytearray(whole)
        data[position] ^= 1 << position % 8
        path.write_bytes(data)
        try:
            found = values_of(open_file(path))
        except ElectraConvertError:
            continue
        # The legacy format has no checksum: there a flipped value stays unseen.
        assert found == expected or saved.format == "legacy"


def repacked(torch, tmp_path, state, old, new):
    """An archive whose pickle says something else about its records."""
    honest, hostile = tmp_path / "honest.bin", tmp_path / "hostile.bin"
    torch.save(state, honest)
    with zipfile.ZipFile(honest) as archive, zipfile.ZipFile(hostile, "w") as target:
        for record in archive.infolist():
            content = archive.read(record)
            target.writestr(record.filename, content.replace(old, new) if "data.pkl" in record.filename else content)
    return hostile


def test_a_tensor_that_reaches_beyond_its_record_is_refused(torch, tmp_path):
    hostile = repacked(torch, tmp_path, {"a": torch.arange(200.0), "b": torch.arange(200.0)}, b"K\xc8", b"K\xff")
    with pytest.raises(CorruptFileError, match=r"hostile\.bin: tensor 'a' states 1020 bytes, its record has others"):
        open_file(hostile)


def test_a_tensor_that_repeats_its_values_without_end_is_refused(torch, saved):
    with pytest.raises(CorruptFileError, match="the largest, 'a', repeats 4 bytes to 4398046511104"):
        open_file(saved({"a": torch.ones(1).expand(1 << 40)}))


def test_the_same_tensors_give_the_same_bytes_in_whatever_order_they_come(torch, tmp_path):
    state = {name: torch.full((3,), float(number)) for number, name in enumerate("cab")}
    written = []
    for order in ("abc", "cba"):
        folder = tmp_path / order
        folder.mkdir()
        write_folder(folder, {name: state[name] for name in order})
        written.append((folder / "pytorch_model.bin").read_bytes())
    assert written[0] == written[1]
    assert list(torch.load(tmp_path / "abc" / "pytorch_model.bin", weights_only=True)) == ["a", "b", "c"]


def test_shards_are_read_back_by_their_index(torch, tmp_path):
    state = {name: torch.full((4,), float(number)) for number, name in enumerate("abc")}
    write_folder(tmp_path, state, max_bytes=16)
    files = [f"pytorch_model-0000{number}-of-00003.bin" for number in (1, 2, 3)]
    assert sorted(path.name for path in tmp_path.iterdir()) == [*files, "pytorch_model.bin.index.json"]
    with open_source(tmp_path / "pytorch_model.bin.index.json") as source:
        assert source.format == "torch"
        assert values_of(source) == {name: as_bytes(values) for name, values in state.items()}


def test_tensors_written_by_several_threads_at_once_all_arrive(torch, tmp_path):
    state = {f"tensor_{number}": torch.full((1000,), number, dtype=torch.uint8) for number in range(6)}

    def write_one(sink, name):
        writer = sink.writer(name)
        for start in range(0, 1000, 10):
            writer.write(memoryview(as_bytes(state[name]))[start : start + 10])

    with open_folder_sink(tmp_path, [spec_of(name, values) for name, values in state.items()], None) as sink:
        threads = [threading.Thread(target=write_one, args=(sink, name)) for name in state]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    with open_file(tmp_path / "pytorch_model.bin") as source:
        assert values_of(source) == {name: as_bytes(values) for name, values in state.items()}


def test_a_tensor_that_was_not_written_whole_is_named_and_no_file_is_made(tmp_path):
    specs = [TensorSpec(name, DTYPES["float32"], (2,)) for name in ("half", "whole")]
    with pytest.raises(OutputError, match=r"pytorch_model\.bin: tensors were not written whole: 'half'$"):  # noqa: PT012, SIM117
        with open_folder_sink(tmp_path, specs, None) as sink:
            sink.writer("whole").write(memoryview(bytes(8)))
            sink.writer("half").write(memoryview(bytes(4)))
    assert not list(tmp_path.iterdir())


def test_more_bytes_than_a_tensor_has_are_refused(tmp_path):
    specs = [TensorSpec("a", DTYPES["float32"], (2,))]
    with (
        pytest.raises(OutputError, match=r"tensor 'a' has 8 bytes, 9 were written$"),
        open_folder_sink(tmp_path, specs, None) as sink,
    ):
        sink.writer("a").write(memoryview(bytes(9)))


@pytest.mark.parametrize("dtype", ["string", "float8_e4m3b11fnuz"])
def test_a_type_torch_does_not_have_is_refused(tmp_path, dtype):
    spec = TensorSpec("a", DTYPES[dtype], (2,))
    with pytest.raises(OutputError, match=f"torch has no type for tensor 'a', which is {dtype}"):
        open_folder_sink(tmp_path, [spec], None).__enter__()


def test_a_file_that_exists_is_not_written_over(torch, tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"precious")
    with pytest.raises(OutputError, match="File exists"):
        write_folder(tmp_path, {"a": torch.ones(1)})
    assert (tmp_path / "pytorch_model.bin").read_bytes() == b"precious"


def test_a_full_disk_is_reported(torch, tmp_path, monkeypatch):
    def no_space(*_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "pwrite", no_space)
    with pytest.raises(OutputError, match=r"pytorch_model\.bin cannot be written"):
        write_folder(tmp_path, {"a": torch.ones(1000)})


def test_without_torch_the_error_says_what_to_install(torch, tmp_path, monkeypatch):
    torch.save({"a": torch.ones(1)}, tmp_path / "a.bin")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingPackageError, match="PyTorch is needed to read PyTorch files") as caught:
        open_source(tmp_path / "a.bin")
    assert caught.value.hint == "pip install 'electra-convert[torch]'"
