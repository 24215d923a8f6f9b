"""Outlines: every reader finds in them what it finds in the file itself, and none of the values is brought."""

from __future__ import annotations

import shutil
from contextlib import closing

import numpy as np
import pytest
from conftest import FIXTURES
from safetensors.numpy import save_file
from support import flax_files, keras_files

from electra_convert.formats import hdf5, msgpack_file, safetensors_file, tf_bundle, torch_file
from electra_convert.formats.files import outlines
from electra_convert.tensors.spec import PIECE_BYTES

ROWS = 30_000
STATE = {
    "electra.embeddings.word_embeddings.weight": np.ones((ROWS, 32), np.float32),
    "electra.encoder.layer.0.output.dense.bias": np.ones(64, np.float32),
    "step": np.full((), 7, np.int64),
}


def as_safetensors(folder):
    save_file(STATE, folder / "model.safetensors")
    return folder / "model.safetensors"


def as_pickle(folder, zipped):
    import torch

    path = folder / "pytorch_model.bin"
    tensors = {name: torch.from_numpy(values.copy()) for name, values in STATE.items()}
    torch.save(tensors, path, _use_new_zipfile_serialization=zipped)
    return path


def as_flax(folder):
    return flax_files.write(folder / "flax_model.msgpack", STATE)


def as_keras(folder):
    return keras_files.write_h5(folder / "tf_model.h5", STATE, keras_files.alone)


def as_bundle(folder):
    for path in (FIXTURES / "default").glob("model.ckpt-4000.*"):
        shutil.copy(path, folder)
    return folder / "model.ckpt-4000.data-00000-of-00001"


KINDS = {
    "safetensors": (as_safetensors, safetensors_file.open_source, None),
    "zip": (lambda folder: as_pickle(folder, True), torch_file.open_source, None),
    "legacy": (lambda folder: as_pickle(folder, False), torch_file.open_source, None),
    "hdf5": (as_keras, hdf5.open_source, None),
    "msgpack": (as_flax, msgpack_file.open_source, None),
    "tensorflow": (as_bundle, tf_bundle.open_source, "model.ckpt-4000"),
}
SLOW = {"zip", "legacy"}


def described(source):
    return {name: (tensor.dtype, tensor.shape) for name, tensor in source.tensors.items()}


@pytest.mark.parametrize("kind", [pytest.param(one, marks=pytest.mark.slow if one in SLOW else ()) for one in KINDS])
def test_an_outline_says_what_the_file_says_and_has_no_values(kind, tmp_path):
    write, open_source, prefix = KINDS[kind]
    whole, outlined = tmp_path / "whole", tmp_path / "outlined"
    whole.mkdir()
    original = write(whole)
    shutil.copytree(whole, outlined)
    copy = outlined / original.name
    with copy.open("r+b") as file:
        file.truncate(0)
        file.truncate(original.stat().st_size)
    brought = []

    def bring(path, offset, length):
        if path == copy:
            with original.open("rb") as file, path.open("r+b") as made:
                file.seek(offset)
                made.seek(offset)
                made.write(file.read(length))
            brought.append(length)

    def opened(path):
        return closing(open_source(path.parent / prefix if prefix else path))

    with opened(original) as source:
        expected = described(source)
    with outlines(bring), opened(copy) as source:
        assert described(source) == expected
        table = max(source.tensors.values(), key=lambda tensor: tensor.nbytes)
        if kind != "tensorflow":  # whose values are held against checksums
            values = b"".join(bytes(piece) for piece in table.stream(memoryview(bytearray(PIECE_BYTES))))
            assert values.count(0) > 0.9 * len(values)  # around what is brought, some come with it
        elif "global_step" in source.tensors:
            assert source.tensors["global_step"].read() == 4000
    assert sum(brought) < original.stat().st_size / 10


def test_what_is_opened_outside_is_read_as_ever(tmp_path):
    path = as_safetensors(tmp_path)
    with outlines(lambda *_: None):
        pass
    with closing(safetensors_file.open_source(path)) as source:
        assert source.tensors["step"].read() == 7
