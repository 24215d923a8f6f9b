"""Electra gives what the electra-pytorch package gives around the same modules, for the same masks and samples."""

from __future__ import annotations

import numpy as np
import pytest
from support.sampling import chi_squared_limit

from electra_convert.errors import UsageError

pytestmark = pytest.mark.slow

CLS, SEP, MASK, PAD = 2, 3, 4, 0
VOCABULARY, WIDTH = 60, 32
SPECIAL = {"mask_token_id": MASK, "pad_token_id": PAD, "mask_ignore_token_ids": [CLS, SEP]}


@pytest.fixture(autouse=True)
def one_thread():
    import torch

    torch.set_num_threads(1)


def sequences(rows: int = 6, length: int = 24):
    """[CLS], tokens, [SEP], and padding at the end of some."""
    import torch

    ids = torch.randint(5, VOCABULARY, (rows, length), generator=torch.Generator().manual_seed(7))
    ids[:, 0] = CLS
    for row, end in enumerate(range(length - 1, length - 1 - rows, -1)):
        ids[row, end], ids[row, end + 1 :] = SEP, PAD
    return ids


def transformers_pair(family: str):
    """A tiny masked language model and a tiny token classifier, without dropout."""
    import torch
    import transformers

    torch.manual_seed(5)
    sizes = {"vocab_size": VOCABULARY, "hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 2}
    tokens = {"cls_token_id": CLS, "bos_token_id": CLS, "sep_token_id": SEP, "eos_token_id": SEP}
    special = {"pad_token_id": PAD, **(tokens if family == "ModernBert" else {})}
    config = getattr(transformers, f"{family}Config")(**sizes, **special, intermediate_size=48, num_labels=1)
    kind = "PreTraining" if family == "Electra" else "TokenClassification"
    made = (getattr(transformers, f"{family}For{what}")(config).eval() for what in ("MaskedLM", kind))
    return tuple(made)


class Logits:
    """Made a module in `wrapped`: a transformers model as electra-pytorch wants it."""

    def forward(self, ids, **inputs):
        return self.network(ids, **inputs).logits


def wrapped(network):
    import torch

    module = type("Logits", (Logits, torch.nn.Module), {})()
    module.network = network
    return module


def opaque_pair():
    """A generator that nothing is known of, and an encoder whose layer `inside` has the hidden states."""
    import torch
    from torch import nn

    torch.manual_seed(6)
    generator = nn.Sequential(nn.Embedding(VOCABULARY, 16), nn.Linear(16, VOCABULARY))
    discriminator = nn.Sequential()
    discriminator.add_module("embed", nn.Embedding(VOCABULARY, WIDTH))
    discriminator.add_module("inside", nn.Linear(WIDTH, WIDTH))
    discriminator.add_module("logits", nn.Linear(WIDTH, VOCABULARY))
    return generator, discriminator


def theirs(monkeypatch, trainer, masked, outputs, **inputs):
    """electra-pytorch's results around the same modules, its draws replaced by what was drawn."""
    import torch
    from electra_pytorch import Electra as Reference
    from electra_pytorch import electra_pytorch as module

    ids = masked.input_ids
    chosen = torch.zeros_like(ids).scatter(1, masked.positions, masked.weights.long()) > 0
    corrupted = ids.scatter(1, masked.positions, outputs.sampled_ids)
    monkeypatch.setattr(module, "get_mask_subset_with_prob", lambda _mask, _prob: chosen)
    monkeypatch.setattr(module, "prob_mask_like", lambda _ids, _prob: masked.masked_ids == MASK)
    monkeypatch.setattr(module, "gumbel_sample", lambda _logits, temperature: corrupted[chosen])
    generator, discriminator = trainer.generator, trainer.discriminator
    if not isinstance(generator, torch.nn.Sequential):
        generator, discriminator = wrapped(generator), wrapped(discriminator)
    reference = Reference(generator, discriminator, **SPECIAL)
    return reference(ids, **inputs)


def gradients(trainer, loss):
    trainer.zero_grad()
    loss.backward()
    return {name: one.grad.clone() for name, one in trainer.named_parameters() if one.grad is not None}


@pytest.mark.parametrize("family", ["Electra", "Bert", "ModernBert", "DebertaV2"])
def test_losses_shares_and_gradients_are_electra_pytorchs_around_the_same_transformers_models(monkeypatch, family):
    import torch

    from electra_convert import Electra

    trainer, ids = Electra(*transformers_pair(family), **SPECIAL), sequences()
    attention = {"attention_mask": (ids != PAD).long()}
    torch.manual_seed(1)
    masked = trainer.mask(ids, **attention)
    outputs = trainer.losses(masked)
    ours = trainer.reduced(masked, outputs)
    expected = theirs(monkeypatch, trainer, masked, outputs, **attention)
    assert ours._fields == expected._fields
    for field, found, wanted in zip(ours._fields, ours, expected, strict=True):
        torch.testing.assert_close(
            found, wanted, atol=2e-6, rtol=2e-6, msg=lambda text, field=field: f"{field}: {text}"
        )
    found, wanted = gradients(trainer, ours.loss), gradients(trainer, expected.loss)
    assert found.keys() == wanted.keys()
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, wanted[name], atol=2e-5, rtol=1e-4)
    assert trainer.masked_lm.projection is not None


@pytest.mark.parametrize("layer", ["inside", -2])
def test_opaque_modules_give_what_they_give_there_with_a_layer_for_the_discriminator(monkeypatch, layer):
    import torch
    from electra_pytorch import Electra as Reference

    from electra_convert import Electra

    options = {**SPECIAL, "discr_dim": WIDTH, "discr_layer": layer}
    trainer = Electra(*opaque_pair(), **options)
    reference = Reference(*opaque_pair(), **options)
    # In their order, too: by it saved states of optimisers are told apart.
    assert list(trainer.state_dict()) == list(reference.state_dict())
    reference.load_state_dict(trainer.state_dict())
    masked = trainer.mask(sequences())
    outputs = trainer.losses(masked)
    monkeypatch.setattr("electra_pytorch.Electra", lambda *_, **__: reference)
    found, wanted = trainer.reduced(masked, outputs), theirs(monkeypatch, trainer, masked, outputs)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-6)


def test_one_call_is_masking_losses_and_reduction():
    import torch

    from electra_convert import Electra

    trainer, ids = Electra(*transformers_pair("Bert"), **SPECIAL), sequences()
    torch.manual_seed(3)
    results = trainer(ids)
    torch.manual_seed(3)
    masked = trainer.mask(ids)
    for one, other in zip(results, trainer.reduced(masked, trainer.losses(masked)), strict=True):
        assert torch.equal(one, other)
    results.loss.backward()
    assert all(parameter.grad is not None for parameter in trainer.masked_lm.projection.parameters())


def test_of_every_sequence_the_share_of_what_may_be_masked_is_masked():
    from electra_convert import Electra

    trainer, ids = Electra(*opaque_pair()[:1] * 2, **SPECIAL, mask_prob=0.2, replace_prob=1.0), sequences()
    masked = trainer.mask(ids)
    changed = masked.masked_ids != ids
    maskable = (ids != PAD) & (ids != CLS) & (ids != SEP)
    assert not (changed & ~maskable).any()
    assert changed.sum(1).tolist() == np.ceil(maskable.sum(1).numpy() * 0.2).tolist()
    assert set(masked.masked_ids[changed].tolist()) == {MASK}
    assert changed.sum(1).tolist() == masked.weights.sum(1).tolist()


def test_some_masked_tokens_stay_and_some_become_random_ones_and_no_other_changes():
    import torch

    from electra_convert import Electra

    options = {**SPECIAL, "num_tokens": VOCABULARY, "replace_prob": 0.8, "random_token_prob": 0.25}
    trainer = Electra(*opaque_pair()[:1] * 2, **options)
    ids = sequences().repeat(200, 1)
    masked = trainer.mask(ids)
    seen = masked.masked_ids.gather(1, masked.positions)[masked.weights > 0]
    original = ids.gather(1, masked.positions)[masked.weights > 0]
    became = {
        "mask": (seen == MASK).float().mean(),
        "random": ((seen != MASK) & (seen != original)).float().mean(),
        "itself": (seen == original).float().mean(),
    }
    # A drawn token that may not be masked itself is not used.
    random = 0.25 * (1 - 3 / VOCABULARY)
    expected = {"mask": (1 - random) * 0.8, "random": random, "itself": (1 - random) * 0.2}
    assert {name: float(share) for name, share in became.items()} == pytest.approx(expected, abs=0.02)
    others = torch.ones_like(ids).scatter(1, masked.positions, (1 - masked.weights).long()) > 0
    assert torch.equal(masked.masked_ids[others], ids[others])
    assert not (set(masked.masked_ids[masked.masked_ids != ids].tolist()) & {PAD, CLS, SEP})


def test_samples_follow_the_generators_distribution_at_a_temperature():
    import torch

    from electra_convert import Electra

    generator, discriminator = opaque_pair()
    trainer = Electra(generator, discriminator[:1], **SPECIAL, temperature=2.0, mask_prob=0.99, replace_prob=1.0)
    ids = torch.full((400, 50), 7)
    with torch.no_grad():
        masked = trainer.mask(ids)
        rows = trainer.masked_lm.rows(masked.masked_ids, masked.positions, {})
        sampled = trainer.predictions(rows, ids.flatten(), masked.sample.flatten()).sampled
        expected = (generator(torch.tensor([[MASK]]))[0, 0] / 2.0).softmax(-1).double().numpy() * sampled.numel()
    counts = np.bincount(sampled, minlength=VOCABULARY)
    assert ((counts - expected) ** 2 / expected).sum() < chi_squared_limit(VOCABULARY - 1)


def test_sequences_of_special_tokens_alone_have_no_generator_loss():
    import torch

    from electra_convert import Electra

    results = Electra(*transformers_pair("Bert"), **SPECIAL)(torch.tensor([[CLS, SEP, PAD]]))
    assert (results.mlm_loss.item(), results.gen_acc.item()) == (0.0, 0.0)
    assert torch.isfinite(results.loss)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"mask_prob": 0.0}, "^mask_prob is 0.0, expected a number above 0 and below 1"),
        ({"replace_prob": 1.5}, "^replace_prob is 1.5, expected a number from 0 to 1"),
        ({"temperature": 0.0}, "^temperature is 0.0, expected a number above 0"),
        ({"random_token_prob": 0.1}, "^random_token_prob draws tokens from num_tokens, which is not given"),
        (
            {"discr_dim": WIDTH, "discr_layer": "outside"},
            "no layer 'outside'; its children are embed, inside",
        ),
        ({"discr_dim": WIDTH, "discr_layer": 3}, "no layer 3"),
    ],
)
def test_an_impossible_argument_is_named(changed, said):
    from electra_convert import Electra

    with pytest.raises(UsageError, match=said):
        Electra(*opaque_pair(), **{**SPECIAL, **changed})


def test_a_module_that_gives_no_logits_is_told_what_is_expected():
    from electra_convert import Electra

    generator, discriminator = opaque_pair()
    with pytest.raises(UsageError, match=rf"the discriminator gives \[6, 24, {VOCABULARY}\] for ids of \[6, 24\]"):
        Electra(generator, discriminator, **SPECIAL)(sequences())
    with pytest.raises(UsageError, match=r"the generator gives \[6, 24\] for ids of \[6, 24\], expected logits over"):
        Electra(_Flat(), discriminator, **SPECIAL)(sequences())


def _Flat():  # noqa: N802 - made a class once torch may be imported
    import torch

    class Flat(torch.nn.Module):
        def forward(self, ids):
            return ids.float()

    return Flat()


@pytest.mark.parametrize("kind", ["Reformer", "ModernBert"])
def test_a_pair_trains_end_to_end(kind):
    """Counting sequences: the next token follows from its neighbours, so a few steps teach something."""
    import torch

    from electra_convert import Electra

    torch.manual_seed(2)
    if kind == "Reformer":
        import reformer_pytorch

        sizes = {"num_tokens": VOCABULARY, "depth": 1, "heads": 2, "max_seq_len": 16, "bucket_size": 4}
        generator = reformer_pytorch.ReformerLM(**sizes, dim=16, emb_dim=16)
        discriminator = reformer_pytorch.ReformerLM(**sizes, dim=WIDTH, emb_dim=16)
        generator.token_emb, generator.pos_emb = discriminator.token_emb, discriminator.pos_emb
        options = {**SPECIAL, "discr_dim": WIDTH, "discr_layer": "reformer"}
    else:
        generator, discriminator = transformers_pair(kind)
        generator.model.embeddings.tok_embeddings = discriminator.model.embeddings.tok_embeddings
        generator.tie_weights()
        options = SPECIAL
    trainer = Electra(generator, discriminator, **options).train()
    optimizer = torch.optim.AdamW(trainer.parameters(), lr=1e-2)
    losses = []
    for step in range(25):
        first = torch.randint(5, 15, (16, 1), generator=torch.Generator().manual_seed(step))
        results = trainer(first + torch.arange(16))
        results.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append((float(results.mlm_loss.detach()), float(results.disc_loss.detach())))
    begin, end = np.mean(losses[:3], axis=0), np.mean(losses[-5:], axis=0)
    assert end[0] < begin[0] - 0.3
    assert end[1] < begin[1] - 0.05
