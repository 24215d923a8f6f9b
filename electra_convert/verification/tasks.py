"""The tasks of a fine-tuned checkpoint found one by one on both sides, and what was found of each as one report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from electra_convert.checkpoint import open_path
from electra_convert.errors import NamesError, SourceError, listing, told_once
from electra_convert.formats.locate import locate
from electra_convert.verification.recorded import recorded_tasks
from electra_convert.verification.report import ModelParity, ParityReport, SideReport, role_of
from electra_convert.verification.sides import Place


@dataclass(frozen=True)
class TaskSides:
    """Where both sides have a task, the reference only if there is one; or which of them has it not, in words."""

    reference: Place | None
    candidate: Place
    missing: str | None


@dataclass(frozen=True)
class _Tasks:
    """The tasks that a side has: as heads of one checkpoint, or in a folder each."""

    place: Place
    names: tuple[str, ...]
    whole: bool

    def at(self, name: str) -> Place:
        """Where it has one of them."""
        if self.whole:
            return self.place
        return replace(self.place, path=self.place.path / name, name=f"{_shown(self.place)}/{name}")

    def without(self, name: str) -> str:
        """That it has not one of them, in words."""
        lacks = "was not fine-tuned for" if self.whole else "has no folder"
        return f"{_shown(self.place)} {lacks} {name}"


def find_tasks(reference: Place | None, candidate: Place, golden: Path | None) -> dict[str, TaskSides]:
    """Find each task of two sides of which one is a whole checkpoint that Google's code fine-tuned for several.

    The other may be one too, or what convert makes of one: a folder a task. With golden outputs alone, the tasks are
    those that they record.

    Returns:
        The sides by the name of the task; nothing where they are to be compared as they are.

    Raises:
        NamesError: they have no task in common.
        ElectraConvertError: a whole checkpoint cannot be opened, or the golden outputs cannot be read.
    """
    recorded = () if golden is None else recorded_tasks(golden)
    if golden is not None and not recorded:
        return {}
    places = [candidate] if reference is None else [reference, candidate]
    # Most comparisons are with a model; to open the other side for this alone would take a tenth of their time.
    if not all(map(_may_have_tasks, places)):
        return {}
    whole = [_tasks_of(place) for place in places]
    names = sorted({*(recorded if reference is None else ()), *(name for tasks in whole for name in tasks)})
    held = [
        _Tasks(place, tasks or _folders_of(place, names), bool(tasks))
        for place, tasks in zip(places, whole, strict=True)
    ]
    if not all(side.names for side in held):
        return {}
    if not set.intersection(*(set(side.names) for side in held)):
        told = " and ".join(f"{side.place.path} is of {listing(side.names)}" for side in held)
        raise NamesError(f"they have no task in common: {told}")
    return {name: _sides(name, held) for name in names}


def _sides(name: str, held: Sequence[_Tasks]) -> TaskSides:
    *known, candidate = (side.at(name) for side in held)
    missing = next((side.without(name) for side in held if name not in side.names), None)
    return TaskSides(known[0] if known else None, candidate, missing)


def _may_have_tasks(place: Place) -> bool:
    """Whether it is a checkpoint of Google's, or none, as a folder of tasks is."""
    return _container(place) in {"tensorflow", None}


def _container(place: Place) -> str | None:
    """The container of a checkpoint; None where there is none."""
    try:
        location, *_ = locate(place.path)
    except SourceError:
        return None
    return location.container


def _tasks_of(place: Place) -> tuple[str, ...]:
    """The tasks of a whole checkpoint; none of a folder of tasks, nor where one of them has been asked for."""
    if place.task is not None or _container(place) is None:
        return ()
    with open_path(place.path, place.generator, exclude=place.exclude) as checkpoint:
        return checkpoint.separate_tasks


def _folders_of(place: Place, names: Sequence[str]) -> tuple[str, ...]:
    """Those of the tasks that a folder, which holds no checkpoint itself, has a folder for."""
    return () if _container(place) else tuple(name for name in names if (place.path / name).is_dir())


def merge_reports(
    reports: Mapping[str, ParityReport], missing: Mapping[str, str], reference: Place | None, candidate: Place
) -> ParityReport:
    """One report of all tasks, by name: those that were compared, and those that a side has not."""
    first = next(iter(reports.values()))
    models = {
        f"{name}{key.removeprefix(role_of(key))}": model
        for name, report in reports.items()
        for key, model in report.models.items()
    }
    models |= {name: ModelParity(None, (), fault=told) for name, told in missing.items()}
    return replace(
        first,
        reference=first.reference if reference is None else _side_report(reference, first.reference),
        candidate=_side_report(candidate, first.candidate),
        models=dict(sorted(models.items())),
        batches=tuple(
            replace(batch, name=f"{name}: {batch.name}")
            for name, report in reports.items()
            for batch in report.batches
        ),
        versions={key: value for report in reports.values() for key, value in report.versions.items()},
        notes=told_once({name: report.notes for name, report in reports.items()}),
        saved=tuple(path for report in reports.values() for path in report.saved),
    )


def _side_report(place: Place, part: SideReport) -> SideReport:
    return SideReport(place.name or str(place.path), _shown(place), part.format)


def _shown(place: Place) -> str:
    """What a side is called where it may be recorded."""
    return place.name or place.path.absolute().name
