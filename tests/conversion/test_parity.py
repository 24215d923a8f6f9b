"""What transformers computes from a converted folder is what Google's code computes from the checkpoint."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import FIXTURES, GOLDEN, VARIANT_SIZES
from support import checkpoints, forward, transformers_models
from support.checkpoints import SIZES

pytestmark = pytest.mark.slow
TOLERANCE = 1e-5


@pytest.mark.parametrize("name", GOLDEN)
def test_the_discriminator_computes_what_google_recorded(pairs, name: str):
    golden = np.load(FIXTURES / name / "golden.npz")
    masks = golden["input_mask"], golden["segment_ids"]
    found = transformers_models.run(pairs[name] / "discriminator", golden["disc_ids"], *masks)
    np.testing.assert_allclose(found.hidden, golden["disc_hidden"], rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(found.logits, golden["disc_logits"], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("name", GOLDEN)
def test_the_generator_computes_what_google_recorded(pairs, name: str):
    golden = np.load(FIXTURES / name / "golden.npz")
    masks = golden["input_mask"], golden["segment_ids"]
    found = transformers_models.run(pairs[name] / "generator", golden["gen_ids"], *masks)
    rows, columns = golden["gen_positions"].T
    np.testing.assert_allclose(found.hidden, golden["gen_hidden"], rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(found.logits[rows, columns], golden["gen_logits"], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(("variant", "sizes"), VARIANT_SIZES)
def test_every_layout_computes_what_the_oracle_does(converted_layouts, oracle_outputs, variant: str, sizes: str):
    out = converted_layouts(variant, sizes)
    inputs = checkpoints.inputs(SIZES[sizes])
    for role in forward.NETWORKS[variant]:
        folder = out / role if (out / role).exists() else out
        found = transformers_models.run(folder, *(inputs[key] for key in ("input_ids", "input_mask", "segment_ids")))
        expected = oracle_outputs(variant, sizes, role)
        np.testing.assert_allclose(found.hidden, expected.hidden, rtol=0, atol=TOLERANCE)
        if expected.logits is not None:
            np.testing.assert_allclose(found.logits, expected.logits, rtol=1e-5, atol=TOLERANCE)
