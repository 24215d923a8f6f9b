"""What is fine-tuned: any model that this tool reads, as a folder of transformers, or one of another architecture."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from electra_convert.checkpoint import open_path
from electra_convert.config.labels import GOOGLE_LABELS
from electra_convert.conversion.convert import run_conversion
from electra_convert.conversion.options import Options
from electra_convert.demo.architectures import folders_of
from electra_convert.errors import ElectraConvertError, NamesError, SourceError, listing
from electra_convert.finetuning.options import TaskName
from electra_convert.finetuning.tasks.task import Task
from electra_convert.formats.json_objects import decode_object
from electra_convert.formats.names import CONFIG_FILE, CONVERSION_FILE, TOKENIZER_FILE
from electra_convert.frameworks import import_torch, import_transformers, quiet_transformers
from electra_convert.hub.card.model_folder import read_folder
from electra_convert.hub.card.proof import require_proof
from electra_convert.hub.download import local_source
from electra_convert.schemes.family import ELECTRA
from electra_convert.schemes.foreign import model_type_beside
from electra_convert.schemes.layouts import collapse
from electra_convert.schemes.mapping import Role
from electra_convert.tokenizer.of_checkpoint import TokenizerOptions
from electra_convert.tokenizer.saved import SavedTokenizer, read_saved_tokenizer
from electra_convert.tokenizer.vocabulary import read_small
