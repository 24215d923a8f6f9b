"""What verify found: every comparison as a value, the verdict that follows from them, and why, in words."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Literal

from electra_convert.errors import arguments_for_options, counted, listing
from electra_convert.pages import framed, save_page
from electra_convert.schemes.layouts import collapse
from electra_convert.verification.compare import OutputsParity
from electra_convert.verification.html import report_page
from electra_convert.verification.inputs import Batch
from electra_convert.verification.onnx_models import Int8Distance
from electra_convert.verification.settings import SettingParity
from electra_convert.verification.weights import WeightsParity

SHOWN = 3  # rows of weights that a reason names
_IN = " in "  # between a model and its file
_TITLES = {
    "same": "Same model",
    "different": "Not the same model",
    "unproven": "Not shown to be the same model",
}


@dataclass(frozen=True)
class SideReport:
    """One side: the path as it was given, the base name, which may be recorded, and the kind of container."""

    path: str
    name: str
    format: str


@dataclass(frozen=True)
class ModelParity:
    """One model of both sides.

    Attributes:
        weights: its weights compared, or None where there is no reference to compare them with.
        settings: its configuration compared.
        outputs: what the two compute, or None where that was not looked at.
        not_run: why a side could not be run, or None.
        fault: how the candidate's configuration contradicts itself or its weights, or None.
        int8: how far a model of 8-bit weights is from the reference; None of any other, and where it was not run.
        doubt: why the model may compute something else than its weights and the runs show, or None.
        ran_by: of an ONNX model, what ran it, with its version.
    """

    weights: WeightsParity | None
    settings: tuple[SettingParity, ...]
    outputs: OutputsParity | None = None
    not_run: str | None = None
    fault: str | None = None
    int8: Int8Distance | None = None
    doubt: str | None = None
    ran_by: str | None = None

    @property
    def differences(self) -> tuple[str, ...]:
        """Why the two are not the same model."""
        found = [*_weight_reasons(self.weights), *_setting_reasons(self.settings)]
        if self.fault is not None:
            found.append(self.fault)
        if self.outputs is not None and (stage := self.outputs.first_differing) is not None:
            found.append(f"the outputs part at {stage.name}: {stage.fault}")
        if self.int8 is not None and not isfinite(self.int8.max_abs):
            found.append("the outputs are not finite")
        return tuple(found)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the two are not shown to be the same model; empty if they are."""
        guessed = tuple(setting.guess for setting in self.settings if setting.state == "not verified")
        doubt = () if self.doubt is None else (self.doubt,)
        return self.differences + guessed + doubt + (() if self.not_run is None else (f"not run: {self.not_run}",))


@dataclass(frozen=True, repr=False)
class ParityReport:
    """The answer to whether two checkpoints are the same model.

    Attributes:
        reference: what the candidate was held to.
        candidate: the other side.
        models: each model that both have, by role, or of several tasks by task; of an ONNX model by those and its
            file, such as `discriminator in onnx/model.onnx`.
        weights_only: whether nothing was run.
        batches: what the models were run on; empty where nothing was, or where outputs were recorded.
        versions: of the packages that took part.
        notes: what was not compared, and what the reader should know.
        tolerance: the largest absolute difference that passed, where the user said one; None for the rule.
        saved: the files of this report beside the candidate's models, where it was kept there.
    """

    reference: SideReport
    candidate: SideReport
    models: Mapping[str, ModelParity]
    weights_only: bool
    batches: tuple[Batch, ...]
    versions: Mapping[str, str]
    notes: tuple[str, ...]
    tolerance: float | None = None
    saved: tuple[Path, ...] = ()

    def __repr__(self) -> str:
        sides = f"{' and '.join(self.models)} of {self.candidate.name} against {self.reference.name}"
        return f"<ParityReport: {self.title[0].lower()}{self.title[1:]}, {sides}>"

    def _repr_html_(self) -> str:
        return framed(report_page(self))

    @arguments_for_options()
    def to_html(self, path: str | Path, overwrite: bool = False) -> None:
        """Write the report as a web page that needs nothing else.

        Args:
            path: the file to be made.
            overwrite: whether an existing file may be replaced.

        Raises:
            OutputError: it exists, or cannot be written.

        >>> from electra_convert import convert, verify
        >>> converted = convert("fixtures/default", "my-electra")
        >>> verify("fixtures/default", "my-electra", weights_only=True).to_html("report.html")
        """
        save_page(Path(path), report_page(self), overwrite)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the two are not the same; empty if they are."""
        return tuple(f"{role}: {reason}" for role, model in self.models.items() for reason in model.reasons)

    @property
    def passed(self) -> bool:
        """Whether everything that was compared is the same."""
        return not self.reasons

    @property
    def verdict(self) -> Literal["same", "different", "unproven"]:
        """The same in a word; unproven where nothing differs, but a value is a guess, or a side could not be run."""
        if self.passed:
            return "same"
        return "different" if any(model.differences for model in self.models.values()) else "unproven"

    @property
    def title(self) -> str:
        """The verdict in a few words."""
        return _TITLES[self.verdict]

    @property
    def summary(self) -> str:
        """The verdict in a few sentences, with what it rests on."""
        if not self.passed:
            return f"{self.title}: {self.reasons[0]}" + _rest(len(self.reasons) - 1)
        return " ".join([f"The same {' and '.join(self.models)}.", *self.grounds])

    @property
    def grounds(self) -> tuple[str, ...]:
        """What the verdict that all is the same rests on: the weights, then what was run."""
        return (_weights_summary(self.models), *_outputs_summary(self.models))

    def of(self, roles: Collection[str]) -> ParityReport:
        """The same report of some of its models."""
        return replace(self, models={name: model for name, model in self.models.items() if role_of(name) in roles})


def onnx_name(role: str, file: str) -> str:
    """What a report calls a model's ONNX file."""
    return f"{role}{_IN}{file}"


def role_of(name: str) -> str:
    """Which model what a report has by some name is of."""
    return name.partition(_IN)[0]


def _rest(count: int) -> str:
    return f", and {counted(count, 'more reason')}." if count else "."


def differing_rows(weights: WeightsParity) -> list[tuple[str, str]]:
    """The rows of a table of weights that are of those that differ."""
    return weights.rows[: len(collapse(tensor.name for tensor in weights.differing))]


def _weight_reasons(weights: WeightsParity | None) -> list[str]:
    if weights is None or not weights.differing:
        return []
    told = [f"{name} ({detail})" for name, detail in differing_rows(weights)]
    count = len(weights.differing)
    verb = "is" if count == 1 else "are"
    return [f"{count} of {counted(len(weights.tensors), 'weight')} {verb} not equal: {listing(told, SHOWN)}"]


def _setting_reasons(settings: Sequence[SettingParity]) -> list[str]:
    return [setting.fault for setting in settings if setting.state == "differs"]


def _weights_summary(models: Mapping[str, ModelParity]) -> str:
    compared = [model.weights for model in models.values() if model.weights is not None]
    if not compared:
        return "Weights and configurations were not compared."
    count = sum(len(weights.tensors) for weights in compared)
    dtypes = sorted({dtype for weights in compared for dtype in weights.rounded.values()})
    how = f"after rounding to {listing(dtypes)}" if dtypes else "bit for bit"
    return f"All {count} weights are equal {how}, and so are the configuration values that change what is computed."


def _outputs_summary(models: Mapping[str, ModelParity]) -> list[str]:
    ran = {role: model.outputs for role, model in models.items() if model.outputs is not None}
    if not ran and all(model.int8 is None for model in models.values()):
        return ["Nothing was run."]
    pairs = dict.fromkeys(f"{outputs.candidate} against {outputs.reference}" for outputs in ran.values())
    told = [f"Run in float32 on the CPU, {' and '.join(pairs)}."] if pairs else []
    for role, model in models.items():
        if model.int8 is not None:
            told.append(f"{role.capitalize()}: exactly the reference's weights in 8 bits; {model.int8}.")
        elif outputs := ran.get(role):
            limit = max(stage.limit for stage in outputs.stages)
            told.append(
                f"{role.capitalize()}: {outputs.what}: within {outputs.worst:.2g} (the limit is {limit:.2g})."
            )
        else:
            told.append(f"{role.capitalize()}: not run.")
    return told
