"""The sampled softmax is TensorFlow's for the candidates that TensorFlow drew, and on average the whole softmax's."""

from __future__ import annotations

import numpy as np
import pytest
from support.sampling import chi_squared_limit

VOCABULARY, WIDTH, ROWS, COUNT = 500, 16, 30, 40


def drawn(count: int = COUNT, vocabulary: int = VOCABULARY, seed: int = 0):
    from electra_convert.pretraining.candidates import draw_candidates

    return draw_candidates(np.random.default_rng(seed), count, vocabulary)


def shared(candidates):
    import torch

    from electra_convert.pretraining.sampled_softmax import SharedCandidates

    return SharedCandidates(torch.from_numpy(candidates.ids), candidates.tries, candidates.vocabulary)


@pytest.fixture
def layer():
    """Hidden rows, a weight, a bias; and targets, some of which are drawn."""
    random = np.random.default_rng(1)
    shapes = ((ROWS, WIDTH), (VOCABULARY, WIDTH), (VOCABULARY,))
    return [random.standard_normal(shape, np.float32) for shape in shapes], random.integers(0, 40, ROWS)


def losses(layer, candidates, **changes):
    import torch

    from electra_convert.pretraining.sampled_softmax import SampledSoftmax
    from electra_convert.pretraining.sampling import Drawing

    arrays, targets = layer
    inputs = [torch.from_numpy(array).requires_grad_() for array in arrays]
    return SampledSoftmax(*inputs, torch.from_numpy(targets), candidates, Drawing(**changes)), inputs


@pytest.mark.parametrize("count", [1, 7, COUNT, VOCABULARY])
def test_candidates_are_different_and_the_same_for_a_seed(count):
    first, again = drawn(count), drawn(count)
    assert len(set(first.ids.tolist())) == count
    assert first.ids.min() >= 0
    assert first.ids.max() < VOCABULARY
    assert first.tries >= count
    assert first.ids.tolist() == again.ids.tolist()
    assert first.tries == again.tries


def test_candidates_come_in_the_order_in_which_draws_have_them(monkeypatch):
    """However many are drawn at once: a long coupon collector's wait, in pieces and at once."""
    from electra_convert.pretraining import candidates

    whole = drawn(VOCABULARY)
    monkeypatch.setattr(candidates, "_AT_ONCE", 1)
    pieces = drawn(VOCABULARY)
    assert pieces.tries == whole.tries > VOCABULARY
    assert pieces.ids.tolist() == whole.ids.tolist()


@pytest.mark.slow
def test_a_draw_has_each_id_as_often_as_is_expected():
    """A chi-squared test over many first draws, one false alarm in a million."""
    repeats, vocabulary = 4000, 30
    counts = np.bincount([int(drawn(1, vocabulary, seed).ids[0]) for seed in range(repeats)], minlength=vocabulary)
    expected = repeats * expected_counts(np.arange(vocabulary), 1, 1, vocabulary)
    assert expected.sum() == pytest.approx(repeats, rel=1e-5)
    assert ((counts - expected) ** 2 / expected).sum() < chi_squared_limit(vocabulary - 1)


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, COUNT, 300])
def test_the_loss_and_what_is_expected_are_tensorflows(imported_tensorflow, layer, count):
    tensorflow = imported_tensorflow
    (hidden, weight, bias), targets = layer
    labels = targets[:, None].astype(np.int64)
    with tensorflow.Graph().as_default(), tensorflow.compat.v1.Session() as session:
        sampled = tensorflow.random.log_uniform_candidate_sampler(labels, 1, count, True, VOCABULARY, seed=3)
        loss = tensorflow.nn.sampled_softmax_loss(
            weight, bias, labels, hidden, count, VOCABULARY, sampled_values=sampled
        )
        expected, (ids, of_targets, of_candidates) = session.run([loss, sampled])
    expectations = {tries: expected_counts(ids, tries) for tries in range(count, 20 * count)}
    # How many tries it took is not told; it follows from what is expected.
    tries = next(one for one, made in expectations.items() if np.allclose(made, of_candidates, rtol=2e-6, atol=0))
    np.testing.assert_allclose(expected_counts(targets, tries, len(ids)), of_targets[:, 0], rtol=2e-6)
    softmax, _ = losses(layer, recorded(ids, tries))
    np.testing.assert_allclose(softmax.losses.detach().numpy(), expected, rtol=1e-6, atol=1e-6)


def recorded(ids, tries, vocabulary=VOCABULARY):
    import torch

    from electra_convert.pretraining.sampled_softmax import SharedCandidates

    return SharedCandidates(torch.from_numpy(ids), tries, vocabulary)


def expected_counts(ids, tries, count=None, vocabulary=VOCABULARY):
    import torch

    candidates = recorded(np.arange(count or len(ids)), tries, vocabulary)
    return candidates.log_expected(torch.from_numpy(ids)).exp().numpy()


@pytest.mark.slow
def test_on_average_the_gradient_is_that_of_the_whole_softmax(layer):
    """Few candidates have a bias, which more of them make smaller until chance hides it: five standard deviations."""
    import torch

    (hidden, weight, bias), targets = layer
    layer = arrays, targets = [hidden, weight / 4, bias / 4], targets
    inputs = [torch.from_numpy(array).requires_grad_() for array in arrays]
    logits = torch.nn.functional.linear(*inputs)
    torch.nn.functional.cross_entropy(logits, torch.from_numpy(targets), reduction="sum").backward()
    exact = inputs[0].grad.flatten()
    errors = []
    for count in (10, 250):
        found = torch.stack([_gradient(layer, shared(drawn(count, seed=seed))) for seed in range(100)])
        error, deviation = found.mean(0) - exact, found.std(0) / len(found) ** 0.5
        errors.append((float(error.norm() / exact.norm()), float((error.abs() / deviation).max())))
    assert errors[1][0] < 0.02 < errors[0][0]
    assert errors[1][1] < 5


def _gradient(layer, candidates):
    softmax, inputs = losses(layer, candidates)
    softmax.losses.sum().backward()
    return inputs[0].grad.flatten()


@pytest.mark.slow
def test_with_all_of_the_vocabulary_the_loss_is_the_whole_softmaxs(layer):
    """With so many tries that each id is expected once."""
    import torch

    softmax, inputs = losses(layer, recorded(np.random.default_rng(2).permutation(VOCABULARY), 10**7))
    whole = torch.nn.functional.linear(*inputs)
    expected = torch.nn.functional.cross_entropy(whole, torch.from_numpy(layer[1]), reduction="none")
    torch.testing.assert_close(softmax.losses, expected, rtol=1e-5, atol=1e-5)
    assert torch.equal(softmax.likeliest(), whole.argmax(dim=1))


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"temperature": 2.0}])
def test_replacements_from_candidates_are_as_frequent_as_the_sampled_softmax_says(layer, changes):
    """Of one row, many times; the first column is its target."""
    import torch

    (hidden, weight, bias), targets = layer
    repeats, candidates = 3000, shared(drawn(COUNT))
    many = ([np.repeat(hidden[:1], repeats, 0), weight, bias], np.repeat(targets[:1], repeats))
    uniforms = torch.rand(repeats, generator=torch.Generator().manual_seed(1))
    counts = np.bincount(losses(many, candidates, **changes)[0].sampled(uniforms).numpy(), minlength=VOCABULARY)
    ids = np.unique(np.append(candidates.ids.numpy(), targets[0]))
    logits = (weight[ids] @ hidden[0] + bias[ids]) / changes.get("temperature", 1.0)
    weights = np.exp(logits.astype(np.float64)) / expected_counts(ids, candidates.tries, COUNT)
    expected = repeats * weights / weights.sum()
    assert counts.sum() == counts[ids].sum()
    often = expected >= 5
    observed = np.append(counts[ids][often], counts[ids][~often].sum())
    expected = np.append(expected[often], expected[~often].sum())
    assert ((observed - expected) ** 2 / expected).sum() < chi_squared_limit(len(expected) - 1)


@pytest.mark.slow
def test_a_target_is_no_replacement_where_it_is_disallowed(layer):
    import torch

    softmax, _ = losses(layer, shared(drawn(COUNT)), disallow_correct=True)
    for uniform in (0.0, 0.3, 1 - 2**-24):
        assert not (softmax.sampled(torch.full((ROWS,), uniform)).numpy() == layer[1]).any()
