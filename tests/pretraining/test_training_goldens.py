"""Twenty steps of pretraining are those that Google's code recorded, and those of its code written out again."""

from __future__ import annotations

import socket
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from support.pretraining import start
from support.replay import (
    VARIANTS,
    Outcome,
    Recording,
    differences,
    golden,
    replay,
    require_golden_as_one_of_two,
)
from support.training import train

pytestmark = pytest.mark.slow


def require_as_recorded(found: Outcome, expected: Outcome) -> None:
    assert differences(found, expected) == {}


@pytest.mark.parametrize("variant", VARIANTS)
def test_training_is_googles(variant, monkeypatch):
    recording, expected = golden(variant)
    require_as_recorded(replay(recording, monkeypatch), expected)


@pytest.mark.parametrize("variant", VARIANTS)
def test_training_in_parts_is_googles(variant, monkeypatch):
    recording, expected = golden(variant)
    require_as_recorded(replay(recording, monkeypatch, accumulate=4), expected)


@pytest.mark.long
def test_training_in_two_processes_is_googles():
    """Of the layout that has a generator as well as embeddings that are only looked up."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    processes = [start(require_golden_as_one_of_two, rank, port, "untied_embeddings") for rank in range(2)]
    for process in processes:
        process.join(240)
    assert [process.exitcode for process in processes] == [0, 0]


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:.* should not be instantiated:DeprecationWarning")  # torch.compile's own doing
@pytest.mark.parametrize("variant", ["default", "untied_embeddings"])
def test_training_that_is_compiled_is_googles(variant, monkeypatch):
    """Captured whole, and differentiated by torch.compile; written out in C++ it takes minutes."""
    import torch

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager", fullgraph=True))
    recording, expected = golden(variant)
    require_as_recorded(replay(recording, monkeypatch, compile=True), expected)


@pytest.mark.parametrize("variant", ["uniform_generator", "untied_embeddings"])
def test_the_norm_in_bfloat16_is_taken_token_by_token_too(variant, monkeypatch):
    """Summed it is 1% larger in the first steps; products in bfloat16 move it by a tenth of that."""
    recording, expected = golden(variant)
    found = replay(recording, monkeypatch, precision="bfloat16")
    assert found.scalars["grad_norm"][:3] == pytest.approx(expected.scalars["grad_norm"][:3], rel=3e-3)
    assert recording.batches["grad_norm_summed"][:3] != pytest.approx(expected.scalars["grad_norm"][:3], rel=7e-3)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_summed_norm_is_that_of_googles_gradients_summed(variant, monkeypatch):
    """The weights part from the recorded ones where the norms do, and so does what later norms are of."""
    recording, _ = golden(variant)
    summed = replace(recording, hparams={**recording.hparams, "clip_norm": "summed"})
    found = replay(summed, monkeypatch)
    assert found.scalars["grad_norm"][0] == pytest.approx(recording.batches["grad_norm_summed"][0], rel=1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_oracle_is_googles(variant):
    recording, expected = golden(variant)
    require_as_recorded(train(recording), expected)


def tied_generator() -> Recording:
    """One encoder used twice, as untied_generator: false has it; from the weights and batches of other runs."""
    masked_lm, uniform, default = (golden(variant)[0] for variant in ("masked_lm", "uniform_generator", "default"))
    head = {name: value for name, value in uniform.start.items() if name.startswith("discriminator_predictions/")}
    hparams = {**default.hparams, "untied_generator": False}
    return Recording(hparams, default.batches, {**masked_lm.start, **head})


def disallow_correct() -> Recording:
    """Every chosen token is replaced by another."""
    default, _ = golden("default")
    batches = dict(default.batches)
    random = np.random.default_rng(0)
    corrupted = batches["input_ids"].copy()
    chosen = np.nonzero(batches["masked_lm_weights"])
    places = (*chosen[:2], batches["masked_lm_positions"][chosen])
    corrupted[places] = (corrupted[places] + random.integers(1, 1500, len(places[0]))) % 1500
    assert (corrupted[places] != batches["input_ids"][places]).all()
    batches["corrupted_input_ids"] = corrupted
    return Recording({**default.hparams, "disallow_correct": True}, batches, default.start)


@pytest.mark.parametrize("made", [tied_generator, disallow_correct])
def test_training_is_what_the_oracle_computes(made, monkeypatch):
    recording = made()
    require_as_recorded(replay(recording, monkeypatch), train(recording))


def clip_nothing(monkeypatch):
    from electra_convert.pretraining import loop, optimizer

    def norm_only(parameters, *given):
        kept = [parameter.grad.clone() for parameter in parameters]
        norm = optimizer.clip_gradients(parameters, *given)
        for parameter, gradient in zip(parameters, kept, strict=True):
            parameter.grad = gradient
        return norm

    monkeypatch.setattr(loop, "clip_gradients", norm_only)


def decay_everything(monkeypatch):
    monkeypatch.setattr("electra_convert.pretraining.optimizer.is_decayed", lambda name: True)


def decay_nothing(monkeypatch):
    monkeypatch.setattr("electra_convert.pretraining.optimizer.is_decayed", lambda name: False)


def warm_up_one_step_ahead(monkeypatch):
    """What Google's own graph may do where nothing orders its reads of the step."""
    from electra_convert.pretraining import loop, optimizer

    def rate(settings, step):
        steady = optimizer.learning_rate(replace(settings, num_warmup_steps=0), step)
        return steady * min(1.0, (step + 1) / settings.num_warmup_steps)

    monkeypatch.setattr(loop, "learning_rate", rate)


def decay_by_the_next_step(monkeypatch):
    from electra_convert.pretraining import loop, optimizer

    monkeypatch.setattr(loop, "learning_rate", lambda settings, step: optimizer.learning_rate(settings, step + 1))


def give_the_generator_two_heads(monkeypatch):
    from electra_convert.pretraining import loop

    class TwoHeads(loop.Electra):
        def __init__(self, networks, settings):
            for layer in networks["generator"].electra.encoder.layer:
                attention = layer.attention.self
                attention.num_attention_heads, attention.attention_head_size = 2, 12
                attention.scaling = 12**-0.5
            super().__init__(networks, settings)

    monkeypatch.setattr(loop, "Electra", TwoHeads)


def sum_before_measuring(monkeypatch):
    monkeypatch.setattr("electra_convert.pretraining.loop.only_looked_up", lambda networks: [])


def measure_every_embedding_token_by_token(monkeypatch):
    monkeypatch.setattr(
        "electra_convert.pretraining.loop.only_looked_up",
        lambda networks: list({id(table): table for table in map(_words, networks)}.values()),
    )


def _words(network):
    return network.get_input_embeddings()


@pytest.mark.parametrize(
    ("mistake", "variant", "shows_in"),
    [
        (clip_nothing, "default", {"gradient", "mlm_loss", "weight", "adam_m", "adam_v"}),
        (clip_nothing, "masked_lm", {"gradient", "weight", "adam_m", "adam_v"}),
        (sum_before_measuring, "uniform_generator", {"grad_norm", "disc_loss", "weight", "adam_m", "adam_v"}),
        (sum_before_measuring, "untied_embeddings", {"grad_norm", "mlm_loss", "weight", "adam_m", "adam_v"}),
        (measure_every_embedding_token_by_token, "default", {"grad_norm", "mlm_loss", "weight"}),
        (measure_every_embedding_token_by_token, "masked_lm", {"grad_norm", "mlm_loss", "weight"}),
        (measure_every_embedding_token_by_token, "untied_embeddings", {"grad_norm", "mlm_loss", "weight"}),
        (decay_everything, "default", {"weight"}),
        (decay_nothing, "default", {"weight"}),
        (warm_up_one_step_ahead, "default", {"learning_rate", "mlm_loss", "weight"}),
        (decay_by_the_next_step, "default", {"learning_rate", "mlm_loss", "weight"}),
        (give_the_generator_two_heads, "default", {"gradient", "weight", "adam_m", "adam_v"}),
    ],
)
def test_a_mistake_would_be_seen(mistake, variant, shows_in, monkeypatch):
    recording, expected = golden(variant)
    mistake(monkeypatch)
    assert shows_in <= set(differences(replay(recording, monkeypatch), expected))
