"""Convert ELECTRA checkpoints between TensorFlow, PyTorch and safetensors; the public API, names only."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from electra_convert.version import __version__

if TYPE_CHECKING:
    from electra_convert.config.resolve import Value
    from electra_convert.conversion import Conversion, convert
    from electra_convert.errors import ElectraConvertError
    from electra_convert.inspection import Inspection, ModelReport, inspect
    from electra_convert.pretraining.records import Pretraining
    from electra_convert.pretraining.run import pretrain

__all__ = [
    "Conversion",
    "ElectraConvertError",
    "Inspection",
    "ModelReport",
    "Pretraining",
    "Value",
    "__version__",
    "convert",
    "inspect",
    "pretrain",
]

_HOMES = {
    "Conversion": "conversion",
    "ElectraConvertError": "errors",
    "Inspection": "inspection",
    "ModelReport": "inspection",
    "Pretraining": "pretraining.records",
    "Value": "config.resolve",
    "convert": "conversion",
    "inspect": "inspection",
    "pretrain": "pretraining.run",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    """Import a name of the API when it is first asked for, so that `--help` imports nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'electra_convert' has no attribute {name!r}")
    return getattr(import_module(f"electra_convert.{_HOMES[name]}"), name)
