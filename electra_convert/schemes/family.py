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
        renamed: what names of ELECTRA's begin with, and what the same begin with here.
    """

    prefix: str
    classes: str
    model_type: str
    tokenizer_class: str
    renamed: tuple[tuple[str, str], ...] = ()

    def name_of(self, name: str) -> str:
        """What a parameter of ELECTRA's is called here."""
        for theirs, own in self.renamed:
            if name.startswith(theirs):
                return own + name.removeprefix(theirs)
        return name

    def name_in_electra(self, name: str) -> str:
        """What ELECTRA calls a parameter of this family."""
        for theirs, own in self.renamed:
            if name.startswith(own):
                return theirs + name.removeprefix(own)
        return name


ELECTRA = Family("electra.", "Electra", "electra", "ElectraTokenizer")
# models/bert/modeling_bert.py of transformers: an encoder whose embeddings are as wide as its hidden states, and a
# masked language model's head, are computed there as in models/electra/modeling_electra.py.
BERT = Family(
    "bert.",
    "Bert",
    "bert",
    "BertTokenizer",
    renamed=(
        ("electra.", "bert."),
        ("generator_predictions.", "cls.predictions.transform."),
        ("generator_lm_head.weight", "cls.predictions.decoder.weight"),
        ("generator_lm_head.bias", "cls.predictions.bias"),
    ),
)
FAMILIES = {family.model_type: family for family in (ELECTRA, BERT)}
