"""No weight can be wrong without verify naming it, and without the outputs parting where that weight is used."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from conftest import FIXTURES
from safetensors.numpy import load_file
from support.pairs import Weights, change_weights, copy_pair

from electra_convert.schemes.heads import MASKED_LM, REPLACED_TOKEN_DETECTION
from electra_convert.verification.compare import Pairing, start_comparisons
from electra_convert.verification.inputs import builtin_batches
from electra_convert.verification.runners import Run
from electra_convert.verification.sides import Place, Side, open_side
from electra_convert.verification.vocabularies import find_specials
from electra_convert.verification.weights import compare_weights

pytestmark = pytest.mark.slow
# Both of its models project their embeddings.
NAME = "full_size_generator"
ROLES = ("discriminator", "generator")
HEADS = {"discriminator": REPLACED_TOKEN_DETECTION, "generator": MASKED_LM}
LAYERS = 2


@dataclass(frozen=True)
class Mistake:
    """Something done to the weights of one model: which of them then differ, and what it does to them."""

    role: str
    names: tuple[str, ...]
    change: Callable[[Weights], object]


def both(*names: str) -> list[str]:
    return [f"{name}.{part}" for name in names for part in ("weight", "bias")]


def weights_of(role: str) -> tuple[str, ...]:
    """The weights of a model, spelt out here and not asked of the table under test."""
    names = [f"electra.embeddings.{name}_embeddings.weight" for name in ("word", "position", "token_type")]
    names += both("electra.embeddings.LayerNorm", "electra.embeddings_project")
    for layer in range(LAYERS):
        start = f"electra.encoder.layer.{layer}"
        names += both(*(f"{start}.attention.self.{name}" for name in ("query", "key", "value")))
        names += both(*(f"{start}.{name}.dense" for name in ("attention.output", "intermediate", "output")))
        names += both(*(f"{start}.{name}.LayerNorm" for name in ("attention.output", "output")))
    if role == "discriminator":
        return (*names, *both("discriminator_predictions.dense", "discriminator_predictions.dense_prediction"))
    return (*names, *both("generator_predictions.dense", "generator_predictions.LayerNorm"), "generator_lm_head.bias")


def is_square(name: str) -> bool:
    square = r"(query|key|value|attention\.output\.dense|discriminator_predictions\.dense)\.weight$"
    return re.search(square, name) is not None


def perturb(name: str, weights: Weights) -> None:
    values = weights[name]
    size = max(1e-2 * float(values.std()), 1e-3)
    noise = np.random.default_rng(len(name)).choice(np.float32([-size, size]), values.shape)
    weights[name] = values + noise.astype(np.float32)


def transpose(name: str, weights: Weights) -> None:
    weights[name] = weights[name].T


def zero(name: str, weights: Weights) -> None:
    weights[name] = np.zeros_like(weights[name])


def swap(one: str, other: str, weights: Weights) -> None:
    weights[one], weights[other] = weights[other], weights[one]


def exchange_layers(weights: Weights) -> None:
    for name in [name for name in weights if ".layer.0." in name]:
        swap(name, name.replace(".layer.0.", ".layer.1."), weights)


def mistakes() -> Iterator[tuple[str, Mistake]]:
    for role in ROLES:
        names = weights_of(role)
        for name in names:
            yield f"{role}: {name} perturbed", Mistake(role, (name,), partial(perturb, name))
            if name.endswith(".bias"):
                yield f"{role}: {name} zeroed", Mistake(role, (name,), partial(zero, name))
            if is_square(name):
                yield f"{role}: {name} not transposed", Mistake(role, (name,), partial(transpose, name))
            if name.endswith("LayerNorm.weight"):
                beta = name.replace("weight", "bias")
                yield f"{role}: {name} for beta", Mistake(role, (name, beta), partial(swap, name, beta))
            if ".self.query." in name:
                key = name.replace("query", "key")
                yield f"{role}: {name} for key", Mistake(role, (name, key), partial(swap, name, key))
        layers = tuple(name for name in names if ".layer." in name)
        yield f"{role}: layers exchanged", Mistake(role, layers, exchange_layers)


MISTAKES = dict(mistakes())


def first_affected(names: tuple[str, ...]) -> str | None:
    """The first stage that a forward pass can see any of these weights in; None for biases of keys alone."""
    places = []
    for name in names:
        if name.endswith("attention.self.key.bias"):
            continue
        match = re.search(r"layer\.(\d+)\.", name)
        head = not name.startswith("electra.")
        places.append(LAYERS + 1 if head else int(match[1]) + 1 if match else 0)
    stages = ["embeddings", *(f"layer {number}" for number in range(1, LAYERS + 1)), "logits"]
    return stages[min(places)] if places else None


@dataclass(frozen=True)
class Truth:
    """The reference, and what it computes."""

    side: Side
    runs: Mapping[tuple[str, str], list[Run]]
    batches: tuple


@pytest.fixture(scope="module")
def truth(reference_session) -> Iterator[Truth]:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a hundred tiny models: waiting for other threads would be most of the time
    with open_side(Place(FIXTURES / NAME), lenient=False) as side:
        batches = builtin_batches(side.limits("discriminator"), find_specials([side], "discriminator"))
        runs = {}
        for role in ROLES:
            runner = side.runner(role, None, reference_session)
            for precision in ("float32", "float64"):
                runs[role, precision] = runner.start(batches, (precision,), {})()
        yield Truth(side, runs, batches)
    torch.set_num_threads(threads)


class Recorded:
    """Gives what the reference has computed already."""

    def __init__(self, truth: Truth, role: str) -> None:
        self.truth, self.role = truth, role

    def start(self, _batches, precisions, _rounded):
        (precision,) = precisions
        return lambda: self.truth.runs[self.role, precision]


def found(truth: Truth, session, pair: Path, role: str) -> tuple[list[str], str | None]:
    """The weights that are named, and the first stage at which the outputs part."""
    with open_side(Place(pair), lenient=True) as side:
        weights = compare_weights(truth.side.checkpoint.models[role], side.checkpoint.models[role])
        candidate = side.runner(role, truth.side, session)
        (finish,) = start_comparisons(
            [Pairing(HEADS[role], Recorded(truth, role), candidate, truth.batches, {}, None)]
        )
        compared = finish()
    stage = compared.outputs.first_differing
    return [tensor.name for tensor in weights.differing], stage and stage.name


@pytest.mark.parametrize("role", ROLES)
def test_without_a_mistake_nothing_is_named(truth, reference_session, pairs, role):
    assert found(truth, reference_session, pairs[NAME], role) == ([], None)


def test_the_names_here_are_those_there_are(pairs):
    for role in ROLES:
        assert sorted(weights_of(role)) == sorted(load_file(pairs[NAME] / role / "model.safetensors"))


@pytest.mark.parametrize("title", MISTAKES)
def test_a_mistake_is_named_and_the_outputs_part_where_it_was_made(truth, reference_session, pairs, tmp_path, title):
    mistake = MISTAKES[title]
    pair = copy_pair(pairs[NAME], tmp_path / "pair")
    change_weights(pair / mistake.role, mistake.change)
    named, parted = found(truth, reference_session, pair, mistake.role)
    assert named == sorted(mistake.names)
    assert parted == first_affected(mistake.names)


@pytest.mark.parametrize("role", ROLES)
def test_the_other_model_s_projection_is_named(truth, reference_session, pairs, tmp_path, role):
    pair = copy_pair(pairs[NAME], tmp_path / "pair")
    other = load_file(pair / ("generator" if role == "discriminator" else "discriminator") / "model.safetensors")
    names = [name for name in other if name.startswith("electra.embeddings_project.")]
    change_weights(pair / role, lambda weights: weights.update({name: other[name] for name in names}))
    assert found(truth, reference_session, pair, role) == (sorted(names), "embeddings")
