"""What verify may be told to look at, and which of it goes together."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from electra_convert.errors import UsageError


@dataclass(frozen=True)
class Checks:
    """What verify is to look at.

    Attributes:
        weights_only: run nothing.
        texts: sentences to run the models on, beside the built-in inputs.
        inputs: an .npz of ids to run them on as well.
        golden: an .npz of what the reference computed, in place of running it.
        tolerance: the largest absolute difference that passes, in place of the rule.
    """

    weights_only: bool = False
    texts: tuple[str, ...] = ()
    inputs: Path | None = None
    golden: Path | None = None
    tolerance: float | None = None

    def __post_init__(self) -> None:
        others = {"--text": self.texts, "--inputs": self.inputs}
        given = [name for name, value in others.items() if value]
        if self.weights_only and (self.golden is not None or given or self.tolerance is not None):
            raise UsageError("--weights-only runs nothing: it goes with no --text, --inputs, --golden or --tolerance")
        if self.golden is not None and given:
            raise UsageError(f"{given[0]} does not go with --golden, which has the inputs its outputs were made of")
        if self.tolerance is not None and not (isfinite(self.tolerance) and self.tolerance >= 0):
            raise UsageError(f"--tolerance is {self.tolerance}, expected a number from 0 up")
