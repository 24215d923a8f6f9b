"""Hparams of a model that trains in a second or two, and runs in processes of their own that begin at once."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path
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
# What takes seconds to import; the server does so once, and what it forks has it.
_IMPORTED = ["torch", "transformers.models.electra.modeling_electra", "accelerate", "matplotlib.figure"]


def start(target: Callable[..., None], *arguments: Any) -> BaseProcess:
    """Start a function of a module in a process that runs nothing else, and has torch imported."""
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(_IMPORTED)
    process = server.Process(target=target, args=arguments)
    process.start()
    return process


def pretrain_until_killed(
    step: int, while_saving: bool, corpus: Path, output: Path, options: Mapping[str, Any]
) -> None:
    """Pretrain, and be killed by the kernel's hand after a step, or in the middle of the next save."""
    import torch

    from electra_convert import pretrain
    from electra_convert.pretraining import checkpoints
    from electra_convert.pretraining.progress import Silent

    def kill(*_: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    class Killer(Silent):
        def stepped(self, number: int, total: int, losses: Mapping[str, float]) -> None:
            if number == step:
                kill()

    if while_saving:
        checkpoints.write_file = kill
    torch.set_num_threads(1)
    pretrain(corpus, output, Killer(), **options)


def pretrain_until_signalled(number: int, step: int, arguments: list[str]) -> None:
    """Run the command, and be sent a signal as soon as a step is shown."""
    import torch

    from electra_convert.cli import main
    from electra_convert.cli.training_display import TrainingDisplay

    def stepped(_self: TrainingDisplay, shown: int, _total: int, _losses: Mapping[str, float]) -> None:
        if shown == step:
            signal.raise_signal(number)

    TrainingDisplay.stepped = stepped  # type: ignore[method-assign]
    torch.set_num_threads(1)
    # A process of multiprocessing inherits what its parent ignores.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    main(arguments)


def pretrain_as_one_of_two(rank: int, port: int, arguments: list[str]) -> None:
    """Run the command as accelerate and torchrun start it, in one of two processes."""
    import torch

    from electra_convert.cli import main

    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "ACCELERATE_USE_CPU": "true"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    main(arguments)
