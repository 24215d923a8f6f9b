"""Which files of a folder are a model's: all that from_pretrained needs, and nothing else."""

from __future__ import annotations

import hashlib
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from electra_convert.errors import ConfigError, ElectraConvertError, SourceError
from electra_convert.hub.card.model_folder import find_models, hashed_text, is_stale, read_folder


def test_a_folder_and_a_pair_are_told_apart(pair):
    assert find_models(pair) == (pair / "discriminator", pair / "generator")
    assert find_models(pair / "generator") == (pair / "generator",)


def test_the_role_and_the_class_are_config_jsons(pair):
    models = [read_folder(path) for path in find_models(pair)]
    assert [model.role for model in models] == ["discriminator", "generator"]
    assert [model.architecture for model in models] == ["ElectraForPreTraining", "ElectraForMaskedLM"]


@given(st.binary(max_size=3000))
def test_hashes_are_those_of_git_and_of_sha256(content):
    made = hashed_text("a", content)
    assert (made.size, made.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert made.blob == hashlib.sha1(b"blob %d\x00%s" % (len(content), content)).hexdigest()


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_git_itself_gives_the_same_hashes(generator):
    files = read_folder(generator, optimizer=True).files
    command = ["git", "hash-object", *(file.source for file in files)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert [file.blob for file in files] == said.split()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("model.safetensors", True),
        ("model.safetensors.index.json", True),
        ("model-00001-of-00003.safetensors", True),
        ("optimizer.safetensors", False),
        ("pytorch_model.bin", False),
        ("model.safetensors.bak", False),
        ("sub/model.safetensors", False),
        ("config.json", True),
        ("spiece.model", True),
        ("sub/spiece.model", False),
        ("README.md", False),
        ("NOTES.md", False),
    ],
)
def test_files_of_a_model_before_that_mislead_are_known(name, expected):
    assert is_stale(name) is expected


def test_a_tokenizer_of_another_kind_is_published_with_its_model(generator):
    (generator / "spiece.model").write_bytes(b"pieces")
    (generator / "own.json").write_text("{}")
    found = read_folder(generator)
    assert found.has("spiece.model")
    assert "own.json" in found.left


def damage(folder, how):
    if how == "no config":
        (folder / "config.json").unlink()
    elif how == "another model":
        (folder / "config.json").write_text('{"model_type": "bert"}')
    elif how == "no weights":
        (folder / "model.safetensors").unlink()
        (folder / "optimizer.safetensors").unlink()
    elif how == "a link to nowhere":
        (folder / "model.safetensors").unlink()
        (folder / "model.safetensors").symlink_to("nowhere")
    elif how == "only another name":
        (folder / "model.safetensors").rename(folder / "weights.safetensors")
    elif how == "only pickles":
        (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    elif how == "a shard is missing":
        (folder / "model.safetensors").unlink()
        (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model-1.safetensors"}}')
    elif how == "shards elsewhere":
        (folder / "model.safetensors").unlink()
        (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../../secret"}}')


@pytest.mark.parametrize(
    ("how", "kind", "said"),
    [
        ("no config", SourceError, "has no config.json"),
        ("another model", ConfigError, "model_type is 'bert'"),
        ("no weights", SourceError, "holds no checkpoint"),
        ("a link to nowhere", SourceError, "holds no weights that can be read"),
        ("only another name", SourceError, "not a file that from_pretrained looks for"),
        ("only pickles", SourceError, "only as pickles"),
        ("a shard is missing", SourceError, "lists files that are not there"),
        ("shards elsewhere", ElectraConvertError, "points to files outside its folder"),
    ],
)
def test_a_folder_that_is_no_model_is_refused(generator, how, kind, said):
    damage(generator, how)
    with pytest.raises(kind, match=said):
        [read_folder(path) for path in find_models(generator)]


def test_halves_that_were_mixed_up_are_not_called_what_they_are_not(pair):
    (pair / "generator").rename(pair / "kept")
    (pair / "discriminator").rename(pair / "generator")
    (pair / "kept").rename(pair / "discriminator")
    with pytest.raises(SourceError, match="discriminator holds a generator, expected a discriminator"):
        find_models(pair)
    assert find_models(pair / "generator") == (pair / "generator",)


def test_a_file_is_no_folder(generator):
    with pytest.raises(SourceError, match="is not a folder"):
        find_models(generator / "model.safetensors")


def test_nothing_is_told_as_such(tmp_path):
    with pytest.raises(SourceError, match="does not exist"):
        find_models(tmp_path / "nothing")
