"""Convert ELECTRA checkpoints between TensorFlow, PyTorch and safetensors, exactly and in both directions.

>>> import electra_convert
>>> found = electra_convert.inspect("fixtures/default")
>>> found.format, found.step, list(found.models)
('tensorflow', 4000, ['discriminator', 'generator'])

convert writes a checkpoint in another format, verify shows that two are the same model, and load_model,
load_state_dict and open_checkpoint read one from anything that convert takes, and write nothing:

>>> result = electra_convert.convert("fixtures/default", "my-electra", vocab="fixtures/vocab.txt")
>>> electra_convert.verify("fixtures/default", "my-electra", weights_only=True).passed
True
>>> model = electra_convert.load_model("fixtures/default", "generator")
>>> type(model).__name__
'ElectraForMaskedLM'

open_model, score and fill show what a model has learnt (a fine-tuned one classifies, tags or answers), score_stream
scores any number of texts, pretrain trains one, Electra is its objective around any two modules, finetune has a model
learn a task, write_card and upload publish it, and survey looks at many models at once. What cannot be done raises
ElectraConvertError with a hint. Frameworks are imported when they are needed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for type checkers, which do not run what is below; a test holds the two equal
    from electra_convert.checkpoint import open_checkpoint as open_checkpoint
    from electra_convert.config.resolve import Value as Value
    from electra_convert.conversion.convert import Conversion as Conversion
    from electra_convert.conversion.convert import convert as convert
    from electra_convert.conversion.inspect import Inspection as Inspection
    from electra_convert.conversion.inspect import ModelReport as ModelReport
    from electra_convert.conversion.inspect import inspect as inspect
    from electra_convert.conversion.load import load_model as load_model
    from electra_convert.conversion.load import load_state_dict as load_state_dict
    from electra_convert.demo.filling import Filling as Filling
    from electra_convert.demo.model import LoadedModel as LoadedModel
    from electra_convert.demo.model import fill as fill
    from electra_convert.demo.model import score as score
    from electra_convert.demo.model import score_stream as score_stream
    from electra_convert.demo.opening import open_model as open_model
    from electra_convert.demo.scoring import ScoredText as ScoredText
    from electra_convert.demo.tasks.question_answering import Reading as Reading
    from electra_convert.demo.tasks.regression import Number as Number
    from electra_convert.demo.tasks.sequence_classification import Classification as Classification
    from electra_convert.demo.tasks.token_classification import Tagging as Tagging
    from electra_convert.errors import ElectraConvertError as ElectraConvertError
    from electra_convert.errors import ElectraWarning as ElectraWarning
    from electra_convert.finetuning.finetune import finetune as finetune
    from electra_convert.finetuning.run import Finetuning as Finetuning
    from electra_convert.hub.account.row import ModelRow as ModelRow
    from electra_convert.hub.account.survey import Survey as Survey
    from electra_convert.hub.account.survey import survey as survey
    from electra_convert.hub.card.writing import Card as Card
    from electra_convert.hub.card.writing import write_card as write_card
    from electra_convert.hub.upload import Upload as Upload
    from electra_convert.hub.upload import upload as upload
    from electra_convert.pretraining.electra import Electra as Electra
    from electra_convert.pretraining.pretrain import pretrain as pretrain
    from electra_convert.pretraining.run import Pretraining as Pretraining
    from electra_convert.reproduction.reproduce import Reproduction as Reproduction
    from electra_convert.reproduction.reproduce import reproduce as reproduce
    from electra_convert.schemes.models import Checkpoint as Checkpoint
    from electra_convert.verification.report import ParityReport as ParityReport
    from electra_convert.verification.verify import verify as verify
    from electra_convert.version import __version__ as __version__

# Every public name, and the module it is imported from when it is first asked for.
_API = {
    "convert": "conversion.convert",
    "inspect": "conversion.inspect",
    "verify": "verification.verify",
    "reproduce": "reproduction.reproduce",
    "load_model": "conversion.load",
    "load_state_dict": "conversion.load",
    "open_checkpoint": "checkpoint",
    "open_model": "demo.opening",
    "score": "demo.model",
    "score_stream": "demo.model",
    "fill": "demo.model",
    "write_card": "hub.card.writing",
    "upload": "hub.upload",
    "survey": "hub.account.survey",
    "finetune": "finetuning.finetune",
    "pretrain": "pretraining.pretrain",
    "Electra": "pretraining.electra",
    "Card": "hub.card.writing",
    "Checkpoint": "schemes.models",
    "Classification": "demo.tasks.sequence_classification",
    "Conversion": "conversion.convert",
    "ElectraConvertError": "errors",
    "ElectraWarning": "errors",
    "Filling": "demo.filling",
    "Finetuning": "finetuning.run",
    "Inspection": "conversion.inspect",
    "LoadedModel": "demo.model",
    "ModelReport": "conversion.inspect",
    "ModelRow": "hub.account.row",
    "Number": "demo.tasks.regression",
    "ParityReport": "verification.report",
    "Pretraining": "pretraining.run",
    "Reading": "demo.tasks.question_answering",
    "ScoredText": "demo.scoring",
    "Survey": "hub.account.survey",
    "Tagging": "demo.tasks.token_classification",
    "Reproduction": "reproduction.reproduce",
    "Upload": "hub.upload",
    "Value": "config.resolve",
    "__version__": "version",
}
# Classes made of PyTorch's, which a program that never makes one need not have.
_OF_PYTORCH = {"Electra"}
__all__ = list(_API)


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    if name not in _API:
        raise AttributeError(f"module 'electra_convert' has no attribute {name!r}")
    try:
        return getattr(import_module(f"electra_convert.{_API[name]}"), name)
    except ImportError as error:
        if name not in _OF_PYTORCH:
            raise
        return import_module("electra_convert.frameworks").stand_in(name, error)


def __dir__() -> list[str]:
    return sorted({*_API, *(name for name in globals() if name.startswith("__"))})
