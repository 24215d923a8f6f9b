"""Gradients of embeddings are measured token by token where TensorFlow would hold slices, and nowhere else."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow


def networks_of(layout: str, **changed):
    from electra_convert.pretraining.model import make_networks
    from electra_convert.schemes.layouts import LAYOUTS

    config = {
        "vocab_size": 11, "embedding_size": 4, "hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 1,
        "intermediate_size": 4, "max_position_embeddings": 4, **changed,
    }  # fmt: skip
    roles = [network.role for network in LAYOUTS[layout].networks]
    return make_networks(dict.fromkeys(roles, config), LAYOUTS[layout], "sdpa")


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        ("default", []),
        ("untied_generator_embeddings", ["discriminator"]),
        ("tied_generator", []),
        ("masked_lm", []),
        ("uniform_generator", ["discriminator"]),
    ],
)
def test_a_table_that_a_softmax_has_too_is_not_only_looked_up(layout, expected):
    from electra_convert.pretraining.token_norms import only_looked_up

    networks = networks_of(layout)
    tables = [networks[role].get_input_embeddings() for role in expected]
    assert only_looked_up(networks.values()) == tables


def test_embeddings_that_are_not_trained_have_no_gradient_to_measure():
    from electra_convert.pretraining.token_norms import only_looked_up

    networks = networks_of("uniform_generator")
    networks["discriminator"].get_input_embeddings().weight.requires_grad_(False)
    assert only_looked_up(networks.values()) == []


@pytest.mark.parametrize("parts", [1, 3])
def test_the_norm_is_that_of_every_tokens_gradient_by_itself(parts):
    """However often a table is looked up, a batch is computed in parts, or other tables are measured with it."""
    import torch

    from electra_convert.pretraining.token_norms import TokenNorms

    random = torch.Generator().manual_seed(0)
    tables = [torch.nn.Embedding(5, width, device="cpu") for width in (3, 2)]
    norms = TokenNorms(tables)
    squares = 0.0
    for _ in range(parts):
        loss = 0
        for table in (tables[0], tables[0], tables[1]):
            ids = torch.randint(5, (4, 6), generator=random)
            weights = torch.randn(4, 6, table.embedding_dim, generator=random)
            loss = loss + (weights * table(ids)).sum()
            squares += float((weights**2).sum())
        loss.backward()
    assert norms.take(1).item() == pytest.approx(squares**0.5, rel=1e-6)
    (tables[0].weight.sum() + 2 * tables[1](torch.tensor([1])).sum()).backward()
    assert norms.take(1).item() == pytest.approx(8**0.5, rel=1e-6)


def test_what_is_not_differentiated_is_passed_on_as_it_is():
    import torch

    from electra_convert.pretraining.token_norms import TokenNorms

    table = torch.nn.Embedding(5, 3)
    TokenNorms([table])
    with torch.no_grad():
        assert torch.equal(table(torch.tensor([3, 1])), table.weight[[3, 1]])
