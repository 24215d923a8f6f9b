"""Values come from where they are said to come from, and the optimiser takes the steps that Google's code takes."""

from __future__ import annotations

import numpy as np
import pytest

from electra_convert.finetuning.optimizer import depth_of, google_optimizer, google_schedule, google_share
from electra_convert.finetuning.options import FinetuneOptions
from electra_convert.finetuning.recipe import recipe_of


def recipe(task="token-classification", width=256, is_electra=True, longest=512, **options):
    return recipe_of(task, {"hidden_size": width}, is_electra, longest, FinetuneOptions(**options))


@pytest.mark.parametrize(
    ("width", "rate", "decay"), [(64, 3e-4, 0.8), (256, 3e-4, 0.8), (768, 1e-4, 0.8), (1024, 5e-5, 0.9)]
)
def test_rates_follow_from_the_size(width, rate, decay):
    assert (recipe(width=width)["learning_rate"], recipe(width=width)["layer_decay"]) == (rate, decay)


@pytest.mark.parametrize(
    ("task", "epochs", "length"),
    [("token-classification", 3, 256), ("text-classification", 3, 128), ("question-answering", 2, 384)],
)
def test_passes_and_lengths_follow_from_the_task(task, epochs, length):
    assert (recipe(task)["epochs"], recipe(task)["max_length"]) == (epochs, length)


def test_an_option_and_a_short_model_change_their_own_value_alone_and_say_so():
    changed = recipe(longest=128, learning_rate=1e-3).values
    plain = recipe().values
    differing = {name for name in plain if plain[name] != changed[name]}
    assert differing == {"learning_rate", "max_length"}
    assert (changed["learning_rate"].origin, changed["max_length"].origin) == ("option", "the model's positions")


def test_other_models_are_trained_as_transformers_does_by_default():
    other = recipe("text-classification", is_electra=False)
    assert (other["learning_rate"], other["warmup"], other["layer_decay"], other["bias_correction"]) == (
        5e-5,
        0,
        0,
        True,
    )
    assert other.values["learning_rate"].origin == "transformers' Trainer"


# key_to_depths of model/optimization.py, _get_layer_lrs, for 12 layers.
@pytest.mark.parametrize(
    ("name", "depth"),
    [
        ("electra.embeddings.word_embeddings.weight", 0),
        ("electra.embeddings.LayerNorm.bias", 0),
        ("electra.embeddings_project.weight", 0),
        ("electra.encoder.layer.0.attention.self.query.weight", 1),
        ("electra.encoder.layer.11.output.dense.bias", 12),
        ("classifier.dense.weight", 14),
        ("qa_outputs.bias", 14),
    ],
)
def test_depths_are_those_of_googles_code(name, depth):
    assert depth_of(name, 12) == depth


def test_the_schedule_is_googles_product_of_warm_up_and_decay():
    # polynomial_decay to 0 times min(1, step / warmup), both of the step before the update.
    shares = [google_share(step, 40, 0.1) for step in range(41)]
    assert shares == pytest.approx([min(1, step / 4) * (1 - step / 40) for step in range(41)])
    assert google_share(3, 40, 0.0) == pytest.approx(37 / 40)


@pytest.mark.slow
def test_three_steps_are_those_of_googles_adam():
    import torch

    values = recipe(learning_rate=0.01)
    random = np.random.default_rng(0)
    names = ["electra.embeddings.w", "electra.encoder.layer.1.LayerNorm.weight", "classifier.weight"]
    begin = {name: random.standard_normal((3, 2)) for name in names}
    parameters = {name: torch.nn.Parameter(torch.tensor(value)) for name, value in begin.items()}
    optimizer = google_optimizer(parameters.items(), 2, values)
    schedule = google_schedule(optimizer, 10, 0.2)
    moments = {name: (np.zeros((3, 2)), np.zeros((3, 2))) for name in names}
    for step in range(3):
        rate = 0.01 * min(1, step / 2) * (1 - step / 10)
        for name, parameter in parameters.items():
            gradient = random.standard_normal((3, 2))
            parameter.grad = torch.tensor(gradient)
            m, v = moments[name]
            moments[name] = m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
            update = m / (np.sqrt(v) + 1e-6) + (0.0 if "LayerNorm" in name else 0.01) * begin[name]
            begin[name] = begin[name] - rate * 0.8 ** (4 - depth_of(name, 2)) * update
        optimizer.step()
        schedule.step()
        for name, parameter in parameters.items():
            np.testing.assert_allclose(parameter.detach().numpy(), begin[name], rtol=1e-9)
