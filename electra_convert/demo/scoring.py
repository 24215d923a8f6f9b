"""What the discriminator says of texts: of each token and word how likely it was replaced, and where it stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from electra_convert.demo.model import LoadedModel
from electra_convert.demo.text import EncodedText, Piece, Window, encode, windows
from electra_convert.errors import CorruptFileError, NamesError, TextError
from electra_convert.schemes.mapping import Role

# Windows that go through the model together; more are no faster on a few cores.
BATCH = 16


@dataclass(frozen=True)
class Token:
    """A token and how likely it was replaced.

    Attributes:
        piece: as the vocabulary writes it, such as ##ing.
        text: what stands there in the original text.
        start: where that begins, in characters (code points).
        end: where it ends.
        probability: that it was replaced, the sigmoid of the discriminator's logit.
        word: the number of the word it is part of.
    """

    piece: str
    text: str
    start: int
    end: int
    probability: float
    word: int


@dataclass(frozen=True)
class Word:
    """A word; as likely replaced as the most suspicious of its tokens.

    Attributes:
        text: what stands there in the original text.
        start: where it begins, in characters (code points).
        end: where it ends.
        probability: the highest of its tokens'.
    """

    text: str
    start: int
    end: int
    probability: float


@dataclass(frozen=True)
class ScoredText:
    """What the discriminator says of a text; special tokens are left out.

    Attributes:
        text: the text as it was given.
        tokens: in their order.
        words: in their order.
        windows: in how many overlapping parts the model was given it; 1 where it fits.
    """

    text: str
    tokens: tuple[Token, ...]
    words: tuple[Word, ...]
    windows: int


def score(model: LoadedModel, texts: Sequence[str]) -> list[ScoredText]:
    """Say of every token and word of some texts how likely it was replaced.

    Args:
        model: a discriminator.
        texts: any texts; one longer than the model goes through it in windows that overlap by half.

    Returns:
        The scores, text by text.

    Raises:
        TextError: a text has nothing to score, is too long, or is no text.
        NamesError: the model is a generator.
        CorruptFileError: its logits are not finite.
    """
    require_several(texts)
    return score_encoded(model, [encode_to_score(model, text) for text in texts])


def encode_text(model: LoadedModel, text: str) -> EncodedText:
    """Cut a text into the pieces of a model.

    Args:
        model: either model.
        text: any text.

    Returns:
        The text with its pieces.

    Raises:
        TextError: nothing is left of the text, it is too long, or is no text.
    """
    return encode(model.tokenizer, frozenset(model.special), text)


def encode_to_score(model: LoadedModel, text: str) -> EncodedText:
    """Cut a text into pieces as encode_text does, and refuse one that has none to score.

    Raises:
        TextError: as encode_text, or it has special tokens alone.
    """
    encoded = encode_text(model, text)
    if all(piece.special for piece in encoded.pieces):
        raise TextError("the text has nothing to score: special tokens alone", "Give it a word or two.")
    return encoded


def score_encoded(model: LoadedModel, texts: Sequence[EncodedText]) -> list[ScoredText]:
    """Score texts that are cut into pieces already, as score does.

    Args:
        model: a discriminator.
        texts: the texts.

    Returns:
        The scores, text by text.

    Raises:
        NamesError: the model is a generator.
        CorruptFileError: its logits are not finite.
    """
    require(model, "discriminator")
    laid = [windows_of(model, text) for text in texts]
    rows = [row_of(model, text, window) for text, parts in zip(texts, laid, strict=True) for window in parts]
    outputs = in_batches(model, rows)
    scored = []
    for text, parts in zip(texts, laid, strict=True):
        logits = checked(model, np.concatenate([_owned(next(outputs), window) for window in parts]))
        scored.append(_scored(text, sigmoid(logits), len(parts)))
    return scored


def run(model: LoadedModel, input_ids: Any, attention_mask: Any, token_type_ids: Any) -> NDArray[np.float32]:  # noqa: ANN401 - anything numpy takes
    """Run a model on token ids, as they are.

    Args:
        model: either model.
        input_ids: integers, [batch, length], with [CLS] and [SEP].
        attention_mask: 1 where there is a token, 0 where there is padding, [batch, length].
        token_type_ids: 0 for a first sentence, 1 for a second, [batch, length].

    Returns:
        The logits: [batch, length] of a discriminator, [batch, length, vocabulary] of a generator.
    """
    ids, mask, types = (np.array(array, np.int64) for array in (input_ids, attention_mask, token_type_ids))
    return model.network.run(ids, mask, types)


def sigmoid(logits: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Turn logits into probabilities.

    In float64, so that a probability is above one half exactly where the logit is above zero: Google's decision,
    round((sign(logits) + 1) / 2) in run_pretraining.py, is then the threshold 0.5.
    """
    return 0.5 * (1.0 + np.tanh(0.5 * logits.astype(np.float64)))


def require(model: LoadedModel, role: Role) -> None:
    """Refuse a model of the other role.

    Raises:
        NamesError: says which one is needed.
    """
    if model.role != role:
        raise NamesError(f"{model.source}: a {role} is needed, and this is a {model.role}")


def require_several(texts: Sequence[str]) -> None:
    """Refuse a lone text, which is a sequence of str too, of its characters.

    Raises:
        TextError: it is one.
    """
    if isinstance(texts, str):
        raise TextError("one text is given, expected a list of texts", "Put it into a list: [text].")


def checked(model: LoadedModel, logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Refuse logits that are no numbers, of which no probability can be made.

    Raises:
        CorruptFileError: one of them is NaN or infinite.
    """
    if not np.isfinite(logits).all():
        raise CorruptFileError(
            f"{model.source}: what the {model.role} computes is not finite: its weights are, but so large that they "
            "overflow float32",
            "The model is damaged, or its training diverged: take an earlier checkpoint.",
        )
    return logits


def windows_of(model: LoadedModel, text: EncodedText) -> tuple[Window, ...]:
    """Lay the windows over a text in which a model can be given it."""
    return windows(len(text.pieces), model.positions - 2)


def row_of(model: LoadedModel, text: EncodedText, window: Window) -> list[int]:
    """The token ids of a window, with [CLS] and [SEP] around them."""
    inside = [piece.id for piece in text.pieces[window.start : window.stop]]
    return [model.special["[CLS]"], *inside, model.special["[SEP]"]]


def in_batches(model: LoadedModel, rows: Sequence[list[int]]) -> Iterator[NDArray[np.float32]]:
    """Run a model on rows of token ids, and give the logits of each, padding included."""
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        longest = max(len(row) for row in batch)
        ids = [row + [model.special["[PAD]"]] * (longest - len(row)) for row in batch]
        mask = [[1] * len(row) + [0] * (longest - len(row)) for row in batch]
        yield from run(model, ids, mask, np.zeros((len(batch), longest)))


def _owned(logits: NDArray[np.float32], window: Window) -> NDArray[np.float32]:
    # [CLS] stands before the first piece.
    return logits[1 + window.first - window.start : 1 + window.last - window.start]


def _scored(text: EncodedText, probabilities: NDArray[np.float64], count: int) -> ScoredText:
    tokens = tuple(
        _token(text.text, piece, float(probability))
        for piece, probability in zip(text.pieces, probabilities, strict=True)
        if not piece.special
    )
    words = tuple(_word(text.text, list(group)) for _, group in groupby(tokens, key=lambda token: token.word))
    return ScoredText(text.text, tokens, words, count)


def _token(text: str, piece: Piece, probability: float) -> Token:
    return Token(piece.text, text[piece.start : piece.end], piece.start, piece.end, probability, piece.word)


def _word(text: str, tokens: Sequence[Token]) -> Word:
    start, end = min(token.start for token in tokens), max(token.end for token in tokens)
    return Word(text[start:end], start, end, max(token.probability for token in tokens))
