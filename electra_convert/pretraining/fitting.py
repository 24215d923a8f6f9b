"""What a step takes of memory, tried out before a run with steps that are forgotten; and how much a run may take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch

from electra_convert.frameworks import import_accelerate
from electra_convert.pretraining.batches import Batches
from electra_convert.pretraining.loop import mask_of, on_device, summed
from electra_convert.pretraining.memory import expected, gigabytes, most_within, resident
from electra_convert.pretraining.model import Electra
from electra_convert.pretraining.options import PretrainOptions, Settings
from electra_convert.pretraining.progress import Reporter
from electra_convert.pretraining.train_state import TrainState
from electra_convert.schemes.mapping import SLOT_NAMES


def trial(
    state: TrainState,
    batches: Batches,
    settings: Settings,
    options: PretrainOptions,
    accelerator: Any,  # noqa: ANN401
) -> Callable[[int], int]:
    """What computes gradients of some sequences, forgets them, and tells the bytes in use at the most.

    Those after the forward pass, when all that the gradients need is kept, and the gradients, which come last.
    """
    electra = Electra(state.networks, settings).train()
    gradients = sum(int(weight.nbytes) for weight in electra.parameters())
    device = accelerator.device

    def used(sequences: int) -> int:
        batch = batches.training(0, slice(0, sequences))
        # What padding needs beside.
        tensors = on_device(batch, device)._replace(attention_mask=mask_of(batch, device))
        with torch.random.fork_rng(), accelerator.autocast():
            masked_lm, disc = summed(electra(tensors), tensors)
        kept = resident(device) + gradients
        torch.autograd.backward(settings.gen_weight * masked_lm + settings.disc_weight * disc)
        electra.zero_grad()
        return max(kept, resident(device))

    return used


def within_memory(
    limit: int,
    state: TrainState,
    batches: Batches,
    settings: Settings,
    options: PretrainOptions,
    before: Mapping[str, Any],
    accelerator: Any,  # noqa: ANN401
    reporter: Reporter,
) -> PretrainOptions:
    """The options with as many parts as the limit of memory takes; those that the run began with where it is resumed.

    Args:
        limit: in bytes.
        state: what is trained.
        batches: where the sequences come from.
        settings: the training hparams.
        options: what was asked for.
        before: how the run was computed when it began; empty for one that begins.
        accelerator: accelerate's Accelerator.
        reporter: told of the parts.

    Raises:
        TrainingError: even the smallest parts take more.
    """
    share = settings.train_batch_size // accelerator.num_processes
    if before.get("memory_limit") == limit:
        parts = before["accumulate"]
    else:
        used = trial(state, batches, settings, options, accelerator)
        sizes = [size for size in range(1, share + 1) if not share % size and share // size >= options.accumulate]
        parts = share // most_within(limit, sizes, used, resident(accelerator.device))
    told = f"Each batch is computed in {parts} parts" if parts > 1 else "Batches are computed whole"
    reporter.noticed(f"{told}, {share // parts} sequences at a time, to stay below {gigabytes(limit)}.")
    return replace(options, accumulate=parts)


def as_the_first(options: PretrainOptions, accelerator: Any) -> PretrainOptions:  # noqa: ANN401
    """The options with as many parts as the first process computes, which alone has tried how many fit."""
    if options.memory_limit is None or accelerator.num_processes == 1:
        return options
    parts = [options.accumulate]
    import_accelerate("to share what fits").utils.broadcast_object_list(parts)
    return replace(options, accumulate=parts[0])


def estimated(
    state: TrainState,
    batches: Batches,
    settings: Settings,
    options: PretrainOptions,
    accelerator: Any,  # noqa: ANN401
) -> int:
    """The bytes that a process is expected to take at the most while it trains."""
    share = settings.train_batch_size // (accelerator.num_processes * options.accumulate)
    step = expected(share, trial(state, batches, settings, options, accelerator))
    weights = {parameter for group in state.optimizer.param_groups for parameter in group["params"]}
    # Moments that are still zero have a place, but no memory yet.
    return step if state.step else step + len(SLOT_NAMES) * sum(int(weight.nbytes) for weight in weights)
