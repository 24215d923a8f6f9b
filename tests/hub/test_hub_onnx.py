"""ONNX models of a folder that is published: those that parity.json vouches for, and no others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.command_line import run
from support.parity_records import hashes, write_parity, write_training

from electra_convert import convert, write_card
from electra_convert.errors import ParityError
from electra_convert.hub.card.model_folder import is_stale
from electra_convert.hub.plan import UploadOptions, UploadPlan, plan_uploads

pytestmark = pytest.mark.slow
FILES = ("onnx/model.onnx", "onnx/model_quantized.onnx")
RECORD = "onnx/conversion.json"
MEASURED = {"max_abs": 0.11, "largest": 9.0, "decisions": 337, "flipped": 4, "onnxruntime": "1.32.0"}


@pytest.fixture
def folder(generator: Path) -> Path:
    """A generator with ONNX models of which nothing is known yet."""
    convert(generator, generator, to="onnx", quantize="int8")
    return generator


def vouch(folder: Path, *files: str, own: bool = True) -> None:
    """Write into parity.json that ONNX models passed; where it is not the model's own, that they alone did."""
    write_parity(folder)
    path = folder / "parity.json"
    parity = json.loads(path.read_text())
    models = parity["models"] if own else {}
    forward = {"stages": {"logits": {"max_abs": 3.9e-06}}}
    for file in files:
        is_int8 = file == FILES[1]
        found = {"forward": None if is_int8 else forward, "int8": MEASURED if is_int8 else None}
        models[f"generator in {file}"] = {"weights": {"tensors": 42}, "settings": {}, **found}
    parity["files"] |= {f"onnx/{name}": value for name, value in hashes(folder / "onnx", "").items()}
    path.write_text(json.dumps({**parity, "models": models}))


def plan(folder: Path, **options) -> UploadPlan:
    [planned] = plan_uploads("alice/small", folder, UploadOptions(**options))
    return planned


def published(folder: Path, **options) -> set[str]:
    return {file.name for file in plan(folder, **options).files if file.name.startswith("onnx/")}


def test_what_passed_is_published_with_its_figures_on_the_card(folder: Path):
    vouch(folder, *FILES)
    assert published(folder) == {*FILES, RECORD}
    planned = plan(folder)
    assert planned.facts.proof.state == "verified"
    assert not any(name.startswith("onnx") for name in planned.facts.folder.left)
    size = (folder / FILES[1]).stat().st_size
    rows = [line for line in planned.card.text.splitlines() if "`onnx/" in line]
    assert rows == [
        f"| `{FILES[0]}` | {(folder / FILES[0]).stat().st_size:,} | float32 | differ by up to 3.9e-06 |",
        f"| `{FILES[1]}` | {size:,} | 8 bits | reach 9, differ by up to 0.11; 4 of 337 decisions change |",
    ]
    [card] = write_card(folder, repo_id="alice/small")
    assert [line for line in card.text.splitlines() if "`onnx/" in line] == rows


@pytest.mark.parametrize("vouched", [(), FILES[:1]])
def test_what_nothing_vouches_for_is_left_and_that_is_said(folder: Path, vouched, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.is_offline_mode", lambda: True)
    vouch(folder, *vouched)
    assert published(folder) == set(vouched)
    ran = run("upload", "alice/small", folder, "--dry-run")
    assert ran.code == 0, ran.err
    for name in set(FILES) - set(vouched):
        assert f"leaves {name}" in ran.out
        said = f"{folder / name} is left, since no parity.json says that it is the same model; verify --save looks."
        assert said in " ".join(ran.err.split())


def test_a_folder_whose_weights_were_verified_before_stays_so(folder: Path):
    write_parity(folder)
    assert plan(folder).facts.proof.state == "verified"
    assert published(folder) == set()


def test_a_record_without_its_models_is_left(folder: Path):
    for file in FILES:
        (folder / file).unlink()
    write_parity(folder)
    assert published(folder) == set()


def test_of_a_model_that_was_made_here_a_loose_tolerance_vouches_for_nothing(folder: Path):
    write_training(folder)
    vouch(folder, *FILES, own=False)
    path = folder / "parity.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "tolerance": 0.1}))
    assert published(folder) == set()
    assert not plan(folder).facts.folder.has("parity.json")


@pytest.mark.parametrize("changes", [{"verdict": "unproven"}, {"weights_only": True}])
def test_a_record_that_did_not_pass_vouches_for_nothing(folder: Path, changes):
    vouch(folder, *FILES)
    path = folder / "parity.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(ParityError):
        plan(folder)


@pytest.mark.parametrize("file", [*FILES, RECORD])
def test_a_file_that_was_changed_since_is_refused(folder: Path, file: str):
    vouch(folder, *FILES)
    (folder / file).write_bytes((folder / file).read_bytes() + b" ")
    with pytest.raises(ParityError, match=f"is of other files: {file} changed since"):
        plan(folder)


def test_unverified_models_go_where_that_is_asked_for_and_the_card_says_so(folder: Path):
    assert published(folder, unverified=True) == {*FILES, RECORD}
    text = plan(folder, unverified=True).card.text
    assert "**Not verified.**" in text
    assert "| float32, not verified | not measured |" in text
    assert "8 bits, not verified | reach" in text


@pytest.mark.parametrize("vouched", [(), FILES])
def test_of_a_model_that_was_made_here_onnx_is_held_to_its_own_weights(folder: Path, vouched):
    (folder / "parity.json").unlink(missing_ok=True)
    write_training(folder)
    if vouched:
        vouch(folder, *vouched, own=False)
    planned = plan(folder)
    assert planned.facts.proof.state == "pretrained"
    assert published(folder) == ({*vouched, RECORD} if vouched else set())
    assert planned.facts.folder.has("parity.json") == bool(vouched)


def test_what_others_put_into_the_folder_is_left(folder: Path):
    (folder / "onnx" / "model_fp16.onnx").write_bytes(b"x")
    vouch(folder, *FILES)
    planned = plan(folder)
    assert "onnx/model_fp16.onnx" in planned.facts.folder.left
    assert planned.facts.proof.state == "verified"


def test_onnx_models_on_the_hub_that_are_of_other_weights_go():
    assert all(map(is_stale, [*FILES, RECORD, "onnx/model.onnx_data"]))
    assert not is_stale("onnx/model_fp16.onnx")
