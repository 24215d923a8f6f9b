"""What a family of models is called in transformers: the words in which names, classes and files of one differ."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Family:
    """A family of models.

    Attributes:
        prefix: what the encoder's parameters begin with in a model that has a head; the encoder alone has no prefix.
        classes: what the names of its classes begin with.
        model_type: what config.json calls it.
        tokenizer_class: the class of its tokenizer.
    """

    prefix: str
    classes: str
    model_type: str
    tokenizer_class: str


ELECTRA = Family("electra.", "Electra", "electra", "ElectraTokenizer")
