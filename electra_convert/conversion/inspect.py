"""inspect: what a source holds, without converting it.

Named apart from the function, which is electra_convert.inspect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from electra_convert.checkpoint import Checkpoint, open_checkpoint
from electra_convert.config.resolve import Value
from electra_convert.config.sources import gather
from electra_convert.conversion.options import hparams_text
from electra_convert.conversion.plan import Progress
from electra_convert.hub.download import as_source, local_source
from electra_convert.schemes.layouts import collapse
from electra_convert.schemes.mapping import Role
from electra_convert.schemes.models import naming, require_tied
from electra_convert.tensors.cast import require_finite
from electra_convert.tensors.spec import PIECE_BYTES


@dataclass(frozen=True)
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


@dataclass(frozen=True)
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


def inspect(
    source: str | Path,
    check: bool = False,
    hparams: str | Path | Mapping[str, Any] | None = None,
    config: str | Path | None = None,
    progress: Progress | None = None,
) -> Inspection:
    """Say what a source holds.

    Args:
        source: anything that convert takes.
        check: read every byte, verify every checksum, and refuse NaN and infinite weights.
        hparams: google-research/electra's hparams: a mapping, JSON, or the name of a file that holds it.
        config: a transformers config.json.
        progress: told how many bytes of how many have been read.

    Returns:
        The report.

    Raises:
        ElectraConvertError: the source is not a complete ELECTRA checkpoint, or is damaged.
    """
    with open_checkpoint(local_source(source)) as checkpoint:
        findings = gather(checkpoint, hparams_text(hparams), Path(config) if config is not None else None)
        return Inspection(
            source=as_source(source),
            format=checkpoint.format,
            layout=checkpoint.layout.name if checkpoint.layout else None,
            step=checkpoint.step,
            slots=checkpoint.slot_state,
            models={
                role: ModelReport(model.head.architecture(), findings.configs[role].values, model.parameters)
                for role, model in checkpoint.models.items()
            },
            unmapped=tuple(collapse(checkpoint.unmapped)),
            warnings=(*checkpoint.notices, *findings.warnings, *(_unchecked(checkpoint) if check else ())),
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
