"""Losses, gradients and samples computed in blocks are those of the whole softmax, which is never in memory."""

from __future__ import annotations

import numpy as np
import pytest
from support.sampling import chi_squared_limit

from electra_convert.errors import UsageError

pytestmark = pytest.mark.slow

ROWS, VOCABULARY, WIDTH = 70, 331, 16
# Bytes of a block: of a few rows and columns, of more, and of all there are.
BLOCKS = (1 << 9, 1 << 14, 1 << 23)


@pytest.fixture(params=BLOCKS)
def blocks(request, monkeypatch):
    from electra_convert.pretraining import vocabulary_softmax

    monkeypatch.setattr(vocabulary_softmax, "_BLOCK_BYTES", request.param)
    return vocabulary_softmax


@pytest.fixture
def layer():
    """Hidden rows, a weight, a bias and targets."""
    import torch

    random = torch.Generator().manual_seed(0)
    hidden, weight = (torch.randn(size, WIDTH, generator=random) for size in (ROWS, VOCABULARY))
    bias = torch.randn(VOCABULARY, generator=random)
    targets = torch.randint(VOCABULARY, (ROWS,), generator=random)
    return [tensor.requires_grad_() for tensor in (hidden, weight, bias)], targets


def drawing(**changes):
    from electra_convert.pretraining.sampling import Drawing

    return Drawing(**changes)


def uniforms(count):
    import torch

    return torch.rand(count, generator=torch.Generator().manual_seed(1))


def gradients(losses, inputs, weights):
    import torch

    return torch.autograd.grad((losses * weights).sum(), inputs)


def test_losses_and_gradients_are_torchs(blocks, layer):
    import torch

    inputs, targets = layer
    found = blocks.VocabularySoftmax(*inputs, targets, drawing()).losses
    expected = torch.nn.functional.cross_entropy(torch.nn.functional.linear(*inputs), targets, reduction="none")
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=2e-6)
    weights = uniforms(ROWS)
    for one, other in zip(gradients(found, inputs, weights), gradients(expected, inputs, weights), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=3e-6)


def test_without_a_bias_and_for_a_frozen_weight_there_are_the_other_gradients(blocks, layer):
    import torch

    (hidden, weight, _), targets = layer
    found = blocks.VocabularySoftmax(hidden, weight.detach(), None, targets, drawing()).losses
    expected = torch.nn.functional.cross_entropy(hidden @ weight.t(), targets, reduction="none")
    [one], [other] = (gradients(losses, [hidden], uniforms(ROWS)) for losses in (found, expected))
    torch.testing.assert_close(one, other, rtol=1e-5, atol=3e-6)


@pytest.mark.parametrize("changes", [{}, {"temperature": 2.0}, {"temperature": 0.7, "disallow_correct": True}])
def test_samples_are_what_the_whole_distribution_gives_for_the_same_numbers(blocks, layer, changes):
    import torch

    inputs, targets = layer
    found = blocks.VocabularySoftmax(*inputs, targets, drawing(**changes)).sampled(uniforms(ROWS))
    logits = torch.nn.functional.linear(*inputs).detach().double() / changes.get("temperature", 1.0)
    if changes.get("disallow_correct"):
        logits.scatter_(1, targets.unsqueeze(1), -torch.inf)
    heights = logits.softmax(dim=1).cumsum(dim=1)
    expected = torch.searchsorted(heights, uniforms(ROWS).double().unsqueeze(1), right=True).squeeze(1)
    assert (found == expected).sum() >= ROWS - 1  # at the border of two columns rounding decides


def test_samples_are_as_frequent_as_the_softmax_says(blocks, layer):
    """A chi-squared test over the columns likely enough to be counted, one false alarm in a million."""
    import torch

    (hidden, weight, bias), targets = layer
    repeats = 3000
    many = hidden[:1].detach().expand(repeats, -1)
    softmax = blocks.VocabularySoftmax(many, weight, bias, targets[:1].expand(repeats), drawing())
    counts = np.bincount(softmax.sampled(uniforms(repeats)).numpy(), minlength=VOCABULARY)
    expected = repeats * torch.nn.functional.linear(hidden[0], weight, bias).softmax(0).detach().double().numpy()
    often = expected >= 10
    observed = np.append(counts[often], counts[~often].sum())
    expected = np.append(expected[often], expected[~often].sum())
    assert ((observed - expected) ** 2 / expected).sum() < chi_squared_limit(len(expected) - 1)


@pytest.mark.parametrize("temperature", [1.0, 1e-3])
def test_what_is_disallowed_is_never_sampled(blocks, layer, temperature):
    """Even where nothing else is likely, at a temperature that leaves the second choice alone."""
    import torch

    inputs, _ = layer
    targets = torch.nn.functional.linear(*inputs).argmax(dim=1)
    softmax = blocks.VocabularySoftmax(*inputs, targets, drawing(temperature=temperature, disallow_correct=True))
    for numbers in (uniforms(ROWS), torch.zeros(ROWS), torch.full((ROWS,), 1 - 2**-24)):
        assert not (softmax.sampled(numbers) == targets).any()


def test_columns_that_a_bias_rules_out_change_nothing_though_they_fill_blocks(monkeypatch, layer):
    import torch

    from electra_convert.pretraining import vocabulary_softmax

    (hidden, weight, _), targets = layer
    bias = torch.zeros(VOCABULARY)
    bias[VOCABULARY // 2 :] = -torch.inf
    monkeypatch.setattr(vocabulary_softmax, "_BLOCK_BYTES", 1 << 9)
    softmax = vocabulary_softmax.VocabularySoftmax(hidden, weight, bias, targets % (VOCABULARY // 2), drawing())
    logits = torch.nn.functional.linear(hidden, weight, bias)
    expected = torch.nn.functional.cross_entropy(logits, targets % (VOCABULARY // 2), reduction="none")
    torch.testing.assert_close(softmax.losses, expected, rtol=1e-6, atol=2e-6)
    assert (softmax.sampled(uniforms(ROWS)) < VOCABULARY // 2).all()
    found, wanted = (gradients(losses, (hidden, weight), torch.ones(ROWS)) for losses in (softmax.losses, expected))
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


def test_a_second_derivative_is_refused(layer):
    import torch

    from electra_convert.pretraining.vocabulary_softmax import VocabularySoftmax

    inputs, targets = layer
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = VocabularySoftmax(*inputs, targets, drawing()).losses
    with pytest.raises(UsageError, match="no second derivative"):
        torch.autograd.grad(losses.sum(), inputs[:1], create_graph=True)


def test_what_is_likeliest_has_the_highest_logit(blocks, layer):
    import torch

    inputs, targets = layer
    found = blocks.VocabularySoftmax(*inputs, targets, drawing()).likeliest()
    assert torch.equal(found, torch.nn.functional.linear(*inputs).argmax(dim=1))


@pytest.mark.parametrize("uniform", [0.0, 0.25, 0.5, 1 - 2**-24])
def test_a_column_without_weight_is_never_drawn(uniform):
    import torch

    from electra_convert.pretraining.sampling import draw

    random = torch.Generator().manual_seed(3)
    weights = torch.rand(500, 37, generator=random) * (torch.rand(500, 37, generator=random) < 0.2)
    weights[:, 11] += 1e-3
    drawn, rest = draw(weights.log(), torch.full((500,), uniform))
    assert (weights.gather(1, drawn.unsqueeze(1)) > 0).all()
    assert ((rest >= 0) & (rest < 1)).all()


@pytest.mark.parametrize("disallow_correct", [False, True])
def test_without_a_generator_every_token_that_is_allowed_is_drawn_as_often(disallow_correct):
    import torch

    from electra_convert.pretraining.sampling import draw_evenly

    targets, numbers = torch.full((1000,), 3), torch.arange(1000) / 1000
    drawn = draw_evenly(10, targets, numbers, drawing(disallow_correct=disallow_correct))
    counts = np.bincount(drawn.numpy(), minlength=10).tolist()
    allowed = [0 if token == 3 and disallow_correct else 1000 // (10 - disallow_correct) for token in range(10)]
    assert counts == pytest.approx(allowed, abs=1)


def test_in_bfloat16_products_are_rounded_and_sums_are_not(layer):
    import torch

    from electra_convert.pretraining.vocabulary_softmax import VocabularySoftmax

    inputs, targets = layer
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = VocabularySoftmax(*inputs, targets, drawing()).losses
        logits = torch.nn.functional.linear(*inputs)
    assert logits.dtype == torch.bfloat16
    expected = torch.nn.functional.cross_entropy(logits.float(), targets, reduction="none")
    torch.testing.assert_close(found, expected, rtol=0, atol=0.15)
    of_hidden, of_weight, of_bias = gradients(found, inputs, uniforms(ROWS))
    assert {of_hidden.dtype, of_weight.dtype, of_bias.dtype} == {torch.float32}
    for one, other in zip((of_hidden, of_weight), gradients(expected, inputs, uniforms(ROWS)), strict=False):
        torch.testing.assert_close(one, other, rtol=0.1, atol=0.1)


def test_no_tensor_is_as_large_as_rows_times_vocabulary(layer, monkeypatch):
    """Everything that torch makes in between is looked at."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    from electra_convert.pretraining import vocabulary_softmax

    monkeypatch.setattr(vocabulary_softmax, "_BLOCK_BYTES", 1 << 12)
    largest = 0

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            nonlocal largest
            made = func(*args, **(kwargs or {}))
            largest = max([largest, *(one.numel() for one in (made,) if isinstance(one, torch.Tensor))])
            return made

    inputs, targets = layer
    with Watch():
        softmax = vocabulary_softmax.VocabularySoftmax(*inputs, targets, drawing(temperature=2.0))
        softmax.sampled(uniforms(ROWS))
        softmax.likeliest()
        softmax.losses.sum().backward()
    assert largest <= VOCABULARY * WIDTH < ROWS * VOCABULARY
