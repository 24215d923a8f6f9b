"""The texts that the page offers to click: of the model's own language, what the model notices most first."""

from __future__ import annotations

from electra_convert.demo.model import LoadedModel
from electra_convert.tokenizer.sentences import examples_of_vocabulary

_MOST = 4


def examples_for(discriminator: LoadedModel) -> tuple[str, ...]:
    """Sentences with a word replaced; empty where the vocabulary is of no language that there are sentences of."""
    tokenizer = discriminator.tokenizer
    examples = examples_of_vocabulary(
        tokenizer.get_vocab(with_added_tokens=True),
        lambda text: tokenizer.encode(text, add_special_tokens=False).tokens,
    )
    scored = discriminator.score([example.changed for example in examples])
    noticed = sorted(scored, key=lambda one: max(word.probability for word in one.words), reverse=True)
    return tuple(one.text for one in noticed[:_MOST])
