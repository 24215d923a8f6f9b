"""The texts that the page offers to click: of the model's own language, and such that it notices what is wrong."""

from __future__ import annotations

from electra_convert.demo.model import LoadedModel
from electra_convert.demo.scoring import ScoredText
from electra_convert.tokenizer.sentences import examples_of_vocabulary

_MOST = 4
_REPLACED = 0.5


def examples_for(discriminator: LoadedModel) -> tuple[str, ...]:
    """Sentences with a word replaced, the clearest case first; empty where there are none in the model's language."""
    tokenizer = discriminator.tokenizer
    examples = examples_of_vocabulary(
        tokenizer.get_vocab(with_added_tokens=True),
        lambda text: tokenizer.encode(text, add_special_tokens=False).tokens,
    )
    scored = discriminator.score([example.changed for example in examples])
    ranked = sorted(scored, key=_likeliest, reverse=True)
    noticed = [one for one in ranked if _likeliest(one) > _REPLACED]
    return tuple(one.text for one in (noticed or ranked)[:_MOST])


def _likeliest(scored: ScoredText) -> float:
    return max(word.probability for word in scored.words)
