"""How far models of int8 weights are from those of float32 beside them, measured while the folder has no name yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from electra_convert.conversion.layout_onnx import record_rounding
from electra_convert.conversion.options import Options
from electra_convert.errors import MissingPackageError
from electra_convert.schemes.models import Model

if TYPE_CHECKING:
    from electra_convert.verification.onnx_models import Rounded


@dataclass(frozen=True)
class Measured:
    """What was measured of each model, by its name, and why one was not."""

    rounding: dict[str, Rounded]
    warnings: list[str]

    def measure(self, models: Mapping[str, tuple[PurePath, Model]], options: Options, folder: Path) -> None:
        """Measure models, each in its place within a folder, and put the figures into its conversion.json.

        Raises:
            OutputError: that cannot be written.
        """
        if not options.quantize:
            return
        from electra_convert.verification.onnx_models import measure_rounding

        for name, (place, model) in models.items():
            try:
                rounded = measure_rounding(folder / place, model)
            except MissingPackageError as error:
                self.warnings.append(f"int8 is not measured: {error.message} ({error.hint}).")
                return
            record_rounding(folder / place, options, rounded.fields)
            self.rounding[name] = rounded
