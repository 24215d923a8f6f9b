"""What the tests of pretraining share: a small corpus, hparams of a tiny model, and one thread to compute with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import FIXTURES

CORPUS = FIXTURES / "corpus"
# A model of a second or two.
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


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch):
    """On a shared machine two threads wait for each other longer than they compute."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def pretrained(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Callable[..., Any]:
    """Pretrains a tiny model on the corpus of the fixtures; tokenised corpora are kept for the session."""
    from electra_convert import pretrain

    def run(name: str = "run", corpus: Path = CORPUS, **options: Any):
        options = {"vocab": FIXTURES / "vocab.txt", "hparams": TINY, "log_steps": 4, "held_out": 0.1, **options}
        cache = tmp_path_factory.getbasetemp() / "tokenised"
        return pretrain(corpus, tmp_path / name, **{"cache": cache, **options})

    return run
