"""The words of a card's sections, in Markdown; reads no file and decides nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from electra_convert.hub.card.facts import Facts
from electra_convert.hub.card.figures import verification
from electra_convert.hub.card.snippets import usage
from electra_convert.hub.card.tables import bullets, code, plain, table

_ARCHITECTURE = (
    ("num_hidden_layers", "layers"),
    ("hidden_size", "hidden width"),
    ("num_attention_heads", "attention heads"),
    ("intermediate_size", "feed-forward width"),
    ("embedding_size", "embedding width"),
    ("max_position_embeddings", "longest input, in tokens"),
    ("vocab_size", "vocabulary size"),
    ("hidden_act", "activation"),
    ("dtype", "dtype of the weights"),
)
_ELECTRA = "[ELECTRA](https://arxiv.org/abs/2003.10555)"
# By kind, or kind and layout.
_WHAT = {
    "discriminator": f"An {_ELECTRA} discriminator: for every token of a text, it says whether the token is the "
    "original one or was replaced. Its encoder is what is fine-tuned for other tasks.",
    "generator": f"An {_ELECTRA} generator: a masked language model. ELECTRA trains it together with a "
    "discriminator, for which it makes replacements that are hard to tell from the original tokens.",
    "generator, masked_lm": f"A masked language model made with the code of {_ELECTRA}, but without a discriminator, "
    "as BERT is.",
    "encoder": f"An {_ELECTRA} encoder without a head: it gives a vector for every token of a text, and is meant to "
    "be fine-tuned.",
    "encoder, fine_tuned": f"An {_ELECTRA} encoder that was fine-tuned, without the heads of its tasks: it gives a "
    "vector for every token of a text.",
}
_LIMITS = {
    "discriminator": (
        "It is not a masked language model: its head gives one number for each token. `ElectraForMaskedLM` loads it "
        "all the same, but with a head of random values, which is of no use for fill-mask.",
        "It recognises replacements of the kind it saw in training; it does not check facts or grammar.",
    ),
    "generator": (
        "Generators are made as partners of discriminators, and usually smaller on purpose. For fine-tuning, take "
        "the discriminator.",
        "It is not for pretraining again: a new discriminator learns little from a generator that is trained "
        "already, or is as large as itself.",
    ),
    "generator, masked_lm": ("It is not the generator of a discriminator: none was trained with it.",),
    "encoder": ("It has no head: whatever task it is for, it has to be fine-tuned first.",),
    "encoder, fine_tuned": ("The heads of the tasks that it was fine-tuned for are not here.",),
    "task": ("It does what its head was trained for; for any other task, it has to be fine-tuned again.",),
}
_GENERAL = (
    "What it learned, prejudices included, comes from its training texts; nothing was filtered or measured here."
)
_CONTAINERS = {"tensorflow": "a TensorFlow checkpoint", "safetensors": "safetensors", "torch": "a PyTorch checkpoint"}


def section_texts(facts: Facts) -> dict[str, str]:
    """Write every section that a model's card has.

    Args:
        facts: what is known of the model.

    Returns:
        Markdown by the name of the section, in the order they stand in.
    """
    texts = {
        "model": _model(facts),
        "use": usage(facts),
        "conversion": _conversion(facts),
        "training": _training(facts.proof.training),
        "verification": verification(facts),
        "tokenizer": _tokenizer(facts),
        "limits": _limits(facts),
    }
    return {name: text for name, text in texts.items() if text}


def _model(facts: Facts) -> str:
    config = facts.folder.config
    rows = [(label, plain(config[key])) for key, label in _ARCHITECTURE if key in config]
    parts = [_what(facts)]
    if facts.partner:
        other = "generator" if facts.folder.role == "discriminator" else "discriminator"
        parts.append(f"The {other} it was trained with is [{facts.partner}](https://huggingface.co/{facts.partner}).")
    return "\n\n".join([*parts, "## Architecture", table(("", code(facts.folder.architecture)), rows)])


def _what(facts: Facts) -> str:
    if words := _WHAT.get(_with_layout(facts)) or _WHAT.get(facts.kind):
        return words
    if facts.task:
        return f"An {_ELECTRA} encoder with a head for {facts.task.replace('-', ' ')}."
    return f"An {_ELECTRA} model of the transformers class {code(facts.folder.architecture)}."


def _with_layout(facts: Facts) -> str:
    return f"{facts.kind}, {facts.layout}"


def _conversion(facts: Facts) -> str:
    record = facts.conversion
    if record is None:
        return ""
    source, tool = _object(record, "source"), _object(record, "tool")
    container = _CONTAINERS.get(str(source.get("format")), plain(source.get("format")))
    step = f" at step {record['step']:,}" if isinstance(record.get("step"), int) else ""
    lines = [
        "## Conversion",
        f"Converted from {container} ({code(source.get('name'))}{step}) by {plain(tool.get('name'))} "
        f"{plain(tool.get('version'))}: a format conversion, no training. `conversion.json` names the source of "
        "every tensor and of every value of the configuration.",
    ]
    notices = record.get("notices")
    if isinstance(notices, list) and notices:
        lines.append(bullets(plain(notice) for notice in notices))
    return "\n\n".join(lines)


def _training(record: Mapping[str, Any] | None) -> str:
    if record is None:
        return ""
    told = "Pretrained with electra_convert. `training.json` has the whole record."
    settings = {name: value for name, value in record.items() if name not in {"schema", "files"}}
    rows = [(code(name), code(_plain(value))) for name, value in _scalars(settings)]
    return "\n\n".join(["## Training", told, *([table(("setting", "value"), rows)] if rows else [])])


def _scalars(record: Mapping[str, Any], prefix: str = "") -> Sequence[tuple[str, Any]]:
    """The values of a record that are no lists, those of objects within it under dotted names."""
    found: list[tuple[str, Any]] = []
    for name, value in record.items():
        if isinstance(value, dict):
            found += _scalars(value, f"{prefix}{name}.")
        elif isinstance(value, str | int | float) or value is None:
            found.append((f"{prefix}{name}", value))
    return found


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _tokenizer(facts: Facts) -> str:
    if not facts.has_tokenizer:
        return "## Tokenizer\n\nThe tokenizer's files are not here: the vocabulary was not known."
    if facts.lower_case is None:
        casing = "WordPiece; `tokenizer_config.json` has its settings."
    elif facts.lower_case:
        casing = "WordPiece, uncased: texts are lower-cased."
    else:
        casing = "WordPiece, cased: upper and lower case stay apart."
    accents = {True: " Accents are stripped.", False: " Accents are kept.", None: ""}[facts.strip_accents]
    return f"## Tokenizer\n\n{casing}{accents}"


def _limits(facts: Facts) -> str:
    points = _LIMITS.get(_with_layout(facts), _LIMITS[facts.kind])
    return f"## Limitations\n\n{bullets([*points, _GENERAL])}"


def _object(record: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = record.get(key)
    return value if isinstance(value, dict) else {}
