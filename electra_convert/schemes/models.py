"""ELECTRA models as every part of the tool sees them, whatever they were read from; and what a scheme of names is.

A model's tensors go by transformers' names and have transformers' orientation; the scheme is what it took to bring
them there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from electra_convert.errors import NamesError, NotElectraError, counted, listing
from electra_convert.formats.locate import Location
from electra_convert.formats.names import CONFIG_FILE
from electra_convert.schemes.family import ELECTRA, Family
from electra_convert.schemes.heads import Head
from electra_convert.schemes.layouts import Choice, Layout, Task, collapse, separate
from electra_convert.schemes.mapping import SLOT_NAMES, STEP_NAME, Role, Sizes
from electra_convert.tensors.cast import WEIGHT_DTYPES
from electra_convert.tensors.spec import DTYPES, Source, Tensor, TensorSpec
from electra_convert.tensors.weight import Weight, constant, same_bits

OpenSource = Callable[[Location], Source]


@dataclass(frozen=True)
class Scheme:
    """What tensors are called and how they are oriented, apart from the container they lie in.

    Attributes:
        name: what this tool calls it.
        containers: those that it may lie in.
        recognises: whether names, all of one container, are of this scheme.
        read: finds the models in containers, and accounts for every tensor in them; raises SourceError where they are
            not ELECTRA's, NamesError where tensors are missing or do not fit.
        described: whether each model lies in a folder with a config.json and a tokenizer of its own, as transformers
            keeps them; else the hparams and the vocabulary of a run lie around the checkpoint.
        target: the container that it converts to where none is asked for.
        loads: what computes its models as they lie there: Google's graph, transformers' from_pretrained, or nothing
            before they are converted.
        gelu_in_generators: whether a generator's head is computed with gelu, whatever hidden_act says.
        read_task: as read, for one task of a fine-tuned checkpoint; None in a scheme without tasks.
        family: whose classes load its models; of another than ELECTRA, it is only what this tool wrote and recorded.
    """

    name: str
    containers: Collection[str]
    recognises: Callable[[Collection[str]], bool]
    read: Callable[[Path, Sequence[Location], OpenSource], Checkpoint]
    described: bool
    target: Literal["safetensors", "tf"]
    loads: Literal["google", "transformers", "nothing"]
    gelu_in_generators: bool = True
    read_task: Callable[[Choice, Path, Sequence[Location], OpenSource], Checkpoint] | None = None
    family: Family = ELECTRA


@dataclass(frozen=True, repr=False)
class Model:
    """One model of a checkpoint.

    Attributes:
        role: which of the two it is.
        head: what stands on its encoder.
        sizes: what its shapes say.
        weights: its tensors, by transformers' names with the electra. prefix, in transformers' orientation; those of
            a head that no rule describes under their own names.
        slots: its optimiser slots, under `<name>.adam_m` and `<name>.adam_v`.
        folder: where its configuration and vocabulary would lie.
        tied: pairs of tensors that must hold the same bits, since one model cannot have both.
        record: the conversion.json there, or None.
        beside: variables of its head that transformers has no place for, by Google's names and as Google has them.
        task: the name of the task that it was fine-tuned for in Google's code, or "".
        config: its config.json, where that lies elsewhere or is another's.
        family: by whose names it lies in its folder, where those are transformers'.
    """

    role: Role
    head: Head
    sizes: Sizes
    weights: Mapping[str, Weight]
    slots: Mapping[str, Weight]
    folder: Path
    tied: tuple[tuple[Weight, Weight], ...] = ()
    record: Mapping[str, Any] | None = None
    beside: Mapping[str, Weight] = field(default_factory=dict)
    task: str = ""
    config: Path | None = None
    family: Family = ELECTRA

    @property
    def is_tied(self) -> bool:
        """Whether it has no output table besides its word embeddings."""
        return self.head.repeated not in self.weights

    @property
    def config_path(self) -> Path:
        """Where its config.json would lie."""
        return self.config or self.folder / CONFIG_FILE

    @property
    def parameters(self) -> int:
        """The number of weights, shared ones counted once."""
        return sum(weight.tensor.size for weight in self.weights.values())

    @property
    def mapped(self) -> dict[str, Weight]:
        """Its weights without those of a head that no rule describes."""
        return {name: weight for name, weight in self.weights.items() if name not in self.head.unmapped}

    @property
    def nbytes(self) -> int:
        """The length of its weights in bytes."""
        return sum(weight.tensor.nbytes for weight in self.weights.values())

    def __repr__(self) -> str:
        return f"<Model {self.role}: {self.head.architecture()}, {self.parameters:,} parameters>"


@dataclass(frozen=True, repr=False)
class Checkpoint:
    """What a source holds.

    Attributes:
        path: what was pointed at.
        name: the base name of the container, which may be recorded in outputs.
        format: the kind of container.
        scheme: what its tensors are called there.
        layout: which of google-research/electra's layouts it has; None in any other scheme.
        models: by role.
        step: the global step, or None where it is not known.
        step_tensor: the variable that holds it, or None.
        unmapped: tensors that no rule, slot or notice accounts for, by their names in the source.
        because: why those are of no model, where that is known.
        notices: what is left out or was passed over, and why.
        folder: where hparams.json and vocab.txt would lie.
        sources: the opened containers.
        record: the conversion.json beside the first of transformers models, or None.
        graph: the .meta beside a TensorFlow checkpoint, or None.
        tasks: those that Google's code fine-tuned it for.
        left_out: tensors that are no part of a model and that notices tell of, by their names in the source.
        warnings: what is left out of it though a user would expect it, or was guessed.
    """

    path: Path
    name: str
    format: str
    scheme: Scheme
    layout: Layout | None
    models: Mapping[Role, Model]
    step: int | None
    step_tensor: Tensor | None
    unmapped: tuple[str, ...]
    notices: tuple[str, ...]
    folder: Path
    sources: tuple[Source, ...]
    record: Mapping[str, Any] | None = None
    graph: Path | None = None
    tasks: tuple[Task, ...] = ()
    left_out: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()
    because: str = ""

    @property
    def slot_state(self) -> str:
        """How many of the weights have both their optimiser slots: none, partial or full."""
        return slot_state(self.models.values())

    @property
    def separate_tasks(self) -> tuple[str, ...]:
        """The tasks that become a model each, where there are several that are known to have a head."""
        return separate(self.tasks)

    def __repr__(self) -> str:
        models = ", ".join(f"{role} of {model.parameters:,} parameters" for role, model in self.models.items())
        return f"<Checkpoint {str(self.path)!r}: {self.format}; {models}>"

    def excluding(self, patterns: Sequence[str]) -> Checkpoint:
        """The same without tensors of no model that a user says may go; * in a pattern stands for any text.

        Raises:
            NamesError: one of them fits no tensor, or one of a model or its optimiser.
        """
        names = {name for source in self.sources for name in source.tensors}
        found = {pattern: {name for name in names if fnmatchcase(name, pattern)} for pattern in patterns}
        for pattern, fitting in found.items():
            taken = fitting - self.left_out - set(self.unmapped)
            if taken or not fitting:
                does = f"would take tensors of the model: {listing(collapse(taken))}" if taken else "fits no tensor"
                of_none = f"What is of no model: {listing(collapse(self.unmapped))}." if self.unmapped else None
                raise NamesError(
                    f"{self.path}: --exclude '{pattern}' {does}",
                    of_none or "Every tensor is accounted for: leave --exclude out.",
                )
        gone = [name for name in self.unmapped if any(name in fitting for fitting in found.values())]
        notice = [f"Left out as asked (--exclude): {', '.join(collapse(gone))}."] if gone else []
        rest = tuple(name for name in self.unmapped if name not in gone)
        return replace(self, unmapped=rest, notices=(*self.notices, *notice))

    def require_mapped(self) -> None:
        """Refuse to go on while a tensor is unaccounted for.

        Raises:
            NamesError: lists them.
        """
        if self.unmapped:
            raise NamesError(
                f"{self.path}: {counted(len(self.unmapped), 'tensor')} of no ELECTRA model that this tool knows: "
                f"{', '.join(collapse(self.unmapped))}{f' ({self.because})' if self.because else ''}",
                "Nothing is skipped silently. If you know that they are no part of the model, say so with "
                f"--exclude '{self.unmapped[0]}', or with a pattern such as 'my_scope/*'.",
            )


def slot_state(models: Iterable[Model]) -> str:
    """How many of the models' weights have both their optimiser slots: none, partial or full."""
    models = tuple(models)
    present = sum(len(model.slots) for model in models)
    wanted = sum(len(model.mapped) * len(SLOT_NAMES) for model in models)
    return "none" if not present else "full" if present == wanted else "partial"


@contextmanager
def naming(place: Path | str) -> Iterator[None]:
    """Put the name of a file before what is said of its tensors.

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
    """Refuse a model that lacks tensors, which may be there under an unexpected name.

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
    """Refuse weights or slots that are not floating-point numbers of a width this tool converts.

    Raises:
        NamesError: names the tensors and their dtypes.
    """
    wrong = [
        f"{name} is {tensor.dtype}" for name, tensor in tensors.items() if tensor.dtype.name not in WEIGHT_DTYPES
    ]
    if wrong:
        raise NamesError(f"{path}: weights are {listing(WEIGHT_DTYPES)}, but {listing(wrong)}")


def require_tied(path: Path, model: Model) -> None:
    """Refuse a model that holds a tensor twice, such as an output table that is that of its word embeddings, with
    other values.

    Raises:
        NamesError: names both tensors.
        CorruptFileError: one of them failed its container's checks.
    """
    for repeated, original in model.tied:
        if not same_bits(repeated, original):
            raise NamesError(
                f"{path}: {repeated.tensor.name} and {original.tensor.name} differ; in ELECTRA they are one "
                f"{'table' if len(original.shape) > 1 else 'tensor'}",
                "Neither Google's code nor a model with tied embeddings can hold an output table of its own.",
            )


def require_one_table(path: Path, model: Model) -> None:
    """Refuse a generator with an output table of its own, where there is a place for the word embeddings alone.

    Raises:
        NamesError: names the table.
    """
    if not model.is_tied:
        table = model.weights[model.head.repeated or ""].tensor.name
        raise NamesError(
            f"{path}: {table} is an output table of its own, which differs from the generator's word embeddings; "
            "Google's code has one table for both",
            "It converts to transformers (--to safetensors); the discriminator to either (--model discriminator).",
        )


def step_value(path: Path, tensor: Tensor) -> int:
    """Read a global step.

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


def step_constant(step: int) -> Tensor:
    """A global step that no container holds, as google-research/electra stores it."""
    return constant(TensorSpec(STEP_NAME, DTYPES["int64"], ()), step.to_bytes(8, "little"))
