"""Hparams of a model that trains in a second or two."""

from __future__ import annotations

from typing import Any

TINY: dict[str, Any] = {
    "embedding_size": 32,
    "generator_hidden_size": 0.5,
    "model_hparam_overrides": {"hidden_size": 64, "num_hidden_layers": 2, "max_position_embeddings": 64},
    "max_seq_length": 64,
    "train_batch_size": 8,
    "eval_batch_size": 8,
    "num_train_steps": 12,
    "num_warmup_steps": 4,
    "learning_rate": 1e-3,
    "save_checkpoints_steps": 5,
}
