"""pretrain_config.json, in which NVIDIA's TensorFlow 2 pretraining keeps what a run was told; no weights.

Source: PretrainingConfig in run_pretraining.py, and PretrainingModel in modeling.py, of
TensorFlow2/LanguageModeling/ELECTRA in NVIDIA/DeepLearningExamples (commit 180b7c0): the generator is the
discriminator made narrower, with a head for every 64 of its hidden states.
"""

from __future__ import annotations

from pathlib import Path

from electra_convert.config.hparams import google_heads
from electra_convert.config.resolve import SIZE_KEYS, Evidence, Rank
from electra_convert.config.transformers import check_config
from electra_convert.errors import ConfigError, CorruptFileError
from electra_convert.formats.json_objects import decode_object
from electra_convert.formats.names import RUN_FILE
from electra_convert.schemes.models import Model

_LARGEST = 1 << 20
_OF_BOTH = ("hidden_dropout_prob", "attention_probs_dropout_prob", "vocab_size", "embedding_size")
_OF_DISCRIMINATOR = ("hidden_size", "num_hidden_layers", "num_attention_heads")


def run_evidence(folder: Path, model: Model) -> list[Evidence]:
    """What the run's file in a folder says of one of its two models; nothing where there is no such file.

    Raises:
        ConfigError: it cannot be read, or has a value of the wrong kind.
    """
    path = folder / RUN_FILE
    if not path.is_file():
        return []
    try:
        if path.stat().st_size > _LARGEST:
            raise ConfigError(f"{path} is longer than {_LARGEST} bytes", "Remove it, or restore it.")
        run = decode_object(path.read_bytes(), str(path))
    except (OSError, CorruptFileError) as error:
        raise ConfigError(f"{path} cannot be read: {error}", "Remove it, or restore it.") from error
    keys = (*_OF_BOTH, *(_OF_DISCRIMINATOR if model.role == "discriminator" else ()))
    values = {key: run[key] for key in keys if run.get(key) is not None}
    if "act_func" in run:
        values["hidden_act"] = run["act_func"]
    check_config(path, values)
    if model.role == "generator" and SIZE_KEYS.keys() & values.keys():
        values["num_attention_heads"] = google_heads(model.sizes.hidden)
    return [Evidence(RUN_FILE, Rank.BESIDE, values, frozenset(values))]
