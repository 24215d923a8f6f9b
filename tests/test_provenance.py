"""What a checkpoint was read from: every file by its name, whatever was pointed at, and no place of the machine."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from conftest import FIXTURES, unpacked
from support.fine_tuned import TUNED

from electra_convert import convert
from electra_convert.checkpoint import open_path
from electra_convert.hub.download import Origin
from electra_convert.provenance import SourceFile, find_files, place_fields
from electra_convert.schemes.layouts import read_task

PREFIX = "model.ckpt-4000"
BUNDLE = {f"{PREFIX}.data-00000-of-00001", f"{PREFIX}.index", f"{PREFIX}.meta"}


def files_of(given: Path, origin: Origin | None = None) -> dict[str, SourceFile]:
    with open_path(given) as checkpoint:
        return {file.name: file for file in find_files(checkpoint, given, origin)}


def test_every_file_that_decides_is_named_with_its_size_and_hash(golden_copy: Callable[..., Path]):
    source = golden_copy()
    (source / "notes.txt").write_text("read by nobody")
    (source / "model.ckpt-3000.index").write_text("of another checkpoint")
    found = files_of(source)
    assert set(found) == {*BUNDLE, "checkpoint", "hparams.json", "vocab.txt"}
    for name, file in found.items():
        content = (source / name).read_bytes()
        assert (file.size, file.sha256) == (len(content), sha256(content).hexdigest())


@pytest.mark.parametrize("name", [PREFIX, f"{PREFIX}.index", f"{PREFIX}.meta"])
def test_a_state_file_is_named_only_where_it_was_asked_which_checkpoint_is_meant(golden_copy, name: str):
    source = golden_copy()
    assert set(files_of(source / name)) == {*BUNDLE, "hparams.json", "vocab.txt"}
    assert set(files_of(source / "checkpoint")) == {*BUNDLE, "checkpoint", "hparams.json", "vocab.txt"}


def test_of_a_pair_each_file_is_named_within_its_half(golden_pair: Path):
    found = files_of(golden_pair)
    assert {name.partition("/")[0] for name in found} == {"discriminator", "generator"}
    assert {name.partition("/")[2] for name in found} == {
        "config.json", "conversion.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt",
    }  # fmt: skip


def test_shards_are_named_with_their_index(golden_pair: Path, tmp_path: Path):
    model = convert(golden_pair / "generator", tmp_path / "out", to="safetensors", max_shard_size="100KB").output
    weights = [name for name in files_of(model) if "safetensors" in name]
    assert "model.safetensors.index.json" in weights
    assert len(weights) == len(list(model.glob("*.safetensors"))) + 1 > 3


def test_a_saved_model_is_named_with_its_graph_and_what_describes_it(golden_copy, tmp_path: Path):
    model = tmp_path / "saved"
    (model / "assets").mkdir(parents=True)
    (model / "variables").mkdir()
    source = golden_copy()
    (model / "saved_model.pb").write_bytes(b"")
    shutil.move(source / "hparams.json", model)
    shutil.move(source / "vocab.txt", model / "assets")
    for name in BUNDLE:
        shutil.move(source / name, model / "variables" / name.replace(PREFIX, "variables"))
    expected = {f"variables/{name.replace(PREFIX, 'variables')}" for name in BUNDLE}
    every = {*expected, "saved_model.pb", "hparams.json", "assets/vocab.txt"}
    assert set(files_of(model)) == set(files_of(model / "variables" / "variables")) == every


def test_labels_beside_the_data_are_named_without_the_way_to_them(golden_copy, tmp_path: Path):
    place = tmp_path / "finetuning_models" / "own_model_1"
    shutil.copytree(TUNED / "mrpc_chunk", place)
    records = tmp_path / "finetuning_tfrecords" / "own_tfrecords"
    records.mkdir(parents=True)
    (mapping,) = place.glob("*_label_mapping.pkl")
    shutil.move(mapping, records)
    with open_path(place, choice=read_task("chunk")) as checkpoint:
        names = {file.name for file in find_files(checkpoint, place, None)}
    assert mapping.name in names
    assert not {name for name in names if "/" in name}


@pytest.mark.slow
def test_what_keras_saved_is_named(tmp_path: Path):
    folder = next(iter((FIXTURES / "keras").glob("*.zip"))).stem
    assert any(name.endswith((".h5", ".safetensors", ".index")) for name in files_of(unpacked(folder, tmp_path)))


def test_of_a_source_on_the_hub_the_hash_is_the_stated_one_and_no_other_is_computed(golden_copy, monkeypatch):
    source = golden_copy()
    data = f"{PREFIX}.data-00000-of-00001"
    origin = Origin("alice/run", "0" * 40, "", source, {data: "f" * 64})
    monkeypatch.setattr("electra_convert.provenance.HASHED_AT_ONCE", 0)
    found = files_of(source, origin)
    assert found[data].sha256 == "f" * 64
    assert all(file.sha256 for file in found.values())
    assert {name for name, file in files_of(source).items() if file.sha256} == set()
    assert all(file.hashed().sha256 for file in files_of(source).values())
    fields = place_fields(origin, [found[data]])
    assert (fields["repository"], fields["commit"], fields["path"]) == ("alice/run", "0" * 40, "")
    assert str(source) not in str(fields)


@pytest.mark.parametrize("options", [{"to": "tf"}, {"to": "safetensors", "dtype": "float16"}])
def test_the_record_of_a_pair_is_the_same_wherever_it_lies(golden_pair: Path, tmp_path: Path, options):
    renamed = shutil.copytree(golden_pair, tmp_path / "under another name")
    linked = tmp_path / "link"
    linked.symlink_to(golden_pair)
    one, *others = (
        convert(place, tmp_path / f"{n}", **options) for n, place in enumerate((golden_pair, renamed, linked))
    )
    for name in (name for name in one.files if name.endswith("conversion.json")):
        for other in others:
            assert (other.output / name).read_bytes() == (one.output / name).read_bytes()
