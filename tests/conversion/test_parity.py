"""What transformers computes from a converted folder is what Google's code computes from the checkpoint."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import FIXTURES, GOLDEN, VARIANT_SIZES
from support import checkpoints, forward, transformers_models
from support.checkpoints import SIZES

from electra_convert import convert

pytestmark = pytest.mark.slow
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """The golden checkpoints, converted once."""
    place = tmp_path_factory.mktemp("converted")
    for name in GOLDEN:
        convert(FIXTURES / name, place / name, vocab=FIXTURES / "vocab.txt")
    return place


@pytest.mark.parametrize("name", GOLDEN)
def test_the_discriminator_computes_what_google_recorded(converted: Path, name: str):
    golden = np.load(FIXTURES / name / "golden.npz")
    masks = golden["input_mask"], golden["segment_ids"]
    found = transformers_models.run(converted / name / "discriminator", golden["disc_ids"], *masks)
    np.testing.assert_allclose(found.hidden, golden["disc_hidden"], rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(found.logits, golden["disc_logits"], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("name", GOLDEN)
def test_the_generator_computes_what_google_recorded(converted: Path, name: str):
    golden = np.load(FIXTURES / name / "golden.npz")
    masks = golden["input_mask"], golden["segment_ids"]
    found = transformers_models.run(converted / name / "generator", golden["gen_ids"], *masks)
    rows, columns = golden["gen_positions"].T
    np.testing.assert_allclose(found.hidden, golden["gen_hidden"], rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(found.logits[rows, columns], golden["gen_logits"], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(("variant", "sizes"), VARIANT_SIZES)
def test_every_layout_computes_what_the_oracle_does(variant_folders, tmp_path: Path, variant: str, sizes: str):
    made = SIZES[sizes]
    roles = tuple(forward.NETWORKS[variant])
    if made.activation != "gelu":
        roles = ("discriminator",)
    convert(variant_folders(variant, sizes), tmp_path / "out")
    inputs = checkpoints.inputs(made)
    variables = checkpoints.variables(variant, made, slots=False)
    for role in roles:
        heads = checkpoints.sizes_of(variant, role, made).heads
        expected = forward.forward(
            variables, forward.NETWORKS[variant][role], heads, activation=made.activation, **inputs
        )
        folder = tmp_path / "out" / role if len(roles) > 1 else tmp_path / "out"
        found = transformers_models.run(folder, *(inputs[key] for key in ("input_ids", "input_mask", "segment_ids")))
        np.testing.assert_allclose(found.hidden, expected.hidden, rtol=0, atol=TOLERANCE)
        if expected.logits is not None:
            np.testing.assert_allclose(found.logits, expected.logits, rtol=1e-5, atol=TOLERANCE)


def test_the_written_architecture_is_the_class_of_the_weights(converted: Path):
    names = {
        role: json.loads((converted / "default" / role / "config.json").read_text())["architectures"]
        for role in ("discriminator", "generator")
    }
    assert names == {"discriminator": ["ElectraForPreTraining"], "generator": ["ElectraForMaskedLM"]}
