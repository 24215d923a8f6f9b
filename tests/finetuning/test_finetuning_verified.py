"""A fine-tuned model computes in Google's graph, in TensorFlow, what it computes in transformers."""

from __future__ import annotations

import pytest

from electra_convert import convert, verify

pytestmark = pytest.mark.slow


def test_a_fine_tuned_model_verifies_against_what_it_becomes_in_tensorflow(tuned_once, tmp_path, shared_reference):
    model = tuned_once("question-answering", "train.json", "dev.json").model
    convert(model, tmp_path / "tf")
    report = verify(tmp_path / "tf", model, task="question_answering=question-answering")
    assert report.passed, report
