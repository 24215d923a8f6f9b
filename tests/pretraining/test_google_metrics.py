"""Evaluation by Google's definitions gives what its code reported of recorded batches, and what tf.metrics gives."""

from __future__ import annotations

from itertools import permutations
from math import isnan

import numpy as np
import pytest
from conftest import FIXTURES

from electra_convert.config.hparams import Hparams, read_hparams_file

pytestmark = pytest.mark.slow

EVALUATED = FIXTURES / "pretraining" / "evaluation.npz"
NAMES = {
    "loss", "masked_lm_loss", "masked_lm_accuracy", "sampled_masked_lm_accuracy", "disc_loss", "disc_accuracy",
    "disc_precision", "disc_recall", "disc_auc",
}  # fmt: skip


def settings_of(**hparams):
    from electra_convert.pretraining.options import training_settings

    return training_settings(Hparams(hparams, "test"))


class Recorded:
    """The batches that Google's code evaluated."""

    def __init__(self, recorded) -> None:
        self._recorded = recorded
        self.evaluations = len(recorded["input_ids"])

    log_frequencies = np.zeros(1500)

    def evaluation(self):
        from electra_convert.pretraining.batches import Batch
        from electra_convert.pretraining.corpus.cache import Inputs

        wide = {
            name: array.astype(np.float32 if array.dtype == np.float32 else np.int64)
            for name, array in self._recorded.items()
        }
        for number, ids in enumerate(wide["input_ids"]):
            # By its first "sample" a batch is found again.
            sample = np.full(wide["masked_lm_weights"][number].shape, number / 8, np.float32)
            yield Batch(
                Inputs(ids, wide["input_mask"][number] > 0, wide["segment_ids"][number]),
                wide["masked_input_ids"][number],
                wide["masked_lm_positions"][number],
                wide["masked_lm_weights"][number],
                sample,
            )


@pytest.fixture
def model():
    """The golden checkpoint's networks, which put the recorded samples in the place of their own."""
    import torch

    from electra_convert.checkpoint import open_checkpoint
    from electra_convert.config.sources import gather
    from electra_convert.pretraining.model import Electra, make_networks
    from electra_convert.pretraining.train_state import restore_weights

    recorded = np.load(EVALUATED)
    drawn, corrupted = (
        torch.from_numpy(recorded[name].astype(np.int64)) for name in ("sampled_tokids", "corrupted_input_ids")
    )

    class Replayed(Electra):
        def replaced(self, batch, sampled):
            return corrupted[int(batch.sample[0, 0] * 8)]

        def forward(self, batch):
            return super().forward(batch)._replace(sampled_ids=drawn[int(batch.sample[0, 0] * 8)])

    with open_checkpoint(FIXTURES / "default") as checkpoint:
        configs = gather(checkpoint).configs
        values = {role: {key: one.value for key, one in config.values.items()} for role, config in configs.items()}
        networks = make_networks(values, checkpoint.layout, "sdpa")
        restore_weights(checkpoint, networks)
    return Replayed(networks, settings_of(**read_hparams_file(FIXTURES / "default" / "hparams.json", "test").given))


def test_evaluation_is_googles_beside_our_own(model):
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    from electra_convert.pretraining.loop import evaluate

    recorded = dict(np.load(EVALUATED))
    expected = {key.partition("|")[2]: float(value) for key, value in recorded.items() if key.startswith("metric|")}
    batches = {name: array for name, array in recorded.items() if array.ndim > 2}
    AcceleratorState._reset_state()
    settings = settings_of(max_seq_length=64)
    found = evaluate(
        model, Recorded(batches), settings, Accelerator(cpu=True), settings.eval_batch_size, lambda *_: None
    )
    assert expected.keys() == NAMES
    for name, value in expected.items():
        assert found[f"google/{name}"] == pytest.approx(value, rel=1e-6), name
    # Without padding the two sets differ in one: the exact area was computed from the recording too.
    assert found["disc_auc"] == pytest.approx(0.62752, abs=5e-6)
    for name in NAMES - {"loss", "disc_auc"}:
        assert found[name] == pytest.approx(value_of(found, name), rel=1e-6), name


def value_of(found, name):
    return found[f"google/{name}"]


def padded(number: int, *, width: int = 12, discriminator: bool = True):
    """A batch of five sequences of up to nine tokens that some model has seen, some of them as surely as can be."""
    import torch

    from electra_convert.pretraining.model import Tensors
    from electra_convert.pretraining.objective import Outputs, disc_losses

    random = np.random.default_rng(number)
    lengths = np.array([9, 3, 7, 1, 5])[:, None]
    present = torch.from_numpy(np.arange(12) < lengths)[:, :width]
    ids = torch.from_numpy(random.integers(1, 9, (5, 12)))[:, :width] * present
    weights = torch.from_numpy((np.arange(3) < np.clip(lengths // 3, 0, 3)).astype(np.float32))
    positions = torch.from_numpy(random.integers(0, 3, (5, 3))) * (weights > 0)
    labels = (torch.from_numpy(random.random((5, 12)).astype(np.float32)) < 0.3)[:, :width].float()
    logits = torch.from_numpy((random.normal(size=(5, 12)) * 3).astype(np.float32))[:, :width] + labels
    logits[0, :3] = torch.tensor([200.0, -200.0, 0.0])
    batch = Tensors(ids, ids, torch.zeros_like(ids), None, positions, weights, torch.zeros(5, 3))
    outputs = Outputs(
        masked_lm_losses=torch.from_numpy(random.random((5, 3)).astype(np.float32)) * 9,
        guesses=torch.from_numpy(random.integers(1, 9, (5, 3))),
        sampled_ids=torch.from_numpy(random.integers(1, 9, (5, 3))),
        labels=labels * present,
        disc_logits=logits if discriminator else None,
        disc_losses=disc_losses(logits, labels) if discriminator else None,
    )
    return batch, outputs, present


def tallied(*batches):
    from electra_convert.pretraining.google_metrics import GoogleTally

    tally = GoogleTally(settings_of(max_seq_length=12, gen_weight=2.0, disc_weight=7.0))
    for batch in batches:
        tally.add(*batch)
    return tally.counts


def test_the_metrics_of_padded_batches_are_those_of_tensorflow(imported_tensorflow):
    """metric_fn of run_pretraining.py and the losses of its graph, fed with the same arrays."""
    tf = imported_tensorflow.compat.v1
    batches = [padded(number) for number in range(4)]
    with tf.Graph().as_default(), tf.Session() as session:
        fed = {name: tf.placeholder(kind) for name, kind in _KINDS.items()}
        metrics = metric_fn(tf, fed)
        session.run(tf.local_variables_initializer())
        for batch in batches:
            feed = arrays(*batch)
            session.run([update for _, update in metrics.values()], {fed[name]: feed[name] for name in fed})
        expected = session.run({name: value for name, (value, _) in metrics.items()})
    found = tallied(*batches).metrics()
    assert found.keys() == {f"google/{name}" for name in NAMES}
    assert found == pytest.approx({f"google/{name}": float(value) for name, value in expected.items()}, rel=2e-6)


_KINDS = {
    "ids": "int32", "guesses": "int32", "sampled": "int32", "weights": "float32", "mlm_loss": "float32",
    "labels": "int32", "logits": "float32", "mask": "int32",
}  # fmt: skip


def arrays(batch, outputs, present):
    return {
        "ids": batch.input_ids.gather(1, batch.positions).numpy(),
        "guesses": outputs.guesses.numpy(),
        "sampled": outputs.sampled_ids.numpy(),
        "weights": batch.weights.numpy(),
        "mlm_loss": outputs.masked_lm_losses.numpy(),
        "labels": outputs.labels.numpy(),
        "logits": outputs.disc_logits.numpy(),
        "mask": present.numpy(),
    }


def metric_fn(tf, fed):
    mask, labels, logits, weights = tf.cast(fed["mask"], "float32"), fed["labels"], fed["logits"], fed["weights"]
    predictions = tf.cast(tf.round((tf.sign(logits) + 1) / 2), "int32")
    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.cast(labels, "float32"), logits=logits) * mask
    mlm = tf.reduce_sum(weights * fed["mlm_loss"]) / (tf.reduce_sum(weights) + 1e-6)
    disc = tf.reduce_sum(losses) / (1e-6 + tf.reduce_sum(mask))
    called, replaced = tf.cast(predictions, "float32") * mask, tf.cast(labels, "float32") * mask
    return {
        "loss": tf.metrics.mean(2.0 * mlm + 7.0 * disc),
        "masked_lm_loss": tf.metrics.mean(fed["mlm_loss"], weights),
        "masked_lm_accuracy": tf.metrics.accuracy(fed["ids"], fed["guesses"], weights),
        "sampled_masked_lm_accuracy": tf.metrics.accuracy(fed["ids"], fed["sampled"], weights),
        "disc_loss": tf.metrics.mean(tf.reduce_sum(losses, -1) / (1e-6 + tf.reduce_sum(mask, -1))),
        "disc_auc": tf.metrics.auc(labels * fed["mask"], tf.sigmoid(logits) * mask),
        "disc_accuracy": tf.metrics.accuracy(labels, predictions, mask),
        "disc_precision": tf.metrics.accuracy(labels, predictions, called),
        "disc_recall": tf.metrics.accuracy(labels, predictions, replaced),
    }


def test_padding_counts_as_far_as_google_pads_however_narrow_a_batch_is():
    narrow = tallied(*(padded(number, width=9) for number in range(3)))
    assert narrow.metrics() == tallied(*(padded(number) for number in range(3))).metrics()


def test_tallies_of_several_processes_add_up_to_that_of_one_to_the_bit():
    from electra_convert.pretraining.google_metrics import Counts

    batches = [padded(number) for number in range(6)]
    whole = tallied(*batches).metrics()
    parts = [tallied(*batches[:1]), tallied(*batches[1:4]), tallied(), tallied(*batches[4:])]
    for order in permutations(parts):
        assert sum(order, Counts()).metrics() == whole


def test_a_generator_alone_has_no_metrics_of_a_discriminator():
    found = tallied(padded(0, discriminator=False)).metrics()
    assert set(found) == {"google/loss", "google/masked_lm_loss", "google/masked_lm_accuracy"}


def test_a_loss_that_is_no_number_is_not_lost_in_the_sum():
    batch, outputs, present = padded(0)
    spoilt = replace_first(outputs, float("nan"))
    assert isnan(tallied(padded(1), (batch, spoilt, present), padded(2)).metrics()["google/masked_lm_loss"])


def replace_first(outputs, value):
    losses = outputs.masked_lm_losses.clone()
    losses[0, 0] = value
    return outputs._replace(masked_lm_losses=losses)
