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
from electra_convert.demo.opening import open_model
from electra_convert.demo.scoring import sigmoid

pytestmark = pytest.mark.slow
TOLERANCE = 1e-5
VOCABULARY = FIXTURES / "vocab.txt"


def run(model, *arrays):
    """The logits of arrays of integers, [batch, length]: ids, mask, segments."""
    return model.network.run(*(np.asarray(array, np.int64) for array in arrays))


def assert_close(found, expected, mask, rtol=0.0, atol=TOLERANCE):
    """Of padding nothing is computed: logits are held to what is expected where there are tokens."""
    assert found.shape == expected.shape
    np.testing.assert_allclose(found[mask > 0], expected[mask > 0], rtol=rtol, atol=atol)


def opened(name: str, pairs: dict[str, Path], origin: str, role="discriminator"):
    if origin == "checkpoint":
        return open_model(FIXTURES / name, role, vocab=VOCABULARY)
    return open_model(pairs[name] if origin == "pair" else pairs[name] / role, role)


ORIGINS = ("checkpoint", "pair", "folder")


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("name", GOLDEN)
def test_probabilities_are_the_sigmoid_of_what_google_recorded(pairs, name, origin):
    golden = np.load(FIXTURES / name / "golden.npz")
    opened_discriminator = opened(name, pairs, origin)
    found = sigmoid(run(opened_discriminator, golden["disc_ids"], golden["input_mask"], golden["segment_ids"]))
    special = np.isin(
        golden["disc_ids"], [opened_discriminator.special[token] for token in ("[CLS]", "[SEP]", "[PAD]")]
    )
    scored = (golden["input_mask"] > 0) & ~special
    expected = 1 / (1 + np.exp(-golden["disc_logits"].astype(np.float64)))
    assert scored.sum() > 300
    np.testing.assert_allclose(found[scored], expected[scored], rtol=0, atol=TOLERANCE)
    googles = np.round((np.sign(golden["disc_logits"]) + 1) / 2) > 0
    assert ((found > 0.5) == googles)[scored].all()
    median = np.median(expected[scored])
    assert ((found > median) == (expected > median))[scored].all()


@pytest.mark.parametrize("name", GOLDEN)
def test_the_logits_at_a_few_places_are_those_of_all_of_them(pairs, name):
    golden = np.load(FIXTURES / name / "golden.npz")
    model = opened(name, pairs, "pair", "generator")
    row = [np.asarray(golden[key][:1], np.int64) for key in ("gen_ids", "input_mask", "segment_ids")]
    places = [5, 1, 9]
    found = np.stack(list(model.network.at(places, *row)))
    np.testing.assert_allclose(found, run(model, *row)[0, places], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("name", GOLDEN)
def test_the_generator_says_at_masks_what_google_recorded(pairs, name, origin):
    golden = np.load(FIXTURES / name / "golden.npz")
    opened_generator = opened(name, pairs, origin, "generator")
    found = run(opened_generator, golden["gen_ids"], golden["input_mask"], golden["segment_ids"])
    rows, columns = golden["gen_positions"].T
    np.testing.assert_allclose(found[rows, columns], golden["gen_logits"], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(("variant", "sizes"), VARIANT_SIZES)
def test_every_layout_is_run_as_the_oracle_does(oracle_outputs, written, variant, sizes):
    made = SIZES[sizes]
    source = written(variant, sizes)
    inputs = checkpoints.inputs(made)
    arrays = [inputs[key] for key in ("input_ids", "input_mask", "segment_ids")]
    for role, network in forward.NETWORKS[variant].items():
        if network.head is None:
            continue
        found = run(open_model(source, role), *arrays)
        expected = oracle_outputs(variant, sizes, role).logits
        assert_close(found, expected, inputs["input_mask"], rtol=1e-5)


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
    assert_close(run(open_model(tmp_path / "out"), *arrays), expected, golden["input_mask"])


@pytest.mark.parametrize("activation", ["gelu", "gelu_new", "relu", "tanh", "linear"])
def test_every_activation_is_that_of_transformers(golden_pair, tmp_path, activation):
    golden = np.load(FIXTURES / "default" / "golden.npz")
    arrays = [golden[key] for key in ("disc_ids", "input_mask", "segment_ids")]
    for role in ("discriminator", "generator"):
        folder = shutil.copytree(golden_pair / role, tmp_path / role)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "hidden_act": activation}))
        expected = transformers_models.run(folder, *arrays).logits
        assert_close(run(open_model(folder, role), *arrays), expected, golden["input_mask"], rtol=1e-5, atol=2e-5)
