"""Convert ELECTRA checkpoints between TensorFlow, PyTorch and safetensors; the public API, names only."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from electra_convert.version import __version__

if TYPE_CHECKING:
    from electra_convert.config.resolve import Value
    from electra_convert.conversion.convert import Conversion, convert
    from electra_convert.conversion.inspect import Inspection, ModelReport, inspect
    from electra_convert.demo.filling import Filling
    from electra_convert.demo.model import LoadedModel, fill, score
    from electra_convert.demo.opening import open_model
    from electra_convert.demo.scoring import ScoredText
    from electra_convert.errors import ElectraConvertError
    from electra_convert.hub.card.writing import Card, write_card
    from electra_convert.hub.uploading import Upload, upload
    from electra_convert.pretraining.outputs.records import Pretraining
    from electra_convert.pretraining.run import pretrain
    from electra_convert.verification.report import ParityReport
    from electra_convert.verification.verify import verify

__all__ = [
    "Card",
    "Conversion",
    "ElectraConvertError",
    "Filling",
    "Inspection",
    "LoadedModel",
    "ModelReport",
    "ParityReport",
    "ScoredText",
    "Upload",
    "Pretraining",
    "Value",
    "__version__",
    "convert",
    "fill",
    "inspect",
    "verify",
    "open_model",
    "score",
    "upload",
    "write_card",
    "pretrain",
]

_HOMES = {
    "Card": "hub.card.writing",
    "Conversion": "conversion.convert",
    "ElectraConvertError": "errors",
    "Filling": "demo.filling",
    "Inspection": "conversion.inspect",
    "LoadedModel": "demo.model",
    "ModelReport": "conversion.inspect",
    "ParityReport": "verification.report",
    "ScoredText": "demo.scoring",
    "Upload": "hub.uploading",
    "Pretraining": "pretraining.outputs.records",
    "Value": "config.resolve",
    "convert": "conversion.convert",
    "fill": "demo.model",
    "inspect": "conversion.inspect",
    "verify": "verification.verify",
    "open_model": "demo.opening",
    "score": "demo.model",
    "upload": "hub.uploading",
    "write_card": "hub.card.writing",
    "pretrain": "pretraining.run",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    """Import a name of the API when it is first asked for, so that `--help` imports nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'electra_convert' has no attribute {name!r}")
    return getattr(import_module(f"electra_convert.{_HOMES[name]}"), name)
