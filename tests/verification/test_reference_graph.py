"""The reference model computes what Google's code did, whatever the layout, and reads heads and activation itself."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import FIXTURES, GOLDEN, VARIANT_SIZES
from support import checkpoints, forward
from support.checkpoints import SIZES

from electra_convert.errors import ConfigError, SourceError
from electra_convert.verification.reference.graph import Arithmetic, run_reference
from electra_convert.verification.reference.settings import Settings, read_settings

pytestmark = pytest.mark.slow
TOLERANCE = 1e-5


def prefix_of(name: str) -> Path:
    return FIXTURES / name / f"model.ckpt-{GOLDEN[name]}"


def run_golden(name: str, role: str, golden) -> tuple:
    settings = read_settings(prefix_of(name), FIXTURES / name, role)
    ids = golden["disc_ids" if role == "discriminator" else "gen_ids"]
    inputs = [(ids, golden["input_mask"], golden["segment_ids"])]
    return run_reference(prefix_of(name), role, Arithmetic(settings.heads, settings.activation), inputs)[0]


@pytest.mark.parametrize("name", GOLDEN)
def test_its_discriminator_computes_what_google_recorded(name):
    golden = np.load(FIXTURES / name / "golden.npz")
    found = run_golden(name, "discriminator", golden)
    np.testing.assert_allclose(np.stack(found.hidden[1:]), golden["disc_hidden"], rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(found.answers["logits"], golden["disc_logits"], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("name", GOLDEN)
def test_its_generator_computes_what_google_recorded(name):
    golden = np.load(FIXTURES / name / "golden.npz")
    found = run_golden(name, "generator", golden)
    rows, columns = golden["gen_positions"].T
    np.testing.assert_allclose(np.stack(found.hidden[1:]), golden["gen_hidden"], rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(found.answers["logits"][rows, columns], golden["gen_logits"], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(("variant", "sizes"), VARIANT_SIZES)
def test_it_computes_what_the_oracle_does_in_every_layout(variant_folders, oracle_outputs, variant, sizes):
    made, folder = SIZES[sizes], variant_folders(variant, sizes)
    inputs = checkpoints.inputs(made)
    batch = tuple(inputs[key] for key in ("input_ids", "input_mask", "segment_ids"))
    prefix = next(folder.glob("*.index")).with_suffix("")
    for role in forward.NETWORKS[variant]:
        settings = read_settings(prefix, folder, role)
        assert settings.heads == checkpoints.sizes_of(variant, role, made).heads
        found = run_reference(prefix, role, Arithmetic(settings.heads, settings.activation), [batch])[0]
        expected = oracle_outputs(variant, sizes, role)
        np.testing.assert_allclose(np.stack(found.hidden[1:]), expected.hidden, rtol=0, atol=TOLERANCE)
        if expected.logits is not None:
            np.testing.assert_allclose(found.answers["logits"], expected.logits, rtol=1e-5, atol=TOLERANCE)


def test_in_float64_it_is_closer_to_the_better_answer():
    arrays = checkpoints.inputs(SIZES["projected"])
    ids = tuple(np.minimum(arrays[key], 1) if key == "segment_ids" else arrays[key] for key in arrays)
    batch = [tuple(np.asarray(array, np.int32) for array in ids)]
    single, double = (
        run_reference(prefix_of("default"), "discriminator", Arithmetic(2, "gelu", precision), batch)[0]
        for precision in ("float32", "float64")
    )
    assert double.answers["logits"].dtype == np.float64
    assert 0 < np.abs(single.answers["logits"] - double.answers["logits"]).max() < TOLERANCE


def test_weights_are_rounded_as_told():
    batch = [tuple(np.ones((1, 4), np.int32) for _ in range(3))]
    plain = run_reference(prefix_of("default"), "discriminator", Arithmetic(2), batch)[0]
    name = "electra/encoder/layer_1/output/dense/kernel"
    rounded = run_reference(prefix_of("default"), "discriminator", Arithmetic(2, rounded={name: "bfloat16"}), batch)[
        0
    ]
    np.testing.assert_array_equal(rounded.hidden[1], plain.hidden[1])
    assert np.abs(rounded.hidden[2] - plain.hidden[2]).max() > 1e-4


# Its own reading of heads and activation


def copied(tmp_path: Path, *without: str) -> Path:
    folder = tmp_path / "copy"
    shutil.copytree(FIXTURES / "default", folder, ignore=shutil.ignore_patterns("golden.npz", *without))
    return folder


def settings_in(folder: Path, role: str = "discriminator", hparams: str | None = None) -> Settings:
    return read_settings(folder / "model.ckpt-4000", folder, role, hparams)


@pytest.mark.parametrize(
    ("role", "without", "expected"),
    [
        ("discriminator", (), Settings(2, "gelu", "hparams.json")),
        ("generator", (), Settings(1, "gelu", "hparams.json")),
        ("discriminator", ("hparams.json",), Settings(2, "gelu", "model.ckpt-4000.meta")),
        ("generator", ("hparams.json",), Settings(1, "gelu", "model.ckpt-4000.meta")),
        ("discriminator", ("hparams.json", "*.meta"), Settings(None, None, None)),
    ],
)
def test_it_reads_hparams_else_the_graph_else_says_that_it_does_not_know(tmp_path, role, without, expected):
    assert settings_in(copied(tmp_path, *without), role) == expected


@pytest.mark.parametrize(
    ("hparams", "heads", "activation"),
    [
        ({}, 1, "gelu"),
        ({"model_hparam_overrides": {"num_attention_heads": 8, "hidden_act": "relu"}}, 8, "relu"),
        ({"model_hparam_overrides": {"hidden_act": ""}}, 1, "linear"),
        ({"debug": True}, 4, "gelu"),
    ],
)
def test_an_option_goes_before_the_file(hparams, heads, activation):
    found = settings_in(FIXTURES / "default", hparams=json.dumps(hparams))
    assert found == Settings(heads, activation, "--hparams")


def test_damaged_settings_are_refused(tmp_path):
    folder = copied(tmp_path)
    (folder / "hparams.json").write_text("{")
    with pytest.raises(ConfigError, match=r"hparams\.json is not JSON"):
        settings_in(folder)
    (folder / "hparams.json").unlink()
    (folder / "model.ckpt-4000.meta").write_bytes(b"\xff\xff")
    with pytest.raises(ConfigError, match=r"\.meta is not a graph that TensorFlow reads"):
        settings_in(folder)


def test_a_checkpoint_tensorflow_cannot_read_is_refused(tmp_path):
    with pytest.raises(SourceError, match="TensorFlow cannot read it"):
        run_reference(tmp_path / "nothing", "discriminator", Arithmetic(1), [])
