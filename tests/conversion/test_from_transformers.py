"""Models made in transformers go to TensorFlow, and come back as transformers itself would have saved them."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
from support import forward

from electra_convert import convert
from electra_convert.config.hparams import Hparams

pytestmark = pytest.mark.slow
SIZES = {"vocab_size": 61, "max_position_embeddings": 20, "type_vocab_size": 3}
DISCRIMINATOR = {"embedding_size": 12, "hidden_size": 24, "num_attention_heads": 3, "intermediate_size": 40}
GENERATORS = {
    "default": {"embedding_size": 12, "hidden_size": 8, "num_attention_heads": 1, "intermediate_size": 32},
    "untied_generator_embeddings": {
        "embedding_size": 16,
        "hidden_size": 16,
        "num_attention_heads": 1,
        "intermediate_size": 64,
    },
    "tied_generator": DISCRIMINATOR,
}


def make(architecture: str, **sizes: int):
    """A model whose every tensor is drawn from a stream of its own."""
    import torch
    import transformers

    config = transformers.ElectraConfig(num_hidden_layers=2, **SIZES, **sizes)
    model = getattr(transformers, architecture)(config).eval()
    for name, parameter in model.named_parameters():
        values = np.random.default_rng([7, zlib.crc32(name.encode())]).standard_normal(parameter.shape) * 0.3
        parameter.data = torch.from_numpy(values.astype(np.float32))
    model.tie_weights()
    return model


def save_pair(folder: Path, layout: str) -> None:
    """Save a discriminator and a generator that share what the layout shares."""
    discriminator = make("ElectraForPreTraining", **DISCRIMINATOR)
    generator = make("ElectraForMaskedLM", **GENERATORS[layout])
    shared = {"default": "embeddings.", "tied_generator": "", "untied_generator_embeddings": "nothing"}[layout]
    theirs = dict(discriminator.electra.named_parameters())
    for name, parameter in generator.electra.named_parameters():
        if name.startswith(shared):
            parameter.data = theirs[name].data.clone()
    discriminator.save_pretrained(folder / "discriminator")
    generator.save_pretrained(folder / "generator")


@pytest.mark.parametrize("layout", GENERATORS)
def test_a_pair_comes_back_byte_for_byte_as_save_pretrained_wrote_it(tmp_path: Path, layout: str):
    save_pair(tmp_path / "pair", layout)
    convert(tmp_path / "pair", tmp_path / "tf")
    result = convert(tmp_path / "tf", tmp_path / "back")
    assert result.layout == layout
    for role in ("discriminator", "generator"):
        written = (tmp_path / "back" / role / "model.safetensors").read_bytes()
        assert written == (tmp_path / "pair" / role / "model.safetensors").read_bytes()


@pytest.mark.parametrize("layout", GENERATORS)
def test_the_hparams_written_make_the_models_by_googles_arithmetic(tmp_path: Path, layout: str):
    save_pair(tmp_path / "pair", layout)
    convert(tmp_path / "pair", tmp_path / "tf")
    hparams = Hparams(json.loads((tmp_path / "tf" / "hparams.json").read_text()), "hparams.json")
    assert (hparams.layout or "default") == layout
    wanted = {"discriminator": DISCRIMINATOR, "generator": GENERATORS[layout]}
    for role, sizes in wanted.items():
        made = hparams.expected(role, layout == "tied_generator")
        assert {key: made[key] for key in (*sizes, *SIZES)} == {**sizes, **SIZES}


def test_google_computes_from_the_written_checkpoint_what_transformers_does(tmp_path: Path, imported_tensorflow):
    import torch

    save_pair(tmp_path / "pair", "default")
    convert(tmp_path / "pair", tmp_path / "tf")
    reader = imported_tensorflow.train.load_checkpoint(str(tmp_path / "tf"))
    variables = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    ids = np.random.default_rng(3).integers(0, 61, (4, 20))
    mask = (np.arange(20) < np.array([[20], [7], [1], [13]])).astype(int)
    segments = ids % 3
    model = make("ElectraForPreTraining", **DISCRIMINATOR)
    with torch.no_grad():
        found = model(*(torch.from_numpy(array) for array in (ids, mask, segments))).logits.numpy()
    computed = forward.forward(variables, forward.NETWORKS["default"]["discriminator"], 3, ids, mask, segments)
    np.testing.assert_allclose(computed.logits, found, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("architecture", "layout"), [("ElectraForPreTraining", "uniform_generator"), ("ElectraModel", "encoder")]
)
def test_one_model_alone_comes_back_byte_for_byte(tmp_path: Path, architecture: str, layout: str):
    make(architecture, **DISCRIMINATOR).save_pretrained(tmp_path / "one")
    convert(tmp_path / "one", tmp_path / "tf")
    assert convert(tmp_path / "tf", tmp_path / "back").layout == layout
    assert (tmp_path / "back" / "model.safetensors").read_bytes() == (
        tmp_path / "one" / "model.safetensors"
    ).read_bytes()


@pytest.mark.parametrize("max_shard_size", [None, "4KB"])
@pytest.mark.parametrize("target", ["safetensors", "torch"])
def test_transformers_loads_every_kind_of_file_that_is_written(
    tmp_path: Path, target: str, max_shard_size: str | None
):
    import torch
    import transformers

    model = make("ElectraForPreTraining", **DISCRIMINATOR)
    model.save_pretrained(tmp_path / "one")
    convert(tmp_path / "one", tmp_path / "again", to=target, max_shard_size=max_shard_size)
    loaded = transformers.ElectraForPreTraining.from_pretrained(tmp_path / "again")
    expected = model.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in loaded.state_dict().items())
