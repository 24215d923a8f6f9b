"""Adding a scheme, or a head, is one file: those of support/toys.py go through convert, inspect and verify."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from support.toys import TOY_HEAD, TOY_PREFIX, TOY_SCHEME

from electra_convert import checkpoint, convert, inspect, verify
from electra_convert.schemes import heads


@pytest.fixture
def toy_head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(heads.HEADS, "toy", TOY_HEAD)


@pytest.fixture
def tuned(written, toy_head: None) -> Path:
    """A checkpoint that was fine-tuned with the toy head."""

    def tune(tensors: dict[str, np.ndarray]) -> None:
        for name in [name for name in tensors if name.startswith("task_specific/")]:
            del tensors[name]
        rng = np.random.default_rng(3)
        for layer in ("first", "second"):
            tensors[f"task_specific/toy/{layer}/kernel"] = rng.standard_normal((16, 1)).astype(np.float32)
            tensors[f"task_specific/toy/{layer}/bias"] = rng.standard_normal(1).astype(np.float32)

    return written("fine_tuned", change=tune)


@pytest.fixture
def toy_folder(golden_pair: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A discriminator under the toy scheme's names."""
    monkeypatch.setattr(checkpoint, "SCHEMES", (*checkpoint.SCHEMES[:1], TOY_SCHEME, *checkpoint.SCHEMES[1:]))
    folder = tmp_path / "toy"
    shutil.copytree(golden_pair / "discriminator", folder)
    (folder / "conversion.json").unlink()
    tensors = load_file(folder / "model.safetensors")
    save_file(
        {f"{TOY_PREFIX}{name}": np.ascontiguousarray(array.T) for name, array in tensors.items()},
        folder / "model.safetensors",
    )
    return folder


def test_a_toy_head_goes_to_transformers_as_one_parameter_of_two_variables(tuned: Path, tmp_path: Path):
    result = convert(tuned, tmp_path / "out")
    assert inspect(tuned).models["discriminator"].architecture == "ElectraForToys"
    assert inspect(tmp_path / "out").models["discriminator"].architecture == "ElectraForToys"
    assert not [notice for notice in result.notices if "task_specific" in notice]
    written = load_file(tmp_path / "out" / "model.safetensors")
    assert (written["toys.weight"].shape, written["toys.bias"].shape) == ((2, 16), (2,))


def test_a_toy_head_comes_back_as_the_same_bytes(tuned: Path, tmp_path: Path):
    convert(tuned, tmp_path / "out")
    convert(tmp_path / "out", tmp_path / "back", prefix="model.ckpt")
    data = next(tuned.glob("*.data-*"))
    assert next((tmp_path / "back").glob("*.data-*")).read_bytes() == data.read_bytes()


def test_verify_compares_a_toy_head_and_sees_its_rows_swapped(tuned: Path, tmp_path: Path):
    convert(tuned, tmp_path / "out")
    assert verify(tuned, tmp_path / "out", weights_only=True).passed
    weights = tmp_path / "out" / "model.safetensors"
    tensors = load_file(weights)
    save_file({**tensors, "toys.bias": tensors["toys.bias"][::-1].copy()}, weights, {"format": "pt"})
    report = verify(tuned, tmp_path / "out", weights_only=True)
    assert not report.passed
    assert "toys.bias" in " ".join(report.reasons)


def test_a_toy_scheme_is_converted_to_the_very_bytes_and_inspected(
    toy_folder: Path, golden_pair: Path, tmp_path: Path
):
    assert inspect(toy_folder).models.keys() == {"discriminator"}
    convert(toy_folder, tmp_path / "out")
    expected = (golden_pair / "discriminator" / "model.safetensors").read_bytes()
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == expected
    assert verify(golden_pair / "discriminator", toy_folder, weights_only=True).passed


@pytest.mark.slow
def test_a_toy_scheme_is_run_by_verify(toy_folder: Path, golden_pair: Path):
    report = verify(golden_pair / "discriminator", toy_folder)
    assert report.passed, report.reasons


@pytest.mark.slow
def test_verify_runs_what_a_toy_scheme_holds_and_not_what_it_should(toy_folder: Path, golden_pair: Path):
    weights = toy_folder / "model.safetensors"
    name = f"{TOY_PREFIX}discriminator_predictions.dense.weight"
    tensors = load_file(weights)
    save_file({**tensors, name: np.ascontiguousarray(tensors[name].T)}, weights)
    report = verify(golden_pair / "discriminator", toy_folder)
    assert report.models["discriminator"].outputs.first_differing.name == "logits"
