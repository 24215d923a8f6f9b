"""One model of one side made to compute, by the witness or by transformers in PyTorch; compares nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from electra_convert.checkpoint import Checkpoint, Model
from electra_convert.config.transformers import ARCHITECTURES, encode_config
from electra_convert.frameworks import import_torch, import_transformers
from electra_convert.parity.forward import Stages, stages_of
from electra_convert.parity.inputs import Batch
from electra_convert.parity.witness import Arithmetic, Outputs
from electra_convert.parity.witness_session import Testimony, WitnessSession
from electra_convert.pytorch import Precision, import_class, load_model

Rounded = Mapping[str, str]


@dataclass(frozen=True)
class Run:
    """What came of running a model.

    Attributes:
        stages: what it computed.
        framework: what with, in words.
        versions: of the packages that computed.
        notes: what the reader should know.
    """

    stages: Stages
    framework: str
    versions: Mapping[str, str]
    notes: tuple[str, ...] = ()


class Runner(Protocol):
    """Runs one model of a side."""

    def start(self, batches: Sequence[Batch], precision: Precision, rounded: Rounded) -> Callable[[], Run]:
        """Begin to run the model.

        Args:
            batches: what on.
            precision: what to compute in.
            rounded: weights to be rounded first, by transformers' names, and the dtype to round to.

        Returns:
            A function that waits for the result, or computes it then. It too raises the errors below.

        Raises:
            MissingPackageError: a framework is not installed.
            ElectraConvertError: the model cannot be run.
        """


@dataclass(frozen=True)
class WitnessRunner:
    """A TensorFlow checkpoint, run by the witness in its own process.

    Attributes:
        session: the witness.
        checkpoint: the checkpoint; only its place is used,
        model: and of the model its names, to say which variables are to be rounded.
        hparams: an option that goes before hparams.json, or None.
        settled: whether an option settles the configuration, whatever lies beside the checkpoint.
        heads: the number of attention heads where the witness finds none.
        activation: the activation's name where it finds none.
    """

    session: WitnessSession
    checkpoint: Checkpoint
    model: Model
    hparams: str | None
    settled: bool
    heads: int
    activation: str

    def start(self, batches: Sequence[Batch], precision: Precision, rounded: Rounded) -> Callable[[], Run]:
        """Begin to run the model, as Runner.start has it."""
        variables = {self.model.weights[name].tensor.name: dtype for name, dtype in rounded.items()}
        arithmetic = Arithmetic(self.heads, self.activation, precision, variables)
        place = (self.checkpoint.sources[0].path, self.checkpoint.folder, self.hparams, self.settled)
        testimony = self.session.submit(*place, self.model.role, arithmetic, batches)
        return lambda: self._run(testimony())

    def _run(self, testimony: Testimony) -> Run:
        framework = f"Google's graph on TensorFlow {testimony.version}"
        notes = (self._unverified(),) if testimony.settings.heads is None else ()
        return Run(stages_of(testimony.outputs), framework, {"tensorflow": testimony.version}, notes)

    def _unverified(self) -> str:
        role, name = self.model.role, self.checkpoint.name
        if self.settled:
            return f"The {role} of {name} was run with {self.heads} attention heads, as --config says."
        return (
            f"The {role}'s head count is not verified: neither hparams.json nor a .meta beside {name} says it; "
            f"{self.heads} was used. Give --hparams to settle it."
        )


@dataclass(frozen=True)
class TransformersRunner:
    """A transformers model, loaded and run as its users do.

    Attributes:
        path: what was pointed at: the model's folder, or one file of weights.
        model: its tensors.
        values: its configuration, by transformers' names, for a file that has none beside it.
    """

    path: Path
    model: Model
    values: Mapping[str, Any]

    def start(self, batches: Sequence[Batch], precision: Precision, rounded: Rounded) -> Callable[[], Run]:
        """Begin to run the model, as Runner.start has it: import what it needs, and no more."""
        import_class(self.model.role, self.model.head)
        return partial(self._run, batches, precision, rounded)

    def _run(self, batches: Sequence[Batch], precision: Precision, rounded: Rounded) -> Run:
        torch = import_torch("to run the model")
        with self._folder() as folder:
            model = load_model(folder, self.model.role, self.model.head, precision, self.model.task_head)
        _round(torch, model, rounded)
        with torch.inference_mode():
            outputs = [_outputs(torch, model, batch) for batch in batches]
        versions = {
            "transformers": str(import_transformers("to run the model").__version__),
            "torch": str(torch.__version__),
        }
        framework = f"transformers {versions['transformers']} on PyTorch {versions['torch']}"
        return Run(stages_of(outputs), framework, versions)

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        """The model's folder; a single file gets one of links, in which transformers can find nothing else."""
        if self.path.is_dir() or self.path.name.endswith(".index.json"):
            yield self.model.folder
            return
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            pickled = self.path.suffix != ".safetensors"
            weights = folder / ("pytorch_model.bin" if pickled else "model.safetensors")
            weights.symlink_to(self.path.absolute())
            config = self.model.folder / "config.json"
            if config.is_file():
                (folder / config.name).symlink_to(config.absolute())
            else:
                architecture = ARCHITECTURES[self.model.role, self.model.head]
                (folder / config.name).write_bytes(encode_config(architecture, self.values, "float32"))
            yield folder


def _round(torch: Any, model: Any, rounded: Rounded) -> None:  # noqa: ANN401 - torch, which mypy does not see
    parameters = dict(model.named_parameters())
    for name, dtype in rounded.items():
        parameter = parameters[name if name in parameters else name.removeprefix("electra.")]
        with torch.no_grad():
            parameter.copy_(parameter.to(getattr(torch, dtype)))


def _outputs(torch: Any, model: Any, batch: Batch) -> Outputs:  # noqa: ANN401 - torch, which mypy does not see
    ids, mask, segments = (
        torch.from_numpy(array).long() for array in (batch.input_ids, batch.input_mask, batch.segment_ids)
    )
    computed = model(ids, attention_mask=mask, token_type_ids=segments, output_hidden_states=True)
    logits = computed.logits.numpy() if "logits" in computed else None
    return Outputs(tuple(layer.numpy() for layer in computed.hidden_states), logits)
