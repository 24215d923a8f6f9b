"""The batch of a step: which sequences, and which of their tokens the generator is to predict; numpy only, no model.

The same for a seed, however a run is split up or interrupted. Masking is that of mask in pretrain/pretrain_helpers.py
(google-research/electra, 8a46635), with one deviation: positions are drawn without replacement, where Google's may
draw one twice and then mask fewer. Whole words are masked as in google-research/bert, within the same number of
tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from electra_convert.pretraining.candidates import Candidates, draw_candidates
from electra_convert.pretraining.corpus.cache import Corpus, Inputs
from electra_convert.pretraining.options import Settings

# Streams of random numbers that one seed gives, kept apart by their first number.
_HELD_OUT, _ORDER, _TRAINING, _EVALUATION, _DROPOUT, _WEIGHTS, _CANDIDATES = range(7)
# The share of the chosen tokens that become [MASK]; the rest stay and are predicted all the same.
_REPLACED = 0.85
# Sequences that are looked at where all would take too long.
_LOOKED_AT = 1000
_NEVER_MASKED = ("[CLS]", "[SEP]", "[MASK]", "[PAD]")


@dataclass(frozen=True)
class Draws:
    """The random numbers that one batch needs, each in [0, 1) and float32.

    Attributes:
        order: [batch, length]; the tokens with the lowest are masked.
        replace: [batch, predictions]; decides whether a token becomes [MASK].
        sample: [batch, predictions]; decides what the generator samples.
    """

    order: NDArray[np.float32]
    replace: NDArray[np.float32]
    sample: NDArray[np.float32]

    def rows(self, part: slice) -> Draws:
        """Those of some of the sequences: what is drawn does not depend on how a batch is split up."""
        return Draws(self.order[part], self.replace[part], self.sample[part])


@dataclass(frozen=True)
class Batch:
    """Sequences with the tokens chosen that are to be predicted.

    Attributes:
        inputs: the sequences as they are.
        masked_ids: [batch, length] int64, what the generator is given.
        positions: [batch, predictions] int64, the chosen columns; 0 where weights are 0.
        weights: [batch, predictions] float32, 1 for a chosen token and 0 for filling.
        sample: [batch, predictions] float32 in [0, 1), what sampling goes by.
        candidates: what stands for the vocabulary in the generator's loss; None for all of it.
    """

    inputs: Inputs
    masked_ids: NDArray[np.int64]
    positions: NDArray[np.int64]
    weights: NDArray[np.float32]
    sample: NDArray[np.float32]
    candidates: Candidates | None = None

    def parts(self, rows: int) -> Iterator[Batch]:
        """The batch in parts of so many sequences at most."""
        for first in range(0, len(self.positions), rows):
            part = slice(first, first + rows)
            yield Batch(
                inputs=self.inputs.rows(part),
                masked_ids=self.masked_ids[part],
                positions=self.positions[part],
                weights=self.weights[part],
                sample=self.sample[part],
                candidates=self.candidates,
            )


class Batches:
    """The batches of a run.

    Args:
        corpus: all sequences.
        ids: the id of each piece of the vocabulary.
        settings: the training hparams.
        seed: what every draw follows from.
        held_out: the share of sequences kept for evaluation.
        evaluated: sequences of their own to evaluate on instead.
        vocabulary: the rows of the embeddings, where they are more than the pieces.
    """

    def __init__(
        self,
        corpus: Corpus,
        ids: Mapping[str, int],
        settings: Settings,
        seed: int,
        held_out: float,
        evaluated: Corpus | None = None,
        vocabulary: int | None = None,
    ) -> None:
        self._corpus, self._ids, self._settings, self._seed = corpus, ids, settings, seed
        count = len(corpus)
        kept = held_apart(count, held_out)
        shuffled = _shuffled(count, (_HELD_OUT, seed))
        self._held_out, self._training = np.sort(shuffled[:kept]), shuffled[kept:]
        self._evaluated = corpus if evaluated is None else evaluated
        if evaluated is not None:
            self._held_out = np.arange(len(evaluated), dtype=np.uint32)
        self._vocabulary = vocabulary or len(ids)
        self._order = lru_cache(maxsize=2)(self._order_of_epoch)
        self._candidates = lru_cache(maxsize=2)(self._candidates_of_step)

    @property
    def sequences(self) -> tuple[int, int]:
        """How many sequences are trained on, and how many are held out."""
        return len(self._training), len(self._held_out)

    @property
    def evaluations(self) -> int:
        """How many batches an evaluation has."""
        return min(self._settings.num_eval_steps, -(-len(self._held_out) // self._settings.eval_batch_size))

    @cached_property
    def log_frequencies(self) -> NDArray[np.float64]:
        """[vocabulary] the log of each token's share among those of the corpus that may be masked.

        Each is counted once more than it occurs. Those that are never masked have 0, as what is everywhere.
        """
        never = [self._ids[token] for token in _NEVER_MASKED]
        counts = self._corpus.counts(self._vocabulary) + 1
        counts[never] = 0
        shares = np.where(counts, counts / counts.sum(), 1.0)
        return np.log(shares)

    def training(self, step: int, part: slice) -> Batch:
        """Part of the train_batch_size sequences of a step; their masks do not depend on the part.

        Args:
            step: the global step before the update, from 0.
            part: which of the sequences.
        """
        size = self._settings.train_batch_size
        draws = draw(np.random.default_rng((_TRAINING, self._seed, step)), size, self._settings)
        places = np.arange(size)[part] + step * size
        epochs, within = np.divmod(places, len(self._training))
        indices = np.array([self._order(int(epoch))[place] for epoch, place in zip(epochs, within, strict=True)])
        inputs = self._corpus.read(indices.astype(np.int64))
        return replace(mask(inputs, draws.rows(part), self._ids, self._settings), candidates=self._candidates(step))

    def evaluation(self) -> Iterator[Batch]:
        """The batches of held-out sequences, the same every time, and all of the vocabulary."""
        size = self._settings.eval_batch_size
        for number in range(self.evaluations):
            indices = self._held_out[number * size : (number + 1) * size].astype(np.int64)
            draws = draw(np.random.default_rng((_EVALUATION, self._seed, number)), len(indices), self._settings)
            yield mask(self._evaluated.read(indices), draws, self._ids, self._settings)

    def _candidates_of_step(self, step: int) -> Candidates | None:
        if not self._settings.sampled_softmax:
            return None
        random = np.random.default_rng((_CANDIDATES, self._seed, step))
        return draw_candidates(random, self._settings.sampled_softmax, self._vocabulary)

    def _order_of_epoch(self, epoch: int) -> NDArray[np.uint32]:
        return self._training[_shuffled(len(self._training), (_ORDER, self._seed, epoch))]


def held_apart(sequences: int, share: float) -> int:
    """How many of so many sequences are held out: at least one where any are, and not all."""
    return min(sequences - 1, max(1, round(sequences * share))) if share else 0


def draw(random: np.random.Generator, batch_size: int, settings: Settings) -> Draws:
    """Draw the random numbers of a batch."""
    predictions = (batch_size, settings.max_predictions_per_seq)
    order = random.random((batch_size, settings.max_seq_length), np.float32)
    return Draws(order, random.random(predictions, np.float32), random.random(predictions, np.float32))


def mask(inputs: Inputs, draws: Draws, ids: Mapping[str, int], settings: Settings) -> Batch:
    """Choose tokens to predict, and mask most of them.

    Args:
        inputs: the sequences.
        draws: random numbers for them.
        ids: the id of each piece of the vocabulary.
        settings: the training hparams.

    Returns:
        The batch; a sequence without any token that may be masked has none.
    """
    candidates = _candidates(inputs, ids)
    counts = np.minimum(_wanted(inputs, settings), candidates.sum(axis=1))
    order = np.where(candidates, draws.order[:, : candidates.shape[1]], np.inf)
    width = min(settings.max_predictions_per_seq, order.shape[1])
    if settings.whole_word_masking:
        chosen, counts = _whole_words(order, _words_begin(inputs, candidates), counts, width)
    else:
        chosen = np.argsort(order, axis=1, kind="stable")[:, :width]
    weights = np.arange(width) < counts[:, None]
    positions = np.where(weights, chosen, 0)
    masked_ids = inputs.input_ids.copy()
    rows, columns = np.nonzero(weights & (draws.replace[:, :width] < _REPLACED))
    masked_ids[rows, positions[rows, columns]] = ids["[MASK]"]
    return Batch(inputs, masked_ids, positions, weights.astype(np.float32), draws.sample[:, :width])


def _candidates(inputs: Inputs, ids: Mapping[str, int]) -> NDArray[np.bool_]:
    """Which tokens may be masked, [batch, length]."""
    never = np.array([ids[token] for token in _NEVER_MASKED])
    may: NDArray[np.bool_] = inputs.input_mask & ~np.isin(inputs.input_ids, never)
    return may


def share_in_long_words(corpus: Corpus, ids: Mapping[str, int], settings: Settings) -> float:
    """The share of the tokens of a corpus that stand in words of more tokens than are masked of their sequence, so
    that they never are; of a thousand of its sequences where it has more."""
    inputs = corpus.read(np.unique(np.linspace(0, len(corpus) - 1, min(len(corpus), _LOOKED_AT)).astype(np.int64)))
    candidates = _candidates(inputs, ids)
    begins = _words_begin(inputs, candidates)
    within = 0
    for row, wanted in enumerate(_wanted(inputs, settings)):
        lengths = np.bincount(np.cumsum(begins[row])[candidates[row]])
        within += int(lengths[lengths > wanted].sum())
    return within / max(1, int(candidates.sum()))


def _words_begin(inputs: Inputs, candidates: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where words begin, [batch, length]: at tokens that continue nothing, and behind what is never masked."""
    assert inputs.continues is not None  # a corpus that is masked by words knows them
    behind = np.pad(candidates[:, :-1], ((0, 0), (1, 0)))
    return candidates & ~(inputs.continues & behind)


def _whole_words(
    order: NDArray[np.float32], begins: NDArray[np.bool_], wanted: NDArray[np.int64], width: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Choose words in the order of their first tokens, passing over those of more tokens than are still wanted
    (create_masked_lm_predictions in create_pretraining_data.py, google-research/bert, eedf571).

    Args:
        order: [batch, length], infinite where nothing may be chosen.
        begins: [batch, length], where words begin.
        wanted: [batch], how many tokens are to be chosen at most.
        width: how many columns there are to fill.

    Returns:
        The columns that were chosen, [batch, width], and how many in each sequence, [batch].
    """
    chosen = np.zeros((len(order), width), np.int64)
    counts = np.zeros(len(order), np.int64)
    for row, room in enumerate(wanted):
        starts = np.flatnonzero(begins[row])
        words = np.cumsum(begins[row])[np.isfinite(order[row])] - 1
        lengths = np.bincount(words, minlength=len(starts))
        columns = [
            start + place
            for start, length in _fitting(starts, lengths, np.argsort(order[row, starts], kind="stable"), int(room))
            for place in range(length)
        ]
        chosen[row, : len(columns)], counts[row] = columns, len(columns)
    return chosen, counts


def _fitting(
    starts: NDArray[np.int64], lengths: NDArray[np.int64], ranked: NDArray[np.int64], room: int
) -> Iterator[tuple[int, int]]:
    """The first words by their rank that there is room for: where each begins, and how long it is."""
    for start, length in zip(starts[ranked].tolist(), lengths[ranked].tolist(), strict=True):
        if length <= room:
            room -= length
            yield start, length
        if not room:
            return


def _wanted(inputs: Inputs, settings: Settings) -> NDArray[np.int64]:
    """How many tokens of each sequence are to be predicted; special ones count towards the length."""
    share = np.rint(inputs.input_mask.sum(axis=1).astype(np.float32) * np.float32(settings.mask_prob))
    wanted: NDArray[np.int64] = np.clip(share.astype(np.int64), 1, settings.max_predictions_per_seq)
    return wanted


def dropout_seed(seed: int, step: int, process: int, part: int) -> int:
    """The seed of torch's generator for one pass: a run that is resumed draws what it would have drawn."""
    return _torch_seed(_DROPOUT, seed, step, process, part)


def weights_seed(seed: int) -> int:
    """The seed of the initial weights."""
    return _torch_seed(_WEIGHTS, seed)


def _torch_seed(*stream: int) -> int:
    return int(np.random.SeedSequence(stream).generate_state(1, np.uint64)[0] >> 1)


def _shuffled(count: int, stream: tuple[int, ...]) -> NDArray[np.uint32]:
    order = np.arange(count, dtype=np.uint32)
    np.random.default_rng(stream).shuffle(order)
    return order
