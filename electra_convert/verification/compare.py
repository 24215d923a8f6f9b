"""Two runs of one model held against each other, stage by stage: which runs are made, and each stage's limit."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from electra_convert.checkpoint import Model
from electra_convert.errors import NamesError
from electra_convert.pytorch import Precision
from electra_convert.schemes.heads import Head
from electra_convert.verification.inputs import Batch
from electra_convert.verification.metrics import (
    Agreement,
    Array,
    Figures,
    agreement_of_choices,
    agreement_of_decisions,
    agreement_of_tokens,
    distance,
    largest_difference,
)
from electra_convert.verification.recorded import Recording
from electra_convert.verification.runners import LOGITS, Rounded, Run, Runner, Stages, answer_name, stage_name
from electra_convert.verification.weights import dtypes_of

TOLERANCE = 1e-4
BOTH: tuple[Precision, ...] = ("float32", "float64")
# Two correct float32 runs each err by about as much; four times one of them is beyond what rounding does.
OWN_ERRORS = 4.0
# Two correct float64 runs agree far better than this, and a wrong weight seldom moves anything by less.
_EXACT = 1e-6
# Against outputs recorded of weights that were not rounded: eight steps of the narrower dtype, of the stage's largest
# value.
_LOOSER = {"float16": 8 * 2.0**-11, "bfloat16": 8 * 2.0**-8}
_SAMPLES = 40
STAGE_HEADER = ("stage", "max abs", "mean abs", "relative", "cosine", "limit", "reference*", "candidate*", "")


@dataclass(frozen=True)
class Stage:
    """One stage of a model, from the embeddings to the logits, in two runs.

    Attributes:
        name: embeddings, layer 1 and so on, logits.
        figures: how far the runs are from each other.
        limit: the largest absolute difference that passes.
        reference_error: the largest distance of the reference from the candidate's float64 run.
        candidate_error: that of the candidate.
        exact: the largest difference of the two in float64, or None where the reference was not run in it.
    """

    name: str
    figures: Figures
    limit: float
    reference_error: float
    candidate_error: float
    exact: float | None = None

    @property
    def passed(self) -> bool:
        """Whether the runs agree; never with a NaN."""
        within = math.isfinite(self.limit) and self.figures.max_abs <= self.limit
        return within and (self.exact is None or self.exact <= _EXACT)

    @property
    def exceeds_rounding(self) -> bool:
        """Whether the runs are further from each other than the candidate's rounding accounts for."""
        return _EXACT < self.figures.max_abs < math.inf and (
            self.figures.max_abs > min(self.limit, OWN_ERRORS * self.candidate_error)
        )

    @property
    def fault(self) -> str:
        """How a stage that does not pass differs, in words."""
        apart, exact = f"{self.figures.max_abs:.3g} apart", self.exact
        if exact is not None and exact > _EXACT:
            return f"{apart} in float32 (the limit is {self.limit:.3g}), and {exact:.3g} in float64: not by rounding"
        told = "" if exact is None else f"; {exact:.3g} apart in float64, so by rounding alone"
        return f"{apart}, the limit is {self.limit:.3g}{told}"

    @property
    def cells(self) -> tuple[str, ...]:
        """What a table shows under STAGE_HEADER."""
        figures = self.figures
        return (
            self.name,
            *(f"{value:.2g}" for value in (figures.max_abs, figures.mean_abs, figures.relative)),
            f"{figures.cosine:.7f}",
            *(f"{value:.2g}" for value in (self.limit, self.reference_error, self.candidate_error)),
            "within the limit" if self.passed else "beyond the limit",
        )


@dataclass(frozen=True)
class Sample:
    """Some logits of both runs, for a reader to see; the labels are positions, or ids of tokens."""

    what: str
    labels: tuple[str, ...]
    reference: tuple[float, ...]
    candidate: tuple[float, ...]


@dataclass(frozen=True)
class OutputsParity:
    """What one model computes, in two runs.

    Attributes:
        reference: what the reference was computed with, or where it was recorded.
        candidate: what the candidate was computed with.
        positions: at how many positions hidden states were compared, padding included.
        positions_of_logits: at how many positions logits were.
        stages: from the embeddings to the logits.
        agreement: how often a user would see the same; None for a model without a head.
        sample: some logits; None for a model without a head.
        not_covered: what this comparison cannot see.
        rounding: what the rounding to the declared dtype does to each stage by itself; empty where there is none.
        exact: which of the two was run in float64, and is what the stages' errors are distances from.
    """

    reference: str
    candidate: str
    positions: int
    positions_of_logits: int
    stages: tuple[Stage, ...]
    agreement: Agreement | None
    sample: Sample | None
    not_covered: tuple[str, ...] = ()
    rounding: Mapping[str, Figures] = field(default_factory=dict)
    exact: Literal["reference", "candidate"] = "candidate"

    @property
    def first_differing(self) -> Stage | None:
        """The first stage at which the runs do not agree."""
        return next((stage for stage in self.stages if not stage.passed), None)

    @property
    def worst(self) -> float:
        """The largest absolute difference of any stage."""
        return float(np.max([stage.figures.max_abs for stage in self.stages]))

    @property
    def what(self) -> str:
        """What was compared, in words."""
        names = [stage.name for stage in self.stages]
        layers = sum(name.startswith("layer") for name in names)
        parts = [f"the {names[0]}"] if names[0] == stage_name(0) else []
        where = f"of {layers} layers" if len(names) > 1 else "of the last layer"
        parts += [f"the hidden states {where} at {self.positions:,} positions"] if layers else []
        answers = " and ".join(name for name in names if name.endswith(LOGITS))
        parts += [f"the {answers} at {self.positions_of_logits:,} positions"] if answers else []
        return ", ".join(parts)

    @property
    def remarks(self) -> tuple[str, ...]:
        """How often a user would see the same, and what the rounding does by itself, in words."""
        told = [] if self.agreement is None else [str(self.agreement)]
        for name, figures in list(self.rounding.items())[-1:]:
            told.append(
                f"The rounding itself moves the {name} by up to {figures.max_abs:.2g} (not part of the verdict)."
            )
        return tuple(told)


@dataclass(frozen=True)
class Compared:
    """What came of running one model: a comparison, or why a side could not be run; neither where nothing was."""

    outputs: OutputsParity | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    not_run: str | None = None

    @property
    def was_looked_at(self) -> bool:
        """Whether anything came of it."""
        return self.outputs is not None or self.not_run is not None


@dataclass(frozen=True)
class Pairing:
    """One model of both sides, the head that both are to compute, and how it is to be run.

    Weights that the candidate holds in a narrower dtype are rounded in the reference too, so that the limits need not
    be looser. A tolerance of None stands for the rule.
    """

    head: Head
    reference: Runner
    candidate: Runner
    batches: Sequence[Batch]
    rounded: Rounded
    tolerance: float | None


def start_comparisons(pairings: Sequence[Pairing]) -> list[Callable[[], Compared]]:
    """Begin to run both sides of each model; references may compute in their own process while PyTorch is imported.

    What is returned waits for a model's runs, and compares what they computed. It too raises the errors below.

    Raises:
        MissingPackageError: a framework is not installed.
        ElectraConvertError: a side cannot be run.
    """
    expected = [pairing.reference.start(pairing.batches, ("float32",), pairing.rounded) for pairing in pairings]
    found = [pairing.candidate.start(pairing.batches, BOTH, pairing.rounded) for pairing in pairings]
    return [partial(_finish, *each) for each in zip(pairings, expected, found, strict=True)]


def _finish(pairing: Pairing, reference: Callable[[], list[Run]], candidate: Callable[[], list[Run]]) -> Compared:
    (expected,), (found, exact) = reference(), candidate()  # in turn: two at a time get into each other's way
    compared = [*_layers(expected.stages), *(answer_name(name) for name in pairing.head.outputs)]
    sides = ({name: expected.stages[name] for name in compared}, found.stages)
    positions = sum(batch.input_ids.size for batch in pairing.batches)
    limit, own = pairing.tolerance, None
    if limit is None:
        limit, own = TOLERANCE, partial(_exact_stages, pairing)
    outputs = OutputsParity(
        reference=expected.framework,
        candidate=found.framework,
        positions=positions,
        positions_of_logits=places_of(pairing.head, sides[0], positions),
        stages=compare_stages(*sides, exact.stages, lambda _: limit, own),
        agreement=agreement_of(pairing.head, *sides, [batch.input_mask for batch in pairing.batches]),
        sample=sample_of(pairing.head, *sides),
        rounding=_rounding(pairing) if pairing.rounded else {},
    )
    return Compared(outputs, {**expected.versions, **found.versions}, expected.notes + found.notes)


def _exact_stages(pairing: Pairing) -> Stages:
    (run,) = pairing.reference.start(pairing.batches, ("float64",), pairing.rounded)()
    return run.stages


def _rounding(pairing: Pairing) -> dict[str, Figures]:
    """What the rounding does by itself: the two sides as they are."""
    runners = (pairing.reference, pairing.candidate)
    (plain,), (other,) = (runner.start(pairing.batches, ("float32",), {})() for runner in runners)
    return {
        name: distance(arrays, other.stages[name]) for name, arrays in plain.stages.items() if name in other.stages
    }


def compare_recording(model: Model, recording: Recording, candidate: Runner, tolerance: float | None) -> Compared:
    """Run a model of the candidate, and compare what it computes with what was recorded.

    Limits are looser where its weights have narrower dtypes than float32; a tolerance of None stands for the rule.

    Raises:
        SourceError: the recording is of another model.
        ElectraConvertError: a framework is not installed, or the candidate cannot be run.
    """
    expected = recording.stages
    ran, more = candidate.start([recording.batch], BOTH, {})()
    found, exact = recording.select(ran.stages), recording.select(more.stages)
    dtypes = dtypes_of(model)
    share = max((_LOOSER.get(dtype, 0.0) for dtype in dtypes), default=0.0)

    def limit(name: str) -> float:
        largest = max(float(np.abs(array).max()) for array in expected[name])
        return max(TOLERANCE, share * largest) if tolerance is None else tolerance

    not_covered = recording.not_covered(model)
    if share and tolerance is None:
        rounding = f"differences within the rounding of {', '.join(dtypes)}"
        not_covered += (f"{rounding}, which was not recorded: see the limits",)
    outputs = OutputsParity(
        reference=f"what {recording.batch.name} records",
        candidate=ran.framework,
        positions=recording.batch.input_ids.size,
        positions_of_logits=places_of(model.head, expected, recording.positions_of_logits),
        stages=compare_stages(expected, found, exact, limit),
        agreement=agreement_of(model.head, expected, found, [recording.mask]),
        sample=sample_of(model.head, expected, found),
        not_covered=not_covered,
    )
    return Compared(outputs, ran.versions, ran.notes)


def compare_stages(
    reference: Stages,
    candidate: Stages,
    exact: Stages,
    limit: Callable[[str], float],
    own: Callable[[], Stages] | None = None,
) -> tuple[Stage, ...]:
    """Compare two runs, stage by stage.

    Args:
        reference: the reference's arrays.
        candidate: the candidate's; stages that the reference lacks are passed over.
        exact: the candidate's in float64.
        limit: the largest absolute difference that passes, by the stage's name.
        own: runs the reference in float64; called only if a stage is beyond its limit, or further apart than rounding
            accounts for. Its distance from the reference says what rounding does to that; the candidate's float64 run
            would not do, since a wrong candidate is far from the reference in any precision. Its distance from the
            candidate's float64 run says what no rounding accounts for. None where limits are to hold as they are.

    Returns:
        Every stage of the reference with its figures and its limit.

    Raises:
        NamesError: the candidate has no such stage, or one of another shape.
    """
    require_shapes(reference, candidate)
    stages = [
        Stage(
            name,
            distance(arrays, candidate[name]),
            limit(name),
            largest_difference(arrays, exact[name]),
            largest_difference(candidate[name], exact[name]),
        )
        for name, arrays in reference.items()
    ]
    if own is not None and any(stage.exceeds_rounding for stage in stages):
        better = own()
        stages = [_arbitrated(stage, *(side[stage.name] for side in (reference, better, exact))) for stage in stages]
    return tuple(stages)


def require_shapes(reference: Stages, candidate: Stages) -> None:
    """Refuse a candidate that lacks a stage of the reference, or gives it in another shape; raises NamesError."""
    for name, arrays in reference.items():
        expected, found = ([array.shape for array in side] for side in (arrays, candidate.get(name, ())))
        if expected != found:
            told = f"are of shape {list(found[0])}" if found else "are not there"
            raise NamesError(f"the candidate's {name} {told}, the reference's of shape {list(expected[0])}")


def _arbitrated(stage: Stage, reference: Sequence[Array], better: Sequence[Array], exact: Sequence[Array]) -> Stage:
    """A stage with the limit that the reference's own rounding makes, and with what no rounding explains."""
    own_error = largest_difference(reference, better)
    limit = max(stage.limit, OWN_ERRORS * own_error) if math.isfinite(own_error) else stage.limit
    return replace(stage, limit=limit, exact=largest_difference(better, exact))


def _layers(stages: Stages) -> list[str]:
    return [name for name in stages if not name.endswith(LOGITS)]


def _answers(stages: Stages) -> list[str]:
    return [name for name in stages if name.endswith(LOGITS)]


def places_of(head: Head, stages: Stages, positions: int) -> int:
    """At how many of so many positions there are answers: a classifier's are at the first of each row."""
    arrays = stages.get(LOGITS, ())
    of_texts = head.is_of_a_task and any(array.ndim == 2 for array in arrays)
    return sum(len(array) for array in arrays) if of_texts else positions


def agreement_of(
    head: Head, reference: Stages, candidate: Stages, masks: Sequence[NDArray[np.integer]]
) -> Agreement | None:
    """How often a user would see the same; None where there is no head, or one of numbers."""
    names = _answers(reference)
    if not names or head.labels == 1:
        return None
    if head.is_of_a_task:
        sides = (
            [choices for name in names for choices in _choices(name, stages, masks)]
            for stages in (reference, candidate)
        )
        return agreement_of_choices(*sides)
    measure = agreement_of_decisions if head.role == "discriminator" else agreement_of_tokens
    return measure(reference[LOGITS], candidate[LOGITS], masks)


def _choices(name: str, stages: Stages, masks: Sequence[NDArray[np.integer]]) -> Iterator[Array]:
    """The logits [n, choices] of what a task chooses from: classes, tags of tokens, tokens of a passage."""
    for logits, mask in zip(stages[name], masks, strict=True):
        if name != LOGITS:
            yield np.where(mask > 0, logits, -np.inf)
        else:
            yield logits[mask > 0] if logits.ndim == 3 else logits


def sample_of(head: Head, reference: Stages, candidate: Stages) -> Sample | None:
    """Logits of the first input: at its first positions, or of the likeliest tokens or labels at one of them."""
    if not (names := _answers(reference)):
        return None
    one, other = reference[names[0]][0][0], candidate[names[0]][0][0]
    place = min(1, len(one) - 1) if one.ndim == 2 else 0
    if one.ndim == 2:
        one, other = one[place], other[place]
    elif names[0] != LOGITS or not head.is_of_a_task:
        shown = list(range(min(len(one), _SAMPLES)))
        return _sampled("The first positions of the first input", shown, one, other)
    things = "labels" if head.is_of_a_task else "tokens"
    shown = np.argsort(-one, kind="stable")[:_SAMPLES].tolist()
    return _sampled(f"The likeliest {things} at position {place} of the first input, by their ids", shown, one, other)


def _sampled(what: str, shown: Sequence[int], one: Array, other: Array) -> Sample:
    sides = (tuple(float(side[index]) for index in shown) for side in (one, other))
    return Sample(what, tuple(str(index) for index in shown), *sides)
