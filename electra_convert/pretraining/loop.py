"""The training loop, top to bottom; what it loops over, and what it leaves behind, is made elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from math import isfinite
from typing import Any, NamedTuple, Protocol

import torch
from numpy.typing import NDArray

from electra_convert.errors import TrainingError
from electra_convert.frameworks import import_accelerate
from electra_convert.pretraining.batches import Batch, Batches, dropout_seed
from electra_convert.pretraining.google_metrics import Counts, GoogleTally
from electra_convert.pretraining.metrics import Tally, merged
from electra_convert.pretraining.model import Electra, Tensors
from electra_convert.pretraining.objective import Outputs
from electra_convert.pretraining.optimizer import clip_gradients, learning_rate, set_learning_rate
from electra_convert.pretraining.options import PretrainOptions, Settings
from electra_convert.pretraining.pauses import ENDS, Pause, Pauses
from electra_convert.pretraining.sampled_softmax import SharedCandidates
from electra_convert.pretraining.token_norms import TokenNorms, only_looked_up
from electra_convert.pretraining.train_state import Losses, TrainState

# What is reported of every step: both losses in nats, and the gradients' norm before it is clipped.
LOSSES = ("masked_lm_loss", "disc_loss", "gradient_norm")


class NotFiniteError(TrainingError):
    """A loss, a gradient or a metric is no finite number."""


class Pace(NamedTuple):
    """How fast steps are computed."""

    tokens_per_second: float
    seconds_per_step: float


class Hooks(Protocol):
    """What happens between steps; all processes call all of it."""

    def report(self, step: int, losses: Losses, pace: Pace) -> None:
        """The losses of the steps since the last report, one row of LOSSES a step."""

    def evaluating(self, done: int, total: int) -> None:
        """So many batches of held-out sequences have been looked at."""

    def evaluated(self, step: int, metrics: dict[str, float]) -> None:
        """The metrics of the held-out sequences."""

    def save(self, state: TrainState) -> None:
        """The state is worth keeping."""


def train(
    state: TrainState,
    batches: Batches,
    settings: Settings,
    options: PretrainOptions,
    accelerator: Any,  # noqa: ANN401 - accelerate.Accelerator
    hooks: Hooks,
    pauses: Pauses,
) -> Pause | None:
    """Train from the step that a state is at to the last, or to where the run is to pause.

    Returns:
        Why it ends before the last step, saved and with reports yet to come; None where it does not.

    Raises:
        NotFiniteError: a loss, a gradient or a metric is no finite number; nothing has been saved since.
    """
    steps = _Steps(state, settings, options, accelerator)
    watch = _Stopwatch()
    with torch.random.fork_rng():
        for step, work in _prepared_ahead(state.step, batches, settings, options, accelerator):
            watch.count(steps.take(step, work))
            state.step = done = step + 1
            reports, saves = done % options.log_steps == 0, done % settings.save_checkpoints_steps == 0
            last = done == settings.num_train_steps
            pause = None if last else pauses.due(accelerator)
            if reports or saves or last or pause:
                state.pending += steps.read(done)
            if reports or last:
                hooks.report(done, state.pending, watch.pace)
                state.pending = []
            if saves or last:
                _evaluate(steps.model, state, batches, settings, options, accelerator, hooks)
            if saves or last or pause:
                hooks.save(state)
                pauses.saved()
            if pause in ENDS:
                return pause
            if reports or saves or pause:
                watch = _Stopwatch()
    return None


class _Stopwatch:
    """Counts steps and their tokens from when it is made."""

    def __init__(self) -> None:
        self._began, self._steps, self._tokens = time.perf_counter(), 0, torch.zeros(())

    def count(self, tokens: torch.Tensor) -> None:
        self._steps, self._tokens = self._steps + 1, self._tokens + tokens

    @property
    def pace(self) -> Pace:
        seconds = time.perf_counter() - self._began
        return Pace(float(self._tokens) / seconds, seconds / self._steps)


class _Part(NamedTuple):
    """A part of a step's batch in memory that a GPU copies from, with the tokens to be predicted, and all tokens."""

    tensors: Tensors
    predictions: float
    present: float


def _part(batch: Batch, device: torch.device) -> _Part:
    return _Part(_on_host(batch, device), float(batch.weights.sum()), float(batch.inputs.input_mask.sum()))


def _prepared_ahead(
    start: int,
    batches: Batches,
    settings: Settings,
    options: PretrainOptions,
    accelerator: Any,  # noqa: ANN401
) -> Iterator[tuple[int, list[_Part]]]:
    """Each step with this process's share of its batch, in parts; the next is made while a step is computed."""
    parts = options.accumulate
    share = settings.train_batch_size // (accelerator.num_processes * parts)
    firsts = [(accelerator.process_index * parts + part) * share for part in range(parts)]

    def prepared(step: int) -> list[_Part]:
        batch = [batches.training(step, slice(first, first + share)) for first in firsts]
        return [_part(part, accelerator.device) for part in batch]

    with ThreadPoolExecutor(1) as ahead:
        following = ahead.submit(prepared, start)
        for step in range(start, settings.num_train_steps):
            work = following.result()
            following = ahead.submit(prepared, step + 1)
            yield step, work


class _Steps:
    """Updates of a state, whose losses stay on the device until they are asked for."""

    def __init__(
        self,
        state: TrainState,
        settings: Settings,
        options: PretrainOptions,
        accelerator: Any,  # noqa: ANN401
    ) -> None:
        electra = Electra(state.networks, settings)
        self._parameters = list(electra.parameters())
        # Google's way is that of its own models, whose softmax is known to have the table or not.
        per_token = settings.clip_norm == "per_token" and state.plan is None
        looked_up = only_looked_up(state.networks.values()) if per_token else []
        self._token_norms = TokenNorms(looked_up) if looked_up else None
        # As a part of what is prepared its gradient is shared between processes.
        electra.add_module("token_norms", self._token_norms)
        self.model = accelerator.prepare(torch.compile(electra) if options.compile else electra)
        self.model.train()
        self._optimizer, self._settings, self._seed = state.optimizer, settings, options.seed
        self._accelerator = accelerator
        self._unread: list[torch.Tensor] = []

    def take(self, step: int, work: Sequence[_Part]) -> torch.Tensor:
        """Update the state by one step; tells how many tokens that took, over all processes, a scalar."""
        accelerator = self._accelerator
        predictions, present = _counts(work, accelerator)
        losses = torch.zeros(len(LOSSES), device=accelerator.device)
        for number, part in enumerate(work):
            torch.manual_seed(dropout_seed(self._seed, step, accelerator.process_index, number))
            with accelerator.no_sync(self.model) if number < len(work) - 1 else nullcontext():
                losses[:2] += self._differentiated(part.tensors, predictions, present)
        losses[2] = self._clipped() / accelerator.num_processes
        set_learning_rate(self._optimizer, learning_rate(self._settings, step))
        self._optimizer.step()
        self._optimizer.zero_grad()
        self._unread.append(losses)
        return present

    def _clipped(self) -> torch.Tensor:
        """Clip the gradients; gives their norm before."""
        if self._token_norms is None:
            return clip_gradients(self._parameters)
        norm = self._token_norms.take(self._accelerator.num_processes)
        return clip_gradients(self._parameters, self._token_norms.weights, norm)

    def _differentiated(self, part: Tensors, predictions: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        """Add a part's gradients to the others'; gives its share of both losses."""
        tensors = part.to(self._accelerator.device)
        masked_lm, disc = summed(self.model(tensors), tensors)
        masked_lm, disc = masked_lm / predictions, disc / present
        total = self._settings.gen_weight * masked_lm + self._settings.disc_weight * disc
        # Gradients are averaged over processes; the losses are shares of one sum over the whole batch.
        self._accelerator.backward(total * self._accelerator.num_processes)
        return torch.stack([masked_lm, disc]).detach()

    def read(self, step: int) -> Losses:
        """Fetch the losses up to a step from the device, only now, so that steps need not wait for it.

        Raises:
            TrainingError: one is no finite number.
        """
        rows = torch.stack(self._unread)
        if self._accelerator.num_processes > 1:
            rows = self._accelerator.reduce(rows, "sum")
        first = step - len(self._unread) + 1
        self._unread.clear()
        losses: Losses = rows.tolist()
        for number, row in enumerate(losses):
            _require_finite(dict(zip(LOSSES, row, strict=True)), f"step {first + number}")
        return losses


def _evaluated_at_once(settings: Settings, options: PretrainOptions, accelerator: Any) -> int:  # noqa: ANN401
    """Where a batch is trained on in parts, to save memory, evaluation takes no larger ones."""
    if options.accumulate == 1:
        return settings.eval_batch_size
    part: int = settings.train_batch_size // (accelerator.num_processes * options.accumulate)
    return part


def evaluate_alone(
    state: TrainState,
    batches: Batches,
    settings: Settings,
    options: PretrainOptions,
    accelerator: Any,  # noqa: ANN401 - accelerate.Accelerator
    hooks: Hooks,
) -> None:
    """Evaluate a state as it is, and train nothing.

    Raises:
        NotFiniteError: a metric is no finite number.
    """
    model = _Steps(state, settings, options, accelerator).model
    _evaluate(model, state, batches, settings, options, accelerator, hooks)


def _evaluate(
    model: torch.nn.Module,
    state: TrainState,
    batches: Batches,
    settings: Settings,
    options: PretrainOptions,
    accelerator: Any,  # noqa: ANN401
    hooks: Hooks,
) -> None:
    at_once = _evaluated_at_once(settings, options, accelerator)
    metrics = evaluate(model, batches, settings, accelerator, at_once, hooks.evaluating)
    _require_finite(metrics, f"evaluating after step {state.step}")
    hooks.evaluated(state.step, metrics)


def evaluate(
    model: torch.nn.Module,
    batches: Batches,
    settings: Settings,
    accelerator: Any,  # noqa: ANN401
    at_once: int,
    progress: Callable[[int, int], None],
) -> dict[str, float]:
    """Look at the held-out sequences, which the processes share; no metrics where nothing is held out.

    There are two sets: exact ones, and those that Google's code would report.

    Args:
        model: the prepared model; it is in training mode before and after.
        batches: where the sequences come from.
        settings: the training hparams.
        accelerator: accelerate's Accelerator.
        at_once: how many sequences are computed together at most.
        progress: is told how many batches of how many have been looked at.
    """
    if not batches.evaluations:
        return {}
    log_frequencies = torch.from_numpy(batches.log_frequencies).to(accelerator.device)
    tally, google = Tally(), GoogleTally(settings)
    model.eval()
    with torch.no_grad():
        for number, batch in enumerate(batches.evaluation()):
            if number % accelerator.num_processes == accelerator.process_index:
                tensors = on_device(batch, accelerator.device)
                present = torch.from_numpy(batch.inputs.input_mask).to(accelerator.device)
                # The wrapped model would wait for processes that have one batch fewer.
                with accelerator.autocast():
                    outputs = _in_parts(accelerator.unwrap_model(model), batch, at_once, accelerator.device)
                tally.add(tensors, outputs, present, log_frequencies)
                google.add(tensors, outputs, present)
            progress(number + 1, batches.evaluations)
    model.train()
    counts = google.counts
    if accelerator.num_processes > 1:
        gathered = import_accelerate("to gather metrics").utils.gather_object([(tally, counts)])
        tally, counts = merged(one for one, _ in gathered), sum((other for _, other in gathered), Counts())
    return tally.metrics() | counts.metrics() if tally.predicted else {}


def _in_parts(model: torch.nn.Module, batch: Batch, at_once: int, device: torch.device) -> Outputs:
    """What a pass computes of a batch, of so many sequences at once."""
    parts = [model(on_device(part, device)) for part in batch.parts(at_once)]
    return Outputs._make(None if one[0] is None else torch.cat(one) for one in zip(*parts, strict=True))


def on_device(batch: Batch, device: torch.device) -> Tensors:
    """Put a batch where it is computed."""
    return _on_host(batch, device).to(device)


def _on_host(batch: Batch, device: torch.device) -> Tensors:
    """A batch in memory that a device copies from; without a mask, which costs time, where there is no padding."""

    def here(values: NDArray[Any] | torch.Tensor) -> torch.Tensor:
        tensor = torch.as_tensor(values)
        return tensor.pin_memory() if device.type == "cuda" else tensor

    drawn = batch.candidates
    full = bool(batch.inputs.input_mask.all())
    return Tensors(
        input_ids=here(batch.inputs.input_ids),
        masked_ids=here(batch.masked_ids),
        segment_ids=here(batch.inputs.segment_ids),
        attention_mask=None if full else here(batch.inputs.input_mask[:, None, None, :]),
        positions=here(batch.positions),
        weights=here(batch.weights),
        sample=here(batch.sample),
        candidates=None if drawn is None else SharedCandidates(here(drawn.ids), drawn.tries, drawn.vocabulary),
    )


def mask_of(batch: Batch, device: torch.device) -> torch.Tensor:
    """The attention mask of a batch on a device, [batch, 1, 1, length], true where there is a token."""
    return torch.from_numpy(batch.inputs.input_mask[:, None, None, :]).to(device, non_blocking=True)


def _counts(work: Sequence[_Part], accelerator: Any) -> tuple[torch.Tensor, torch.Tensor]:  # noqa: ANN401
    """The tokens to be predicted, and all tokens, of a step over all processes; at least 1 each."""
    counts = torch.tensor([part[1:] for part in work], dtype=torch.float32).sum(0)
    if accelerator.num_processes > 1:
        counts = accelerator.reduce(counts.to(accelerator.device, non_blocking=True), "sum")
    predictions, present = counts.clamp(min=1)
    return predictions, present


def summed(outputs: Outputs, tensors: Tensors) -> tuple[torch.Tensor, torch.Tensor]:
    """Both losses summed over the tokens that count."""
    masked_lm = (outputs.masked_lm_losses * tensors.weights).sum()
    if outputs.disc_losses is None:
        return masked_lm, torch.zeros((), device=masked_lm.device)
    if tensors.attention_mask is None:
        return masked_lm, outputs.disc_losses.sum()
    return masked_lm, (outputs.disc_losses * tensors.attention_mask[:, 0, 0]).sum()


def _require_finite(values: Mapping[str, float], what: str) -> None:
    if not all(map(isfinite, values.values())):
        told = ", ".join(f"{name} {value}" for name, value in values.items())
        raise NotFiniteError(f"{what} went wrong: {told}")
