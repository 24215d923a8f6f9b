"""The product's own training on recorded batches, and how far what it computes is from what was recorded."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import FIXTURES, write_bundle
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]
VARIANTS = ("default", "masked_lm", "uniform_generator", "untied_embeddings")
STEPS, BATCH, LENGTH = 20, 8, 32
SLOTS = ("adam_m", "adam_v")
# The largest difference allowed: of losses, norms and rates as a share of each, of tensors as one of their largest
# magnitude.
TOLERANCES = {
    "mlm_loss": 1e-6,
    "disc_loss": 1e-6,
    "total_loss": 1e-6,
    "grad_norm": 1e-5,
    "learning_rate": 1e-6,
    "gradient": 1e-5,
    "weight": 5e-5,
    "adam_m": 5e-5,
    "adam_v": 5e-5,
}
# What is the same for every key moves no softmax: the gradient of this bias is nothing but rounding.
_KEY_BIAS = "attention.self.key.bias"
_ROUNDING = 1e-7


@dataclass(frozen=True)
class Outcome:
    """What 20 steps compute; tensors are called "role/NAME", slots "role/NAME/adam_m", by transformers' names.

    Attributes:
        scalars: of each step, [steps], by the names of TOLERANCES.
        gradients: those of the first step, clipped.
        variables: the weights after the last step, and their slots.
    """

    scalars: Arrays
    gradients: Arrays
    variables: Arrays


@dataclass(frozen=True)
class Recording:
    """A run.

    Attributes:
        hparams: what it goes by.
        batches: what the networks are given, [steps, batch, ...] each.
        start: the weights before the first step, by TensorFlow's names.
    """

    hparams: Mapping[str, Any]
    batches: Arrays
    start: Arrays


def golden(variant: str) -> tuple[Recording, Outcome]:
    """A run of Google's code, and what it computed."""
    from electra_convert.formats.tf_bundle import open_source

    folder = FIXTURES / "training" / variant
    steps = dict(np.load(folder / "steps.npz"))
    clip = max(1.0, float(steps["grad_norm"][0]))
    gradients = {name: gradient / np.float32(clip) for name, gradient in _named(steps, "g1")}
    with open_source(folder / "model.ckpt-20") as source:
        variables = {name: tensor.read() for name, tensor in source.tensors.items()}
    recording = Recording(json.loads((folder / "hparams.json").read_text()), steps, dict(_named(steps, "w0")))
    scalars = {name: steps[name] for name in TOLERANCES if name in steps}
    return recording, Outcome(scalars, by_parameter(gradients), by_parameter(variables))


def _named(arrays: Arrays, kind: str) -> Iterator[tuple[str, NDArray[Any]]]:
    return ((key.partition("|")[2], array) for key, array in arrays.items() if key.startswith(f"{kind}|"))


def replay(recording: Recording, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Outcome:
    """Train as the product does, fed with recorded batches.

    Args:
        recording: the run.
        monkeypatch: puts recorded replacements in the place of the generator's samples.
        options: more of PretrainOptions.

    Returns:
        What it computes.
    """
    import torch
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    from electra_convert.pretraining import loop
    from electra_convert.pretraining.pauses import Pauses

    corrupted = torch.from_numpy(_rows(recording, "corrupted_input_ids" if _fakes(recording) else "input_ids"))

    class Replayed(loop.Electra):
        def replaced(self, batch: Any, sampled: torch.Tensor) -> torch.Tensor:
            return corrupted[(batch.sample[:, 0] * len(corrupted)).round().long()]

    monkeypatch.setattr(loop, "Electra", Replayed)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        state, settings, chosen = _begun(recording, Path(place), options)
    seen = _Seen(state)
    # Of a run before in the same process, whose precision may have been another.
    AcceleratorState._reset_state()
    accelerator = Accelerator(cpu=True, mixed_precision="bf16" if chosen.precision == "bfloat16" else "no")
    loop.train(state, Recorded(recording), settings, chosen, accelerator, seen, Pauses(None, print))
    return seen.outcome(settings)


def require_golden_as_one_of_two(rank: int, port: int, variant: str) -> None:
    """Replay a recorded run in one of two processes, each of which has half of every batch."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "ACCELERATE_USE_CPU": "true"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    recording, expected = golden(variant)
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert differences(replay(recording, monkeypatch), expected) == {}


def _fakes(recording: Recording) -> bool:
    return "corrupted_input_ids" in recording.batches


def _rows(recording: Recording, name: str) -> NDArray[Any]:
    """An array of all batches, one sequence a row."""
    array = recording.batches[name]
    wide = array.astype(np.float32 if array.dtype == np.float32 else np.int64)
    return wide.reshape(STEPS * BATCH, -1)


def _begun(recording: Recording, place: Path, given: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """The state at its start, made from a checkpoint on disk as any run with --init-from makes it."""
    import torch

    from electra_convert.pretraining.options import PretrainOptions
    from electra_convert.pretraining.prepare import prepare
    from electra_convert.pretraining.progress import Silent
    from electra_convert.pretraining.starting.start import opened
    from electra_convert.pretraining.train_state import begin, make_state

    write_bundle(place / "model.ckpt-0", recording.start)
    (place / "hparams.json").write_text(json.dumps(recording.hparams))
    (place / "corpus.txt").write_text("the name of the file\n" * 40)
    options = PretrainOptions(
        init_from=place, vocab=FIXTURES / "vocab.txt", cache=place / "cache", log_steps=1, **given
    )
    with opened(None, options) as start:
        preparation = prepare([place / "corpus.txt"], options, start, None, Silent())
        state = make_state(preparation, torch.device("cpu"), options.compile)
        begin(state, preparation.start, preparation.settings, options, Silent())
    return state, preparation.settings, options


class Recorded:
    """The batches of a recording, in the place of those of a corpus; a row's first "sample" says which it is."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def training(self, step: int, part: slice) -> Any:
        """Part of a step's batch."""
        from electra_convert.pretraining.batches import Batch
        from electra_convert.pretraining.corpus.cache import Inputs

        rows = np.arange(STEPS * BATCH)[step * BATCH : (step + 1) * BATCH][part]
        taken = {name: _rows(self._recording, name)[rows] for name in _FED}
        sample = np.repeat(rows[:, None] / np.float32(STEPS * BATCH), taken["masked_lm_positions"].shape[1], 1)
        return Batch(
            Inputs(taken["input_ids"], taken["input_mask"] > 0, taken["segment_ids"]),
            taken["masked_input_ids"],
            taken["masked_lm_positions"],
            taken["masked_lm_weights"],
            sample.astype(np.float32),
        )

    @property
    def evaluations(self) -> int:
        """Nothing is held out."""
        return 0


_FED = (
    "input_ids", "input_mask", "segment_ids", "masked_input_ids", "masked_lm_positions", "masked_lm_weights",
)  # fmt: skip


class _Seen:
    """Takes note of what a run reports, and of what its optimiser is given."""

    def __init__(self, state: Any) -> None:
        self._state, self._rows, self._rates = state, [], []
        self._gradients: dict[str, NDArray[Any]] = {}
        state.optimizer.register_step_pre_hook(self._stepping)

    def _stepping(self, optimizer: Any, *_: Any) -> None:
        self._rates.append(optimizer.param_groups[0]["lr"])
        if not self._gradients:
            self._gradients = {name: one.grad.numpy().copy() for name, one in _parameters(self._state.networks)}

    def report(self, step: int, losses: list[list[float]], pace: Any) -> None:
        """Keep the losses."""
        self._rows += losses

    def evaluating(self, done: int, total: int) -> None:
        """Pass over it."""

    def evaluated(self, step: int, metrics: dict[str, float]) -> None:
        """Pass over it."""

    def save(self, state: Any) -> None:
        """Pass over it."""

    def outcome(self, settings: Any) -> Outcome:
        """All that was seen."""
        from electra_convert.pretraining.optimizer import moments_of

        masked_lm, disc, norm = np.array(self._rows).T
        total = settings.gen_weight * masked_lm + settings.disc_weight * disc
        scalars = {"mlm_loss": masked_lm, "total_loss": total, "grad_norm": norm}
        scalars |= {"learning_rate": np.array(self._rates)}
        if "discriminator" in self._state.networks:
            scalars["disc_loss"] = disc
        variables = {}
        for name, parameter in _parameters(self._state.networks):
            variables[name] = parameter.detach().numpy()
            for slot, moment in moments_of(self._state.optimizer, parameter).items():
                variables[f"{name}/{slot}"] = moment.numpy()
        return Outcome(scalars, self._gradients, variables)


def _parameters(networks: Any) -> Iterator[tuple[str, Any]]:
    from electra_convert.pretraining.model import named_weights

    for role, network in networks.items():
        for name, parameter in named_weights(network).items():
            yield f"{role}/{name}", parameter


def differences(found: Outcome, expected: Outcome, **tolerances: float) -> dict[str, str]:
    """Where a replay is not what was recorded.

    Args:
        found: of the replay.
        expected: what was recorded.
        tolerances: others than TOLERANCES.

    Returns:
        For each of TOLERANCES that is exceeded, by how much and where; empty where all is as it was recorded.
    """
    allowed = {**TOLERANCES, **tolerances}
    assert set(found.scalars) == set(expected.scalars)
    far = {name: (_relative(found.scalars[name], recorded), name) for name, recorded in expected.scalars.items()}
    for kind, tensors, recorded in (
        ("gradient", found.gradients, expected.gradients),
        ("variables", found.variables, expected.variables),
    ):
        assert set(tensors) == set(recorded)
        for name, values in recorded.items():
            place = kind if kind == "gradient" else name.rpartition("/")[2] if name.endswith(SLOTS) else "weight"
            far[place] = max(far.get(place, (0.0, "")), (_share(name, tensors[name], values), name))
    return {
        kind: f"{distance:.1e} at {name}" for kind, (distance, name) in far.items() if not distance <= allowed[kind]
    }


def _relative(found: NDArray[Any], expected: NDArray[Any]) -> float:
    scale = np.maximum(np.abs(expected), np.finfo(np.float32).tiny)
    return float((np.abs(found - expected.astype(np.float64)) / scale).max())


def _share(name: str, found: NDArray[Any], expected: NDArray[Any]) -> float:
    difference = float(np.abs(found - expected.astype(np.float64)).max())
    if _KEY_BIAS in name:
        return 0.0 if difference <= _ROUNDING else np.inf
    return difference / max(float(np.abs(expected).max()), np.finfo(np.float32).tiny)


def by_parameter(variables: Arrays) -> dict[str, NDArray[Any]]:
    """TensorFlow's variables by role and transformers' names, as the product reads them from a checkpoint."""
    from electra_convert.checkpoint import open_path

    with tempfile.TemporaryDirectory() as place:
        write_bundle(Path(place) / "model.ckpt-0", variables)
        with open_path(Path(place)) as checkpoint:
            read = {}
            for role, model in checkpoint.models.items():
                read |= {f"{role}/{name}": weight.read() for name, weight in model.weights.items()}
                for name, slot in model.slots.items():
                    parameter, _, kind = name.rpartition(".")
                    read[f"{role}/{parameter}/{kind}"] = slot.read()
            return read
