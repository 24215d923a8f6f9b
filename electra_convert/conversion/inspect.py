"""inspect: what a source holds, without converting it.

Named apart from the function, which is electra_convert.inspect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from electra_convert.checkpoint import Checkpoint, open_path
from electra_convert.config.hparams import hparams_text
from electra_convert.config.resolve import Value, origins, plain
from electra_convert.config.sources import gather
from electra_convert.conversion.layout_tensorflow import head_notices
from electra_convert.conversion.layout_transformers import architecture
from electra_convert.conversion.options import read_path, read_patterns
from electra_convert.errors import arguments_for_options
from electra_convert.hub.download import as_source, local_source
from electra_convert.schemes.layouts import collapse
from electra_convert.schemes.mapping import Role
from electra_convert.schemes.models import naming, require_tied
from electra_convert.tensors.cast import require_finite
from electra_convert.tensors.spec import PIECE_BYTES
from electra_convert.tensors.transfer import Progress


@dataclass(frozen=True, repr=False)
class ModelReport:
    """One model of a source.

    Attributes:
        architecture: the transformers class that it converts to.
        config: its configuration, each value with its origin.
        parameters: the number of its weights.
    """

    architecture: str
    config: Mapping[str, Value]
    parameters: int

    def __repr__(self) -> str:
        return f"<ModelReport {self.architecture}: {self.parameters:,} parameters>"


@dataclass(frozen=True, repr=False)
class Inspection:
    """What a source holds.

    Attributes:
        source: what was pointed at.
        format: the kind of container.
        layout: the layout of a TensorFlow checkpoint, or None.
        step: the global step, or None where it is not known.
        slots: none, partial or full.
        models: by role; a model that is not there is absent.
        unmapped: tensors that no rule accounts for, layers collapsed.
        warnings: what was guessed, put aside, or is left out on converting.
        checked: how many bytes were read and found sound, or None where only the index was read.
    """

    source: str | Path
    format: str
    layout: str | None
    step: int | None
    slots: str
    models: Mapping[Role, ModelReport]
    unmapped: tuple[str, ...]
    warnings: tuple[str, ...]
    checked: int | None

    @property
    def configs(self) -> dict[Role, dict[str, Any]]:
        """The configuration of each model, by transformers' names."""
        return {role: plain(model.config) for role, model in self.models.items()}

    @property
    def origins(self) -> dict[Role, dict[str, str]]:
        """Where each value of `configs` comes from, such as weights or hparams.json."""
        return {role: origins(model.config) for role, model in self.models.items()}

    def __repr__(self) -> str:
        kind = f"{self.format}, {self.layout} layout" if self.layout else self.format
        models = ", ".join(f"{role} of {model.parameters:,} parameters" for role, model in self.models.items())
        return f"<Inspection of {str(self.source)!r}: {kind}; {models}>"


@arguments_for_options()
def inspect(
    source: str | Path,
    check: bool = False,
    hparams: Mapping[str, Any] | str | Path | None = None,
    config: str | Path | None = None,
    progress: Progress | None = None,
    *,
    exclude: str | Sequence[str] | None = None,
    revision: str | None = None,
    token: str | None = None,
    subfolder: str | None = None,
) -> Inspection:
    """Say what a source holds, without converting it; indices and fine-tuned heads are read, all only to check.

    >>> found = inspect("fixtures/default")
    >>> found
    <Inspection of 'fixtures/default': tensorflow, default layout; discriminator of ... parameters, generator of ...>
    >>> found.configs["discriminator"]["hidden_size"], found.origins["discriminator"]["hidden_size"]
    (64, 'weights')

    Args:
        source: anything that convert takes.
        check: read every byte, verify every checksum, and refuse NaN and infinite weights.
        hparams: what run_pretraining.py was given: a mapping, JSON, or the name of a file that holds it.
        config: a transformers config.json, to settle the head count and the activation.
        progress: told how many bytes of how many have been read.
        exclude: patterns of names of tensors that are no part of a model and may go, as for convert.
        revision: of a source on the Hub: a branch, a tag or a commit, in place of @REVISION in its address.
        token: of a source on the Hub: the account's, by default what huggingface_hub finds.
        subfolder: of a source on the Hub: the folder within the repository.

    Returns:
        The report.

    Raises:
        ElectraConvertError: the source is not a complete ELECTRA checkpoint, or is damaged.
    """
    pointed_at = as_source(source, revision, token, subfolder)
    given = read_path("config", config)
    return run_inspection(pointed_at, check, hparams_text(hparams), given, progress, token, read_patterns(exclude))


def run_inspection(
    pointed_at: str | Path,
    check: bool,
    hparams: str | None,
    config: Path | None,
    progress: Progress | None = None,
    token: str | None = None,
    exclude: Sequence[str] = (),
) -> Inspection:
    """Say what a source holds, with what was asked for already as the command line has it."""
    with open_path(local_source(pointed_at, token=token), exclude=exclude) as checkpoint:
        findings = gather(checkpoint, hparams, config)
        heads = head_notices(checkpoint, checkpoint.models) if checkpoint.scheme.described else []
        return Inspection(
            source=pointed_at,
            format=checkpoint.format,
            layout=checkpoint.layout.name if checkpoint.layout else None,
            step=checkpoint.step,
            slots=checkpoint.slot_state,
            models={
                role: ModelReport(architecture(model, findings), findings.configs[role].values, model.parameters)
                for role, model in checkpoint.models.items()
            },
            unmapped=tuple(collapse(checkpoint.unmapped)),
            warnings=(*checkpoint.notices, *heads, *findings.warnings, *(_unchecked(checkpoint) if check else ())),
            checked=_check(checkpoint, progress) if check else None,
        )


def _unchecked(checkpoint: Checkpoint) -> list[str]:
    """Say which tensors are not read, since they hold no numbers."""
    tensors = (tensor for source in checkpoint.sources for tensor in source.tensors.values())
    opaque = [tensor.name for tensor in tensors if tensor.dtype.kind == "opaque"]
    return [f"Not checked, since they hold no numbers: {', '.join(opaque)}."] if opaque else []


def _check(checkpoint: Checkpoint, progress: Progress | None) -> int:
    """Read everything that can be read as numbers, and the tensors that must be equal."""
    tensors = [tensor for source in checkpoint.sources for tensor in source.tensors.values()]
    numeric = [tensor for tensor in tensors if tensor.dtype.kind != "opaque"]
    total = sum(tensor.nbytes for tensor in numeric)
    scratch = memoryview(bytearray(PIECE_BYTES))
    done = 0
    with naming(checkpoint.path):
        for tensor in numeric:
            for piece in tensor.stream(scratch):
                require_finite(piece, tensor)
                done += len(piece)
                if progress:
                    progress(done, total)
    for model in checkpoint.models.values():
        require_tied(checkpoint.path, model)
    return done
