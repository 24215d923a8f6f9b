"""What a reader should know of a tokenised corpus, and of a vocabulary beside it, before a run; changes neither."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from electra_convert.pretraining.corpus.cache import Corpus
from electra_convert.pretraining.corpus.losses import told
from electra_convert.pretraining.corpus.unknown import WITHOUT_LONG_WORDS, told_of_long_words
from electra_convert.pretraining.corpus.vocabulary import Pieces, WordPieces
from electra_convert.pretraining.progress import Reporter

# A larger share of pieces that the vocabulary lacks than this is worth a word.
MANY_UNKNOWN = 0.05
# So is a larger share of tokens that are cut off.
_MUCH_TRIMMED = 0.2
# And sequences that are less than so full.
_LITTLE_FILLED = 0.5
# Ids that follow the frequency of their pieces less than this, by rank correlation, are not sorted by it.
_SORTED = 0.3


def tell_of_corpus(name: str, corpus: Corpus, pieces: Pieces, packs_documents: bool, reporter: Reporter) -> None:
    """Tell its size, and what of it is lost: cut off, unused, or unknown to the vocabulary."""
    record = corpus.record
    reporter.noticed(f"{name} has {record.tokens:,} tokens in {record.sequences:,} sequences.")
    if record.lost.tokens:
        share = record.lost.tokens / (record.tokens + record.lost.tokens)
        tell = reporter.warned if share > _MUCH_TRIMMED else reporter.noticed
        tell(
            f"{name} is cut off where Google's code cuts it: {told(record.lost, record.tokens)}. --split-long-lines "
            "keeps all of it."
        )
    filled = record.tokens / (record.sequences * corpus.max_length)
    if filled < _LITTLE_FILLED and not packs_documents:
        reporter.warned(
            f"{name} fills its sequences to {filled:.0%}, since its documents are short: if they need not be kept "
            "apart, as sentences on lines or rows of their own, --one-sentence-per-line packs them together."
        )
    if record.lost.overlong_words:
        tell = reporter.warned if record.lost.overlong_words > MANY_UNKNOWN * record.letters else reporter.noticed
        told_of = told_of_long_words(record.lost.overlong_words, record.letters, pieces)
        tell(f"{name} becomes [UNK] in part: {told_of}. {WITHOUT_LONG_WORDS}")
    if record.unknown > MANY_UNKNOWN * record.tokens:
        reporter.warned(
            f"{record.unknown / record.tokens:.0%} of the tokens are [UNK]: the vocabulary, or its casing, may not "
            "be the corpus's."
        )
    elif record.unknown and not isinstance(pieces, WordPieces):
        reporter.noticed(f"{record.unknown / record.tokens:.1%} of the tokens are [UNK].")


def tell_of_order(corpus: Corpus, pieces: Pieces, reporter: Reporter) -> None:
    """Warn of a vocabulary that is not sorted by frequency, where candidates are drawn as if it were."""
    followed = order_of_frequency(corpus.counts(len(pieces.vocabulary)))
    if followed < _SORTED:
        reporter.warned(
            "The vocabulary is not sorted by frequency, as sampled_softmax supposes: its order and the corpus's "
            f"have a rank correlation of {followed:.2f}. Frequent pieces are seldom candidates then; leave "
            "sampled_softmax out, or give a vocabulary with the most frequent pieces first."
        )


def order_of_frequency(counts: NDArray[np.int64]) -> float:
    """How far ids follow the frequency of their pieces: Spearman's rank correlation over those that occur.

    Args:
        counts: how often each id occurs.

    Returns:
        1 where the most frequent come first or nothing is to be sorted, 0 where ids say nothing, -1 where they come
        last.

    >>> order_of_frequency(np.array([0, 50, 20, 20, 7]))
    0.949
    """
    occurring = counts[counts > 0]
    ranks = _ranks(-occurring)
    if len(np.unique(ranks)) < 2:
        return 1.0
    return round(float(np.corrcoef(np.arange(len(ranks)), ranks)[0, 1]), 3)


def _ranks(values: NDArray[np.int64]) -> NDArray[np.float64]:
    """The rank of each value, and the mean rank of equal ones."""
    _, places, sizes = np.unique(values, return_inverse=True, return_counts=True)
    lasts = np.cumsum(sizes)
    means: NDArray[np.float64] = (lasts - (sizes - 1) / 2)[places]
    return means
