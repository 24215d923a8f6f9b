"""parity.json as verify writes it beside a model, for tests that need a verified folder and no TensorFlow."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any


def write_parity(folder: Path, **changes: Any) -> None:
    """Write a passed record of all files that the folder holds now."""
    generator = "MaskedLM" in (folder / "config.json").read_text()
    row = {"max_abs": 2.86e-06, "mean_abs": 1.9e-07, "relative": 3.1e-07, "cosine": 1.0}
    figures = dict.fromkeys(("logits", "embeddings", "layer 1", "layer 2"), row)
    record = {
        "schema": 1,
        "tool": {"name": "electra_convert", "version": "0.1.0"},
        "verdict": "same",
        "weights_only": False,
        "role": "generator" if generator else "discriminator",
        "reference": {"name": "model.ckpt-4000", "format": "tensorflow"},
        "candidate": {"name": folder.name, "format": "safetensors"},
        "summary": "All 43 tensors are equal bit by bit, and the logits differ by at most 2.86e-06.",
        "reasons": [],
        "weights": {"tensors": 43, "equal": 43, "rounded_to": None, "differing": []},
        "forward": {
            "reference": "TensorFlow 2.21.0",
            "candidate": "transformers 5.23.0 on torch 2.13.0+cpu",
            "inputs": [{"name": "pairs", "rows": 8, "length": 128}],
            "positions": 1408,
            "tolerance": 1e-4,
            "figures": figures,
        },
        "versions": {"electra_convert": "0.1.0", "python": "3.11"},
        "files": {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.iterdir())
            if path.is_file() and path.name != "parity.json"
        },
    }
    (folder / "parity.json").write_text(json.dumps({**record, **changes}, indent=2) + "\n")
