"""The training loop, top to bottom; what it loops over, and what it leaves behind, is made elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from math import isfinite
from typing import Any

import torch

from electra_convert.errors import TrainingError
from electra_convert.frameworks import import_accelerate
from electra_convert.pretraining.batches import Batches, dropout_seed
from electra_convert.pretraining.masking import Batch
from electra_convert.pretraining.metrics import Tally, merged
from electra_convert.pretraining.model import Electra, Outputs, Tensors
from electra_convert.pretraining.optimizer import clip_gradients, learning_rate, set_learning_rate
from electra_convert.pretraining.settings import Settings

Losses = list[list[float]]


@dataclass(frozen=True)
class Hooks:
    """What happens between steps, each told the global step; all processes call all of them.

    Attributes:
        report: the losses of the steps since the last report, one row of LOSSES a step, and tokens a second.
        evaluate: the metrics of the held-out sequences.
        save: the losses that have not been reported yet.
    """

    report: Callable[[int, Losses, float], None]
    evaluate: Callable[[int, dict[str, float]], None]
    save: Callable[[int, Losses], None]


# What is reported of every step: both losses in nats, and the gradients' norm before it is clipped.
LOSSES = ("masked_lm_loss", "disc_loss", "gradient_norm")


def train(
    electra: Electra,
    optimizer: torch.optim.AdamW,
    batches: Batches,
    settings: Settings,
    accelerator: Any,  # noqa: ANN401 - accelerate.Accelerator
    hooks: Hooks,
    *,
    start: int,
    pending: Losses,
    seed: int,
    parts: int,
    log_steps: int,
    compiled: bool,
) -> None:
    """Train from one step to the last.

    Args:
        electra: both networks, on the device they are trained on.
        optimizer: of all their parameters.
        batches: what they are trained on.
        settings: the training hparams.
        accelerator: where and in what precision it is computed.
        hooks: what happens between steps.
        start: the global step they are at.
        pending: losses of steps before it that have not been reported yet.
        seed: what dropout follows from.
        parts: how many parts each process's share of a batch is computed in.
        log_steps: steps from one report to the next.
        compiled: whether torch.compile is used.

    Raises:
        TrainingError: a loss, a gradient or a metric is no finite number; nothing has been saved since.
    """
    processes, process = accelerator.num_processes, accelerator.process_index
    share = settings.train_batch_size // (processes * parts)
    firsts = [(process * parts + part) * share for part in range(parts)]
    parameters = list(electra.parameters())
    model = accelerator.prepare(torch.compile(electra) if compiled else electra)
    model.train()
    unread: list[torch.Tensor] = []
    began, tokens = time.perf_counter(), 0.0

    def prepared(step: int) -> list[Batch]:
        return [batches.training(step, slice(first, first + share)) for first in firsts]

    with ThreadPoolExecutor(1) as ahead, torch.random.fork_rng():
        following = ahead.submit(prepared, start)
        for step in range(start, settings.num_train_steps):
            work = following.result()
            following = ahead.submit(prepared, step + 1)
            predictions, present = _counts(work, accelerator)
            losses = torch.zeros(len(LOSSES), device=accelerator.device)
            for number, batch in enumerate(work):
                torch.manual_seed(dropout_seed(seed, step, process, number))
                with accelerator.no_sync(model) if number < parts - 1 else nullcontext():
                    tensors = on_device(batch, accelerator.device)
                    masked_lm, disc = _summed(model(tensors), tensors, batch, accelerator.device)
                    masked_lm, disc = masked_lm / predictions, disc / present
                    # Gradients are averaged over processes; the losses are shares of one sum over the whole batch.
                    total = settings.gen_weight * masked_lm + settings.disc_weight * disc
                    accelerator.backward(total * processes)
                losses[:2] += torch.stack([masked_lm, disc]).detach()
            losses[2] = clip_gradients(parameters) / processes
            set_learning_rate(optimizer, learning_rate(settings, step))
            optimizer.step()
            optimizer.zero_grad()
            unread.append(losses)
            tokens += present

            done = step + 1
            reports, saves = done % log_steps == 0, done % settings.save_checkpoints_steps == 0
            last = done == settings.num_train_steps
            if reports or saves or last:
                pending += _read(unread, accelerator, done)
            if reports or last:
                hooks.report(done, pending, tokens / (time.perf_counter() - began))
                pending = []
            if saves or last:
                metrics = evaluate(model, batches, accelerator)
                _require_finite(metrics, f"evaluating after step {done}")
                hooks.evaluate(done, metrics)
                hooks.save(done, pending)
            if reports or saves:
                began, tokens = time.perf_counter(), 0.0


def evaluate(model: torch.nn.Module, batches: Batches, accelerator: Any) -> dict[str, float]:  # noqa: ANN401
    """Look at the held-out sequences.

    Args:
        model: the prepared model; it is in training mode before and after.
        batches: where they come from.
        accelerator: the processes that share them.

    Returns:
        The metrics; empty where nothing is held out.
    """
    tally = Tally()
    model.eval()
    with torch.no_grad():
        for number, batch in enumerate(batches.evaluation()):
            if number % accelerator.num_processes == accelerator.process_index:
                tensors = on_device(batch, accelerator.device)
                present = torch.from_numpy(batch.inputs.input_mask).to(accelerator.device)
                # The wrapped model would wait for processes that have one batch fewer.
                with accelerator.autocast():
                    tally.add(tensors, accelerator.unwrap_model(model)(tensors), present)
    model.train()
    if accelerator.num_processes > 1:
        tally = merged(import_accelerate("to gather metrics").utils.gather_object([tally]))
    return tally.metrics() if tally.predicted else {}


def on_device(batch: Batch, device: torch.device) -> Tensors:
    """Put a batch where it is computed.

    Args:
        batch: the sequences.
        device: where.

    Returns:
        The tensors; without a mask where there is no padding, which attention is faster without.
    """

    def there(array: Any) -> torch.Tensor:  # noqa: ANN401 - a numpy array
        tensor = torch.from_numpy(array)
        return (tensor.pin_memory() if device.type == "cuda" else tensor).to(device, non_blocking=True)

    full = bool(batch.inputs.input_mask.all())
    return Tensors(
        input_ids=there(batch.inputs.input_ids),
        masked_ids=there(batch.masked_ids),
        segment_ids=there(batch.inputs.segment_ids),
        attention_mask=None if full else there(batch.inputs.input_mask[:, None, None, :]),
        positions=there(batch.positions),
        weights=there(batch.weights),
        sample=there(batch.sample),
    )


def _counts(work: Sequence[Batch], accelerator: Any) -> tuple[float, float]:  # noqa: ANN401
    """The tokens to be predicted, and all tokens, of a step over all processes; at least 1 each."""
    here = [[batch.weights.sum(), batch.inputs.input_mask.sum()] for batch in work]
    counts = torch.tensor(here, dtype=torch.float32).sum(0)
    if accelerator.num_processes > 1:
        counts = accelerator.reduce(counts.to(accelerator.device), "sum")
    predictions, present = counts.clamp(min=1).tolist()
    return predictions, present


def _summed(
    outputs: Outputs, tensors: Tensors, batch: Batch, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    masked_lm = (outputs.masked_lm_losses * tensors.weights).sum()
    if outputs.disc_losses is None:
        return masked_lm, torch.zeros((), device=device)
    if tensors.attention_mask is None:
        return masked_lm, outputs.disc_losses.sum()
    return masked_lm, (outputs.disc_losses * tensors.attention_mask[:, 0, 0]).sum()


def _read(unread: list[torch.Tensor], accelerator: Any, step: int) -> Losses:  # noqa: ANN401
    """Fetch losses from the device, only now, so that steps need not wait for it; they must be finite."""
    rows = torch.stack(unread)
    if accelerator.num_processes > 1:
        rows = accelerator.reduce(rows, "sum")
    first = step - len(unread) + 1
    unread.clear()
    losses: Losses = rows.tolist()
    for number, row in enumerate(losses):
        _require_finite(dict(zip(LOSSES, row, strict=True)), f"step {first + number}")
    return losses


def _require_finite(values: Mapping[str, float], what: str) -> None:
    if not all(map(isfinite, values.values())):
        told = ", ".join(f"{name} {value}" for name, value in values.items())
        raise TrainingError(
            f"{what} went wrong: {told}",
            "The run's checkpoints are from before it. Start from one of them (--init-from) with a lower "
            "learning_rate, or start anew with a longer warm-up.",
        )
