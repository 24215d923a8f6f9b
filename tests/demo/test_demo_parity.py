"""What the demo computes is what Google's code recorded, and what transformers computes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import FIXTURES, GOLDEN, VARIANT_SIZES
from support import checkpoints, forward, transformers_models
from support.checkpoints import SIZES

from electra_convert import convert
from electra_convert.demo.model import open_model
from electra_convert.demo.scoring import run, sigmoid

pytestmark = pytest.mark.slow
TOLERANCE = 1e-5
VOCABULARY = FIXTURES / "vocab.txt"


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """The golden checkpoints, converted once."""
    place = tmp_path_factory.mktemp("converted")
    for name in GOLDEN:
        convert(FIXTURES / name, place / name, vocab=VOCABULARY)
    return place


def opened(name: str, converted: Path, origin: str, role="discriminator"):
    if origin == "checkpoint":
        return open_model(FIXTURES / name, role, vocab=VOCABULARY)
    return open_model(converted / name if origin == "pair" else converted / name / role, role)


ORIGINS = ("checkpoint", "pair", "folder")


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("name", GOLDEN)
def test_probabilities_are_the_sigmoid_of_what_google_recorded(converted, name, origin):
    golden = np.load(FIXTURES / name / "golden.npz")
    opened_discriminator = opened(name, converted, origin)
    found = sigmoid(run(opened_discriminator, golden["disc_ids"], golden["input_mask"], golden["segment_ids"]))
    special = np.isin(
        golden["disc_ids"], [opened_discriminator.special[token] for token in ("[CLS]", "[SEP]", "[PAD]")]
    )
    judged = (golden["input_mask"] > 0) & ~special
    expected = 1 / (1 + np.exp(-golden["disc_logits"].astype(np.float64)))
    assert judged.sum() > 300
    np.testing.assert_allclose(found[judged], expected[judged], rtol=0, atol=TOLERANCE)
    googles = np.round((np.sign(golden["disc_logits"]) + 1) / 2) > 0
    assert ((found > 0.5) == googles)[judged].all()
    median = np.median(expected[judged])
    assert ((found > median) == (expected > median))[judged].all()


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("name", GOLDEN)
def test_the_generator_says_at_masks_what_google_recorded(converted, name, origin):
    golden = np.load(FIXTURES / name / "golden.npz")
    opened_generator = opened(name, converted, origin, "generator")
    found = run(opened_generator, golden["gen_ids"], golden["input_mask"], golden["segment_ids"])
    rows, columns = golden["gen_positions"].T
    np.testing.assert_allclose(found[rows, columns], golden["gen_logits"], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(("variant", "sizes"), VARIANT_SIZES)
def test_every_layout_is_run_as_the_oracle_and_transformers_do(variant_folders, tmp_path, variant, sizes):
    made = SIZES[sizes]
    source = variant_folders(variant, sizes)
    inputs = checkpoints.inputs(made)
    arrays = [inputs[key] for key in ("input_ids", "input_mask", "segment_ids")]
    variables = checkpoints.variables(variant, made, slots=False)
    for role, network in forward.NETWORKS[variant].items():
        if network.head is None:
            continue
        vocab = tmp_path / "vocab.txt"
        vocab.write_text("\n".join(checkpoints.pieces(made)) + "\n")
        found = run(open_model(source, role, vocab=vocab), *arrays)
        heads = checkpoints.sizes_of(variant, role, made).heads
        expected = forward.forward(variables, network, heads, activation=made.activation, **inputs).logits
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=TOLERANCE)
        if role == "discriminator" or made.activation == "gelu":
            convert(source, tmp_path / role, model=role)
            theirs = transformers_models.run(tmp_path / role, *arrays).logits
            np.testing.assert_allclose(found, theirs, rtol=1e-5, atol=TOLERANCE)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_rounded_weights_are_run_in_float32_as_transformers_does(tmp_path, dtype):
    convert(FIXTURES / "default", tmp_path / "out", vocab=VOCABULARY, dtype=dtype, model="discriminator")
    import torch
    import transformers

    golden = np.load(FIXTURES / "default" / "golden.npz")
    arrays = [golden[key] for key in ("disc_ids", "input_mask", "segment_ids")]
    model = transformers.ElectraForPreTraining.from_pretrained(tmp_path / "out", dtype=torch.float32).eval()
    ids, mask, types = (torch.from_numpy(array).long() for array in arrays)
    with torch.no_grad():
        expected = model(ids, attention_mask=mask, token_type_ids=types).logits.numpy()
    np.testing.assert_allclose(run(open_model(tmp_path / "out"), *arrays), expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("activation", ["gelu", "gelu_new", "relu", "tanh", "linear"])
def test_every_activation_is_that_of_transformers(converted, tmp_path, activation):
    golden = np.load(FIXTURES / "default" / "golden.npz")
    arrays = [golden[key] for key in ("disc_ids", "input_mask", "segment_ids")]
    for role in ("discriminator", "generator"):
        folder = shutil.copytree(converted / "default" / role, tmp_path / role)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "hidden_act": activation}))
        expected = transformers_models.run(folder, *arrays).logits
        np.testing.assert_allclose(run(open_model(folder, role), *arrays), expected, rtol=1e-5, atol=2e-5)
