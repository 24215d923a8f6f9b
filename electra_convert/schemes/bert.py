"""BERT's names for ELECTRA's models: which of them BERT's classes compute, and those this tool wrote, read back."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from electra_convert.errors import NamesError
from electra_convert.formats.locate import Location
from electra_convert.schemes.family import BERT, ELECTRA
from electra_convert.schemes.heads import NONE
from electra_convert.schemes.mapping import Role
from electra_convert.schemes.models import Checkpoint, Model, OpenSource, Scheme
from electra_convert.schemes.transformers import read_models
from electra_convert.tensors.spec import Tensor
from electra_convert.tensors.weight import Weight

_POOLER = (
    "BertModel has a pooler, and ELECTRA has none: transformers and CTranslate2 make one up at random, so take "
    "last_hidden_state, not pooler_output."
)


def as_bert(checkpoint: Checkpoint, asked: Collection[Role] | None) -> Checkpoint:
    """A checkpoint's models as BERT's classes have them.

    Args:
        asked: the models that have to be among them; None for every one, but for a generator beside a discriminator.

    Returns:
        The same without a model that none of them computes, and without a pretraining head that none of them has;
        notices say so.

    Raises:
        NamesError: a model that has to be among them is not computed by any.
    """
    wanted = {role: model for role, model in checkpoint.models.items() if asked is None or role in asked}
    reasons = {role: why for role, model in wanted.items() if (why := _obstacle(model))}
    if reasons and (asked is not None or set(reasons) != {"generator"} or len(wanted) == 1):
        raise _refusal(checkpoint, *next(iter(reasons.items())))
    fitting = {role: model for role, model in wanted.items() if role not in reasons}
    left = [f"Left out, the {role}, which BERT does not compute: {why}." for role, why in reasons.items()]
    told = [notice for model in fitting.values() for notice in _notices(model)]
    models = {role: _without_head(model) for role, model in fitting.items()}
    return replace(checkpoint, models=models, notices=(*checkpoint.notices, *left, *told))


def _obstacle(model: Model) -> str | None:
    """Why no class of BERT's computes a model; None where one does, at least its encoder."""
    head, sizes = model.head, model.sizes
    if sizes.embedding != sizes.hidden:
        return (
            f"its embeddings are {sizes.embedding} wide and its hidden states {sizes.hidden}, and BERT has one width "
            "for both"
        )
    if head.unmapped:
        return "its head is none that this tool knows"
    if head.is_of_a_task and not head.in_bert:
        differs = f" ({head.unlike_bert})" if head.unlike_bert else ""
        return f"{head.architecture(BERT)} is not what {head.architecture()} is{differs}"
    return None if model.is_tied else "its output table is not its word embeddings, and BERT has one table for both"


def _refusal(checkpoint: Checkpoint, role: Role, why: str) -> NamesError:
    named = f"the {role}" if len(checkpoint.models) > 1 else "it"
    others = (other for other, model in checkpoint.models.items() if _obstacle(model) is None)
    other = "".join(f"The {other} has one: --model {other}. " for other in others)
    return NamesError(
        f"{checkpoint.path}: {named} has no place under BERT's names: {why}",
        f"{other}Without --model-type it converts under ELECTRA's names.",
    )


def _notices(model: Model) -> list[str]:
    told = []
    if not model.head.in_bert:
        told.append(
            f"Left out, the {model.role}'s head ({model.head.name.replace('_', ' ')}), for which BERT has no class: "
            f"its encoder is written, as {NONE.architecture(BERT)}."
        )
    return [*told, _POOLER] if model.head.is_bare or told else told


def _without_head(model: Model) -> Model:
    """A model, or its encoder alone where BERT has no class with its head."""
    if model.head.in_bert:
        return model
    weights = {name: weight for name, weight in model.weights.items() if name.startswith(ELECTRA.prefix)}
    return replace(model, head=NONE, weights=weights, slots={}, beside={})


def _recognises(names: Collection[str]) -> bool:
    """Whether names can be BERT's, none of them one that ELECTRA alone has."""
    electras = tuple(theirs for theirs, _ in BERT.renamed)
    has_words = any(name.endswith("embeddings.word_embeddings.weight") for name in names)
    return has_words and not any(name.startswith(electras) for name in names)


def _translate(tensors: Mapping[str, Tensor]) -> dict[str, Weight]:
    return {BERT.name_in_electra(name): Weight(tensor) for name, tensor in tensors.items()}


def _read(path: Path, locations: Sequence[Location], open_source: OpenSource) -> Checkpoint:
    checkpoint = read_models(BERT_NAMES, path, locations, open_source, _translate)
    models = {role: replace(model, family=BERT) for role, model in checkpoint.models.items()}
    notice = "An ELECTRA model under BERT's names, as its conversion.json records."
    return replace(checkpoint, models=models, notices=(notice, *checkpoint.notices))


BERT_NAMES = Scheme(
    "bert",
    {"safetensors", "torch"},
    _recognises,
    _read,
    described=True,
    target="tf",
    loads="transformers",
    gelu_in_generators=False,
    family=BERT,
)
