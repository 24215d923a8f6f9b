"""On a checkpoint of Google's code both losses are what its recorded logits give; and sampling keeps its promises."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import FIXTURES, GOLDEN
from support.sampling import chi_squared_limit

pytestmark = pytest.mark.slow

MASK = 4


@pytest.fixture(scope="module")
def electra():
    """The trained networks of a golden checkpoint, without dropout, and its recorded inputs and logits."""
    import torch

    from electra_convert.checkpoint import open_checkpoint
    from electra_convert.config.hparams import Hparams
    from electra_convert.config.sources import gather
    from electra_convert.pretraining.dropout import ATTENTION
    from electra_convert.pretraining.model import Electra, make_networks
    from electra_convert.pretraining.options import training_settings
    from electra_convert.pretraining.train_state import restore_weights

    def load(name: str, attention: str = ATTENTION, **hparams):
        with open_checkpoint(FIXTURES / name) as checkpoint:
            findings = gather(checkpoint)
            configs = {
                role: {key: value.value for key, value in config.values.items()}
                for role, config in findings.configs.items()
            }
            networks = make_networks(configs, checkpoint.layout, attention)
            restore_weights(checkpoint, networks)
        torch.set_num_threads(1)
        return Electra(networks, training_settings(Hparams(hparams, "test"))).eval()

    return load


def golden(name: str):
    return np.load(FIXTURES / name / "golden.npz")


def batch_of(data):
    """The recorded inputs as a batch: the positions are those of every [MASK], filled up with zeros."""
    import torch

    from electra_convert.pretraining.model import Tensors

    width = max(np.bincount(data["gen_positions"][:, 0]))
    positions = np.zeros((8, width), np.int64)
    weights = np.zeros((8, width), np.float32)
    for row in range(8):
        columns = data["gen_positions"][data["gen_positions"][:, 0] == row, 1]
        positions[row, : len(columns)], weights[row, : len(columns)] = columns, 1
    present = data["input_mask"] > 0
    tensors = Tensors(
        input_ids=torch.from_numpy(data["input_ids"]).long(),
        masked_ids=torch.from_numpy(data["gen_ids"]).long(),
        segment_ids=torch.from_numpy(data["segment_ids"]).long(),
        attention_mask=torch.from_numpy(present[:, None, None, :]),
        positions=torch.from_numpy(positions),
        weights=torch.from_numpy(weights),
        sample=torch.full((8, width), 0.5),
    )
    return tensors, present


def cross_entropy(logits, ids):
    shifted = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    return np.log(np.exp(shifted).sum(-1)) - np.take_along_axis(shifted, ids[:, None], -1)[:, 0]


@pytest.mark.parametrize("attention", ["electra_convert", "sdpa"])
@pytest.mark.parametrize("name", list(GOLDEN))
def test_the_generators_loss_is_that_of_the_recorded_logits(electra, name, attention):
    import torch

    data = golden(name)
    tensors, _ = batch_of(data)
    with torch.no_grad():
        outputs = electra(name, attention)(tensors)
    found = (outputs.masked_lm_losses * tensors.weights).sum() / tensors.weights.sum()
    rows, columns = data["gen_positions"].T
    expected = cross_entropy(data["gen_logits"], data["input_ids"][rows, columns]).mean()
    assert abs(float(found) - expected) <= 1e-5


@pytest.mark.parametrize("attention", ["electra_convert", "sdpa"])
@pytest.mark.parametrize("name", list(GOLDEN))
def test_the_discriminators_loss_is_that_of_the_recorded_logits(electra, name, attention):
    import torch

    from electra_convert.pretraining.objective import disc_losses

    data = golden(name)
    tensors, present = batch_of(data)
    labels = (data["disc_ids"] != data["input_ids"]).astype(np.float32)
    with torch.no_grad():
        logits = electra(name, attention).detector(torch.from_numpy(data["disc_ids"]).long(), tensors.inputs)
        found = float(disc_losses(logits, torch.from_numpy(labels))[torch.from_numpy(present)].mean())
    recorded = data["disc_logits"].astype(np.float64)
    losses = np.logaddexp(0, recorded) - recorded * labels
    assert abs(found - losses[present].mean()) <= 1e-5


def sampled(electra, repeats: int, **hparams):
    """Samples of the generator in the first sequence's masks: [repeats, masks], the originals, the probabilities.

    The generator sees the sequence once, with each of its masks to be predicted as often as it is asked to sample.
    """
    import torch

    data = golden("default")
    tensors, _ = batch_of(data)
    count = int(tensors.weights[0].sum())
    uniforms = torch.rand(1, repeats * count, generator=torch.Generator().manual_seed(1))
    again = {name: getattr(tensors, name)[:1, :count].repeat(1, repeats) for name in ("positions", "weights")}
    row = {name: tensor[:1] for name, tensor in tensors._asdict().items() if tensor is not None}
    with torch.no_grad():
        model, batch = electra("default", **hparams), type(tensors)(**{**row, **again, "sample": uniforms})
        outputs = model(batch)
        rows = model.masked_lm.rows(batch.masked_ids, batch.positions[:, :count], batch.inputs)
        probs = model.masked_lm.project(rows).softmax(-1).numpy().astype(np.float64)
    original = data["input_ids"][0][tensors.positions[0, :count]]
    return outputs.sampled_ids.view(repeats, count).numpy(), original, probs


def labels_of(electra, **hparams):
    """For each mask of many copies of the first sequence: the labels, what was sampled, and what was there."""
    import torch

    data = golden("default")
    tensors, _ = batch_of(data)
    count, repeats = int(tensors.weights[0].sum()), 100
    given = {name: tensor for name, tensor in tensors._asdict().items() if tensor is not None}
    row = {name: tensor[:1].expand(repeats, *tensor.shape[1:]) for name, tensor in given.items()}
    uniforms = torch.rand(repeats, tensors.weights.shape[1], generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        outputs = electra("default", **hparams)(type(tensors)(**{**row, "sample": uniforms}))
    original = data["input_ids"][0][tensors.positions[0, :count]]
    return outputs.labels, outputs.sampled_ids[:, :count].numpy(), original


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_samples_are_as_frequent_as_the_generator_says(electra, temperature):
    """A chi-squared test over the pieces likely enough to be counted, one false alarm in a million."""
    repeats = 2000
    found, _, probs = sampled(electra, repeats, temperature=temperature)
    probs = probs ** (1 / temperature)
    probs /= probs.sum(1, keepdims=True)
    for place in range(len(probs)):
        counts = np.bincount(found[:, place], minlength=probs.shape[1])
        often = probs[place] * repeats >= 10
        observed = np.append(counts[often], counts[~often].sum())
        expected = np.append(probs[place][often], probs[place][~often].sum()) * repeats
        statistic = ((observed - expected) ** 2 / expected).sum()
        assert statistic < chi_squared_limit(len(expected) - 1), place


def test_what_is_disallowed_is_never_sampled(electra):
    found, original, probs = sampled(electra, 1000, disallow_correct=True)
    assert probs[np.arange(len(original)), original].max() > 0.05
    assert not (found == original).any()


def test_where_originals_are_disallowed_every_sample_is_a_replacement(electra):
    labels, found, _ = labels_of(electra, disallow_correct=True)
    assert labels.sum() == found.size


def test_what_is_disallowed_is_never_sampled_of_a_generator_that_is_sure_of_it(electra):
    """At this temperature its second choice is the one; cut out of probabilities, the originals left nothing."""
    found, original, probs = sampled(electra, 50, disallow_correct=True, temperature=1e-3)
    sure = probs.argmax(1) == original
    assert sure.any()
    probs[np.arange(len(original)), original] = 0
    assert (found == probs.argmax(1)).all()


def test_a_lucky_sample_counts_as_an_original(electra):
    labels, found, original = labels_of(electra)
    lucky = found == original
    assert lucky.any()
    assert labels.sum() == (~lucky).sum()


def test_only_chosen_places_are_ever_replaced(electra):
    import torch

    data = golden("default")
    tensors, _ = batch_of(data)
    with torch.no_grad():
        labels = electra("default")(tensors).labels.numpy()
    assert set(zip(*np.nonzero(labels), strict=True)) <= {tuple(pair) for pair in data["gen_positions"]}


def test_dropout_drops_the_share_it_says_and_keeps_the_mean():
    import torch

    from electra_convert.pretraining.dropout import Dropout

    torch.manual_seed(0)
    layer = Dropout(0.1).train()
    found = layer(torch.ones(1000, 1001))
    share = float((found == 0).float().mean())
    deviation = (0.1 * 0.9 / found.numel()) ** 0.5
    assert share == pytest.approx(0.1, abs=5 * deviation + 1 / 65536)
    assert float(found.mean()) == pytest.approx(1.0, abs=1e-3)
    neighbours = float(((found[:, 1:] == 0) & (found[:, :-1] == 0)).float().mean())
    assert neighbours == pytest.approx(0.01, abs=5 * (0.01 / found.numel()) ** 0.5 + 2 / 65536)
    torch.testing.assert_close(layer.eval()(torch.ones(3)), torch.ones(3))


def test_attention_with_dropout_is_attention_on_average():
    import torch

    from electra_convert.pretraining.dropout import attend

    torch.manual_seed(0)
    query, key, value = torch.randn(3, 1, 2, 6, 8).unbind()
    mask = torch.tensor([True] * 5 + [False])[None, None, None]
    plain, _ = attend(torch.nn.Module(), query, key, value, mask)
    mean = sum(attend(torch.nn.Module(), query, key, value, mask, dropout=0.1)[0] for _ in range(4000)) / 4000
    torch.testing.assert_close(mean, plain, atol=0.03, rtol=0)


def test_the_embedding_of_a_padding_token_that_is_sampled_gets_its_gradient(electra):
    model = electra("default")
    for network in (model.generator, model.discriminator):
        network.zero_grad()
        embedding = network.electra.embeddings.word_embeddings
        embedding(embedding.weight.new_zeros(1, 2).long()).sum().backward()
        assert (embedding.weight.grad[0] == 2).all()
