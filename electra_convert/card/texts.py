"""The words of a card's sections, in Markdown; reads no file and decides nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from electra_convert.card.facts import Facts
from electra_convert.card.figures import verification
from electra_convert.card.snippets import usage
from electra_convert.card.tables import bullets, code, plain, table

_ARCHITECTURE = (
    ("num_hidden_layers", "layers"),
    ("hidden_size", "hidden width"),
    ("num_attention_heads", "attention heads"),
    ("intermediate_size", "feed-forward width"),
    ("embedding_size", "embedding width"),
    ("max_position_embeddings", "positions"),
    ("vocab_size", "pieces in the vocabulary"),
    ("hidden_act", "activation"),
    ("dtype", "dtype of the weights"),
)
_WHAT = {
    "ElectraForPreTraining": (
        "An [ELECTRA](https://arxiv.org/abs/2003.10555) discriminator: it says of every token of a text whether it "
        "is the original one or was replaced. Its encoder is what is fine-tuned for other tasks."
    ),
    "ElectraForMaskedLM": (
        "An [ELECTRA](https://arxiv.org/abs/2003.10555) generator: a masked language model, which was trained "
        "together with a discriminator to make replacements that are hard to tell."
    ),
}
_ENCODER = (
    "An [ELECTRA](https://arxiv.org/abs/2003.10555) encoder without a head: it gives a vector for every token of a "
    "text, and is meant to be fine-tuned."
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
    parts = [_WHAT.get(facts.folder.architecture, _ENCODER)]
    if facts.partner:
        other = "generator" if facts.folder.role == "discriminator" else "discriminator"
        parts.append(f"The {other} it was trained with is [{facts.partner}](https://huggingface.co/{facts.partner}).")
    return "\n\n".join([*parts, "## Architecture", table(("", code(facts.folder.architecture)), rows)])


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
    points = {
        "ElectraForPreTraining": [
            "It is not a masked language model: its head gives one number a token. `ElectraForMaskedLM` loads it all "
            "the same, with a head of random values, so it is of no use for fill-mask.",
            "It tells replacements of the kind its generator made; it does not check facts or grammar.",
        ],
        "ElectraForMaskedLM": [
            "It was made as the partner of its discriminator, and is usually the smaller one on purpose. For "
            "fine-tuning, take the discriminator.",
            "It is not for pretraining again: a discriminator that starts anew learns little from a generator that "
            "is trained already, or is as large as itself.",
        ],
    }.get(facts.folder.architecture, ["It has no head: whatever task it is for, it has to be fine-tuned first."])
    general = (
        "What it learned, prejudice included, is what its training texts hold; nothing here was filtered or measured."
    )
    return f"## Limits\n\n{bullets([*points, general])}"


def _object(record: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = record.get(key)
    return value if isinstance(value, dict) else {}
