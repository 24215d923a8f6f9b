"""Two runs of one model held against each other, stage by stage, and the limits they are held to; runs no model."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from electra_convert.errors import NamesError
from electra_convert.schemes.mapping import Role
from electra_convert.verification.metrics import (
    Agreement,
    Figures,
    agreement_of_decisions,
    agreement_of_tokens,
    distance,
    largest_difference,
)
from electra_convert.verification.reference.graph import Outputs

Array = NDArray[np.floating]
Stages = Mapping[str, Sequence[Array]]
LOGITS = "logits"
# Two correct float32 runs each err by about as much; four times one of them is beyond what rounding does.
_OWN_ERRORS = 4.0
# Two correct float64 runs agree far better than this, and a wrong weight seldom moves anything by less.
_EXACT = 1e-6
_SAMPLES = 40


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
    def is_doubtful(self) -> bool:
        """Whether the runs are further from each other than rounding accounts for."""
        return _EXACT < self.figures.max_abs < math.inf and (
            self.figures.max_abs > min(self.limit, _OWN_ERRORS * self.candidate_error)
        )

    @property
    def fault(self) -> str:
        """How a stage that does not pass differs, in words."""
        apart, exact = f"{self.figures.max_abs:.3g} apart", self.exact
        if exact is not None and exact > _EXACT:
            return f"{apart} in float32 (the limit is {self.limit:.3g}), and {exact:.3g} in float64: not by rounding"
        told = "" if exact is None else f"; {exact:.3g} apart in float64, so by rounding alone"
        return f"{apart}, the limit is {self.limit:.3g}{told}"


@dataclass(frozen=True)
class Sample:
    """Some logits of both runs, for a reader to see.

    Attributes:
        what: which these are.
        labels: what each is the logit of: a position, or a token's id.
        reference: the reference's.
        candidate: the candidate's.
    """

    what: str
    labels: tuple[str, ...]
    reference: tuple[float, ...]
    candidate: tuple[float, ...]


@dataclass(frozen=True)
class OutputsParity:
    """Two runs of one model.

    Attributes:
        reference: what the reference was computed with, or where it was recorded.
        candidate: what the candidate was computed with.
        positions: at how many positions hidden states were compared, padding included.
        positions_of_logits: at how many positions logits were.
        stages: from the embeddings to the logits.
        agreement: what a user would notice; None for a model without a head.
        sample: some logits; None for a model without a head.
        not_covered: what this comparison cannot see.
        rounding: what the rounding to the declared dtype does to each stage by itself; empty where there is none.
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

    @property
    def first_differing(self) -> str | None:
        """The first stage at which the runs do not agree."""
        return next((stage.name for stage in self.stages if not stage.passed), None)

    @property
    def what(self) -> str:
        """What was compared, in words."""
        names = [stage.name for stage in self.stages]
        layers = sum(name.startswith("layer") for name in names)
        parts = [f"the {names[0]}"] if names[0] == stage_name(0) else []
        parts += [f"the hidden states of {layers} layers at {self.positions:,} positions"] if layers else []
        parts += [f"the logits at {self.positions_of_logits:,} positions"] if LOGITS in names else []
        return ", ".join(parts)

    @property
    def worst(self) -> float:
        """The largest absolute difference of any stage."""
        return float(np.max([stage.figures.max_abs for stage in self.stages]))


def stages_of(outputs: Sequence[Outputs]) -> Stages:
    """The arrays of every stage, batch by batch.

    Args:
        outputs: of each batch.

    Returns:
        By the stage's name, in the order of computation.
    """
    layers = len(outputs[0].hidden)
    named = {stage_name(layer): [output.hidden[layer] for output in outputs] for layer in range(layers)}
    logits = [output.logits for output in outputs if output.logits is not None]
    return {**named, LOGITS: logits} if logits else named


def stage_name(layer: int) -> str:
    """What the output of a layer is called; layer 0 stands for the embeddings."""
    return f"layer {layer}" if layer else "embeddings"


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
    _require_shapes(reference, candidate)
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
    if own is not None and any(stage.is_doubtful for stage in stages):
        better = own()
        stages = [_settled(stage, *(side[stage.name] for side in (reference, better, exact))) for stage in stages]
    return tuple(stages)


def _require_shapes(reference: Stages, candidate: Stages) -> None:
    for name, arrays in reference.items():
        expected, found = ([array.shape for array in side] for side in (arrays, candidate.get(name, ())))
        if expected != found:
            told = f"are of shape {list(found[0])}" if found else "are not there"
            raise NamesError(f"the candidate's {name} {told}, the reference's of shape {list(expected[0])}")


def _settled(stage: Stage, reference: Sequence[Array], better: Sequence[Array], exact: Sequence[Array]) -> Stage:
    own_error = largest_difference(reference, better)
    limit = max(stage.limit, _OWN_ERRORS * own_error) if math.isfinite(own_error) else stage.limit
    return replace(stage, limit=limit, exact=largest_difference(better, exact))


def notice(role: Role, reference: Stages, candidate: Stages, masks: Sequence[NDArray[np.integer]]) -> Agreement:
    """Compare what a user of a model would notice.

    Args:
        role: which of the two models it is.
        reference: the reference's arrays, with logits.
        candidate: the candidate's.
        masks: of each batch, [rows, length], 1 where there is a token.

    Returns:
        The agreement over all positions that are not padding.
    """
    measure = agreement_of_decisions if role == "discriminator" else agreement_of_tokens
    return measure(reference[LOGITS], candidate[LOGITS], masks)


def sample(role: Role, reference: Stages, candidate: Stages) -> Sample:
    """Take some logits of the first row of the first batch.

    Args:
        role: which of the two models it is.
        reference: the reference's arrays, with logits.
        candidate: the candidate's.

    Returns:
        A discriminator's logits along the row; a generator's of the tokens it finds likeliest at its second position.
    """
    one, other = reference[LOGITS][0][0], candidate[LOGITS][0][0]
    if role == "discriminator":
        what = "The first positions of the first input"
        shown = list(range(min(len(one), _SAMPLES)))
    else:
        place = min(1, len(one) - 1)
        one, other = one[place], other[place]
        shown = np.argsort(-one, kind="stable")[:_SAMPLES].tolist()
        what = f"The likeliest tokens at position {place} of the first input, by their ids"
    sides = (tuple(float(side[index]) for index in shown) for side in (one, other))
    return Sample(what, tuple(str(index) for index in shown), *sides)
