"""What a reference once computed, in place of running it: compared, checked, and honest about what it cannot show."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import FIXTURES, GOLDEN

from electra_convert import verify
from electra_convert.errors import SourceError, UsageError

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("shared_reference")]
DEFAULT = FIXTURES / "default"


@pytest.mark.parametrize("name", GOLDEN)
def test_the_golden_checkpoints_and_their_conversions_compute_what_was_recorded(pairs, name):
    golden = FIXTURES / name / "golden.npz"
    for reference, candidate in ((FIXTURES / name, pairs[name]), (None, pairs[name]), (None, FIXTURES / name)):
        report = verify(reference, candidate, golden=golden)
        assert report.passed, report.reasons
        assert set(report.models) == {"discriminator", "generator"}
        assert all(model.outputs.worst < 1e-5 for model in report.models.values())
        assert any("biases of keys" in line for line in report.models["generator"].outputs.not_covered)


def test_a_recording_of_another_model_fails(pairs):
    other = FIXTURES / "untied_embeddings" / "golden.npz"
    report = verify(None, pairs["default"], golden=other)
    assert report.models["discriminator"].outputs.first_differing.name == "layer 1"
    assert not report.passed


def test_a_recording_of_other_shapes_is_told_to_be_of_another_model(pairs, tmp_path):
    golden = dict(np.load(DEFAULT / "golden.npz"))
    golden["disc_logits"] = golden["disc_logits"][:, :5]
    np.savez(tmp_path / "golden.npz", **golden)
    report = verify(None, pairs["default"], golden=tmp_path / "golden.npz")
    assert "logits was recorded with shape [8, 5]" in report.models["discriminator"].not_run


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("disc_logits", np.full((8, 128), np.inf, np.float32), "disc_logits holds NaN or infinite values"),
        (
            "disc_logits",
            np.zeros((8, 128), np.complex64),
            "disc_logits is complex64 .* expected 2 dimensions of floats",
        ),
        ("disc_hidden", np.float32(1), "disc_hidden is float32 of shape .* expected 4 dimensions"),
        ("disc_ids", np.array("text"), "disc_ids is <U4 of shape"),
        ("gen_positions", np.zeros((72, 2)), "gen_positions is float64"),
        ("gen_positions", np.full((72, 2), 200), "gen_positions is int64 of shape"),
    ],
)
def test_a_recording_that_is_none_is_refused(pairs, tmp_path, name, array, message):
    np.savez(tmp_path / "golden.npz", **{**np.load(DEFAULT / "golden.npz"), name: array})
    with pytest.raises((SourceError, UsageError), match=message):
        verify(None, pairs["default"], golden=tmp_path / "golden.npz")


def test_what_a_short_recording_cannot_see_is_listed(pairs, tmp_path):
    golden = dict(np.load(DEFAULT / "golden.npz"))
    golden["input_mask"] = np.eye(1, 128, dtype=np.int32).repeat(8, axis=0)
    golden["disc_hidden"] = golden["disc_hidden"][:1]
    np.savez(tmp_path / "golden.npz", **golden)
    not_covered = (
        verify(None, pairs["default"], golden=tmp_path / "golden.npz").models["discriminator"].outputs.not_covered
    )
    assert any("head count" in line for line in not_covered)
    assert any("1 of 2 layers" in line for line in not_covered)


def test_a_recording_of_one_model_judges_no_other(pairs, tmp_path):
    golden = {name: array for name, array in np.load(DEFAULT / "golden.npz").items() if not name.startswith("gen_")}
    np.savez(tmp_path / "golden.npz", **golden)
    report = verify(None, pairs["default"], golden=tmp_path / "golden.npz")
    assert report.passed
    assert list(report.models) == ["discriminator"]
    assert any("The generator was not run" in note for note in report.notes)
    del golden["disc_logits"]
    np.savez(tmp_path / "golden.npz", **golden)
    with pytest.raises(SourceError, match="records no model of the candidate"):
        verify(None, pairs["default"], golden=tmp_path / "golden.npz")
