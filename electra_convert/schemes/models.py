"""ELECTRA models as every part of the tool sees them: under transformers' names, whatever they were read from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from electra_convert.errors import NamesError, NotElectraError, counted, listing
from electra_convert.formats.locate import Location
from electra_convert.schemes.layouts import Variant, collapse
from electra_convert.schemes.mapping import SLOT_NAMES, Role
from electra_convert.schemes.plan import Sizes
from electra_convert.tensors.cast import WEIGHT_DTYPES
from electra_convert.tensors.spec import Source, Tensor
from electra_convert.tensors.weight import Weight, same_bits

OpenSource = Callable[[Location], Source]


@dataclass(frozen=True)
class Model:
    """One model of a checkpoint.

    Attributes:
        role: which of the two it is.
        head: whether its pretraining head is there; without it the model is an encoder alone.
        sizes: what its shapes say.
        weights: its tensors, by transformers' names with the electra. prefix, in transformers' orientation.
        slots: its optimiser slots, under `<name>.adam_m` and `<name>.adam_v`.
        task_head: tensors of a fine-tuned head of a transformers model, under their own names.
        tied: pairs of tensors that must hold the same bits, since one model cannot have both.
        folder: where its configuration and vocabulary would lie.
        record: the conversion.json there, or None.
    """

    role: Role
    head: bool
    sizes: Sizes
    weights: Mapping[str, Weight]
    slots: Mapping[str, Weight]
    folder: Path
    task_head: Mapping[str, Tensor] = field(default_factory=dict)
    tied: tuple[tuple[Weight, Weight], ...] = ()
    record: Mapping[str, Any] | None = None

    @property
    def parameters(self) -> int:
        """The number of weights, shared ones counted once."""
        return sum(weight.tensor.size for weight in self.weights.values())

    @property
    def task_weights(self) -> dict[str, Weight]:
        """The tensors of its fine-tuned head, as weights."""
        return {name: Weight(tensor) for name, tensor in self.task_head.items()}

    @property
    def nbytes(self) -> int:
        """The length of its weights in bytes."""
        return sum(weight.tensor.nbytes for weight in self.weights.values())


@dataclass(frozen=True)
class Checkpoint:
    """What a source holds.

    Attributes:
        path: what was pointed at.
        name: the base name of the container, which may be recorded in outputs.
        format: the kind of container.
        variant: the layout of a TensorFlow checkpoint; None for transformers models.
        models: by role.
        step: the global step, or None where it is not known.
        step_tensor: the variable that holds it, or None.
        unmapped: tensors that no rule, slot or notice accounts for.
        notices: what is left out or was passed over, and why.
        folder: where hparams.json and vocab.txt would lie.
        sources: the opened containers.
        record: the conversion.json beside the first of transformers models, or None.
        graph: the .meta beside a TensorFlow checkpoint, or None.
    """

    path: Path
    name: str
    format: str
    variant: Variant | None
    models: Mapping[Role, Model]
    step: int | None
    step_tensor: Tensor | None
    unmapped: tuple[str, ...]
    notices: tuple[str, ...]
    folder: Path
    sources: tuple[Source, ...]
    record: Mapping[str, Any] | None = None
    graph: Path | None = None

    @property
    def slot_state(self) -> str:
        """How many of the weights have both their optimiser slots: none, partial or full."""
        return slot_state(self.models.values())

    def require_mapped(self) -> None:
        """Refuse to go on while a tensor is unaccounted for.

        Raises:
            NamesError: lists them.
        """
        if self.unmapped:
            raise NamesError(
                f"{self.path}: {counted(len(self.unmapped), 'tensor')} of no ELECTRA model that this tool knows: "
                f"{', '.join(collapse(self.unmapped))}",
                "Nothing is skipped silently: save the checkpoint without them, or report the layout.",
            )


def slot_state(models: Iterable[Model]) -> str:
    """How many of the models' weights have both their optimiser slots: none, partial or full."""
    models = tuple(models)
    present = sum(len(model.slots) for model in models)
    wanted = sum(len(model.weights) * len(SLOT_NAMES) for model in models)
    return "none" if not present else "full" if present == wanted else "partial"


@contextmanager
def naming(place: Path | str) -> Iterator[None]:
    """Put the name of a file before what is said of its tensors.

    Args:
        place: where the tensors come from.

    Raises:
        NamesError: as it was raised within, with the place.
    """
    try:
        yield
    except NotElectraError:
        raise
    except NamesError as error:
        raise NamesError(f"{place}: {error.message}", error.hint) from error


def require_complete(path: Path, what: str, missing: tuple[str, ...], unexpected: tuple[str, ...]) -> None:
    """Refuse a model that lacks tensors.

    Args:
        path: where it was read.
        what: what it was recognised as.
        missing: names of tensors it lacks.
        unexpected: names it has no place for, which may be the same tensors under another name.

    Raises:
        NamesError: lists both, layers collapsed.
    """
    if missing:
        told = ", ".join(collapse(missing)) + (
            f"; unexpected: {', '.join(collapse(unexpected))}" if unexpected else ""
        )
        raise NamesError(
            f"{path} is not a complete {what}: {counted(len(missing), 'tensor')} missing: {told}",
            "An incomplete model would run with random weights in their place; look for the whole checkpoint.",
        )


def require_floats(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Refuse weights that are not floating-point numbers of a width this tool converts.

    Args:
        path: where they were read.
        tensors: the weights and slots.

    Raises:
        NamesError: names the tensors and their dtypes.
    """
    wrong = [
        f"{name} is {tensor.dtype}" for name, tensor in tensors.items() if tensor.dtype.name not in WEIGHT_DTYPES
    ]
    if wrong:
        raise NamesError(f"{path}: weights are {listing(WEIGHT_DTYPES)}, but {listing(wrong)}")


def require_tied(path: Path, model: Model) -> None:
    """Refuse a model whose output table is not its table of word embeddings.

    Args:
        path: where it was read.
        model: the model.

    Raises:
        NamesError: names both tensors.
        CorruptFileError: one of them failed its container's checks.
    """
    for repeated, original in model.tied:
        if not same_bits(repeated, original):
            raise NamesError(
                f"{path}: {repeated.tensor.name} and {original.tensor.name} differ; in ELECTRA they are one table",
                "Neither Google's code nor a model with tied embeddings can hold an output table of its own.",
            )


def step_value(path: Path, tensor: Tensor) -> int:
    """Read a global step.

    Args:
        path: where it was read.
        tensor: the variable.

    Returns:
        The step.

    Raises:
        NamesError: it is not a whole number from 0 up.
        CorruptFileError: it failed its container's checks.
    """
    if tensor.dtype.name not in {"int64", "int32"} or tensor.shape != ():
        raise NamesError(
            f"{path}: {tensor.name} is {tensor.dtype} of shape {list(tensor.shape)}, expected one int64 number"
        )
    step = int(tensor.read().item())
    if step < 0:
        raise NamesError(f"{path}: {tensor.name} is {step}, expected a number from 0 up")
    return step
