"""The optimiser and its schedule give what Google's AdamWeightDecayOptimizer gave on the same gradients."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import FIXTURES

from electra_convert.config.hparams import Hparams
from electra_convert.pretraining.options import training_settings

pytestmark = pytest.mark.slow

GOLDEN = np.load(FIXTURES / "pretraining" / "optimizer.npz")
NAMES = [key.partition("|")[2] for key in GOLDEN if key.startswith("w0|")]
# How far a float32 replay may be from TensorFlow's, as a share of the tensor's largest magnitude.
TOLERANCE = 2e-6


def settings(**given: object):
    return training_settings(
        Hparams({"learning_rate": 2e-2, "num_train_steps": 100, "num_warmup_steps": 10, **given}, "test")
    )


def replay():
    """All 40 updates: for every step the weights and both slots, by TensorFlow's names."""
    import torch

    from electra_convert.pretraining.optimizer import (
        clip_gradients,
        learning_rate,
        make_optimizer,
        moments_of,
        set_learning_rate,
    )

    parameters = {name: torch.nn.Parameter(torch.from_numpy(GOLDEN[f"w0|{name}"].copy())) for name in NAMES}
    optimizer = make_optimizer(parameters, 0.01)
    for step in range(40):
        for name, parameter in parameters.items():
            parameter.grad = torch.from_numpy(GOLDEN[f"g|{name}"][step].copy())
        clip_gradients(parameters.values())
        set_learning_rate(optimizer, learning_rate(settings(), step))
        optimizer.step()
        yield (
            step,
            {
                name: (parameter.detach().numpy(), *(m.numpy() for m in moments_of(optimizer, parameter).values()))
                for name, parameter in parameters.items()
            },
        )


def test_every_update_is_googles():
    for step, tensors in replay():
        for name, (weight, first, second) in tensors.items():
            for kind, found in (("w", weight), ("m", first), ("v", second)):
                expected = GOLDEN[f"{kind}|{name}"][step]
                assert np.abs(found - expected).max() <= TOLERANCE * np.abs(expected).max(), (step, name, kind)


def test_the_schedule_is_googles_to_the_bit():
    from electra_convert.pretraining.optimizer import learning_rate

    found = np.array([learning_rate(settings(), step) for step in range(101)], np.float32)
    np.testing.assert_array_equal(found, GOLDEN["schedule"])


def test_without_warm_up_the_rate_starts_at_its_highest():
    from electra_convert.pretraining.optimizer import learning_rate

    assert learning_rate(settings(num_warmup_steps=0), 0) == pytest.approx(2e-2)


def test_beyond_the_last_step_the_rate_is_zero():
    from electra_convert.pretraining.optimizer import learning_rate

    assert learning_rate(settings(), 250) == 0.0


def test_gradients_within_the_norm_are_left_alone():
    import torch

    from electra_convert.pretraining.optimizer import clip_gradients

    parameter = torch.nn.Parameter(torch.zeros(2))
    parameter.grad = torch.tensor([0.3, 0.4])
    assert clip_gradients([parameter]).item() == pytest.approx(0.5)
    assert parameter.grad.tolist() == pytest.approx([0.3, 0.4])
    parameter.grad = torch.tensor([30.0, 40.0])
    assert clip_gradients([parameter]).item() == pytest.approx(50)
    assert parameter.grad.tolist() == pytest.approx([0.6, 0.8])


def test_norms_and_biases_are_not_decayed():
    """As AdamWeightDecayOptimizer of Google's code tells them, by their names."""
    from transformers import ElectraConfig, ElectraForMaskedLM, ElectraForPreTraining

    from electra_convert.pretraining.optimizer import is_decayed

    config = ElectraConfig(hidden_size=64, num_hidden_layers=1, vocab_size=10)
    for model in (ElectraForMaskedLM(config), ElectraForPreTraining(config)):
        for name, parameter in model.named_parameters():
            assert is_decayed(parameter) == (not any(part in name for part in ("LayerNorm", "bias"))), name
