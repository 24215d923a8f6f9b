"""transformers' side of a parity test: a converted folder loaded without a gap, and run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]


@dataclass(frozen=True)
class Outputs:
    """What a model computed: every layer's output [layers, batch, length, hidden], and logits where it has a head."""

    hidden: Array
    logits: Array | None


def load(folder: Path):
    """Load the class that config.json names; every key of the file and of the model must have met."""
    import json

    import transformers

    architecture = json.loads((folder / "config.json").read_text())["architectures"][0]
    model, info = getattr(transformers, architecture).from_pretrained(folder, output_loading_info=True)
    assert {key: list(found) for key, found in info.items() if found} == {}
    return model.eval()


def run(folder: Path, input_ids: Array, input_mask: Array, segment_ids: Array) -> Outputs:
    """Load a folder, and run it on integer arrays [batch, length]."""
    import torch

    model = load(folder)
    ids, mask, segments = (
        torch.from_numpy(np.asarray(array)).long() for array in (input_ids, input_mask, segment_ids)
    )
    with torch.no_grad():
        outputs = model(ids, attention_mask=mask, token_type_ids=segments, output_hidden_states=True)
    logits = outputs.logits.numpy() if "logits" in outputs else None
    return Outputs(np.stack([layer.numpy() for layer in outputs.hidden_states[1:]]), logits)
