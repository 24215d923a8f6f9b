"""parity.json and training.json as they are written beside a model, for tests that need them and no TensorFlow."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any


def write_parity(folder: Path, **changes: Any) -> None:
    """Write a passed record of all files that the folder holds now."""
    role = "generator" if "MaskedLM" in (folder / "config.json").read_text() else "discriminator"
    figures = {"max_abs": 2.86e-06, "mean_abs": 1.9e-07, "relative": 3.1e-07, "cosine": 1.0, "limit": 1e-4}
    forward = {
        "reference": "Google's graph on TensorFlow 2.21.0",
        "candidate": "transformers 5.23.0 on PyTorch 2.13.0+cpu",
        "positions": 416,
        "stages": dict.fromkeys(("embeddings", "layer 1", "layer 2", "logits"), figures),
    }
    weights = {"tensors": 43, "equal": 43, "rounded_to": [], "differing": []}
    record = {
        "schema": 1,
        "tool": {"name": "electra_convert", "version": "0.1.0"},
        "verdict": "same",
        "weights_only": False,
        "tolerance": None,
        "reference": {"name": "model.ckpt-4000", "format": "tensorflow"},
        "candidate": {"name": folder.name, "format": "safetensors"},
        "summary": f"The same {role}. All 43 weights are equal bit for bit.",
        "reasons": [],
        "inputs": [{"name": "built-in, short", "rows": ["single", "paired"], "length": 48, "tokens": 209}],
        "models": {role: {"weights": weights, "settings": {}, "forward": forward, "obstacle": None}},
        "versions": {"tensorflow": "2.21.0", "transformers": "5.23.0", "torch": "2.13.0+cpu"},
        "notes": [],
        "files": hashes(folder, "parity.json"),
    }
    (folder / "parity.json").write_text(json.dumps({**record, **changes}, indent=2) + "\n")


def write_training(folder: Path, **changes: Any) -> None:
    """Write a training.json as pretrain does, in the place of the records of a conversion."""
    for name in ("parity.json", "conversion.json", "training.json"):
        (folder / name).unlink(missing_ok=True)
    tool = {"name": "electra_convert", "version": "0.1.0"}
    record = {
        "schema": 1,
        "tool": tool,
        "variant": "default",
        "step": 4000,
        "hparams": {},
        "files": hashes(folder, "training.json"),
    }
    (folder / "training.json").write_text(json.dumps({**record, **changes}, indent=2) + "\n")


def hashes(folder: Path, record: str) -> dict[str, str]:
    """The SHA-256 of every file that the folder holds now, but for the record itself."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != record
    }
