"""Metrics of held-out sequences against their definitions, counted one by one."""

from __future__ import annotations

from math import log

import pytest

pytestmark = pytest.mark.slow


def test_the_metrics_of_a_batch_that_can_be_counted_by_hand():
    import torch

    from electra_convert.pretraining.metrics import Tally, merged
    from electra_convert.pretraining.model import Tensors
    from electra_convert.pretraining.objective import Outputs

    ids = torch.tensor([[2, 7, 8, 3], [2, 9, 3, 0]])
    present = ids > 0
    batch = Tensors(
        ids, ids, torch.zeros_like(ids), None, torch.tensor([[1, 2], [1, 0]]),
        torch.tensor([[1.0, 1.0], [1.0, 0.0]]), torch.zeros(2, 2),
    )  # fmt: skip
    # Of 7, 8 and 9 the best guesses are 7, 5 and 9; sampled are 7, 6 and 5.
    outputs = Outputs(
        masked_lm_losses=torch.tensor([[1.0, 2.0], [6.0, 99.0]]),
        guesses=torch.tensor([[7, 5], [9, 2]]),
        sampled_ids=torch.tensor([[7, 6], [5, 2]]),
        labels=torch.tensor([[0.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 0.0]]),
        disc_logits=torch.tensor([[-1.0, 2.0, 3.0, -2.0], [-1.0, -0.5, -3.0, 9.0]]),
        disc_losses=torch.tensor([[1.0, 1.0, 2.0, 4.0], [3.0, 3.0, 3.0, 99.0]]),
    )
    tally = Tally()
    # Shares of 1/2, 1/8 and so on; special tokens and those that are never replaced have all.
    shares = torch.tensor([1, 1, 1, 1, 1, 1 / 16, 1 / 8, 1 / 2, 1 / 4, 1 / 8], dtype=torch.float64)
    tally.add(batch, outputs, present, shares.log())
    expected = {
        "masked_lm_loss": 3.0,
        "masked_lm_accuracy": 2 / 3,
        "frequency_masked_lm_loss": (1 + 2 + 3) * log(2) / 3,
        "sampled_masked_lm_accuracy": 1 / 3,
        "disc_loss": (2.0 + 3.0) / 2,
        "disc_accuracy": 5 / 7,
        "disc_precision": 1 / 2,
        "disc_recall": 1 / 2,
        "disc_auc": (5 + 4) / 10,
        # The discriminator sees [CLS] 7 6 [SEP] and [CLS] 5 [SEP]: 6 and 5 are the rarest.
        "frequency_auc": 1.0,
        "replaced_share": 2 / 7,
    }
    assert tally.metrics() == pytest.approx(expected)
    assert merged([tally, Tally()]).metrics() == pytest.approx(expected)
    assert merged([tally, tally]).metrics() == pytest.approx(expected)
