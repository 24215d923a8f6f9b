"""What stands in a file's place - a pointer, a web page, a folder, a pipe - is called what it is."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from conftest import FIXTURES
from support.command_line import refused, run

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935\nsize 54\n"
PAGE = b"\n<!DOCTYPE html>\n<html><head><title>Google Drive - Virus scan warning</title>"
TENSORFLOW = ["model.ckpt-4000.index", "model.ckpt-4000.data-00000-of-00001", "vocab.txt"]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "place"


@pytest.fixture
def checkpoint(golden_copy, golden_pair: Path, tmp_path: Path):
    """A folder with the file, of whichever kind of checkpoint it belongs to."""

    def make(name: str) -> Path:
        if name in TENSORFLOW:
            return golden_copy()
        folder = tmp_path / "model"
        shutil.copytree(golden_pair / "discriminator", folder, ignore=shutil.ignore_patterns("model.safetensors"))
        return folder

    return make


@pytest.mark.parametrize("name", [*TENSORFLOW, "model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize(
    ("content", "said", "cure"), [(POINTER, "a Git LFS pointer", "git lfs pull"), (PAGE, "a web page", "again")]
)
def test_what_a_download_left_in_a_files_place_is_named(checkpoint, place, name, content, said, cure):
    folder = checkpoint(name)
    (folder / name).write_bytes(content)
    error, hint = refused(folder, place).splitlines()
    assert f"{name} is {said}" in error
    assert cure in hint


@pytest.mark.parametrize(
    "name", ["tf_model.h5", "electra.onnx", "electra.zip", "m.ckpt.meta", "weights", "a.msgpack"]
)
def test_a_pointer_is_called_one_whatever_its_name(tmp_path, place, name):
    (tmp_path / "folder").mkdir()
    pointer = tmp_path / "folder" / name
    pointer.write_bytes(POINTER)
    for given in (pointer, pointer.parent):
        assert f"{name} is a Git LFS pointer" in refused(given, place)


@pytest.mark.parametrize("name", ["config.json", "conversion.json"])
def test_a_pointer_beside_weights_is_called_one(pair_copy, place, name):
    folder = pair_copy() / "discriminator"
    (folder / name).write_bytes(POINTER)
    assert f"{name} is a Git LFS pointer" in refused(folder, place)


def test_a_page_beside_what_is_no_checkpoint_is_none_in_its_place(tmp_path, place):
    (tmp_path / "index.html").write_bytes(PAGE)
    assert "It holds index.html, place." in refused(tmp_path, place)


def test_a_folder_in_the_place_of_a_file_is_named(place, tmp_path):
    (tmp_path / "data").mkdir()
    said = refused(FIXTURES / "default", place, "--vocab", tmp_path / "data")
    assert "data holds neither vocab.txt nor tokenizer.json" in said


def test_a_folder_in_the_place_of_a_data_file_is_not_said_to_be_missing(golden_copy, place):
    folder = golden_copy()
    (folder / TENSORFLOW[1]).unlink()
    (folder / TENSORFLOW[1]).mkdir()
    said = refused(folder, place)
    assert f"{TENSORFLOW[1]} is a folder, expected a file" in said
    assert "Put it beside the index" not in said


def test_a_pipe_is_not_waited_for(place, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    said = refused(FIXTURES / "default", place, "--vocab", tmp_path / "pipe")
    assert "pipe is a pipe or a device, expected a file" in said


def test_a_page_may_be_talked_of_in_a_vocabulary(written, tmp_path):
    source = written()
    pieces = (source / "vocab.txt").read_text().splitlines()
    (source / "vocab.txt").write_text("\n".join([*pieces[:-1], "<html>"]))
    assert run("convert", source, tmp_path / "out").code == 0
