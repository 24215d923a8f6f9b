"""How far models of int8 weights are from those of float32 beside them, measured while the folder has no name yet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from electra_convert.conversion.layout_onnx import record_rounding
from electra_convert.conversion.options import Options
from electra_convert.errors import MissingPackageError
from electra_convert.schemes.models import Model

if TYPE_CHECKING:
    from electra_convert.verification.onnx_models import Int8Distance


@dataclass(frozen=True)
class Measured:
    """What was measured of each model, by its name, and why one was not."""

    rounding: dict[str, Int8Distance]
    warnings: list[str]

    def measure(self, name: str, model: Model, place: Path, folder: Path, record: Path, options: Options) -> None:
        """Measure a model, and put the figures into its record.

        Args:
            name: what it is called.
            model: the model itself.
            place: the folder with both files.
            folder: where its tokenizer would lie.
            record: its conversion.json.
            options: what was asked for.

        Raises:
            OutputError: the record cannot be written.
        """
        from electra_convert.verification.onnx_models import measure_rounding

        try:
            rounded = measure_rounding(place, folder, model)
        except MissingPackageError as error:
            told = f"int8 is not measured: {error.message} ({error.hint})."
            self.warnings.extend([] if told in self.warnings else [told])
            return
        record_rounding(record, options, rounded.fields)
        self.rounding[name] = rounded
