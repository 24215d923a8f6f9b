"""Masked language models of many architectures give the same for chosen places as for all of them."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow

SIZES = {"vocab_size": 90, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
# With what of it is known: a projection, a head whose last layer is no module, nothing.
MODELS = [
    ("Bert", {}, "projection"),
    ("DistilBert", {}, "projection"),
    ("Roberta", {}, "projection"),
    ("DebertaV2", {}, "projection"),
    ("DebertaV2", {"legacy": False}, "head"),
    ("MobileBert", {"embedding_size": 16, "true_hidden_size": 16, "intra_bottleneck_size": 16}, "nothing"),
]


def model_of(family: str, **others):
    import torch
    import transformers

    torch.manual_seed(1)
    config = getattr(transformers, f"{family}Config")(**SIZES, **others, intermediate_size=40, pad_token_id=0)
    return getattr(transformers, f"{family}ForMaskedLM")(config).eval()


def answers(module, view=None):
    """What a module gives at some places, by way of MaskedLm, and by running it."""
    import torch

    from electra_convert.pretraining.modules import MaskedLm

    random = torch.Generator().manual_seed(2)
    ids, positions = (torch.randint(5, high, (3, 8), generator=random) for high in (90, 8))
    view = view or MaskedLm(module)
    with torch.no_grad():
        found = view.project(view.rows(ids, positions, {}))
        expected = module(ids).logits[torch.arange(3)[:, None], positions].flatten(0, 1)
    return view, found, expected


@pytest.mark.parametrize(("family", "others", "known"), MODELS)
def test_chosen_places_get_the_logits_that_all_places_get(family, others, known):
    import torch

    module = model_of(family, **others)
    view, found, expected = answers(module)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert (view.projection is not None) == (known == "projection")
    assert (view._body is module) == (known == "nothing")


def test_being_taken_apart_leaves_no_trace_in_a_module():
    import torch

    module = model_of("Bert").train()
    module.bert.eval()
    names = [name for name, _ in module.named_modules()]
    state = torch.random.get_rng_state()
    answers(module)
    assert [name for name, _ in module.named_modules()] == names
    assert module.cls.training
    assert not module.bert.training
    assert torch.equal(torch.random.get_rng_state(), state)


# transformers itself cannot run a head whose last layer is no module once it has made that longer.
@pytest.mark.parametrize(("family", "others", "known"), [model for model in MODELS if model[2] != "head"])
def test_a_vocabulary_that_is_made_longer_afterwards_is_what_is_computed(family, others, known):
    import torch

    module = model_of(family, **others)
    view, _, before = answers(module)
    module.resize_token_embeddings(120)
    view, found, expected = answers(module, view)
    assert before.shape[-1] == 90
    assert expected.shape[-1] == 120
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert (view.projection is not None) == (known == "projection")


def test_what_is_tied_and_loaded_afterwards_is_what_is_computed():
    import torch

    from electra_convert.pretraining.modules import MaskedLm

    module, other = model_of("Bert"), model_of("Bert")
    with torch.no_grad():
        other.cls.predictions.decoder.weight.mul_(2)
    view = MaskedLm(module)
    module.load_state_dict(other.state_dict())
    ids, positions = torch.arange(5, 13)[None], torch.tensor([[1, 4]])
    with torch.no_grad():
        found = view.project(view.rows(ids, positions, {}))
        torch.testing.assert_close(found, other(ids).logits[0, [1, 4]], atol=1e-5, rtol=1e-5)


def test_a_module_that_is_hooked_is_run_whole():
    module, seen = model_of("Bert"), []
    module.register_forward_hook(lambda *_: seen.append(1))
    view, found, expected = answers(module)
    assert view.projection is None
    assert len(seen) == 2
    assert found.equal(expected)


def test_a_pair_is_copied_and_pickled_with_its_views():
    import copy
    import pickle

    import torch

    from electra_convert import Electra

    trainer = Electra(model_of("Bert"), torch.nn.Embedding(90, 1), mask_token_id=4)
    ids = torch.arange(5, 37)[None]
    for other in (copy.deepcopy(trainer), pickle.loads(pickle.dumps(trainer))):
        with torch.no_grad():
            other.generator.cls.predictions.decoder.bias[7] = 100.0
        assert other.losses(other.mask(ids)).guesses.tolist() == [[7] * 5]
    assert trainer.losses(trainer.mask(ids)).guesses.tolist() != [[7] * 5]
