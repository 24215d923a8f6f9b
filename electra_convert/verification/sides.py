"""One side of a comparison: the checkpoint, its configuration, and what runs each of its models; compares nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from electra_convert.checkpoint import Checkpoint, open_path
from electra_convert.config.sources import Findings, electric_notice, gather
from electra_convert.errors import ConfigError, UsageError
from electra_convert.formats.names import ADAPTER_FILE, BUNDLE_INDEX, OPTIMIZER_FILE
from electra_convert.hub.download import as_source, local_source
from electra_convert.schemes.mapping import Role
from electra_convert.schemes.models import require_tied
from electra_convert.verification.inputs import Limits
from electra_convert.verification.reference.session import WitnessSession
from electra_convert.verification.report import SideReport
from electra_convert.verification.runners import Runner, TransformersRunner, WitnessRunner

# What Google's code computes; modeling.get_activation.
_KNOWN_ACTIVATIONS = ("gelu", "relu", "tanh", "linear")


@dataclass(frozen=True)
class Place:
    """What to compare, and what is known of it beside its own files.

    Attributes:
        path: what to open: anything convert takes as a source, brought here where it is on the Hub.
        name: what to call it, where that is not the path.
        generator: a folder with the generator that belongs to a discriminator.
        hparams: google-research/electra's hparams: JSON, or the name of a file that holds it.
        config: a transformers config.json.
    """

    path: Path
    name: str | None = None
    generator: Path | None = None
    hparams: str | None = None
    config: Path | None = None


def find_place(pointed_at: str | Path, hparams: str | None = None, config: Path | None = None) -> Place:
    """Find what was pointed at, and bring it here if it is on the Hub.

    Args:
        pointed_at: anything convert takes as a source.
        hparams: google-research/electra's hparams: JSON, or the name of a file that holds it.
        config: a transformers config.json.

    Returns:
        The place.

    Raises:
        ElectraConvertError: it is on the Hub, and cannot be brought here.
    """
    source = as_source(pointed_at)
    name = None if isinstance(source, Path) else source
    return Place(local_source(source), name, hparams=hparams, config=config)


@dataclass(frozen=True)
class Side:
    """An opened side.

    Attributes:
        place: what was pointed at.
        checkpoint: its models.
        findings: its configuration, or None where its sources contradict each other.
        fault: how they do, or None.
    """

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

    def config(self, role: Role) -> Mapping[str, Any] | None:
        """The config.json of a transformers model; None where there is none to go by, or it cannot be relied on.

        A folder without one is loaded by transformers as if it held an empty one; a file of weights is not loaded so.
        """
        if self.findings is None or not self.checkpoint.scheme.described:
            return None
        return self.findings.bases.get(role, {} if self.place.path.is_dir() else None)

    def by_name(self, message: str) -> str:
        """A message about the side with its name where the path to it stood, so that it may be recorded."""
        path, folder = self.place.path, self.checkpoint.folder
        names = {str(path.absolute()): self.report.name, str(path): self.report.name}
        names |= {f"{folder.absolute()}/": "", f"{folder}/": ""}
        known = "|".join(re.escape(place) for place in names if place.strip("./"))
        return re.sub(rf"(?<![\w./-])(?:{known})", lambda found: names[found[0]], message) if known else message

    def limits(self, role: Role) -> Limits:
        """What one of its models can take."""
        sizes = self.checkpoint.models[role].sizes
        return Limits(sizes.vocabulary, sizes.positions, sizes.types)

    def setting(self, role: Role, key: str) -> Any:  # noqa: ANN401 - JSON values
        """A configuration value, or None where it is a guess or not known."""
        config = None if self.findings is None else self.findings.configs[role]
        return None if config is None or key in config.guessed else config[key]

    def runner(self, role: Role, other: Side | None, session: WitnessSession) -> Runner:
        """Make what runs one of its models.

        Args:
            role: which.
            other: the other side, whose head count is used where nothing says this side's.
            session: runs TensorFlow checkpoints.

        Returns:
            The runner.
        """
        model = self.checkpoint.models[role]
        settled = self.place.config is not None
        own, others = (self,), () if other is None else (other,)
        if self.checkpoint.scheme.loads == "google":
            sides = own + others if settled else others + own
            activations = [side.setting(role, "hidden_act") for side in sides]
            activation = next((str(value) for value in activations if value in _KNOWN_ACTIVATIONS), "gelu")
            heads = _heads(sides, role)
            return WitnessRunner(session, self.checkpoint, model, self.place.hparams, settled, heads, activation)
        assert self.findings is not None
        values = {key: value.value for key, value in self.findings.configs[role].values.items()}
        values["num_attention_heads"] = _heads(own + others, role)
        return TransformersRunner(self.place.path, model, values)


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

    Args:
        reference: what the candidate is held to.
        candidate: the other side.

    Raises:
        UsageError: a file of weights is of both.
    """
    for first, second in product(_weights_files(reference), _weights_files(candidate)):
        if first.samefile(second):
            raise UsageError(
                f"REFERENCE and CANDIDATE are one and the same: {second} is of both",
                "Give the checkpoint that CANDIDATE was converted from, or leave --save out.",
            )


def _weights_files(side: Side) -> list[Path]:
    """A file of each container of weights; of a TensorFlow checkpoint, which is opened at a prefix, its index."""
    named = [source.path for source in side.checkpoint.sources if source.path.name != OPTIMIZER_FILE]
    files = [path if path.is_file() else path.with_name(f"{path.name}{BUNDLE_INDEX}") for path in named]
    return [path for path in files if path.is_file()]


def _heads(sides: Sequence[Side], role: Role) -> int:
    """The head count that the first of the sides has which is no guess, else Google's rule."""
    known = (side.setting(role, "num_attention_heads") for side in sides)
    hidden = sides[0].checkpoint.models[role].sizes.hidden
    return next((int(value) for value in known if value is not None), max(1, hidden // 64))


@contextmanager
def open_side(place: Place, lenient: bool) -> Iterator[Side]:
    """Open one side.

    Args:
        place: what to open.
        lenient: whether a configuration that contradicts itself is a finding and not an error.

    Yields:
        The side; its tensors can be read until the context ends.

    Raises:
        ElectraConvertError: it is not a complete ELECTRA checkpoint, is damaged, or contradicts itself.
    """
    with open_path(place.path, place.generator) as checkpoint:
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
