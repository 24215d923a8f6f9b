"""One model of both sides run and compared, or of one side and what was recorded; chooses the runs and the limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from electra_convert.pytorch import Precision
from electra_convert.schemes.mapping import Role
from electra_convert.verification.compare import LOGITS, OutputsParity, Stage, Stages, compare_stages, notice, sample
from electra_convert.verification.inputs import Batch, Limits
from electra_convert.verification.metrics import Figures, distance
from electra_convert.verification.recorded import Recording
from electra_convert.verification.runners import Rounded, Run, Runner

TOLERANCE = 1e-4
BOTH: tuple[Precision, ...] = ("float32", "float64")
# Against outputs recorded of weights that were not rounded: eight steps of the narrower dtype, of the stage's largest
# value.
_LOOSER = {"float16": 8 * 2.0**-11, "bfloat16": 8 * 2.0**-8}


@dataclass(frozen=True)
class Compared:
    """What came of running one model.

    Attributes:
        outputs: the comparison.
        versions: of the packages that computed.
        notes: what the reader should know.
    """

    outputs: OutputsParity
    versions: Mapping[str, str]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Pairing:
    """One model of both sides, and how it is to be run.

    Attributes:
        role: which of the two models.
        reference: runs the reference.
        candidate: runs the candidate.
        batches: what on.
        rounded: weights that the candidate holds in a narrower dtype, and that dtype; the reference is rounded
            likewise, so that the limits need not be looser.
        tolerance: the limit asked for, or None for the rule.
    """

    role: Role
    reference: Runner
    candidate: Runner
    batches: Sequence[Batch]
    rounded: Rounded
    tolerance: float | None


def start_comparisons(pairings: Sequence[Pairing]) -> list[Callable[[], Compared]]:
    """Begin to run both sides of each model; references may compute in their own process while PyTorch is imported.

    Args:
        pairings: the models.

    Returns:
        For each a function that waits for its runs, and compares what they computed. It too raises the errors below.

    Raises:
        MissingPackageError: a framework is not installed.
        ElectraConvertError: a side cannot be run.
    """
    expected = [pairing.reference.start(pairing.batches, ("float32",), pairing.rounded) for pairing in pairings]
    found = [pairing.candidate.start(pairing.batches, BOTH, pairing.rounded) for pairing in pairings]
    return [partial(_finish, *each) for each in zip(pairings, expected, found, strict=True)]


def _finish(pairing: Pairing, reference: Callable[[], list[Run]], candidate: Callable[[], list[Run]]) -> Compared:
    (expected,), (found, exact) = reference(), candidate()  # in turn: two at a time get into each other's way
    limit, own = pairing.tolerance, None
    if limit is None:
        limit, own = TOLERANCE, partial(_exact_stages, pairing)
    stages = compare_stages(expected.stages, found.stages, exact.stages, lambda _: limit, own)
    return _compared(pairing, expected, found, stages)


def _exact_stages(pairing: Pairing) -> Stages:
    (run,) = pairing.reference.start(pairing.batches, ("float64",), pairing.rounded)()
    return run.stages


def _compared(pairing: Pairing, reference: Run, candidate: Run, stages: tuple[Stage, ...]) -> Compared:
    headed = LOGITS in reference.stages
    sides = (reference.stages, candidate.stages)
    positions = sum(batch.input_ids.size for batch in pairing.batches)
    masks = [batch.input_mask for batch in pairing.batches]
    outputs = OutputsParity(
        reference=reference.framework,
        candidate=candidate.framework,
        positions=positions,
        positions_of_logits=positions,
        stages=stages,
        agreement=notice(pairing.role, *sides, masks) if headed else None,
        sample=sample(pairing.role, *sides) if headed else None,
        rounding=_rounding(pairing) if pairing.rounded else {},
    )
    return Compared(outputs, {**reference.versions, **candidate.versions}, reference.notes + candidate.notes)


def _rounding(pairing: Pairing) -> dict[str, Figures]:
    """What the rounding does by itself: the two sides as they are."""
    runners = (pairing.reference, pairing.candidate)
    (plain,), (other,) = (runner.start(pairing.batches, ("float32",), {})() for runner in runners)
    return {name: distance(arrays, other.stages[name]) for name, arrays in plain.stages.items()}


def compare_recording(
    role: Role,
    recording: Recording,
    candidate: Runner,
    limits: Limits,
    dtypes: Sequence[str],
    tolerance: float | None,
) -> Compared:
    """Run the candidate, and compare what it computes with what was recorded.

    Args:
        role: which of the two models.
        recording: what the reference was given and computed.
        candidate: runs the candidate.
        limits: what the candidate can take.
        dtypes: of the candidate's weights; narrower ones than float32 get looser limits.
        tolerance: the limit asked for, or None for the rule.

    Returns:
        The comparison, with what it cannot see.

    Raises:
        SourceError: the recording is of another model.
        ElectraConvertError: a framework is not installed, or the candidate cannot be run.
    """
    expected = recording.stages
    ran, more = candidate.start([recording.batch], BOTH, {})()
    found, exact = recording.select(ran.stages), recording.select(more.stages)
    share = max((_LOOSER.get(dtype, 0.0) for dtype in dtypes), default=0.0)

    def limit(name: str) -> float:
        largest = max(float(np.abs(array).max()) for array in expected[name])
        return max(TOLERANCE, share * largest) if tolerance is None else tolerance

    layers = sum(name.startswith("layer") for name in ran.stages)
    not_covered = recording.not_covered(limits, layers)
    if share and tolerance is None:
        not_covered += (
            f"differences within the rounding of {', '.join(dtypes)}, which was not recorded: see the limits",
        )
    outputs = OutputsParity(
        reference=f"what {recording.batch.name} records",
        candidate=ran.framework,
        positions=recording.batch.input_ids.size,
        positions_of_logits=recording.positions_of_logits,
        stages=compare_stages(expected, found, exact, limit),
        agreement=notice(role, expected, found, [recording.mask]),
        sample=sample(role, expected, found),
        not_covered=not_covered,
    )
    return Compared(outputs, ran.versions, ran.notes)
