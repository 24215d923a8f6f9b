"""The model that comes with this tool, and the texts that show what a model finds, of its own language."""

from __future__ import annotations

from pathlib import Path

from electra_convert.demo.model import LoadedModel
from electra_convert.demo.scoring import ScoredText
from electra_convert.tokenizer.sentences import Example, examples_of_vocabulary

# Trained by `pretrain`, on two cores: docs/sample.md has how, and what it can do.
SAMPLE = Path(__file__).parent.parent / "sample"
_MOST = 4
_REPLACED = 0.5


def examples_for(discriminator: LoadedModel) -> tuple[str, ...]:
    """Sentences with a word exchanged in which that is the likeliest to be replaced, the clearest first.

    Where there are none, the others; nothing where there are no sentences in the model's language.
    """
    tokenizer = discriminator.tokenizer
    examples = examples_of_vocabulary(
        tokenizer.get_vocab(with_added_tokens=True),
        lambda text: tokenizer.encode(text, add_special_tokens=False).tokens,
    )
    scored = discriminator.score([example.changed for example in examples])
    rated = [(_of_intruder(example, one), example) for example, one in zip(examples, scored, strict=True)]
    ranked = sorted(rated, key=lambda pair: pair[0], reverse=True)
    found = [(rating, example) for rating, example in ranked if rating > _REPLACED]
    return tuple(example.changed for _, example in (found or ranked)[:_MOST])


def _of_intruder(example: Example, scored: ScoredText) -> float:
    """How likely replaced the word is that does not belong, or less than nothing where another is likelier."""
    start = example.text.index(example.word)
    end = start + len(example.intruder)
    overlapping = (word.probability for word in scored.words if word.start < end and word.end > start)
    intruder = max(overlapping, default=0.0)
    likeliest = max(word.probability for word in scored.words)
    return intruder if intruder == likeliest else intruder - 1
