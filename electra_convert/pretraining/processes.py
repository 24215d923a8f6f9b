"""How a run is spread over processes, devices and parts of a batch; trains nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from electra_convert.errors import ConfigError, TrainingError
from electra_convert.frameworks import import_accelerate, import_torch
from electra_convert.pretraining.options import PretrainOptions
from electra_convert.pretraining.preparation import Preparation

_PATIENCE = timedelta(days=2)
# What gloo and NCCL say where another process has ended.
_PEER_GONE = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "remote process exited")


def accelerator_of(options: PretrainOptions) -> Any:  # noqa: ANN401 - accelerate.Accelerator
    """Join the processes of a run, each on its device.

    Raises:
        ConfigError: accelerate is configured for a way in which a process does not hold all weights.
    """
    accelerate = import_accelerate("to pretrain")
    distributed = accelerate.DistributedDataParallelKwargs(gradient_as_bucket_view=True)
    # The others wait for the first process while it tokenises; their patience ends after minutes by default.
    patience = accelerate.InitProcessGroupKwargs(timeout=_PATIENCE)
    # Of a run before in the same process, whose precision may have been another.
    accelerate.state.AcceleratorState._reset_state()
    # Accumulating and compiling are options here; what accelerate's environment says of them would come on top.
    accelerator = accelerate.Accelerator(
        mixed_precision="bf16" if options.precision == "bfloat16" else "no",
        gradient_accumulation_plugin=accelerate.utils.GradientAccumulationPlugin(num_steps=1),
        dynamo_backend="no",
        kwargs_handlers=[distributed, patience],
    )
    _require_whole_copies(accelerator.distributed_type.value)
    return accelerator


def _require_whole_copies(distribution: str) -> None:
    """Refuse ways of distributing a run (accelerate's DistributedType) in which a process does not hold all weights,
    or computes by other steps."""
    if distribution != "NO" and not distribution.startswith("MULTI_"):
        raise ConfigError(
            f"accelerate is configured for {distribution}; here every process trains a copy of the whole models",
            "Choose multi-GPU in `accelerate config`, or give `accelerate launch --multi_gpu`.",
        )


def computed_by(options: PretrainOptions, accelerator: Any) -> dict[str, Any]:  # noqa: ANN401
    """How a run is computed, for its record: what may change its numbers in their last bits."""
    return {
        "accumulate": options.accumulate,
        **({} if options.memory_limit is None else {"memory_limit": options.memory_limit}),
        "compile": options.compile,
        "processes": accelerator.num_processes,
        "device": accelerator.device.type,
        "threads": import_torch("to pretrain").get_num_threads(),
    }


def check_split(preparation: Preparation, options: PretrainOptions, accelerator: Any) -> None:  # noqa: ANN401
    """Refuse a batch that processes and parts cannot share evenly, by a ConfigError."""
    size, parts = preparation.settings.train_batch_size, accelerator.num_processes * options.accumulate
    if size % parts:
        raise ConfigError(
            f"a batch of {size} sequences cannot be split evenly among {accelerator.num_processes} processes with "
            f"{options.accumulate} parts each",
            f"train_batch_size counts the sequences of all processes; make it a multiple of {parts}.",
        )


def told_of(error: RuntimeError, rank: int, smaller: str, compiled: bool = False) -> TrainingError | None:
    """What a user can do something about among torch's errors; None for the others.

    Args:
        error: what torch raised.
        rank: of this process.
        smaller: what takes less memory.
        compiled: whether the model was compiled.
    """
    said, kind = str(error), type(error)
    line = said.strip().partition("\n")[0]
    if kind.__name__ == "OutOfMemoryError" or "can't allocate memory" in said:
        return TrainingError(f"memory ran out: {line}", smaller)
    if rank and any(sign in said for sign in _PEER_GONE):
        return TrainingError(f"process {rank} ends because another has", "What that one says tells why.")
    if compiled and kind.__module__.startswith(("torch._dynamo", "torch._inductor")):
        return TrainingError(
            f"torch.compile failed: {line}", "Leave --compile out; on a processor it needs a C++ compiler."
        )
    return None
