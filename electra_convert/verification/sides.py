"""The sides of a comparison, opened: what each of them is, and which models they have in common."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from electra_convert import tokenizer
from electra_convert.checkpoint import Checkpoint, Model, open_path
from electra_convert.config.activations import ACTIVATIONS
from electra_convert.config.labels import Labels, configured_labels, find_labels, made_up_labels
from electra_convert.config.resolve import plain
from electra_convert.config.sources import Findings, electric_notice, gather
from electra_convert.errors import ConfigError, ElectraConvertError, NamesError, UsageError, listing
from electra_convert.formats.names import (
    ADAPTER_FILE,
    BUNDLE_INDEX,
    OPTIMIZER_FILE,
    SHARD_INDEX,
    is_found,
)
from electra_convert.hub.download import Origin, as_source, brought_source
from electra_convert.schemes.heads import TASKS, Head
from electra_convert.schemes.layouts import Choice, Task
from electra_convert.schemes.mapping import Role
from electra_convert.schemes.models import require_tied
from electra_convert.tokenizer.of_checkpoint import (
    vocabulary_files,
)
from electra_convert.verification.inputs import Limits
from electra_convert.verification.onnx_places import OnnxPlace, onnx_alone, onnx_places, open_onnx
from electra_convert.verification.reference.session import ReferenceSession
from electra_convert.verification.report import SideReport
from electra_convert.verification.runners import InMemoryRunner, Runner, TensorFlowRunner, TransformersRunner
from electra_convert.verification.weights import left_behind

if TYPE_CHECKING:
    pass

Ids = Mapping[str, int]


@dataclass(frozen=True)
class Place:
    """What to compare, and what is known of it beside its own files.

    Attributes:
        path: anything convert takes as a source, brought here where it is on the Hub.
        name: what to call it, where that is not the path.
        generator: a folder with the generator that belongs to a discriminator.
        hparams: google-research/electra's hparams: JSON, or the name of a file that holds it.
        config: a transformers config.json.
        labels: what the classes of its head are called, as --labels has it.
        task: the task whose head is wanted, of a checkpoint that Google's code fine-tuned.
        exclude: patterns of names of tensors that are no part of a model.
        origin: where on the Hub it lay.
    """

    path: Path
    name: str | None = None
    generator: Path | None = None
    hparams: str | None = None
    config: Path | None = None
    labels: str | Sequence[str] | None = None
    task: Choice | None = None
    exclude: tuple[str, ...] = ()
    origin: Origin | None = None


def find_place(
    pointed_at: str | Path,
    hparams: str | None = None,
    config: Path | None = None,
    labels: str | Sequence[str] | None = None,
    exclude: tuple[str, ...] = (),
) -> Place:
    """Find what was pointed at, and bring it here if it is on the Hub.

    Raises:
        ElectraConvertError: it is on the Hub, and cannot be brought here.
    """
    source = as_source(pointed_at)
    name = None if isinstance(source, Path) else source
    path, origin = brought_source(source)
    return Place(path, name, hparams=hparams, config=config, labels=labels, exclude=exclude, origin=origin)


@dataclass(frozen=True)
class Side:
    """An opened side: its models, and its configuration, or how the sources of that contradict each other."""

    place: Place
    checkpoint: Checkpoint
    findings: Findings | None
    fault: str | None

    @property
    def report(self) -> SideReport:
        """What the report says of it."""
        shown = self.place.name or str(self.place.path)
        name = self.place.name or self.place.path.name or self.checkpoint.name
        return SideReport(shown, name, self.checkpoint.format)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was passed over, left out, guessed or put aside in opening it."""
        found = self.checkpoint.notices
        if self.findings is not None:
            found += (*electric_notice(self.checkpoint, self.findings), *self.findings.warnings)
        return found

    def is_loaded(self, role: Role) -> bool:
        """Whether from_pretrained, given the folder of one of its models, loads the weights that lie there."""
        path, folder = self.place.path, self.checkpoint.models[role].folder
        if self.checkpoint.scheme.loads != "transformers" or not (path.is_dir() or path.name.endswith(SHARD_INDEX)):
            return False
        return any(source.path.parent == folder and is_found(source.path.name) for source in self.checkpoint.sources)

    def config(self, role: Role) -> Mapping[str, Any] | None:
        """The config.json of a transformers model; None where there is none to go by, or it cannot be relied on.

        A folder without one is loaded by transformers as if it held an empty one.
        """
        if self.findings is None or not self.checkpoint.scheme.described:
            return None
        return self.findings.bases.get(role, {} if self.is_loaded(role) else None)

    def labels(self, role: Role) -> Labels | None:
        """What the classes of one of its models are called; None where it has no classes to be told apart.

        Raises:
            ConfigError: a source of their names cannot be read, or names another number of them.
        """
        model, option = self.checkpoint.models[role], self.place.labels
        if model.sizes.labels < 1 or model.head.labels is not None:
            return None
        config = self.config(role)
        if config is not None and option is None:
            return configured_labels(config, model.sizes.labels)
        return find_labels(self.checkpoint.folder, model.task, model.head, model.sizes.labels, option)

    def by_name(self, message: str) -> str:
        """A message about the side with its name where the path to it stood, so that it may be recorded."""
        path, folder = self.place.path, self.checkpoint.folder
        names = {str(path.absolute()): self.report.name, str(path): self.report.name}
        names |= {f"{folder.absolute()}/": "", f"{folder}/": ""}
        known = "|".join(re.escape(place) for place in names if place.strip("./"))
        return re.sub(rf"(?<![\w./-])(?:{known})", lambda found: names[found[0]], message) if known else message

    @property
    def is_onnx(self) -> bool:
        """Whether it has no weights but those of ONNX models."""
        return self.checkpoint.format == "onnx"

    def onnx(self, role: Role) -> tuple[OnnxPlace, ...]:
        """The ONNX models of one of its models."""
        folder = self.checkpoint.models[role].folder
        if self.is_onnx:
            return tuple(place for place in onnx_alone(self.place.path) if place.folder == folder)
        return onnx_places(folder) if self.place.path.is_dir() and self.checkpoint.scheme.described else ()

    def limits(self, role: Role) -> Limits:
        """What one of its models can take."""
        return Limits.of(self.checkpoint.models[role].sizes)

    def setting(self, role: Role, key: str) -> Any:  # noqa: ANN401 - JSON values
        """A configuration value, or None where it is a guess or not known."""
        config = None if self.findings is None else self.findings.configs[role]
        return None if config is None or key in config.guessed else config[key]

    def runner(self, role: Role, other: Side | None, session: ReferenceSession) -> Runner:
        """Make what runs one of its models, with the other side's head count where nothing says this side's."""
        model = self.checkpoint.models[role]
        settled = self.place.config is not None
        own, others = (self,), () if other is None else (other,)
        if self.checkpoint.scheme.loads == "google":
            sides = own + others if settled else others + own
            activations = [side.setting(role, "hidden_act") for side in sides]
            activation = next((str(value) for value in activations if value in ACTIVATIONS), "gelu")
            heads = _heads(sides, role)
            return TensorFlowRunner(session, self.checkpoint, model, self.place.hparams, settled, heads, activation)
        assert self.findings is not None
        values = {key: value.value for key, value in self.findings.configs[role].values.items()}
        values["num_attention_heads"] = _heads(own + others, role)
        if model.sizes.labels:
            values |= plain(made_up_labels(model.sizes.labels).values)
        if self.is_loaded(role):
            return TransformersRunner(self.place.path, model)
        base = self.findings.bases.get(role, {})
        return InMemoryRunner(self.place.path, model, values, base, self.checkpoint.sources)

    def vocabularies(self, role: Role, read: Callable[[str, bytes], Ids]) -> dict[str, Ids]:
        """The ids of pieces by the file's name; what is damaged or no vocabulary of ELECTRA's is passed over."""
        found = {}
        for path in vocabulary_files(self.checkpoint, self.checkpoint.models[role]):
            with suppress(ElectraConvertError):
                found[path.name] = read(path.name, tokenizer.read_small(path))
        return found


def _heads(sides: Sequence[Side], role: Role) -> int:
    """The head count that the first of the sides has which is no guess, else Google's rule."""
    known = (side.setting(role, "num_attention_heads") for side in sides)
    hidden = sides[0].checkpoint.models[role].sizes.hidden
    return next((int(value) for value in known if value is not None), max(1, hidden // 64))


@contextmanager
def open_side(place: Place, lenient: bool) -> Iterator[Side]:
    """Open one side, whose tensors can be read until the context ends.

    In a lenient one a configuration that contradicts itself is a finding and not an error.

    Raises:
        ElectraConvertError: it is not a complete ELECTRA checkpoint, is damaged, or contradicts itself.
    """
    with _opened(place) as checkpoint:
        checkpoint.require_mapped()
        for model in checkpoint.models.values():
            require_tied(checkpoint.path, model)
        try:
            _require_no_adapter(checkpoint)
            findings, fault = gather(checkpoint, place.hparams, place.config), None
        except ConfigError as error:
            if not lenient:
                raise
            findings, fault = None, error.message
        side = Side(place, checkpoint, findings, fault)
        yield side if fault is None else replace(side, fault=side.by_name(fault))


def _opened(place: Place) -> AbstractContextManager[Checkpoint]:
    """What lies at a place; ONNX models where there is nothing else."""
    if places := onnx_alone(place.path):
        return open_onnx(place.path, places)
    return open_path(place.path, place.generator, place.task, exclude=place.exclude)


@contextmanager
def open_sides(
    reference: Place | None, candidate: Place, task: Choice | None = None
) -> Iterator[tuple[Side | None, Side]]:
    """Open both sides, each at the task that is asked for, or that the other one is of.

    Raises:
        UsageError: there are several that the other side can be of.
        ElectraConvertError: as open_side.
    """
    with ExitStack() as stack:
        known = None if reference is None else stack.enter_context(open_side(reference, lenient=False))
        side = stack.enter_context(open_side(candidate, lenient=True))
        if known is not None and (choice := _choice(known, side, task)) is not None:
            known = stack.enter_context(open_side(replace(known.place, task=choice), lenient=False))
        if (choice := _choice(side, known, task)) is not None:
            side = stack.enter_context(open_side(replace(side.place, task=choice), lenient=True))
        yield known, side


def require_task(reference: Side, candidate: Side, asked: Choice) -> None:
    """Refuse a task that no side was fine-tuned for.

    Raises:
        NamesError: says which there are.
    """
    names = [task.name for side in (reference, candidate) for task in side.checkpoint.tasks]
    if asked.task not in names:
        told = f"for {listing(sorted(set(names)))}" if names else "for no task by Google's code"
        raise NamesError(
            f"--task is {asked.task}, but {reference.place.path} and {candidate.place.path} were fine-tuned {told}",
            "Name one that is there, or leave --task out.",
        )


def _choice(side: Side, other: Side | None, asked: Choice | None) -> Choice | None:
    """The task of a checkpoint of Google's code that is compared; None where it is as it was opened.

    That is the one asked for, else the one that the other side is recorded to be of, else the only one that has its
    head. What a task is its own name says, and only where that says nothing the other side's head.
    """
    tasks = {task.name: task for task in side.checkpoint.tasks}
    if asked is not None or side.place.task is not None:
        return asked if asked is not None and asked.task in tasks else None
    models = [] if other is None else list(other.checkpoint.models.values())
    head, recorded = next(((model.head, model.task) for model in models if model.head.is_of_a_task), (None, ""))
    if head is None:
        return None
    fitting = {name: task for name, task in tasks.items() if head in (task.head, *_unnamed(task))}
    if recorded not in fitting and len(fitting) > 1:
        raise UsageError(
            f"{side.place.path} was fine-tuned for {listing(sorted(fitting))}, and nothing says which of them "
            f"{other.place.path if other else 'the other side'} is of",
            "Say it with --task NAME.",
        )
    name = recorded if recorded in fitting else next(iter(fitting), None)
    return None if name is None else Choice(name, head if fitting[name].head is None else None)


def _unnamed(task: Task) -> tuple[Head, ...]:
    """What a task can be whose name says nothing."""
    return () if task.name in TASKS else task.heads


def _require_no_adapter(checkpoint: Checkpoint) -> None:
    """from_pretrained changes the weights by an adapter that lies in the folder it is given."""
    if checkpoint.scheme.loads != "transformers" or not checkpoint.path.is_dir():
        return
    for model in checkpoint.models.values():
        if (path := model.folder / ADAPTER_FILE).exists():
            raise ConfigError(
                f"{path}: where peft is installed, transformers adds this adapter to the weights",
                "Move the adapter out of the folder, or merge it into the weights.",
            )


def require_apart(reference: Side, candidate: Side) -> None:
    """Refuse to keep a record of a model that was compared with itself.

    Raises:
        UsageError: a file of weights is of both.
    """
    for first, second in product(_weights_files(reference), _weights_files(candidate)):
        if first.samefile(second):
            raise UsageError(
                f"REFERENCE and CANDIDATE are one and the same: {second} is of both",
                "Give the checkpoint that CANDIDATE was converted from, or leave --save out.",
            )


def require_whole(side: Side) -> None:
    """Refuse to keep a record of ONNX models alone where there are other weights, of which one is kept.

    Raises:
        UsageError: says what to give.
    """
    for model in side.checkpoint.models.values():
        if side.is_onnx and model.record is not None and not onnx_alone(model.folder):
            raise UsageError(
                f"--save keeps one report of a folder, and {model.folder} holds more than {side.place.path}",
                f"Give the folder: verify REFERENCE {model.folder} --save.",
            )


def _weights_files(side: Side) -> list[Path]:
    """A file of each container of weights; of a TensorFlow checkpoint, which is opened at a prefix, its index."""
    named = [source.path for source in side.checkpoint.sources if source.path.name != OPTIMIZER_FILE]
    files = [path if path.is_file() else path.with_name(f"{path.name}{BUNDLE_INDEX}") for path in named]
    return [path for path in files if path.is_file()]


def find_roles(reference: Side | None, candidate: Side) -> tuple[list[Role], list[str]]:
    """Find the models that both sides have, and tell what is not compared.

    Raises:
        NamesError: the sides have no model in common.
    """
    there = list(candidate.checkpoint.models)
    if reference is None:
        return there, list(candidate.notes)
    expected = list(reference.checkpoint.models)
    roles = [role for role in there if role in expected]
    if not roles:
        raise NamesError(
            f"{candidate.place.path} holds a {there[0]}, {reference.place.path} a {expected[0]}: "
            "they have no model in common"
        )
    notes = [note for side in (reference, candidate) for note in side.notes]
    for side, other, name in ((there, expected, "candidate"), (expected, there, "reference")):
        alone = [role for role in side if role not in other]
        notes += [f"The {role} of the {name} is not compared: the other side has none." for role in alone]
    return roles, [*notes, *(note for role in roles for note in _head_notes(reference, candidate, role))]


def _head_notes(reference: Side, candidate: Side, role: Role) -> list[str]:
    models = [side.checkpoint.models[role] for side in (reference, candidate)]
    unmapped = [model.head.unmapped for model in models]
    names = sorted({name for head in unmapped for name in head})
    if all(unmapped):
        return [f"Of a fine-tuned head the weights are compared, but it is not run: {listing(names)}."]
    names += sorted({*left_behind(models[0], models[1]), *left_behind(models[1], models[0])})
    kind = "A fine-tuned" if any(model.head.is_of_a_task or model.head.unmapped for model in models) else "A"
    notes = [f"{kind} head is not compared, since the other side has none: {listing(names)}."] if names else []
    return notes + _beside_notes(models)


def _beside_notes(models: Sequence[Model]) -> list[str]:
    names = listing(sorted({name for model in models for name in model.beside}))
    if all(model.beside for model in models):
        return [f"Of what says that there is no answer the weights are compared, but it is not run: {names}."]
    told = f"What says that there is no answer is not compared, since the other side has none: {names}."
    return [told] if names else []
