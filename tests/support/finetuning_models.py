"""Models of other architectures, made tiny from their configurations, with a tokenizer beside them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from support.other_tokenizers import save_unigram

SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 66,
}
DISTILLED = {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 48, "max_position_embeddings": 66}


def save_tiny(folder: Path, kind: str, auto_class: str, tokenizer: Path) -> Path:
    """A model of an architecture with random weights, and a tokenizer: a copy, or of RoBERTa a Unigram."""
    import torch
    import transformers

    lines = (Path(__file__).parent.parent.parent / "fixtures" / "finetuning" / "reviews.txt").read_text().splitlines()
    if kind == "roberta":
        save_unigram(folder, lines)
    else:
        folder.mkdir(parents=True)
        for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt"):
            shutil.copy(tokenizer / name, folder)
    sizes: dict[str, Any] = DISTILLED if kind == "distilbert" else SIZES
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(kind, vocab_size=1500, pad_token_id=int(kind == "roberta"), **sizes)
    getattr(transformers, auto_class).from_config(config).save_pretrained(folder)
    return folder


def random_encoder(folder: Path, source: Path) -> Path:
    """The model in a folder with every weight drawn anew, as transformers initialises its class."""
    import json

    import torch
    import transformers

    shutil.copytree(source, folder)
    config = transformers.AutoConfig.from_pretrained(source)
    torch.manual_seed(0)
    made = getattr(transformers, json.loads((source / "config.json").read_text())["architectures"][0])(config)
    made.save_pretrained(folder)
    (folder / "conversion.json").unlink(missing_ok=True)
    return folder


def without_dropout(source: Path, folder: Path) -> Path:
    """A copy of an ELECTRA folder in which nothing is dropped."""
    import json

    shutil.copytree(source, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "classifier_dropout": 0.0}
    (folder / "config.json").write_text(json.dumps(config))
    return folder
