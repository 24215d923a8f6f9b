"""Embeddings are projected exactly where they are not as wide as the hidden states, whatever names a file holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from support.command_line import refused, run

# In these sizes the discriminator's embeddings are as wide as its hidden states.
SIZES = "projected_generator"
PROJECTION = {
    "electra/embeddings_project/kernel": np.eye(16, dtype=np.float32),
    "electra/embeddings_project/bias": np.zeros(16, np.float32),
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "place"


def test_a_projection_that_googles_code_would_not_make_is_refused(written, place):
    """transformers makes none either, and would leave it out without a word."""
    said = refused(written(sizes=SIZES, change=lambda tensors: tensors.update(PROJECTION)), place)
    assert "electra/embeddings_project/bias, electra/embeddings_project/kernel" in said


def test_a_projection_that_transformers_would_not_load_is_refused(written, place, tmp_path):
    assert run("convert", written(sizes=SIZES), tmp_path / "pair").code == 0
    file = tmp_path / "pair" / "discriminator" / "model.safetensors"
    projection = {"electra.embeddings_project.weight": np.eye(16, dtype=np.float32)}
    save_file({**load_file(file), **projection}, file, {"format": "pt"})
    assert "electra.embeddings_project.weight" in refused(tmp_path / "pair", place)


def test_a_projection_that_is_needed_is_missed_even_when_none_of_it_is_there(written, place):
    def change(tensors):
        for name in PROJECTION:
            del tensors[name]

    assert "2 tensors missing: electra/embeddings_project/bias" in refused(written(change=change), place)
