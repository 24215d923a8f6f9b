"""Whatever a person points at is found, or said to be missing, empty, ambiguous or something else."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from pathlib import Path

import pytest
from support.command_line import run

from electra_convert import inspect
from electra_convert.errors import SourceError
from electra_convert.formats.locate import locate

PREFIX = "model.ckpt-4000"
PARTS = [
    "",
    "/",
    f"/{PREFIX}",
    f"/{PREFIX}.index",
    f"/{PREFIX}.data-00000-of-00001",
    f"/{PREFIX}.meta",
    "/checkpoint",
    "/../copy_of_default",
]


@pytest.fixture
def pair(written, tmp_path) -> Path:
    """A folder with both models of transformers."""
    assert run("convert", written(), tmp_path / "pair").code == 0
    return tmp_path / "pair"


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


# What is found


@pytest.mark.parametrize("part", PARTS)
def test_any_part_of_a_checkpoint_means_all_of_it(golden_copy, part):
    source = golden_copy()
    (location,) = locate(Path(f"{source}{part}"))
    assert (location.container, location.path.name) == ("tensorflow", PREFIX)
    assert location.folder.resolve() == source
    assert inspect(f"{source}{part}").models["discriminator"].config["num_attention_heads"].value == 2


@pytest.mark.parametrize("spelling", [".", "./", PREFIX, f"./{PREFIX}.index", "checkpoint", "../copy_of_default"])
def test_paths_may_be_relative(golden_copy, monkeypatch, spelling):
    monkeypatch.chdir(golden_copy())
    assert inspect(spelling).step == 4000


@pytest.mark.parametrize(
    "name", ["a b", "ünïcode", "run[1]", "*", "?", "{a,b}", "~", "$HOME", "-x", "new\nline", os.fsdecode(b"\xff")]
)
def test_names_may_hold_anything(golden_copy, tmp_path, name):
    folder = golden_copy().rename(tmp_path / name)
    for part in ("index", "data-00000-of-00001", "meta"):
        (folder / f"{PREFIX}.{part}").rename(folder / f"{name}.{part}")
    (folder / "checkpoint").unlink()
    for source in (folder, folder / name, folder / f"{name}.data-00000-of-00001"):
        assert [location.path for location in locate(source)] == [folder / name]
        assert run("inspect", source).code == 0
    assert run("convert", folder / name, tmp_path / f"out {name}").code == 0
    assert run("convert", tmp_path / f"out {name}", tmp_path / f"back {name}").code == 0
    assert f"{name}-x does not exist".replace("\n", "\\n").replace("\udcff", "\\udcff") in (
        run("inspect", folder / f"{name}-x").refusal()
    )


def test_a_stale_absolute_path_in_a_checkpoint_file_is_looked_for_beside_it(golden_copy):
    source = golden_copy()
    (source / "checkpoint").write_text(f'model_checkpoint_path: "/on/another/machine/{PREFIX}"\n')
    assert locate(source)[0].path == source / PREFIX


def test_of_several_checkpoints_the_checkpoint_file_chooses(golden_copy):
    source = golden_copy()
    for path in list(source.glob(f"{PREFIX}.*")):
        shutil.copy(path, source / path.name.replace("4000", "2000"))
    assert locate(source)[0].path.name == PREFIX
    assert locate(source / "model.ckpt-2000")[0].path.name == "model.ckpt-2000"


@pytest.mark.parametrize(
    "part", ["", "/saved_model.pb", "/variables", "/variables/variables", "/variables/variables.index"]
)
def test_any_part_of_a_saved_model_means_all_of_it(tmp_path, part):
    folder = touch(tmp_path / "saved", "saved_model.pb", "variables/variables.index")
    (location,) = locate(Path(f"{folder}{part}"))
    assert location.path == folder / "variables" / "variables"
    assert location.folder == folder


def test_a_folder_of_both_models_is_two_containers(pair):
    assert [location.folder.name for location in locate(pair)] == ["discriminator", "generator"]


@pytest.mark.parametrize("part", ["discriminator", "discriminator/model.safetensors"])
def test_a_folder_or_its_file_is_one_model(pair, part):
    (location,) = locate(pair / part)
    assert location.path == pair / "discriminator" / "model.safetensors"
    assert location.folder == pair / "discriminator"


def test_a_file_without_a_configuration_converts_with_a_warning_of_the_guess(pair, tmp_path):
    alone = tmp_path / "downloaded.safetensors"
    shutil.copy(pair / "discriminator" / "model.safetensors", alone)
    ran = run("convert", alone, tmp_path / "out", "--to", "safetensors")
    assert ran.code == 0
    assert "Warning: The discriminator's head count 1 and its activation gelu are guesses" in ran.err


def test_safetensors_are_preferred_to_a_pickle_and_it_is_said(tmp_path):
    folder = touch(tmp_path, "model.safetensors", "pytorch_model.bin", "tf_model.h5")
    (location,) = locate(folder)
    assert location.path.name == "model.safetensors"
    assert location.notice == "pytorch_model.bin, tf_model.h5 passed over for model.safetensors."


@pytest.mark.parametrize(
    ("name", "container"),
    [
        ("model.safetensors.index.json", "safetensors"),
        ("pytorch_model.bin.index.json", "torch"),
        ("pytorch_model.bin", "torch"),
        ("electra.pt", "torch"),
        ("flax_model.msgpack", "msgpack"),
        ("flax_model.msgpack.index.json", "msgpack"),
        ("my_state.msgpack", "msgpack"),
        ("weights.safetensors", "safetensors"),
        ("tf_model.h5", "hdf5"),
        ("tf_model.h5.index.json", "hdf5"),
        ("my_weights.h5", "hdf5"),
    ],
)
def test_the_container_goes_by_the_name(tmp_path, name, container):
    (location,) = locate(touch(tmp_path, name) / name)
    assert (location.container, location.path.name) == (container, name)


@pytest.mark.parametrize("name", ["electra.pt", "vanilla_11081_100.0%.pth"])
def test_a_folder_with_one_file_of_torch_is_that_file(tmp_path, name):
    folder = touch(tmp_path, name, "optimizer.pt", "random_states_0.pth", "notes.txt")
    assert [location.path.name for location in locate(folder)] == [name]


def test_a_checkpoint_of_lightning_is_told_from_tensorflows_by_how_it_begins(tmp_path):
    folder = touch(tmp_path, "epoch=3-step=99.ckpt", "optimizer.pt")
    with pytest.raises(SourceError, match="holds no checkpoint"):
        locate(folder)
    (folder / "epoch=3-step=99.ckpt").write_bytes(b"PK\x03\x04")
    for path in (folder, folder / "epoch=3-step=99.ckpt"):
        assert [(one.container, one.path.name) for one in locate(path)] == [("torch", "epoch=3-step=99.ckpt")]


def test_a_file_of_torch_is_passed_over_where_there_is_anything_else(tmp_path):
    folder = touch(tmp_path, "electra.pt", "weights.safetensors")
    assert [location.path.name for location in locate(folder)] == ["weights.safetensors"]


def test_an_unfinished_save_is_no_checkpoint(tmp_path):
    folder = touch(tmp_path, "m.tempstate123.index", "m_temp_1/part-00000-of-00001.index")
    with pytest.raises(SourceError, match="holds no checkpoint") as error:
        locate(folder)
    assert error.value.hint == "m_temp_1 is left from a save that did not finish."


# What is not


@pytest.mark.parametrize(
    ("names", "message", "hint"),
    [
        ([], "holds no checkpoint", "It is empty."),
        (["notes.txt"], "holds no checkpoint", "It holds notes.txt."),
        (["electra.keras"], "holds no checkpoint", "electra.keras is a Keras file, which this tool does not read."),
        (["a.h5", "b.h5"], "holds more than one checkpoint: a.h5, b.h5", "Give the one you mean."),
        (["model_state.pdparams"], "holds no checkpoint", "model_state.pdparams is a file of Paddle.*has a script"),
        (["electra_small.zip"], "holds no checkpoint", "electra_small.zip is an archive.*Unpack it"),
        (["a.index", "b.index"], "holds more than one checkpoint: a, b", "Give the one you mean."),
        (["a.index", "model.safetensors"], "more than one checkpoint: a, model.safetensors", "Give the one"),
        (["a.safetensors", "b.safetensors"], "holds more than one", "Give the one"),
        (["model.safetensors", "generator/model.safetensors"], "generator/model.safetensors", "Give the one"),
        (["optimizer.safetensors"], "holds no checkpoint", "It holds optimizer.safetensors."),
        (
            ["config.json", "vocab.txt"],
            "no .index with its .data files, no model.safetensors",
            "It holds config.json",
        ),
        (
            ["m.data-00000-of-00001", "m.meta"],
            "holds no checkpoint",
            "m.data-00000-of-00001 is there without its .index",
        ),
        (
            ["vocab.txt", "models/es/m.ckpt-1.index"],
            "holds no checkpoint",
            r"further down; give one of these: .*/models/es\.",
        ),
        (["model/discriminator/model.safetensors"], "holds no checkpoint", r"give one of these: \S*/model\."),
        (["a/model.safetensors", "b/pytorch_model.bin"], "holds no checkpoint", r"give one of these: \S*/a, \S*/b\."),
        (
            ["checkpoints/checkpoint-3/model.safetensors", "model/model.safetensors"],
            "holds no checkpoint",
            r"give one of these: \S*/model, \S*/checkpoints/checkpoint-3\.",
        ),
        ([".cache/model.safetensors"], "holds no checkpoint", "It holds .cache."),
        (["optimizer.pt", "rng_state_0.pth", "scheduler.pt"], "holds no checkpoint", "It holds optimizer.pt"),
        (["checkpoints/pretrain/a.pth"], "holds no checkpoint", r"give one of these: \S*/checkpoints/pretrain\."),
        (
            ["v_7_12.5%.pth", "v_7_100.0%.pth", "v_7_50.0%.pth"],
            r"v_7_100\.0%\.pth, v_7_50\.0%\.pth",
            r"v_7_100\.0%\.pth",
        ),
    ],
)
def test_a_folder_that_means_nothing_or_too_much_says_what_it_holds(tmp_path, names, message, hint):
    with pytest.raises(SourceError, match=message) as error:
        locate(touch(tmp_path, *names))

    assert re.search(hint, error.value.hint)


def test_of_several_checkpoints_the_hint_is_the_latest_ready_to_be_pasted(tmp_path):
    folder = touch(tmp_path / "my runs", "model.ckpt-900.index", "model.ckpt-12000.index", "model.ckpt-1000.index")
    with pytest.raises(SourceError, match=r"model\.ckpt-12000, model\.ckpt-1000, model\.ckpt-900$") as error:
        locate(folder)
    pasted = shlex.split(error.value.hint.partition("such as ")[2])[0]
    assert locate(Path(pasted))[0].path == folder / "model.ckpt-12000"


def test_a_checkpoint_elsewhere_beside_another_model_is_ambiguous(golden_copy, tmp_path):
    folder = touch(tmp_path / "mixed", "model.safetensors")
    (folder / "checkpoint").write_text(f'model_checkpoint_path: "{golden_copy()}/{PREFIX}"\n')
    with pytest.raises(SourceError, match=f"more than one checkpoint: .*copy_of_default/{PREFIX}, model.safetensors"):
        locate(folder)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("electra.keras", "electra.keras is a Keras file"),
        ("electra.onnx", "electra.onnx is an ONNX file"),
        ("model_state.pdparams", "model_state.pdparams is a file of Paddle, which this tool does not read"),
        ("electra_small.zip", "electra_small.zip is an archive, which this tool does not read"),
        ("optimizer.safetensors", "holds an optimiser's state, not a model"),
        ("vocab.txt", "vocab.txt is not a checkpoint this tool knows"),
        ("model.ckpt.meta", "model.ckpt.index is missing"),
        ("model.ckpt.data-00000-of-00001", "model.ckpt.index is missing"),
    ],
)
def test_a_file_that_is_no_model_says_what_it_is(tmp_path, name, said):
    with pytest.raises(SourceError, match=said):
        locate(touch(tmp_path, name) / name)


@pytest.mark.parametrize("name", ["model.ckpt-7", "run[1]", "*?"])
def test_a_prefix_without_its_index_is_told(tmp_path, name):
    touch(tmp_path, f"{name}.data-00000-of-00001")
    with pytest.raises(SourceError) as error:
        locate(tmp_path / name)
    assert error.value.message == f"{tmp_path / name}.index is missing; its data files are there"


def test_a_folder_named_like_an_index_is_none(tmp_path):
    touch(tmp_path, "notes.index/a.txt", "model.ckpt.index")
    assert locate(tmp_path)[0].path == tmp_path / "model.ckpt"


def test_a_mistyped_prefix_is_answered_with_those_there_are(golden_copy):
    source = golden_copy()
    with pytest.raises(SourceError, match=r"model\.ckpt-400 does not exist") as error:
        locate(source / "model.ckpt-400")
    assert error.value.hint == f"These are there: {source}/{PREFIX} (the latest first)."


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("typo", "There is no typo in {here}."),
        ("here/typo/model", "There is no typo in {here}/here."),
        (
            "google/electra",
            "There is no google in {here}. If it is on the Hugging Face Hub, write hf://google/electra.",
        ),
        ("https://huggingface.co/google/electra/tree/main", "write hf://google/electra."),
        ("hf:/google/electra", "write hf://google/electra."),
        ("https://example.org/electra_small.zip", "download it, unpack it, and give the folder."),
        ("gs://bucket/model.ckpt-1", "download it, unpack it, and give the folder."),
    ],
)
def test_what_does_not_exist_is_answered_with_what_to_do(tmp_path, monkeypatch, given, hint):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    with pytest.raises(SourceError, match="does not exist") as error:
        locate(Path(given))
    assert error.value.hint.endswith(hint.format(here=tmp_path))


@pytest.mark.parametrize("name", ["nothing", "nothing/..", "a/b/c", "x" * 300, "a\0b"])
def test_what_does_not_exist_is_an_error(tmp_path, name):
    with pytest.raises(SourceError, match=r"does not exist|File name too long"):
        locate(tmp_path / name)


def test_a_pipe_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceError, match="pipe is neither a file nor a folder"):
        locate(tmp_path / "pipe")


def test_a_link_to_itself_does_not_exist(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    for path in (tmp_path / "loop", tmp_path / "loop" / "model.ckpt"):
        with pytest.raises(SourceError, match="does not exist"):
            locate(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_told(tmp_path):
    (tmp_path / "closed").mkdir(mode=0)
    with pytest.raises(SourceError, match="closed cannot be looked at: Permission denied"):
        locate(tmp_path / "closed")
