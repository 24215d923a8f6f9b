"""A model of one side made to compute, by the reference model or by transformers: its outputs, stage by stage."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from electra_convert.checkpoint import Checkpoint, Model
from electra_convert.config.transformers import encode_config
from electra_convert.errors import NamesError, SourceError
from electra_convert.formats.names import CONFIG_FILE
from electra_convert.frameworks import import_torch, import_transformers
from electra_convert.pytorch import Precision, import_class, load_folder, load_tensors, make_tensor
from electra_convert.schemes.family import Family
from electra_convert.schemes.state_dict import BUFFERS
from electra_convert.schemes.transformers import file_name
from electra_convert.tensors.cast import widen
from electra_convert.tensors.spec import Source
from electra_convert.verification.inputs import Batch
from electra_convert.verification.reference.graph import Arithmetic, Outputs, Task
from electra_convert.verification.reference.session import Answer, ReferenceSession
from electra_convert.verification.reference.settings import Settings
from electra_convert.verification.second_reading import require_second_reading
from electra_convert.verification.weights import dtypes_of

# What a model computes, from the embeddings to the head's answers: the arrays of every batch, by the stage's name.
Stages = Mapping[str, Sequence[NDArray[np.floating]]]
LOGITS = "logits"
Rounded = Mapping[str, str]


@dataclass(frozen=True)
class Run:
    """What a model computed, with which framework in words, the versions of packages, and notes for the reader."""

    stages: Stages
    framework: str
    versions: Mapping[str, str]
    notes: tuple[str, ...] = ()


class Runner(Protocol):
    """Runs one model of a side."""

    def start(
        self, batches: Sequence[Batch], precisions: Sequence[Precision], rounded: Rounded
    ) -> Callable[[], list[Run]]:
        """Begin to run the model in each precision, the narrower first.

        Some weights, by transformers' names, are rounded to a dtype first. What is returned waits for the runs, or
        makes them then; it too raises the errors below.

        Raises:
            MissingPackageError: a framework is not installed.
            ElectraConvertError: the model cannot be run.
        """


def stages_of(outputs: Sequence[Outputs]) -> Stages:
    """The arrays of every stage, batch by batch, in the order of computation."""
    layers = len(outputs[0].hidden)
    named = {stage_name(layer): [output.hidden[layer] for output in outputs] for layer in range(layers)}
    return named | {answer_name(name): [output.answers[name] for output in outputs] for name in outputs[0].answers}


def stage_name(layer: int) -> str:
    """What the output of a layer is called; layer 0 stands for the embeddings."""
    return f"layer {layer}" if layer else "embeddings"


def answer_name(field: str) -> str:
    """What a field of a head's answers, such as start_logits, is called."""
    return field.replace("_", " ")


@dataclass(frozen=True)
class TensorFlowRunner:
    """A TensorFlow checkpoint, run by the reference model in its own process.

    Of the checkpoint only the place is used, and of the model only names: of its task and kind of head, and of the
    variables that are rounded.

    Attributes:
        settled: whether --config settles heads and activation, whatever lies beside the checkpoint.
        heads: the number of attention heads, where the reference model finds none.
        activation: the activation's name, where it finds none.
    """

    session: ReferenceSession
    checkpoint: Checkpoint
    model: Model
    hparams: str | None
    settled: bool
    heads: int
    activation: str

    def start(
        self, batches: Sequence[Batch], precisions: Sequence[Precision], rounded: Rounded
    ) -> Callable[[], list[Run]]:
        """Begin to run the model, as Runner.start has it."""
        variables = {name: dtype for weight, dtype in rounded.items() for name in _variables(self.model, weight)}
        head = self.model.head
        task = Task(self.model.task, head.name) if head.is_of_a_task else None
        place = (self.checkpoint.sources[0].path, self.checkpoint.folder, self.hparams, self.settled)
        inputs = [batch.arrays for batch in batches]
        answers = []
        for precision in precisions:
            arithmetic = Arithmetic(self.heads, self.activation, precision, variables)
            answers.append(self.session.submit(*place, self.model.role, task, arithmetic, inputs))
        return lambda: [self._run(answer()) for answer in answers]

    def _run(self, answer: Answer) -> Run:
        framework = f"Google's graph on TensorFlow {answer.version}"
        notes = self._unverified(answer.settings)
        return Run(stages_of(answer.outputs), framework, {"tensorflow": answer.version}, notes)

    def _unverified(self, found: Settings) -> tuple[str, ...]:
        role, name = self.model.role, self.checkpoint.name
        if self.settled:
            return (f"The {role} of {name} was run with {self.heads} attention heads, as --config says.",)
        used = {"head count": self.heads, "activation": self.activation}
        known = {"head count": found.heads, "activation": found.activation}
        return tuple(
            f"The {role}'s {what} is not verified: neither hparams.json nor a .meta beside {name} says it; "
            f"{used[what]} was used. Give --hparams to settle it."
            for what in used
            if known[what] is None
        )


def _variables(model: Model, name: str) -> list[str]:
    """The variables that a weight of a TensorFlow checkpoint is made of."""
    own = [tf for rule in model.head.rules if rule.hf == name for tf in rule.tf]
    return [tf.format(task=model.task) for tf in own] or [model.weights[name].tensor.name]


@dataclass(frozen=True)
class TransformersRunner:
    """A transformers model, loaded and run as its users do.

    Attributes:
        path: what was pointed at, for messages.
    """

    path: Path
    model: Model

    def start(
        self, batches: Sequence[Batch], precisions: Sequence[Precision], rounded: Rounded
    ) -> Callable[[], list[Run]]:
        """Begin to run the model, as Runner.start has it: import what it needs, and no more."""
        import_class(self.model.head, self.model.family)
        return partial(self._run_all, batches, precisions, rounded)

    def _run_all(self, batches: Sequence[Batch], precisions: Sequence[Precision], rounded: Rounded) -> list[Run]:
        """Load the model once, in the first precision that holds its weights, and run it in that one first."""
        torch = import_torch("to run the model")
        order = list(precisions)
        if "float64" in dtypes_of(self.model):
            order.reverse()
        model = self._load(order[0])
        _require_same(self.path, model, self.model)
        _round(_parameters(model, rounded, self.model.family), torch, rounded)
        runs = {precision: self._run(torch, model.to(getattr(torch, precision)), batches) for precision in order}
        return [runs[precision] for precision in precisions]

    def _load(self, precision: Precision) -> Any:  # noqa: ANN401 - a torch.nn.Module
        folder = self.model.folder
        if not (folder / CONFIG_FILE).is_file():
            raise SourceError(f"{folder} has no config.json, from which transformers takes all sizes")
        ignored = (*self.model.head.unmapped, *BUFFERS)
        return load_folder(folder, self.model.head, precision, ignored, self.model.family)

    def _run(self, torch: Any, model: Any, batches: Sequence[Batch]) -> Run:  # noqa: ANN401 - torch
        outputs = [self._outputs(torch, model, batch) for batch in batches]
        versions = {
            "transformers": str(import_transformers("to run the model").__version__),
            "torch": str(torch.__version__),
        }
        framework = f"transformers {versions['transformers']} on PyTorch {versions['torch']}"
        return Run(stages_of(outputs), framework, versions)

    def _outputs(self, torch: Any, model: Any, batch: Batch) -> Outputs:  # noqa: ANN401 - torch
        ids, mask, segments = (torch.from_numpy(array).long() for array in batch.arrays)
        try:
            with torch.inference_mode():
                computed = model(
                    ids, attention_mask=mask, token_type_ids=segments, output_hidden_states=True, return_dict=True
                )
        except (ValueError, RuntimeError, TypeError) as error:
            told = " ".join(str(error).split())[:300]
            raise SourceError(f"{self.path}: transformers cannot run it: {told}") from error
        answers = {name: computed[name].numpy() for name in self.model.head.outputs}
        return Outputs(tuple(layer.numpy() for layer in computed.hidden_states), answers)


@dataclass(frozen=True)
class InMemoryRunner(TransformersRunner):
    """A model that nothing loads as it is stored, made of its weights in memory as its conversion would be.

    Attributes:
        values: its configuration, by transformers' names.
        base: the config.json that it has.
        sources: the opened containers, in which the weights are found a second time.
    """

    values: Mapping[str, Any]
    base: Mapping[str, Any]
    sources: tuple[Source, ...]

    def _load(self, precision: Precision) -> Any:  # noqa: ANN401 - a torch.nn.Module
        family = self.model.family
        named = self.model.head.architecture(family)
        config = encode_config(named, self.values, precision, self.base, self.model.is_tied, family)
        weights = {file_name(self.model, name, family): weight for name, weight in self.model.mapped.items()}
        tensors = {name: make_tensor(weight.read(), weight.tensor.dtype) for name, weight in weights.items()}
        loaded = load_tensors(str(self.path), json.loads(config), tensors)
        require_second_reading(self.path, loaded, self.model.role, self.sources)
        return loaded


def _parameters(model: Any, names: Iterable[str], family: Family) -> dict[str, Any]:  # noqa: ANN401 - torch, unseen
    """A model's parameters by the names of a Model; ElectraModel and BertModel have no prefix of their own."""
    parameters = dict(model.named_parameters())
    own = {name: family.name_of(name) for name in names}
    return {name: parameters[it if it in parameters else it.removeprefix(family.prefix)] for name, it in own.items()}


def _require_same(path: Path, loaded: Any, model: Model) -> None:  # noqa: ANN401 - torch, which mypy does not see
    """Refuse to run other weights than those that were compared, whatever made transformers find them."""
    parameters = _parameters(loaded, model.mapped, model.family)
    for name, weight in model.mapped.items():
        values = widen(weight.read().reshape(-1).view(np.uint8).data, weight.tensor.dtype)
        found = parameters[name].detach().numpy()
        if not np.array_equal(found.reshape(-1), values.astype(found.dtype, copy=False), equal_nan=True):
            raise NamesError(
                f"{path}: transformers loads another {name} than is stored there",
                "Look for a second file of weights in the folder, and for keys of config.json that name one.",
            )


def _round(parameters: Mapping[str, Any], torch: Any, rounded: Rounded) -> None:  # noqa: ANN401 - torch, unseen
    with torch.no_grad():
        for name, dtype in rounded.items():
            parameters[name].copy_(parameters[name].to(getattr(torch, dtype)))
