"""Texts in which the order of the tokens says more than their frequency: each is mostly followed by its successor."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

# How often a token is followed by its successor; else by any, frequent ones more often.
_KEPT = 0.9


@dataclass(frozen=True)
class Kind:
    """What a corpus is made of, and how it is tokenised.

    Attributes:
        tokens: what follows one another.
        joined: how a line is made of them.
        length: of a line, in tokens.
        options: of the command.
    """

    tokens: Sequence[str]
    joined: Callable[[Sequence[str]], str]
    length: int
    options: tuple[str, ...]


_SYLLABLES = [f"{first}{second}" for first, second in product("bdfgklmnprst", "aeiou")]
KINDS = {
    # Words of an invented language, learnt by WordPiece.
    "words": Kind(
        [f"{one}{other}" for one, other in zip(_SYLLABLES[:30], _SYLLABLES[30:], strict=True)],
        lambda words: f"{' '.join(words)}.",
        12,
        ("--train-vocab", "90", "--uncased"),
    ),
    # What somebody did in a shop.
    "items": Kind(
        [f"item_{number}" for number in range(20)] + [f"click:{number}" for number in range(10)],
        " ".join,
        30,
        ("--tokenizer", "whitespace", "--train-vocab", "40"),
    ),
    # As scripts without spaces are written.
    "characters": Kind(
        list("あいうえおかきくけこさしすせそたちつてとなにぬねのまみむめもらりるれろ"),
        "".join,
        30,
        ("--tokenizer", "characters", "--train-vocab", "50", "--cased"),
    ),
}


# With which both models learn the order within a minute; the generator's guesses are made rough (temperature), so
# that many are wrong.
HPARAMS = {
    "model_hparam_overrides": {
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 32,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    },
    "embedding_size": 64,
    "generator_hidden_size": 0.5,
    "generator_layers": 0.5,
    "temperature": 3.0,
    "max_seq_length": 32,
    "train_batch_size": 32,
    "num_train_steps": 1000,
    "num_warmup_steps": 100,
    "learning_rate": 2e-3,
    "save_checkpoints_steps": 1000,
}
_SEED = 7


def order_of(kind: Kind) -> list[str]:
    """The tokens in their planted order; the first follows the last."""
    return random.Random(_SEED).sample(kind.tokens, len(kind.tokens))


def write_planted(kind: Kind, place: Path, lines: int = 1500) -> Path:
    """Write a corpus, each line a document; the same every time."""
    chance = random.Random(_SEED)
    order = chance.sample(kind.tokens, len(kind.tokens))
    following = dict(zip(order, [*order[1:], order[0]], strict=True))
    weights = [1 / rank for rank in range(1, len(order) + 1)]

    def line() -> str:
        tokens = chance.choices(kind.tokens, weights)
        while len(tokens) < kind.length:
            kept = chance.random() < _KEPT
            tokens += [following[tokens[-1]]] if kept else chance.choices(kind.tokens, weights)
        return kind.joined(tokens)

    place.write_text("\n\n".join(line() for _ in range(lines)) + "\n")
    return place
