"""parity.json: what is kept beside each model, and when none is."""

from __future__ import annotations

import json
import shutil
from hashlib import sha256

import pytest
from conftest import FIXTURES
from support.pairs import change_weights

from electra_convert import verify
from electra_convert.errors import OutputError, UsageError

pytestmark = pytest.mark.usefixtures("shared_reference")
DEFAULT = FIXTURES / "default"


def test_the_record_of_each_model_speaks_of_it_alone(pair_copy):
    pair = pair_copy()
    change_weights(pair / "discriminator", lambda weights: weights["electra.embeddings_project.bias"].__iadd__(1))
    verify(DEFAULT, pair, weights_only=True, save=True)
    saved = json.loads((pair / "generator" / "parity.json").read_text())
    assert (saved["verdict"], saved["reasons"]) == ("same", [])
    assert saved["summary"].startswith("The same generator.")


def test_a_place_that_cannot_be_saved_to_is_refused_before_anything_is_run(pair_copy, monkeypatch):
    pair = pair_copy()
    (pair / "generator" / "parity.json").mkdir()
    monkeypatch.setattr("electra_convert.verification.verify.compare_weights", pytest.fail)
    with pytest.raises(OutputError, match=r"parity\.json is not a file"):
        verify(DEFAULT, pair, save=True)


@pytest.mark.parametrize("half", ["", "generator", "generator/model.safetensors"])
def test_no_record_is_kept_of_a_model_compared_with_itself(pair_copy, tmp_path, half):
    pair = pair_copy()
    (tmp_path / "linked").symlink_to(pair)
    for reference in (pair, tmp_path / "linked"):
        with pytest.raises(UsageError, match=r"are one and the same: .*safetensors is of both"):
            verify(reference, pair / half, weights_only=True, save=True)
    assert not list(pair.rglob("parity.json"))


def test_no_record_is_kept_of_a_tensorflow_checkpoint_compared_with_itself(golden_copy):
    source = golden_copy()
    with pytest.raises(UsageError, match="one and the same"):
        verify(source, source / "model.ckpt-4000", weights_only=True, save=True)


def test_a_copy_is_another_checkpoint_though_its_optimiser_is_shared(pair_copy, tmp_path):
    pair = pair_copy()
    copied = shutil.copytree(pair, tmp_path / "copied")
    for half in ("discriminator", "generator"):
        if (optimizer := copied / half / "optimizer.safetensors").exists():
            optimizer.unlink()
            optimizer.symlink_to(pair / half / "optimizer.safetensors")
    assert verify(pair, copied, weights_only=True, save=True).passed


@pytest.mark.slow
def test_the_record_says_with_what_tolerance_it_was_made(pair_copy):
    pair = pair_copy()
    for tolerance in (None, 0.5):
        verify(DEFAULT, pair / "generator", tolerance=tolerance, save=True)
        assert json.loads((pair / "generator" / "parity.json").read_text())["tolerance"] == tolerance


def test_saving_writes_the_verdict_and_hashes_beside_each_model(pair_copy):
    pair = pair_copy()
    report = verify(DEFAULT, pair, weights_only=True, save=True)
    for role in report.models:
        saved = json.loads((pair / role / "parity.json").read_text())
        assert (saved["schema"], saved["verdict"], saved["weights_only"]) == (1, "same", True)
        assert list(saved["models"]) == [role]
        assert set(saved["files"]) == {path.name for path in (pair / role).iterdir()} - {"parity.json"}
        weights = (pair / role / "model.safetensors").read_bytes()
        assert saved["files"]["model.safetensors"] == sha256(weights).hexdigest()
        assert str(pair.parent) not in json.dumps(saved)


def test_a_verdict_that_failed_replaces_one_that_passed(pair_copy):
    pair = pair_copy()
    verify(DEFAULT, pair, weights_only=True, save=True)
    change_weights(pair / "generator", lambda weights: weights["generator_lm_head.bias"].__iadd__(1))
    assert not verify(DEFAULT, pair, weights_only=True, save=True).passed
    verdicts = {
        role: json.loads((pair / role / "parity.json").read_text())["verdict"]
        for role in ("discriminator", "generator")
    }
    assert verdicts == {"discriminator": "same", "generator": "different"}
