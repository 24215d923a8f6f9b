"""Which files of a repository are downloaded: for every kind of repository, what locate then finds in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from electra_convert.hub.needed import needed_files

BESIDE = ["config.json", "vocab.txt"]
SHARDS = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"]
H5_SHARDS = ["tf_model-00001-of-00002.h5", "tf_model-00002-of-00002.h5", "tf_model.h5.index.json"]
BUNDLE = ["model.ckpt-10.data-00000-of-00001", "model.ckpt-10.index", "model.ckpt-10.meta"]
PAIR = [f"{role}/{name}" for role in ("discriminator", "generator") for name in ("config.json", "model.safetensors")]


@pytest.mark.parametrize(
    ("names", "path", "wanted", "pointed_at"),
    [
        (["model.safetensors", "pytorch_model.bin"], "", ["model.safetensors"], ""),
        ([*SHARDS, "pytorch_model.bin"], "", SHARDS, ""),
        (["model.safetensors", *SHARDS], "", ["model.safetensors"], ""),
        (["pytorch_model.bin", "tf_model.h5"], "", ["pytorch_model.bin"], ""),
        (["checkpoint", *BUNDLE], "", ["checkpoint", *BUNDLE], ""),
        (["saved_model.pb", "variables/variables.index"], "", ["saved_model.pb", "variables/variables.index"], ""),
        (["model.safetensors", "checkpoint", *BUNDLE], "", ["model.safetensors"], "model.safetensors"),
        ([*SHARDS, *BUNDLE], "", SHARDS, "model.safetensors.index.json"),
        (["checkpoint", *BUNDLE], "model.ckpt-10", BUNDLE, "model.ckpt-10"),
        (["checkpoint", *BUNDLE], "model.ckpt-10.index", BUNDLE, "model.ckpt-10.index"),
        (["checkpoint", *BUNDLE], "checkpoint", ["checkpoint", *BUNDLE], "checkpoint"),
        ([*BUNDLE, "model.ckpt-100.index"], "model.ckpt-10", BUNDLE, "model.ckpt-10"),
        ([*SHARDS, "model.safetensors"], "model.safetensors.index.json", SHARDS, "model.safetensors.index.json"),
        (["a/model.safetensors", "b/model.safetensors"], "b", ["b/model.safetensors"], "b"),
        (["a/weights.pt", "a/other.pt"], "a/weights.pt", ["a/weights.pt"], "a/weights.pt"),
        ([f"run/{name}" for name in BUNDLE], "run/model.ckpt-10", [f"run/{n}" for n in BUNDLE], "run/model.ckpt-10"),
        (PAIR, "", PAIR, ""),
        ([*PAIR, "discriminator/pytorch_model.bin", "generator/notes"], "", PAIR, ""),
        ([f"x/{name}" for name in PAIR], "x", [f"x/{name}" for name in PAIR], "x"),
        ([f"old/{name}" for name in BUNDLE], "", [], ""),
        (["tf_model.h5", "rust_model.ot", "README.md"], "", ["tf_model.h5"], ""),
        (H5_SHARDS, "", H5_SHARDS, ""),
        (["tf_model.h5", "checkpoint", *BUNDLE], "", ["checkpoint", *BUNDLE], ""),
        (["rust_model.ot", "README.md"], "", [], ""),
        (["flax_model.msgpack", "README.md"], "", ["flax_model.msgpack"], ""),
        (["flax_model.msgpack", "model.safetensors"], "", ["model.safetensors"], ""),
        (
            ["pytorch_model.bin", "generator_config/config.json", "discriminator_config/config.json"],
            "",
            ["pytorch_model.bin", "generator_config/config.json", "discriminator_config/config.json"],
            "",
        ),
        (["electra.pth", "optimizer.pt", "old/electra.pth"], "", ["electra.pth"], ""),
        (["a.pth", "b.pth"], "", [], ""),
        ([], "", [], ""),
        (["model.safetensors"], "nothing", [], "nothing"),
    ],
)
def test_the_weights_that_transformers_would_take_are_chosen(names, path, wanted, pointed_at):
    folder = path if path and any(name.startswith(f"{path}/") for name in names) else path.rpartition("/")[0]
    beside = [f"{folder}/{name}" if folder else name for name in BESIDE]
    chosen, place = needed_files([*names, *beside] if names and wanted != PAIR else names, path)
    extra = beside if wanted and "discriminator/config.json" not in wanted else []
    extra = [] if any("discriminator/" in name for name in wanted) else extra
    assert (sorted(set(chosen)), place) == (sorted({*wanted, *extra}), pointed_at)


MODULES = ["modules.json", "1_Pooling/config.json", "2_Dense/config.json"]
CARRIED = ["spiece.model", "added_tokens.json", "generation_config.json", "adapter_config.json"]
LEFT = ["2_Dense/model.safetensors", "onnx/config.json", "tokenization_own.py", "parity.json", "README.md", "a.png"]


@pytest.mark.parametrize("half", ["", "discriminator/"])
def test_what_is_used_or_carried_beside_them_is_chosen_too(half):
    names = [f"{half}{name}" for name in ["model.safetensors", *BESIDE, *MODULES, *CARRIED]]
    chosen, _ = needed_files([*names, *(f"{half}{name}" for name in LEFT)], "")
    assert sorted(chosen) == sorted(names)


def test_a_folder_is_of_a_module_only_beside_their_list():
    assert needed_files(["model.safetensors", "1_Pooling/config.json"], "")[0] == ["model.safetensors"]


def test_code_is_chosen_where_it_is_asked_for():
    names = ["model.safetensors", "tokenization_own.py"]
    assert needed_files(names, "")[0] == names[:1]
    assert needed_files(names, "", code=True)[0] == names


WEIGHTS = {*SHARDS, *BUNDLE, *PAIR[1::2], "checkpoint"}
OTHERS = ["README.md", "generator/README.md", "a/b", "rust_model.ot", "notes.txt", ".gitattributes"]


@given(st.lists(st.sampled_from([*WEIGHTS, *BESIDE, *PAIR[::2], *OTHERS]), unique=True))
def test_nothing_is_chosen_that_is_not_there_or_twice_or_of_no_use(names):
    chosen, _ = needed_files(names, "")
    assert set(chosen) <= set(names) - set(OTHERS)
    assert len(chosen) == len(set(chosen))
    assert bool(chosen) is bool(WEIGHTS & set(names)) is bool(WEIGHTS & set(chosen))
