"""Which sequences a step trains on, and what is masked in them: the same for a seed, however a run is split up or
interrupted; computes nothing with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from electra_convert.pretraining.corpus.cache import Corpus
from electra_convert.pretraining.masking import Batch, draw, mask
from electra_convert.pretraining.settings import Settings

# Streams of random numbers that one seed gives, kept apart by their first number.
_HELD_OUT, _ORDER, _TRAINING, _EVALUATION, _DROPOUT, _WEIGHTS = range(6)


class Batches:
    """The batches of a run.

    Args:
        corpus: all sequences.
        ids: the id of each piece of the vocabulary.
        settings: the training hparams.
        seed: what every draw follows from.
        held_out: the share of sequences kept for evaluation.
    """

    def __init__(
        self, corpus: Corpus, ids: Mapping[str, int], settings: Settings, seed: int, held_out: float
    ) -> None:
        self._corpus, self._ids, self._settings, self._seed = corpus, ids, settings, seed
        count = len(corpus)
        kept = min(count - 1, max(1, round(count * held_out))) if held_out else 0
        shuffled = _shuffled(count, (_HELD_OUT, seed))
        self._held_out, self._training = np.sort(shuffled[:kept]), shuffled[kept:]
        self._order = lru_cache(maxsize=2)(self._order_of_epoch)

    @property
    def sequences(self) -> tuple[int, int]:
        """How many sequences are trained on, and how many are held out."""
        return len(self._training), len(self._held_out)

    def training(self, step: int, part: slice) -> Batch:
        """Part of the batch of a step.

        Args:
            step: the global step before the update.
            part: which of its train_batch_size sequences.

        Returns:
            The sequences with their masks, which do not depend on the part.
        """
        size = self._settings.train_batch_size
        draws = draw(np.random.default_rng((_TRAINING, self._seed, step)), size, self._settings)
        places = np.arange(size)[part] + step * size
        epochs, within = np.divmod(places, len(self._training))
        indices = np.array([self._order(int(epoch))[place] for epoch, place in zip(epochs, within, strict=True)])
        inputs = self._corpus.read(indices.astype(np.int64))
        return mask(inputs, draws.rows(part), self._ids, self._settings)

    def evaluation(self) -> Iterator[Batch]:
        """The batches of held-out sequences, the same every time."""
        size = self._settings.eval_batch_size
        for number in range(min(self._settings.num_eval_steps, -(-len(self._held_out) // size))):
            indices = self._held_out[number * size : (number + 1) * size].astype(np.int64)
            random = np.random.default_rng((_EVALUATION, self._seed, number))
            yield mask(
                self._corpus.read(indices), draw(random, len(indices), self._settings), self._ids, self._settings
            )

    def _order_of_epoch(self, epoch: int) -> NDArray[np.uint32]:
        return self._training[_shuffled(len(self._training), (_ORDER, self._seed, epoch))]


def dropout_seed(seed: int, step: int, process: int, part: int) -> int:
    """The seed of torch's generator for one pass: a run that is resumed draws what it would have drawn."""
    return int(np.random.SeedSequence((_DROPOUT, seed, step, process, part)).generate_state(1, np.uint64)[0] >> 1)


def weights_seed(seed: int) -> int:
    """The seed of the initial weights."""
    return int(np.random.SeedSequence((_WEIGHTS, seed)).generate_state(1, np.uint64)[0] >> 1)


def _shuffled(count: int, stream: tuple[int, ...]) -> NDArray[np.uint32]:
    order = np.arange(count, dtype=np.uint32)
    np.random.default_rng(stream).shuffle(order)
    return order
