"""A table that is looked up and projected to has one gradient, in one tensor, and it is the one torch computes."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow

ROWS, WIDTH = 50, 8


@pytest.fixture
def ids():
    import torch

    return torch.randint(ROWS, (3, 40), generator=torch.Generator().manual_seed(0))


def used(table, ids, in_place: bool):
    """Look up, project to, and look up again."""
    from electra_convert.pretraining.sampling import Drawing
    from electra_convert.pretraining.vocabulary_softmax import VocabularySoftmax

    hidden = table(ids).flatten(0, 1).tanh()
    softmax = VocabularySoftmax(hidden, table.weight, None, ids.flatten(), Drawing(), in_place)
    return softmax.losses.sum() + table(ids[:, :7]).square().sum()


def test_gradients_added_in_place_are_torchs(ids):
    import torch

    from electra_convert.pretraining.tables import Table

    plain, table = torch.nn.Embedding(ROWS, WIDTH), Table(ROWS, WIDTH)
    table.load_state_dict(plain.state_dict())
    for _ in range(2):  # the parts of a batch add up
        used(plain, ids, False).backward()
        used(table, ids, True).backward()
        torch.testing.assert_close(table.weight.grad, plain.weight.grad, rtol=1e-5, atol=1e-5)


def test_gradients_are_added_to_the_same_tensor_and_no_other_is_made(ids):
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    from electra_convert.pretraining.tables import Table

    table = Table(ROWS, WIDTH)
    used(table, ids, True).backward()
    first, others = table.weight.grad, set()

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            made = func(*args, **(kwargs or {}))
            if isinstance(made, torch.Tensor) and made.shape == table.weight.shape:
                others.add(made.untyped_storage().data_ptr())
            return made

    with Watch():
        used(table, ids, True).backward()
    assert table.weight.grad is first
    assert others <= {first.untyped_storage().data_ptr(), table.weight.untyped_storage().data_ptr()}


def test_a_table_that_is_not_trained_has_no_gradient(ids):
    from electra_convert.pretraining.tables import Table

    table = Table(ROWS, WIDTH).requires_grad_(False)
    assert not table(ids).requires_grad


def test_rows_of_the_same_id_are_summed(ids):
    import torch

    from electra_convert.pretraining.tables import sum_by_id

    flat, values = ids.flatten(), torch.randn(ids.numel(), WIDTH)
    distinct, summed = sum_by_id(flat, values)
    expected = torch.zeros(ROWS, WIDTH).index_add_(0, flat, values)
    torch.testing.assert_close(torch.zeros(ROWS, WIDTH).index_add_(0, distinct, summed), expected)
    assert torch.equal(sum_by_id(flat, values)[1], summed)


def test_the_word_embeddings_of_both_models_become_one_table():
    import transformers

    from electra_convert.pretraining.model import make_networks
    from electra_convert.pretraining.tables import has_table, use_table
    from electra_convert.schemes.layouts import LAYOUTS

    config = transformers.ElectraConfig(vocab_size=30, hidden_size=16, num_hidden_layers=1, num_attention_heads=1)
    sizes = {key: getattr(config, key) for key in ("vocab_size", "hidden_size", "num_hidden_layers")}
    networks = make_networks({"discriminator": sizes, "generator": sizes}, LAYOUTS["default"], "sdpa")
    weight = networks["discriminator"].get_input_embeddings().weight
    for network in networks.values():
        use_table(network)
    assert all(map(has_table, networks.values()))
    assert networks["generator"].get_input_embeddings() is networks["discriminator"].get_input_embeddings()
    assert networks["generator"].get_input_embeddings().weight is weight
    assert networks["generator"].generator_lm_head.weight is weight
