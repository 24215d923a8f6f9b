"""verify: whether two checkpoints are the same model; has weights, settings and outputs compared, and compares none.

Named apart from the function, which is electra_convert.verify.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import astuple, dataclass, replace
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any

from electra_convert.config.hparams import hparams_text
from electra_convert.config.labels import read_labels
from electra_convert.errors import (
    ElectraConvertError,
    MissingPackageError,
    UsageError,
    arguments_for_options,
    listing,
)
from electra_convert.provenance import find_files, place_fields
from electra_convert.schemes.heads import NONE, Head
from electra_convert.schemes.layouts import Choice, read_task
from electra_convert.schemes.mapping import Role
from electra_convert.tensors.transfer import Progress, counter
from electra_convert.verification.compare import Compared, Pairing, compare_recording, start_comparisons
from electra_convert.verification.inputs import Batch, Limits, builtin_batches, read_inputs, text_batch
from electra_convert.verification.onnx_verdicts import compare_onnx
from electra_convert.verification.record import check_folders, save_report
from electra_convert.verification.recorded import read_golden
from electra_convert.verification.reference.session import ReferenceSession
from electra_convert.verification.report import ModelParity, ParityReport, SideReport, role_of
from electra_convert.verification.settings import SettingParity, compare_labels, compare_own, compare_settings
from electra_convert.verification.sides import (
    Place,
    Side,
    find_place,
    find_roles,
    open_sides,
    require_apart,
    require_task,
    require_whole,
)
from electra_convert.verification.tasks import find_tasks, merge_reports
from electra_convert.verification.vocabularies import find_specials, find_tokenizer, tokenizer_notes, vocabulary_notes
from electra_convert.verification.weights import WeightsParity, comparable, compare_weights, left_behind


@dataclass(frozen=True)
class Checks:
    """What verify is to look at, as its arguments say it."""

    weights_only: bool = False
    texts: tuple[str, ...] = ()
    inputs: Path | None = None
    golden: Path | None = None
    tolerance: float | None = None
    task: Choice | None = None

    def __post_init__(self) -> None:
        others = {"--text": self.texts, "--inputs": self.inputs}
        given = [name for name, value in others.items() if value]
        if self.weights_only and (self.golden is not None or given or self.tolerance is not None):
            raise UsageError("--weights-only runs nothing: it goes with no --text, --inputs, --golden or --tolerance")
        if self.golden is not None and given:
            raise UsageError(f"{given[0]} does not go with --golden, which has the inputs its outputs were made of")
        if self.tolerance is not None and not (isfinite(self.tolerance) and self.tolerance >= 0):
            raise UsageError(f"--tolerance is {self.tolerance}, expected a number from 0 up")


@arguments_for_options()
def verify(
    reference: str | Path | None,
    candidate: str | Path,
    weights_only: bool = False,
    text: str | Iterable[str] = (),
    inputs: str | Path | None = None,
    golden: str | Path | None = None,
    tolerance: float | None = None,
    hparams: str | Path | Mapping[str, Any] | None = None,
    config: str | Path | None = None,
    save: bool = False,
    progress: Progress | None = None,
    exclude: str | Sequence[str] = (),
    *,
    task: str | None = None,
    labels: str | Path | Sequence[str] | None = None,
) -> ParityReport:
    """Find out whether a checkpoint is the same model as another.

    Args:
        reference: what the candidate is held to, anything that convert takes; None with golden outputs alone.
        candidate: the other side, anything that convert takes; of a checkpoint that Google's code fine-tuned for
            several tasks also the folder that convert made of it, with a folder a task.
        weights_only: compare weights and configurations, and run nothing.
        text: sentences to run both on, beside the built-in inputs.
        inputs: an .npz with input_ids, and where wanted input_mask and segment_ids, integers [rows, length].
        golden: an .npz of what the reference computed, in place of running it, as docs/verification.md has it.
        tolerance: the largest absolute difference that passes, in place of 1e-4 or four times the reference's own
            distance from its float64 run where that is more.
        hparams: google-research/electra's hparams of the reference: a mapping, JSON, or the name of a file.
        config: a transformers config.json of the reference.
        save: write parity.json beside each model of the candidate.
        progress: told how many bytes of weights of how many have been compared, from several threads.
        exclude: patterns of names of tensors of the reference that are no part of a model, as for convert.
        task: of a checkpoint that Google's code fine-tuned for several: the one that is compared, NAME or NAME=KIND
            as convert takes it; by default the one that the other side is recorded to be of, or all of them.
        labels: what the classes of the reference are called: a list, or a file with one a line; by default those of
            Google's code.

    Returns:
        The report; whether the two are the same is its `passed`.

    Raises:
        MissingPackageError: a framework that is needed is not installed.
        ElectraConvertError: a side is no complete ELECTRA checkpoint, or an argument makes no sense.

    >>> from electra_convert import convert, verify
    >>> converted = convert("fixtures/default", "my-electra")
    >>> report = verify("fixtures/default", "my-electra", weights_only=True)
    >>> report
    <ParityReport: same model, discriminator and generator of my-electra against default>
    >>> report.models["generator"].weights.equal
    42
    """
    texts = (text,) if isinstance(text, str) else tuple(text)
    paths = (None if path is None else Path(path) for path in (inputs, golden, config))
    given_inputs, given_golden, given_config = paths
    checks = Checks(weights_only, texts, given_inputs, given_golden, tolerance, read_task(task))
    place = None
    if reference is None and not (hparams is None and config is None and labels is None and not exclude):
        raise UsageError("--hparams, --config, --labels and --exclude are of the reference, and there is none")
    if reference is not None:
        patterns = (exclude,) if isinstance(exclude, str) else tuple(exclude)
        place = find_place(reference, hparams_text(hparams), given_config, read_labels(labels), patterns)
    return run_verification(place, find_place(candidate), checks, save, progress)


def run_verification(
    reference: Place | None, candidate: Place, checks: Checks, save: bool = False, progress: Progress | None = None
) -> ParityReport:
    """verify with everything already in one place; a reference is needed unless there are golden outputs.

    Of checkpoints that Google's code fine-tuned for several tasks each task is verified, all by one process of
    TensorFlow's.
    """
    if reference is None and checks.golden is None:
        raise UsageError(
            "there is nothing to compare with", "Give REFERENCE and CANDIDATE, or --golden FILE CANDIDATE."
        )
    tasks = find_tasks(reference, candidate, checks.golden) if checks.task is None else {}
    if save and any(sides.candidate == candidate for sides in tasks.values()):
        raise UsageError(
            f"--save keeps a report of one model in its folder; {candidate.path} is fine-tuned for {listing(tasks)}",
            "Say with --task NAME which is compared, or leave --save out.",
        )
    with ReferenceSession() as session:
        compare = partial(_verify_sides, session=session, save=save, progress=progress)
        if not tasks:
            return compare(reference, candidate, checks)
        missing = {name: sides.missing for name, sides in tasks.items() if sides.missing is not None}
        reports = {
            name: compare(sides.reference, sides.candidate, replace(checks, task=Choice(name, among=tuple(tasks))))
            for name, sides in tasks.items()
            if name not in missing
        }
    return merge_reports(reports, missing, reference, candidate)


def _verify_sides(
    reference: Place | None,
    candidate: Place,
    checks: Checks,
    session: ReferenceSession,
    save: bool,
    progress: Progress | None,
) -> ParityReport:
    """Verify a model or a pair as it is, or at one task."""
    with ExitStack() as stack:
        known, side = stack.enter_context(open_sides(reference, candidate, checks.task))
        if known is not None and checks.task is not None and checks.golden is None:
            require_task(known, side, checks.task)
        folders = {role: model.folder for role, model in side.checkpoint.models.items()}
        if save and known is not None:
            require_apart(known, side)
        if save:
            check_folders(folders.values())
            require_whole(side)
        report = _report(known, side, checks, session, progress)
        if save:
            named = set(map(role_of, report.models))
            kept = {role: folder for role, folder in folders.items() if role in named}
            report = replace(report, saved=save_report(report, kept, None if known is None else _provenance(known)))
    return report


def _provenance(reference: Side) -> dict[str, Any]:
    """What parity.json says of the files that were read, the long ones hashed too."""
    place = reference.place
    files = find_files(reference.checkpoint, place.path, place.origin, other=place.generator)
    return place_fields(place.origin, [file.hashed() for file in files])


def _report(
    reference: Side | None, candidate: Side, checks: Checks, session: ReferenceSession, progress: Progress | None
) -> ParityReport:
    roles, notes = find_roles(reference, candidate)
    notes += _onnx_notes(candidate, roles, checks)
    loaded = () if candidate.is_onnx else roles
    running = not checks.weights_only and candidate.fault is None
    run = (candidate,) if checks.golden is not None else (reference, candidate)
    if running and any(side is not None and side.checkpoint.scheme.loads == "google" for side in run):
        session.begin()  # TensorFlow is imported there while weights are compared and PyTorch is imported here
    if reference is not None:
        notes += vocabulary_notes(reference, candidate, roles)
    settings = {role: _settings(reference, candidate, role) for role in roles}
    notes += [note for role in roles for note in _label_notes(reference, candidate, role)]
    notes += tokenizer_notes(candidate, roles)
    weights = {} if reference is None else _weights(reference, candidate, loaded, progress)
    batches: tuple[Batch, ...] = ()
    ran = dict.fromkeys(roles, Compared())
    if running and checks.golden is not None:
        ran = _run_recorded(reference, candidate, roles, checks.golden, checks, session)
    elif running and reference is not None:
        batches, cut_off = _batches(reference, candidate, roles, checks)
        notes += cut_off
        ran |= _run_both(reference, candidate, weights, batches, checks.tolerance, session)
    models: dict[str, ModelParity] = {
        role: ModelParity(
            weights.get(role),
            settings[role],
            ran[role].outputs,
            ran[role].not_run,
            candidate.fault,
        )
        for role in loaded
        if reference is not None or candidate.fault is not None or ran[role].was_looked_at
    }
    if reference is not None and checks.golden is None:
        models |= compare_onnx(reference, candidate, settings, batches, checks.tolerance, session)
    return ParityReport(
        reference=_reference_report(reference, checks),
        candidate=candidate.report,
        models=models,
        weights_only=checks.weights_only,
        batches=batches,
        versions={
            **{name: version for role in roles for name, version in ran[role].versions.items()},
            **_onnx_versions(models.values()),
        },
        notes=tuple(dict.fromkeys([*notes, *(note for role in roles for note in ran[role].notes)])),
        tolerance=checks.tolerance,
    )


def _onnx_notes(candidate: Side, roles: Sequence[Role], checks: Checks) -> list[str]:
    """Which ONNX models are not compared."""
    names = [place.name for role in roles for place in candidate.onnx(role)] if checks.golden is not None else []
    if names and candidate.is_onnx:
        raise UsageError(
            f"--golden holds outputs to a model that is run in float64 too, and {candidate.place.path} is ONNX",
            "Give REFERENCE, the checkpoint that it was converted from.",
        )
    return [f"ONNX models are not held to recorded outputs: {listing(dict.fromkeys(names))}."] if names else []


def _onnx_versions(models: Iterable[ModelParity]) -> dict[str, str]:
    return dict(model.ran_by.split(" ") for model in models if model.ran_by is not None)


def _weights(
    reference: Side, candidate: Side, roles: Sequence[Role], progress: Progress | None
) -> dict[Role, WeightsParity]:
    pairs = {role: (reference.checkpoint.models[role], candidate.checkpoint.models[role]) for role in roles}
    compared = [weight for pair in pairs.values() for weight in comparable(*pair)[0].values()]
    count = counter(sum(weight.tensor.nbytes for weight in compared), progress)
    return {role: compare_weights(*pair, count) for role, pair in pairs.items()}


def _settings(reference: Side | None, candidate: Side, role: Role) -> tuple[SettingParity, ...]:
    if candidate.findings is None:
        return ()
    config = candidate.config(role) if candidate.is_loaded(role) else None
    own = () if config is None else compare_own(config, candidate.checkpoint.models[role])
    if reference is None or reference.findings is None:
        return own
    compared = compare_settings(reference.findings.configs[role], candidate.findings.configs[role], config)
    return (*compared, *_labels(reference, candidate, role), *own)


def _labels(reference: Side, candidate: Side, role: Role) -> tuple[SettingParity, ...]:
    """What the classes of a head are called, where both sides say it."""
    expected = reference.labels(role)
    found = None if candidate.config(role) is None else candidate.labels(role)
    if expected is None or found is None or expected.warning is not None:
        return ()
    return (compare_labels(expected, found),)


def _label_notes(reference: Side | None, candidate: Side, role: Role) -> list[str]:
    labels = None if reference is None or candidate.config(role) is None else reference.labels(role)
    if reference is None or labels is None or labels.warning is None:
        return []
    told = f"nothing beside {reference.checkpoint.name} says it. Give --labels to settle it."
    return [f"What the {len(labels.names)} classes are called is not compared: {told}"]


def _reference_report(reference: Side | None, checks: Checks) -> SideReport:
    if reference is not None:
        return reference.report
    assert checks.golden is not None
    return SideReport(str(checks.golden), checks.golden.name, "npz")


def _batches(
    reference: Side, candidate: Side, roles: Sequence[Role], checks: Checks
) -> tuple[tuple[Batch, ...], tuple[str, ...]]:
    """What the models are run on, none of them given more than it can take; and which sentences were cut off."""
    sides = (candidate, reference)
    every = [side.limits(role) for side in sides for role in roles]
    limits = Limits(*(min(values) for values in zip(*(astuple(limit) for limit in every), strict=True)))
    specials = find_specials(sides, roles[0])
    segment = max(side.checkpoint.models[role].head.segment for side in sides for role in roles)
    batches = builtin_batches(limits, specials, segment)
    cut_off: tuple[str, ...] = ()
    if checks.texts:
        batch, cut_off = text_batch(checks.texts, find_tokenizer(sides, roles[0]), specials, limits, segment)
        batches = (batch, *batches)
    if checks.inputs is not None:
        batches = (read_inputs(checks.inputs, limits), *batches)
    return batches, cut_off


def _run_both(
    reference: Side,
    candidate: Side,
    weights: Mapping[Role, WeightsParity],
    batches: Sequence[Batch],
    tolerance: float | None,
    session: ReferenceSession,
) -> dict[Role, Compared]:
    pairings = []
    for role, compared in weights.items():
        expected, found = reference.runner(role, candidate, session), candidate.runner(role, reference, session)
        run = candidate.checkpoint.models[role].mapped  # a head that no rule describes is not
        rounded = {name: dtype for name, dtype in compared.rounded.items() if name in run}
        pairings.append(Pairing(_head(reference, candidate, role), expected, found, batches, rounded, tolerance))
    try:
        started = start_comparisons(pairings)
        sides = (reference, candidate)
        return {role: _compared(finish, sides) for role, finish in zip(weights, started, strict=True)}
    except MissingPackageError as error:
        raise MissingPackageError(
            error.message, f"{error.hint}, or verify --weights-only, which needs none"
        ) from error


def _head(reference: Side, candidate: Side, role: Role) -> Head:
    """The head that both sides are to compute; none where it stays behind on one of them."""
    models = [side.checkpoint.models[role] for side in (reference, candidate)]
    behind = left_behind(models[0], models[1]) | left_behind(models[1], models[0])
    return NONE if behind else models[0].head


def _run_recorded(
    reference: Side | None,
    candidate: Side,
    roles: Sequence[Role],
    golden: Path,
    checks: Checks,
    session: ReferenceSession,
) -> dict[Role, Compared]:
    models = {role: candidate.checkpoint.models[role] for role in roles}
    recordings = read_golden(golden, models, checks.task.task if checks.task else None)
    ran = {}
    for role in roles:
        if role not in recordings:
            ran[role] = Compared(notes=(f"The {role} was not run: {golden.name} does not record it.",))
            continue
        runner = candidate.runner(role, reference, session)
        compare = partial(compare_recording, models[role], recordings[role], runner, checks.tolerance)
        ran[role] = _compared(compare, (candidate,))
    return ran


def _compared(compare: Callable[[], Compared], sides: Sequence[Side]) -> Compared:
    """Compare; a side that cannot be run is a finding, a framework that is not installed is an error."""
    try:
        return compare()
    except MissingPackageError:
        raise
    except ElectraConvertError as error:
        message = error.message
        for side in sides:
            message = side.by_name(message)
        return Compared(not_run=message)
